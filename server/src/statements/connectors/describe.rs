//! DESCRIBE CONNECTOR: its state, and the topics, streams and tables that it has to do with.

use hyper::header::HeaderValue;
use tidemill_parser::ast::Ident;

use super::{NOT_FOUND, ask, failed};
use crate::app::App;
use crate::connect::{CLASS, ConnectError};
use crate::entities::{Common, ConnectorDescription, KsqlEntity};
use crate::error::ApiError;
use crate::statements::describe;

pub fn describe(app: &App, authorization: Option<&HeaderValue>, name: &Ident, text: String) -> Result<KsqlEntity, ApiError> {
    let asking = ask(app, authorization, &text)?;
    let status = asking.state(&name.name).map_err(|error| failed("Failed to query connector status: ", error, &text))?;
    let info = asking.info(&name.name).map_err(|error| failed("Failed to describe connector: ", error, &text))?;
    let (topics, warning) = match asking.topics(&name.name) {
        Ok(topics) => (topics, None),
        // Connect before 2.5 can't tell.
        Err(ConnectError::Refused { status: NOT_FOUND, .. }) => (Vec::new(), None),
        Err(error) => (Vec::new(), Some(format!("Could not list related topics due to error: {error}"))),
    };
    let catalog = app.engine.catalog();
    let over_topics = catalog.sources().filter(|source| topics.contains(&source.format.topic));
    let description = ConnectorDescription {
        connector_class: info.config.get(CLASS).cloned().flatten().unwrap_or_default(),
        status,
        sources: over_topics.map(|source| describe::described(app, source, false)).collect(),
        topics,
        common: Common::with_warnings(text, warning),
    };
    Ok(KsqlEntity::ConnectorDescription(description))
}
