//! The statements of `ksql.queries.file`, run at the start. What ran at an earlier start is not run again: the command log
//! remembers each statement of the file, and the file may only have grown at its end since.

use std::path::Path;

use tidemill_parser::ast::{SpannedStatement, Statement};
use tidemill_parser::split_script;

use super::{Session, check_syntax, guard, note, prepare, run_one, text_of};
use crate::app::App;
use crate::entities::KsqlEntity;
use crate::request::Settings;

/// Runs the statements of the file that did not run before.
///
/// # Errors
/// The file can't be read, a statement fails, or what ran before is not what the file says; what to do then. One line.
pub fn run(app: &App, file: &Path) -> Result<(), String> {
    let ksql = std::fs::read_to_string(file).map_err(|e| e.to_string())?;
    let raw = split_script(&ksql);
    let refused = |error: crate::error::ApiError| error.message().to_owned();
    let mut session = Session::new(app, &Settings::new(), Settings::new()).map_err(|e| e.message())?;
    check_syntax(&raw, &ksql, &session).map_err(refused)?;
    let past = app.engine.past_statements().map_err(|e| e.message)?;
    let mut past = past.iter();
    let (mut before, mut new) = (0_usize, 0_usize);
    for raw in &raw {
        let line = raw.span.start.line;
        let at_line = |error: crate::error::ApiError| format!("line {line}: {}", error.message());
        let statement = prepare(raw, &session).map_err(at_line)?;
        let text = text_of(&statement);
        if !is_remembered(&statement.statement) {
            run_one(app, &mut session, None, &statement).map_err(at_line)?;
            continue;
        }
        match past.next() {
            Some(ran) if new == 0 => {
                check_same(ran, &statement, line)?;
                before += 1;
                // What was set holds for the statements that follow.
                if matches!(statement.statement, Statement::SetProperty { .. } | Statement::UnsetProperty { .. }) {
                    run_one(app, &mut session, None, &statement).map_err(at_line)?;
                }
            }
            _ => {
                guard::check_switches(app, &statement.statement, &text).map_err(at_line)?;
                let answer = run_one(app, &mut session, None, &statement).map_err(at_line)?;
                note(&statement, None, None);
                // Whatever became no command of its own.
                if !matches!(answer, Some(KsqlEntity::CurrentStatus(_))) {
                    app.engine.remember_statement(&remembered(&statement)).map_err(|e| format!("line {line}: {}", e.message))?;
                }
                new += 1;
            }
        }
    }
    if let Some(gone) = past.next().filter(|_| new == 0) {
        return Err(format!("'{}' ran at an earlier start and is not in the file any more. {WHAT_TO_DO}", shortened(gone)));
    }
    tracing::info!("{}: {before} statements ran at an earlier start, {new} were run now", file.display());
    Ok(())
}

const WHAT_TO_DO: &str = "What ran stays: put it back, and say changes at the end of the file (CREATE OR REPLACE …, TERMINATE …, \
                          DROP …). To begin anew, choose another ksql.service.id and data folder";
/// Characters of a statement that are shown.
const SHOWN: usize = 120;

/// Whether the file's statement stands where one like it ran.
fn check_same(ran: &str, statement: &SpannedStatement, line: u32) -> Result<(), String> {
    if normal(ran) == normal_of(statement) {
        return Ok(());
    }
    Err(format!(
        "line {line} differs from what ran at an earlier start: '{}' stands where '{}' ran. {WHAT_TO_DO}",
        shortened(&remembered(statement)),
        shortened(ran)
    ))
}

/// A statement without what does not count: comments, spaces, the case of keywords.
fn normal(text: &str) -> String {
    tidemill_parser::parse_statement(text).map_or_else(|_| text.trim().to_owned(), |statement| normal_of(&statement))
}

fn normal_of(statement: &SpannedStatement) -> String {
    match &statement.statement {
        Statement::CreateConnector { .. } => format!("{};", statement.statement.masked().unwrap_or_default()),
        other => format!("{other};"),
    }
}

/// On one line, and not too long.
fn shortened(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let mut shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    shown
}

/// What is kept of a statement that ran: a connector's properties are nobody's business.
fn remembered(statement: &SpannedStatement) -> String {
    match &statement.statement {
        Statement::CreateConnector { .. } => normal_of(statement),
        _ => format!("{};", statement.text.trim_end_matches(';')),
    }
}

/// Whether a statement leaves something behind, or bears on those that do; variables are put in before.
fn is_remembered(statement: &Statement) -> bool {
    guard::changes(statement) || matches!(statement, Statement::SetProperty { .. } | Statement::UnsetProperty { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_count_is_not_compared() {
        let one = "create stream s (id INT key) -- mine\n  WITH (kafka_topic = 's', value_format='json', partitions=1);";
        let other = "CREATE STREAM S (ID INT KEY) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='json', PARTITIONS=1);";
        assert_eq!(normal(one), normal(other));
        assert_ne!(normal(one), normal(&other.replace("PARTITIONS=1", "PARTITIONS=2")));
        assert_eq!(shortened("a\n  b"), "a b");
        assert_eq!(shortened(&"x".repeat(200)).chars().count(), SHOWN + 1);
    }
}
