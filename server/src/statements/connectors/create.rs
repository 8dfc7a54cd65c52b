//! CREATE SOURCE|SINK CONNECTOR. Its properties are checked by Connect first; values never stand in an error's statement text.

use hyper::header::HeaderValue;
use tidemill_parser::ast::{ConnectorKind, ExprKind, Ident, Properties, Property};

use super::{ask, failed};
use crate::app::App;
use crate::connect::{Asking, CLASS, ConnectError, Settings, hide, hide_secrets, resolve};
use crate::entities::{Common, CreatedConnector, KsqlEntity, WarningEntity};
use crate::error::{ApiError, ErrorCode};

/// What the statement says.
pub struct Create<'a> {
    pub kind: ConnectorKind,
    pub name: &'a Ident,
    pub if_not_exists: bool,
    pub properties: &'a Properties,
}

/// `text` is masked.
pub fn create(app: &App, authorization: Option<&HeaderValue>, create: &Create<'_>, text: String) -> Result<KsqlEntity, ApiError> {
    let name = create.name.name.as_str();
    let mut settings = resolve(settings(create.properties, &text)?);
    settings.insert("name".to_owned(), name.to_owned());
    let wrong = |errors: &str| {
        ApiError::statement(ErrorCode::BAD_STATEMENT, format!("Validation error: {}", hide(errors.to_owned(), &settings)), &text)
    };
    let class = match settings.get(CLASS).map(|class| class.trim()) {
        None => return Err(wrong(&format!("Connector config of {name} contains no connector type: set '{CLASS}'"))),
        Some("") => return Err(wrong("Connector type cannot be empty")),
        Some(class) => class,
    };
    let asking = ask(app, authorization, &text)?;
    let others = asking.connectors().map_err(|error| match error {
        ConnectError::Refused { message, .. } => {
            ApiError::statement(ErrorCode::SERVER_ERROR, format!("Failed to check for existing connector: {message}"), &text)
        }
        error => failed("", error, &text),
    })?;
    if others.iter().any(|other| other.eq_ignore_ascii_case(name)) {
        return exists(create, text);
    }
    match asking.validate(class, &settings) {
        Ok(errors) if errors.is_empty() => {}
        Ok(errors) => return Err(wrong(&errors.join("\n"))),
        Err(ConnectError::Refused { message, .. }) => return Err(wrong(&with_plugins(message, class, &asking))),
        Err(error) => return Err(failed("", error, &text)),
    }
    let mut info = match asking.create(name, &settings) {
        Ok(info) => info,
        Err(ConnectError::Refused { status, message }) => {
            let refused = ConnectError::Refused { status, message: hide(message, &settings) };
            return Err(failed("Failed to create connector: ", refused, &text));
        }
        Err(error) => return Err(failed("", error, &text)),
    };
    hide_secrets(&mut info.config);
    let said = create.kind.to_string().to_ascii_lowercase();
    let other_kind = (matches!(info.kind.as_str(), "source" | "sink") && info.kind != said)
        .then(|| format!("{class} is a {} connector, though the statement calls it a {said} connector", info.kind));
    Ok(KsqlEntity::CreatedConnector(CreatedConnector { info, common: Common::with_warnings(text, other_kind) }))
}

fn exists(create: &Create<'_>, text: String) -> Result<KsqlEntity, ApiError> {
    const CONFLICT: ErrorCode = ErrorCode(40900);
    let message = format!("Connector {} already exists", create.name.name);
    if create.if_not_exists {
        return Ok(KsqlEntity::Warning(WarningEntity { message, common: Common::new(text) }));
    }
    Err(ApiError::generic(CONFLICT, message))
}

/// A class that Connect does not have: the classes that it has, if it does not say so itself.
fn with_plugins(message: String, class: &str, asking: &Asking<'_>) -> String {
    if message.contains(class) {
        return message;
    }
    let classes: Vec<String> = asking.plugins().map(|plugins| plugins.into_iter().map(|p| p.class).collect()).unwrap_or_default();
    if classes.is_empty() || classes.iter().any(|c| c == class) {
        return message;
    }
    format!("{message}. Kafka Connect has no {class}; it has {}", classes.join(", "))
}

/// The properties as texts.
fn settings(properties: &Properties, text: &str) -> Result<Settings, ApiError> {
    properties.entries.iter().map(|property| Ok((property.name.name.clone(), value(property, text)?))).collect()
}

fn value(property: &Property, text: &str) -> Result<String, ApiError> {
    Ok(match &property.value.kind {
        ExprKind::String(value) => value.clone(),
        ExprKind::Null => {
            let place = property.name.span.start;
            let message = format!("line {}:{}: property '{}' is NULL: leave it out instead", place.line, place.column, property.name.name);
            return Err(ApiError::statement(ErrorCode::BAD_STATEMENT, message, text));
        }
        ExprKind::Boolean(value) => value.to_string(),
        // Numbers as they are written.
        _ => property.value.to_string(),
    })
}
