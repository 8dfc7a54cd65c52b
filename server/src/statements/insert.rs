//! INSERT INTO … VALUES. Values of the row never stand in an error's statement text.

use tidemill_parser::ast::{InsertValues, SpannedStatement};

use super::Session;
use crate::app::App;
use crate::error::ApiError;

pub fn run(app: &App, session: &Session, values: &InsertValues, statement: &SpannedStatement) -> Result<(), ApiError> {
    app.engine.insert_values(values, session.properties()).map_err(|error| {
        let masked = statement.statement.masked().unwrap_or_default();
        ApiError::engine(error, &format!("{masked};"))
    })
}
