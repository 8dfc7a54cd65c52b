//! `/contexts`, and the version of the server.

use serde_json::json;
use tidemill_engine::registry::own::OwnRegistry;

use super::Answer;
use super::error::Failure;

pub fn list(registry: &OwnRegistry) -> Result<Answer, Failure> {
    Answer::of(registry.contexts())
}

/// `GET /v1/metadata/version`.
pub fn server_version() -> Result<Answer, Failure> {
    Ok(Answer::Json(json!({ "version": env!("CARGO_PKG_VERSION"), "commitId": "" })))
}
