//! `/subjects/{subject}/versions…`: registering a schema, and the versions that were registered.

use serde_json::json;
use tidemill_engine::registry::own::{OwnRegistry, VersionId};

use super::Answer;
use super::error::Failure;
use super::request::Request;
use super::subjects::deleted;
use super::view::VersionView;

pub fn list(registry: &OwnRegistry, request: &Request, subject: &str) -> Result<Answer, Failure> {
    let versions = registry.versions(subject, deleted(request))?;
    let most = versions.len().max(1);
    Answer::of(request.page(versions, most))
}

pub fn register(registry: &OwnRegistry, request: &Request, subject: &str) -> Result<Answer, Failure> {
    let registered = registry.register(subject, &request.schema()?, request.flag("normalize"))?;
    Ok(Answer::Json(json!({ "id": registered.id })))
}

pub fn get(registry: &OwnRegistry, request: &Request, subject: &str, version: &str) -> Result<Answer, Failure> {
    let found = registry.version(subject, VersionId::parse(version)?, request.flag("deleted"))?;
    let text = registry.formatted(&found, request.text("format").unwrap_or_default())?;
    Answer::of(VersionView { schema: &text, ..VersionView::of(&found) })
}

pub fn text(registry: &OwnRegistry, request: &Request, subject: &str, version: &str) -> Result<Answer, Failure> {
    let found = registry.version(subject, VersionId::parse(version)?, request.flag("deleted"))?;
    Ok(Answer::Text(registry.formatted(&found, request.text("format").unwrap_or_default())?))
}

pub fn referenced_by(registry: &OwnRegistry, subject: &str, version: &str) -> Result<Answer, Failure> {
    Answer::of(registry.referrers(subject, VersionId::parse(version)?)?)
}

pub fn delete(registry: &OwnRegistry, request: &Request, subject: &str, version: &str) -> Result<Answer, Failure> {
    Answer::of(registry.delete_version(subject, VersionId::parse(version)?, request.flag("permanent"))?)
}
