//! Runs one test: its statements in order, until one fails. Where a failure is expected, that is the end; else it is the
//! test's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidemill_parser::ast::{Location, SpannedStatement, Statement};
use tidemill_parser::{ParseError, RawStatement, SUBSTITUTION_PROPERTY, Statements, same_variable, split_script, substitute};

use super::asserts;
use super::file::{SqlTest, Step};
use super::stage::Stage;
use crate::shell::place::Source;

/// How deep RUN SCRIPT may nest.
const MAX_SCRIPT_DEPTH: usize = 8;

/// A statement that failed.
struct Trouble {
    file: PathBuf,
    text: Arc<str>,
    at: Location,
    /// As the statement's maker words it, places among them.
    message: String,
}

/// Runs a test on a stage. `variables`: those that it begins with.
///
/// # Errors
/// The first thing that went otherwise than the test says, with its place in the file; may have several lines.
pub fn run(test: &SqlTest, stage: &mut dyn Stage, variables: &BTreeMap<String, String>) -> Result<(), String> {
    let mut run = Run { stage, variables: variables.clone(), substitutes: true, depth: 0 };
    let (mut fails, mut message): (bool, Option<&str>) = (false, None);
    let mut last_line = test.line;
    for step in &test.steps {
        let done = match step {
            Step::ExpectError => {
                fails = true;
                continue;
            }
            Step::ExpectMessage(text) => {
                message = Some(text);
                continue;
            }
            Step::Wrong(line, why) => return Err(format!("{}:{line}: {why}", test.file.display())),
            Step::Statement(raw) => {
                last_line = raw.span.start.line;
                run.statement(raw, &test.file, &test.text)
            }
            Step::Unclosed(raw, line) => {
                let why = format!("missing ';': the statement runs into the directive in line {line}. A statement ends with a semicolon.");
                Err(trouble(test, raw.span.start, why))
            }
            Step::Broken(at, why) => Err(trouble(test, *at, why.clone())),
        };
        let Err(trouble) = done else { continue };
        return match message {
            Some(text) if !trouble.message.contains(text) => {
                Err(format!("Expected an error with the message\n  {text}\nbut got\n  {}", trouble.shown().replace('\n', "\n  ")))
            }
            Some(_) => Ok(()),
            None if fails => Ok(()),
            None => Err(trouble.shown()),
        };
    }
    let missing = match (message, fails) {
        (Some(text), _) => format!("Expected an error with the message «{text}», but every statement was carried out"),
        (None, true) => "Expected an error, but every statement was carried out".to_owned(),
        (None, false) => return Ok(()),
    };
    Err(format!("{}:{last_line}: {missing}", test.file.display()))
}

fn trouble(test: &SqlTest, at: Location, message: String) -> Trouble {
    Trouble { file: test.file.clone(), text: test.text.clone(), at, message }
}

impl Trouble {
    fn shown(&self) -> String {
        let name = self.file.display().to_string();
        Source { text: &self.text, first_line: 1, file: Some(&name) }.says(&self.message, self.at)
    }
}

/// What an application's script may hold, and a test has no use for: queries that somebody looks at, and Kafka Connect.
fn is_passed_over(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Select(_)
            | Statement::Print(_)
            | Statement::CreateConnector { .. }
            | Statement::DropConnector { .. }
            | Statement::DescribeConnector { .. }
    )
}

struct Run<'s> {
    stage: &'s mut dyn Stage,
    variables: BTreeMap<String, String>,
    /// Whether variables are put into statements.
    substitutes: bool,
    /// Scripts in one another.
    depth: usize,
}

impl Run<'_> {
    fn statement(&mut self, raw: &RawStatement, file: &Path, text: &Arc<str>) -> Result<(), Trouble> {
        let trouble = |message: String| Trouble { file: file.to_owned(), text: text.clone(), at: raw.span.start, message };
        let statement = self.parse(raw).map_err(|error| trouble(error.to_string()))?;
        if let Statement::RunScript { path } = &statement.statement {
            return self.script(path, file).map_err(|inner| match inner {
                Ok(reason) => trouble(reason),
                Err(inner) => inner,
            });
        }
        if self.depth > 0 && is_passed_over(&statement.statement) {
            return Ok(());
        }
        self.carry_out(&statement).map_err(trouble)
    }

    /// The statement with the values of variables; its places are those of the file.
    fn parse(&self, raw: &RawStatement) -> Result<SpannedStatement, ParseError> {
        if !self.substitutes || !raw.text.contains("${") {
            return raw.parse_as(Statements::Test);
        }
        let Location { line, column } = raw.span.start;
        let count = |n: u32| usize::try_from(n.saturating_sub(1)).unwrap_or(0);
        let padding = format!("{}{}", "\n".repeat(count(line)), " ".repeat(count(column)));
        let text = substitute(&format!("{padding}{}", raw.text), &self.variables)?;
        split_script(&text).first().unwrap_or(raw).parse_as(Statements::Test)
    }

    fn carry_out(&mut self, statement: &SpannedStatement) -> Result<(), String> {
        match &statement.statement {
            Statement::AssertValues(assert) => asserts::values(self.stage, assert, false),
            Statement::AssertTombstone(assert) => asserts::values(self.stage, assert, true),
            Statement::AssertNoValues { source } => asserts::no_values(self.stage, source),
            Statement::AssertProcessingLog { exists, contains } => asserts::processing_log(self.stage, *exists, contains.as_deref()),
            Statement::AssertSource(declared) => self.stage.compare(declared),
            Statement::Advance(advance) => self.stage.advance(advance),
            Statement::DefineVariable { name, value } => {
                self.undefine(name);
                self.variables.insert(name.clone(), value.clone());
                Ok(())
            }
            Statement::UndefineVariable { name } => {
                self.undefine(name);
                Ok(())
            }
            Statement::SetProperty { name, value } if name == SUBSTITUTION_PROPERTY => {
                self.substitutes = !value.eq_ignore_ascii_case("false");
                Ok(())
            }
            Statement::UnsetProperty { name } => {
                self.substitutes |= name.as_deref().is_none_or(|name| name == SUBSTITUTION_PROPERTY);
                self.stage.execute(statement)
            }
            _ => self.stage.execute(statement),
        }
    }

    fn undefine(&mut self, name: &str) {
        if let Some(defined) = same_variable(name, self.variables.keys()).cloned() {
            self.variables.remove(&defined);
        }
    }

    /// A script beside the file that names it. The error is of the statement that names it, or of one of the script.
    fn script(&mut self, path: &str, within: &Path) -> Result<(), Result<String, Trouble>> {
        if self.depth >= MAX_SCRIPT_DEPTH {
            return Err(Ok(format!("RUN SCRIPT nests deeper than {MAX_SCRIPT_DEPTH}")));
        }
        let file = within.parent().unwrap_or(Path::new("")).join(path);
        let text: Arc<str> = std::fs::read_to_string(&file).map_err(|e| Ok(format!("{}: {e}", file.display())))?.into();
        self.depth += 1;
        let statements = split_script(&text);
        let mut statements = statements.iter().filter(|raw| !raw.text.is_empty());
        let done = statements.try_for_each(|raw| self.statement(raw, &file, &text));
        self.depth -= 1;
        done.map_err(Err)
    }
}
