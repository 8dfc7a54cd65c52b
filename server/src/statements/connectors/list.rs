//! SHOW CONNECTORS and SHOW CONNECTOR PLUGINS.

use hyper::header::HeaderValue;
use tidemill_parser::ast::ConnectorKind;

use super::{ask, failed};
use crate::app::App;
use crate::connect::CLASS;
use crate::entities::{Common, ConnectorList, ConnectorPlugins, KsqlEntity, ListedConnector};
use crate::error::ApiError;

pub fn list(app: &App, authorization: Option<&HeaderValue>, kind: Option<ConnectorKind>, text: String) -> Result<KsqlEntity, ApiError> {
    let asking = ask(app, authorization, &text)?;
    let names = asking.connectors().map_err(|error| failed("Failed to list connectors: ", error, &text))?;
    let kind = kind.map(|kind| kind.to_string().to_ascii_lowercase());
    let (mut connectors, mut warnings) = (Vec::new(), Vec::new());
    let details = asking.details(&names);
    for (name, detail) in names.into_iter().zip(details) {
        match detail {
            Ok((info, state)) => {
                if kind.as_ref().is_none_or(|kind| *kind == info.kind) {
                    let class_name = info.config.get(CLASS).cloned().flatten();
                    connectors.push(ListedConnector { name, kind: info.kind, class_name, state: Some(state.summary()) });
                }
            }
            Err(error) => {
                warnings.push(format!("Could not describe connector {name}: {error}"));
                if kind.is_none() {
                    connectors.push(ListedConnector { name, kind: "unknown".to_owned(), class_name: None, state: None });
                }
            }
        }
    }
    Ok(KsqlEntity::Connectors(ConnectorList { connectors, common: Common::with_warnings(text, warnings) }))
}

pub fn plugins(app: &App, authorization: Option<&HeaderValue>, text: String) -> Result<KsqlEntity, ApiError> {
    let plugins = ask(app, authorization, &text)?.plugins().map_err(|error| failed("Failed to list connector plugins: ", error, &text))?;
    let connectors_plugins = plugins.into_iter().map(Into::into).collect();
    Ok(KsqlEntity::ConnectorPlugins(ConnectorPlugins { connectors_plugins, common: Common::new(text) }))
}
