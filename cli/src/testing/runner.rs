//! What `ksql-test-runner` runs: `statements.sql`, `input.json` (or INSERT VALUES among the statements) and `output.json`.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use tidemill_parser::ast::Statement;
use tidemill_parser::split_script;

use crate::conformance::case::{self, Case, RecordSpec};
use crate::conformance::world::{self, RunOptions};
use crate::shell::place::Source;

/// The files' names in a folder that holds a test.
pub const STATEMENTS: &str = "statements.sql";
const INPUT: &str = "input.json";
pub const OUTPUT: &str = "output.json";

/// A test as three files.
#[derive(Debug, Clone)]
pub struct RunnerTest {
    pub statements: PathBuf,
    pub input: Option<PathBuf>,
    pub output: PathBuf,
    /// It stands below a folder named `incorrect`: it must fail.
    pub must_fail: bool,
}

/// Why a test did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Its files are not what they should be.
    Invalid(String),
    Failed(String),
}

impl From<String> for Problem {
    fn from(reason: String) -> Self {
        Problem::Failed(reason)
    }
}

impl RunnerTest {
    /// The test in a folder.
    pub fn in_folder(folder: &Path, must_fail: bool) -> Self {
        let input = folder.join(INPUT);
        RunnerTest { statements: folder.join(STATEMENTS), input: input.exists().then_some(input), output: folder.join(OUTPUT), must_fail }
    }

    /// Runs the test as it stands.
    ///
    /// # Errors
    /// A file that is none of a test, a statement that fails, or records other than expected.
    pub fn run(&self, options: RunOptions) -> Result<(), Problem> {
        let inputs = self.input.as_deref().map(|file| records(file, "inputs", "Inputs", "input")).transpose()?;
        let outputs = records(&self.output, "outputs", "Outputs", "output")?;
        let shown = self.statements.display().to_string();
        let text = std::fs::read_to_string(&self.statements)
            .map_err(|e| Problem::Invalid(format!("Could not read the query file: {shown}. Details: {e}")))?;
        let source = Source { text: &text, first_line: 1, file: Some(&shown) };
        let mut makes_query = false;
        for raw in split_script(&text) {
            let parsed = raw.parse().map_err(|error| Problem::Invalid(source.parser_says(&error)))?;
            makes_query |= matches!(parsed.statement, Statement::CreateAs(_) | Statement::InsertSelect(_));
        }
        let case = Case {
            file: shown.clone(),
            name: shown.clone(),
            statements: vec![text.clone()],
            properties: Vec::new(),
            topics: Vec::new(),
            inputs: inputs.unwrap_or_default(),
            outputs,
            expected_error: None,
            post: Json::Null,
            asks_over_http: false,
        };
        world::run(&case, options).map_err(|reason| Problem::Failed(source.says_if_placed(&reason)))?;
        if !makes_query {
            return Err(Problem::Failed(format!(
                "{shown}: test did not generate any queries: there is no CREATE … AS SELECT and no INSERT INTO … SELECT"
            )));
        }
        Ok(())
    }

    /// Runs the test, and turns the result around where it must fail.
    ///
    /// # Errors
    /// The reason, or that it passed although it must not.
    pub fn judge(&self, options: RunOptions) -> Result<(), String> {
        match (self.run(options), self.must_fail) {
            (Ok(()), false) => Ok(()),
            (Err(Problem::Invalid(reason) | Problem::Failed(reason)), false) => Err(reason),
            (Ok(()), true) => Err("passed, but stands below a folder named 'incorrect' and must fail".to_owned()),
            (Err(Problem::Failed(reason)), true) if reason.starts_with("panic: ") => Err(reason),
            (Err(_), true) => Ok(()),
        }
    }
}

/// The records of a file.
fn records(file: &Path, field: &str, plural: &str, kind: &str) -> Result<Vec<RecordSpec>, Problem> {
    let wrong = |what: String| Problem::Invalid(format!("File name: {} Message: {what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
    let document: Json = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let found = document.get(field).and_then(Json::as_array).ok_or_else(|| wrong(format!("No '{field}' field in the {kind} file.")))?;
    if found.is_empty() {
        return Err(wrong(format!("{plural} cannot be empty.")));
    }
    let record = |(index, spec): (usize, &Json)| {
        let of_record = |what: &str| wrong(format!("{what} in record {} of '{field}'", index + 1));
        if spec["topic"].as_str().is_none_or(str::is_empty) {
            return Err(of_record("Expected field 'topic'"));
        }
        if spec.get("value").is_none() {
            return Err(of_record("Expected field 'value' (null for a tombstone)"));
        }
        case::record(spec).map_err(|e| of_record(&e))
    };
    found.iter().enumerate().map(record).collect()
}
