//! INSERT INTO … VALUES. Values of the row never stand in an error's statement text.

use tidemill_engine::engine::TOKEN;
use tidemill_parser::ast::{InsertValues, SpannedStatement};

use super::{Caller, Session, text_of};
use crate::app::App;
use crate::error::ApiError;

pub fn run(
    app: &App,
    session: &Session,
    caller: Option<&Caller>,
    values: &InsertValues,
    statement: &SpannedStatement,
) -> Result<(), ApiError> {
    let written = app.engine.insert_values(values, session.properties()).map_err(|error| ApiError::engine(error, &text_of(statement)))?;
    if let Some(caller) = caller.filter(|_| session.properties().0.contains_key(TOKEN)) {
        caller.written.lock().extend(written);
    }
    Ok(())
}
