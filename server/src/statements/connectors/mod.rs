//! Statements about connectors, which Kafka Connect carries out. Nothing of them stands in the command topic: connectors are
//! Connect's to keep.

mod create;
mod describe;
mod list;

pub use create::{Create, create};
pub use describe::describe;
pub use list::{list, plugins};

use hyper::header::HeaderValue;
use tidemill_parser::ast::Ident;

use crate::app::App;
use crate::connect::{Asking, ConnectError};
use crate::entities::{Common, DroppedConnector, KsqlEntity, WarningEntity};
use crate::error::{ApiError, ErrorCode};

const NOT_FOUND: u16 = 404;

/// Begins to ask Connect.
///
/// # Errors
/// There is none, or too many ask already.
fn ask<'a>(app: &'a App, authorization: Option<&HeaderValue>, text: &str) -> Result<Asking<'a>, ApiError> {
    let Some(connect) = &app.connect else {
        let message = "There is no Kafka Connect to run connectors on: set ksql.connect.url in the server's configuration, and \
                       bootstrap.servers, because connectors read and write topics of Kafka (scripts: tidemill run --server URL)";
        return Err(ApiError::statement(ErrorCode::SERVER_ERROR, message, text));
    };
    connect.ask(authorization).map_err(|error| failed("", error, text))
}

/// An error as ksqlDB answers it: Connect's refusals with Connect's status, what keeps it from answering as the server's.
/// `what` failed, with a colon.
fn failed(what: &str, error: ConnectError, text: &str) -> ApiError {
    match error {
        ConnectError::Refused { status, message } => {
            let status = if (400..600).contains(&status) { u32::from(status) } else { 500 };
            ApiError::generic(ErrorCode(status * 100), format!("{what}{message}"))
        }
        ConnectError::Away(message) => ApiError::statement(ErrorCode::SERVER_ERROR, message, text),
        busy @ ConnectError::Busy => ApiError::generic(ErrorCode::TOO_MANY_REQUESTS, busy.to_string()),
    }
}

pub fn drop(app: &App, authorization: Option<&HeaderValue>, name: &Ident, if_exists: bool, text: String) -> Result<KsqlEntity, ApiError> {
    match ask(app, authorization, &text)?.delete(&name.name) {
        Ok(()) => Ok(KsqlEntity::DroppedConnector(DroppedConnector { connector_name: name.name.clone(), common: Common::new(text) })),
        Err(ConnectError::Refused { status: NOT_FOUND, .. }) if if_exists => {
            let message = format!("Connector '{}' does not exist.", name.name);
            Ok(KsqlEntity::Warning(WarningEntity { message, common: Common::new(text) }))
        }
        Err(error) => Err(failed("Failed to drop connector: ", error, &text)),
    }
}
