//! SET and UNSET: they last as long as the request.

use super::Session;
use crate::app::App;
use crate::config::{OverrideError, near, shown};
use crate::error::{ApiError, ErrorCode};

pub fn set(app: &App, session: &mut Session, name: &str, value: &str, text: &str) -> Result<(), ApiError> {
    let masked = (shown(name, value) != value).then(|| format!("SET '{name}' = '{}';", shown(name, value)));
    session.set(app, name, value).map_err(|error| refused(&error, masked.as_deref().unwrap_or(text)))
}

pub fn unset(app: &App, session: &mut Session, name: Option<&str>, text: &str) -> Result<(), ApiError> {
    if let Some(name) = name
        && let Err(error @ OverrideError::Unknown(_)) = app.config.overrides.check_name(name)
    {
        return Err(refused(&error, text));
    }
    session.unset(app, name).map_err(|error| refused(&error, text))
}

fn refused(error: &OverrideError, text: &str) -> ApiError {
    let message = match error {
        OverrideError::Unknown(name) => format!("Unknown property: {name}{}", near(name)),
        other => other.message(),
    };
    ApiError::statement(ErrorCode::BAD_STATEMENT, message, text)
}
