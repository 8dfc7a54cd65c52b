//! INSERT INTO … VALUES. Values of the row never stand in an error's statement text.

use tidemill_parser::ast::{InsertValues, SpannedStatement};

use super::{Session, text_of};
use crate::app::App;
use crate::error::ApiError;

pub fn run(app: &App, session: &Session, values: &InsertValues, statement: &SpannedStatement) -> Result<(), ApiError> {
    app.engine.insert_values(values, session.properties()).map_err(|error| ApiError::engine(error, &text_of(statement)))
}
