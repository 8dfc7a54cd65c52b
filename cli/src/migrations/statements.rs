//! The statements of a migration file, checked before any of them is run.

use std::collections::BTreeMap;

use tidemill_parser::ast::Statement;
use tidemill_parser::{parse_statement, split_script, substitute};

use crate::client::Settings;

/// One statement, with the properties that were set before it and its variables put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub sql: String,
    pub properties: Settings,
}

/// What is to be run, in order. Properties and variables end with the file.
///
/// # Errors
/// A statement can't be parsed, or is none that a migration may hold.
pub fn steps(text: &str, defined: &BTreeMap<String, String>) -> Result<Vec<Step>, String> {
    let (mut properties, mut variables) = (Settings::new(), defined.clone());
    let mut steps = Vec::new();
    for raw in split_script(text) {
        raw.check_terminated().map_err(|error| error.to_string())?;
        let written = format!("{};", raw.text);
        let sql = substitute(&written, &variables).map_err(|error| format!("{error}: {written}"))?;
        let parsed = parse_statement(&sql).map_err(|error| error.to_string())?;
        match parsed.statement {
            Statement::SetProperty { name, value } => {
                properties.insert(name, value);
            }
            Statement::UnsetProperty { name: Some(name) } => {
                properties.shift_remove(&name);
            }
            Statement::UnsetProperty { name: None } => properties.clear(),
            Statement::DefineVariable { name, value } => {
                variables.insert(name, value);
            }
            Statement::UndefineVariable { name } => {
                variables.remove(&name);
            }
            Statement::CreateSource(_)
            | Statement::CreateAs(_)
            | Statement::InsertSelect(_)
            | Statement::InsertValues(_)
            | Statement::AlterSource(_)
            | Statement::DropSource(_)
            | Statement::CreateType { .. }
            | Statement::DropType { .. }
            | Statement::CreateConnector { .. }
            | Statement::DropConnector { .. }
            | Statement::Terminate { .. }
            | Statement::Pause { .. }
            | Statement::Resume { .. }
            | Statement::AssertTopic { .. }
            | Statement::AssertSchema { .. } => {
                let mut properties = properties.clone();
                // What looks like a variable now is text.
                properties.insert(tidemill_parser::SUBSTITUTION_PROPERTY.to_owned(), "false".to_owned());
                steps.push(Step { sql, properties });
            }
            _ => {
                return Err(format!(
                    "'{}' is no statement of a migration: those are CREATE, INSERT, ALTER, DROP, TERMINATE, PAUSE, RESUME, SET, UNSET, \
                     DEFINE, UNDEFINE, ASSERT TOPIC and ASSERT SCHEMA",
                    raw.text.trim()
                ));
            }
        }
    }
    Ok(steps)
}
