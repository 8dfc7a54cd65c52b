//! SQL test files: directives and statements, parted into tests.
//!
//! A directive is a comment that begins with `--@`, its name and a colon. `--@test: name` begins a test; what follows belongs
//! to it until the next one.

use std::path::{Path, PathBuf};

use tidemill_parser::ast::Location;
use tidemill_parser::{RawStatement, did_you_mean, split_script};

/// The directives that are known.
const DIRECTIVES: [&str; 3] = ["test", "expected.error", "expected.message"];

/// One test of a file.
#[derive(Debug, Clone)]
pub struct SqlTest {
    pub file: PathBuf,
    /// The file's text, for quoting lines.
    pub text: std::sync::Arc<str>,
    pub name: String,
    /// The line of its `--@test`.
    pub line: u32,
    pub steps: Vec<Step>,
}

/// What a test does, in order.
#[derive(Debug, Clone)]
pub enum Step {
    /// From here on, something must fail. ksqlDB's tests name the Java class; that it fails counts.
    ExpectError,
    /// From here on, something must fail with this text in its message.
    ExpectMessage(String),
    Statement(Box<RawStatement>),
    /// A statement that is not closed before the directive on this line.
    Unclosed(Box<RawStatement>, u32),
}

/// The tests of a file, and what may be a mistake in it.
#[derive(Debug, Default)]
pub struct TestFile {
    pub tests: Vec<SqlTest>,
    pub warnings: Vec<String>,
}

/// A directive and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Directive {
    at: Location,
    /// In lower case.
    name: String,
    contents: String,
}

/// Whether a text holds tests.
pub fn holds_tests(text: &str) -> bool {
    directives(text).iter().any(|found| found.as_ref().is_ok_and(|d| d.name == "test"))
}

/// Reads a file of tests.
///
/// # Errors
/// It can't be read, or it is no file of tests.
pub fn read(path: &Path) -> Result<TestFile, String> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|e| format!("{shown}: {e}"))?;
    let text = String::from_utf8(bytes).map_err(|e| format!("{shown}: not UTF-8 at byte {}", e.utf8_error().valid_up_to()))?;
    // As blanks, so that places stay what they are.
    parse(path, &text.replace('\u{feff}', " "))
}

pub(super) fn parse(path: &Path, text: &str) -> Result<TestFile, String> {
    let shown = path.display();
    let mut file = TestFile::default();
    let source: std::sync::Arc<str> = text.into();
    let mut statements = split_script(text).into_iter().peekable();
    let mut found = directives(text).into_iter().peekable();
    loop {
        let directive_first = match (found.peek(), statements.peek()) {
            (None, None) => break,
            (Some(directive), Some(statement)) => !is_before(statement.span.start, place(directive)),
            (directive, _) => directive.is_some(),
        };
        if !directive_first {
            let Some(statement) = statements.next() else { break };
            let line = statement.span.start.line;
            let Some(test) = file.tests.last_mut() else {
                return Err(format!("{shown}:{line}: a test begins with --@test: NAME, and this statement stands before the first one"));
            };
            let within = found.peek().map(place).filter(|at| is_before(*at, statement.span.end));
            test.steps.push(match within {
                Some(at) => Step::Unclosed(Box::new(statement), at.line),
                // A semicolon alone.
                None if statement.text.is_empty() => continue,
                None => Step::Statement(Box::new(statement)),
            });
            continue;
        }
        let directive = match found.next() {
            Some(Ok(directive)) => directive,
            Some(Err((at, comment))) => {
                return Err(format!("{shown}:{}: {comment} is no directive: its name ends with a colon, as in --@test: NAME", at.line));
            }
            None => break,
        };
        let line = directive.at.line;
        match (directive.name.as_str(), file.tests.last_mut()) {
            ("test", _) => {
                file.tests.push(SqlTest { file: path.to_owned(), text: source.clone(), name: directive.contents, line, steps: Vec::new() })
            }
            ("expected.error", Some(test)) => test.steps.push(Step::ExpectError),
            ("expected.message", Some(test)) => test.steps.push(Step::ExpectMessage(directive.contents)),
            (name, None) if DIRECTIVES.contains(&name) => {
                return Err(format!("{shown}:{line}: --@{name} stands before the first --@test: NAME"));
            }
            (name, _) => {
                let hint = match did_you_mean(name, DIRECTIVES.into_iter()) {
                    Some(meant) => format!("Did you mean --@{meant}?"),
                    None => format!("There are --@{}.", DIRECTIVES.join(", --@")),
                };
                file.warnings.push(format!("{shown}:{line}: unknown directive --@{name}, which is passed over. {hint}"));
            }
        }
    }
    if file.tests.is_empty() {
        return Err(format!("{shown}: there is no test in this file: a test begins with a comment --@test: NAME"));
    }
    Ok(file)
}

/// Places are all equal to the trees that hold them.
fn is_before(one: Location, other: Location) -> bool {
    (one.line, one.column) < (other.line, other.column)
}

fn place(directive: &Result<Directive, (Location, String)>) -> Location {
    match directive {
        Ok(directive) => directive.at,
        Err((at, _)) => *at,
    }
}

/// All comments that begin with `--@`; those that are no directives as they stand.
fn directives(text: &str) -> Vec<Result<Directive, (Location, String)>> {
    /// What the scan stands in.
    enum Within {
        Plain,
        Quotes(char),
        BlockComment,
    }
    let mut found = Vec::new();
    let mut within = Within::Plain;
    for (line, number) in text.split('\n').zip(1..) {
        let mut column = 1;
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let mut taken = first.len_utf8();
            match within {
                Within::Plain if rest.starts_with("--") => {
                    if rest.starts_with("--@") {
                        found.push(directive(rest.trim_end(), Location { line: number, column }));
                    }
                    break;
                }
                Within::Plain if rest.starts_with("/*") => {
                    within = Within::BlockComment;
                    taken = 2;
                }
                Within::Plain if matches!(first, '\'' | '"' | '`') => within = Within::Quotes(first),
                // Two of them close and open again, which comes to the same.
                Within::Quotes(quote) if quote == first => within = Within::Plain,
                Within::BlockComment if rest.starts_with("*/") => {
                    within = Within::Plain;
                    taken = 2;
                }
                _ => {}
            }
            let (skipped, behind) = rest.split_at(taken);
            column += u32::try_from(skipped.chars().count()).unwrap_or(u32::MAX);
            rest = behind;
        }
    }
    found
}

fn directive(comment: &str, at: Location) -> Result<Directive, (Location, String)> {
    let wrong = || (at, comment.to_owned());
    let (name, contents) = comment.trim_start_matches("--@").split_once(':').ok_or_else(wrong)?;
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'.') {
        return Err(wrong());
    }
    Ok(Directive { at, name: name.to_ascii_lowercase(), contents: contents.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TestFile, String> {
        parse(Path::new("t.sql"), text)
    }

    #[test]
    fn directives_part_a_file_into_tests() {
        let text = "-- a comment\n--@test:  one \nSET 'a'='--@test: no';\n/* --@test: no\n*/ SHOW\nSTREAMS;;\n--@Test: two\n--@test: three\n\
                    --@expected.error: java.lang.Any\nSHOW `--@test: x`; --@expected.message: a: b\n";
        let file = read(text).expect("tests");
        let shown: Vec<_> = file.tests.iter().map(|t| (t.name.as_str(), t.line, t.steps.len())).collect();
        assert_eq!(shown, [("one", 2, 2), ("two", 7, 0), ("three", 8, 3)]);
        assert!(matches!(&file.tests[2].steps[..], [Step::ExpectError, Step::Statement(_), Step::ExpectMessage(m)] if m == "a: b"));
        assert!(file.warnings.is_empty());
    }

    #[test]
    fn what_is_no_test_file_is_told_with_its_line() {
        for (text, expected) in [
            ("SHOW STREAMS;\n--@test: a", "t.sql:1: a test begins with --@test: NAME"),
            ("\n--@expected.error: x", "t.sql:2: --@expected.error stands before"),
            ("-- nothing", "t.sql: there is no test in this file"),
            ("--@test", "t.sql:1: --@test is no directive"),
        ] {
            let error = read(text).expect_err("no tests");
            assert!(error.starts_with(expected), "{error}");
        }
        let warned = read("--@test: a\n--@expected.eror: x").expect("a test").warnings;
        assert!(
            warned[0].starts_with("t.sql:2: unknown directive --@expected.eror") && warned[0].ends_with("--@expected.error?"),
            "{warned:?}"
        );
    }

    #[test]
    fn a_statement_that_runs_into_the_next_test_is_not_closed() {
        let file = read("--@test: a\nSHOW STREAMS\n--@test: b\nSHOW TABLES;").expect("tests");
        assert!(matches!(&file.tests[0].steps[..], [Step::Unclosed(_, 3)]));
        assert_eq!(file.tests[1].steps.len(), 0);
    }
}
