//! `GET /is_valid_property/:name`: whether a session may set a property.

use crate::app::App;
use crate::error::ApiError;
use crate::reply::{self, Reply};

pub fn is_valid_property(app: &App, name: &str) -> Reply {
    match app.config.overrides.check_name(name) {
        Ok(()) => reply::json(&true),
        Err(error) => ApiError::bad_request(error.message()).reply(),
    }
}
