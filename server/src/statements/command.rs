//! Statements that change something: the engine carries them out.

use tidemill_parser::ast::SpannedStatement;

use super::Session;
use crate::app::App;
use crate::entities::{CommandStatus, Common, CurrentStatus, KsqlEntity, Warning, WarningEntity};
use crate::error::ApiError;

pub fn run(app: &App, session: &Session, statement: &SpannedStatement, text: &str) -> Result<KsqlEntity, ApiError> {
    let outcome = app.engine.execute(statement, session.properties()).map_err(|error| ApiError::engine(error, text))?;
    let warnings = outcome.warnings.into_iter().map(|message| Warning { message }).collect();
    let Some(sequence_number) = outcome.sequence_number else {
        return Ok(KsqlEntity::Warning(WarningEntity {
            message: outcome.message,
            common: Common { statement_text: text.to_owned(), warnings },
        }));
    };
    let status = CommandStatus { status: "SUCCESS", message: outcome.message, query_id: outcome.query_id };
    app.note_status(&outcome.command_id, status.clone());
    Ok(KsqlEntity::CurrentStatus(CurrentStatus {
        command_id: outcome.command_id,
        command_status: status,
        command_sequence_number: sequence_number,
        common: Common { statement_text: outcome.statement_text, warnings },
    }))
}
