//! What the configuration forbids: parts of the language that are switched off, statements beyond a rate, and over REST,
//! while the statements of a file run, all that would change something.

use tidemill_parser::ast::{Emit, Query, Statement};

use crate::app::App;
use crate::error::{ApiError, ErrorCode};

/// A statement of a client.
///
/// # Errors
/// It may not be run; the message names the property that says so.
pub fn check(app: &App, statement: &Statement, text: &str) -> Result<(), ApiError> {
    if app.reads_only() && changes(statement) {
        return Err(reads_only(app, text));
    }
    check_switches(app, statement, text)?;
    if changes(statement) && !matches!(statement, Statement::InsertValues(_)) {
        app.limits.statement()?;
    }
    Ok(())
}

/// Parts of the language that are switched off.
///
/// # Errors
/// The statement uses one.
pub fn check_switches(app: &App, statement: &Statement, text: &str) -> Result<(), ApiError> {
    let (replaces, declares_source, query) = match statement {
        Statement::CreateSource(create) => (create.or_replace, create.read_only, None),
        Statement::CreateAs(create) => (create.or_replace, false, Some(&create.query)),
        Statement::InsertSelect(insert) => (false, false, Some(&insert.query)),
        _ => return Ok(()),
    };
    let off = |property: &str, what: &str| {
        let message = format!("{what} is switched off by {property}=false in the server's configuration.");
        if app.config.flag(property) { Ok(()) } else { Err(ApiError::statement(ErrorCode::BAD_STATEMENT, message, text)) }
    };
    if replaces {
        off("ksql.create.or.replace.enabled", "CREATE OR REPLACE")?;
    }
    if declares_source {
        off("ksql.source.table.materialization.enabled", "CREATE SOURCE")?;
    }
    query.map_or(Ok(()), |query| check_query(app, query, text))
}

/// Parts of queries that are switched off.
///
/// # Errors
/// The query uses one.
pub fn check_query(app: &App, query: &Query, text: &str) -> Result<(), ApiError> {
    match query.emit {
        Some(Emit::Final) => switched_on(app, "ksql.suppress.enabled", "EMIT FINAL", text),
        None => check_limit(app, query.limit.is_some(), text),
        _ => Ok(()),
    }
}

/// The same of a query that is answered at once, and may have a LIMIT.
///
/// # Errors
/// It has one, and that is switched off.
pub fn check_limit(app: &App, has_limit: bool, text: &str) -> Result<(), ApiError> {
    if has_limit { switched_on(app, "ksql.query.pull.limit.clause.enabled", "LIMIT in pull queries", text) } else { Ok(()) }
}

fn switched_on(app: &App, property: &str, what: &str, text: &str) -> Result<(), ApiError> {
    let message = format!("{what} is switched off by {property}=false in the server's configuration.");
    if app.config.flag(property) { Ok(()) } else { Err(ApiError::statement(ErrorCode::BAD_STATEMENT, message, text)) }
}

/// What is answered to a statement that would change something while a file's statements run.
pub fn reads_only(app: &App, text: &str) -> ApiError {
    let file = app.config.queries_file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    let message = format!(
        "This server runs the statements of a file (ksql.queries.file={file}), so the REST API only reads. Add the statement at the \
         end of the file and start the server again."
    );
    ApiError::statement(ErrorCode::BAD_STATEMENT, message, text)
}

/// Whether a statement changes streams, tables, types, queries or topics.
pub fn changes(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::CreateSource(_)
            | Statement::CreateAs(_)
            | Statement::InsertSelect(_)
            | Statement::InsertValues(_)
            | Statement::AlterSource(_)
            | Statement::DropSource(_)
            | Statement::CreateType { .. }
            | Statement::DropType { .. }
            | Statement::Terminate { .. }
            | Statement::Pause { .. }
            | Statement::Resume { .. }
            | Statement::ReplayDeadLetters { .. }
            | Statement::CreateConnector { .. }
            | Statement::DropConnector { .. }
            | Statement::AlterSystem { .. }
    )
}
