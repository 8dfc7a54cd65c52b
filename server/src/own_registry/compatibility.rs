//! `/compatibility/subjects/{subject}/versions…`: whether a schema could be registered.

use serde_json::json;
use tidemill_engine::registry::own::{OwnError, OwnRegistry, VersionId};

use super::Answer;
use super::error::Failure;
use super::request::Request;

pub fn check(registry: &OwnRegistry, request: &Request, subject: &str, version: Option<&str>) -> Result<Answer, Failure> {
    let version = version.map(VersionId::parse).transpose()?;
    let verbose = request.flag("verbose");
    let reasons = match registry.incompatibilities(subject, version, &request.schema()?, request.flag("normalize")) {
        // What is no schema is compatible with none, where reasons are asked for.
        Err(OwnError::InvalidSchema(why)) if verbose => vec![why],
        reasons => reasons?,
    };
    let mut answer = json!({ "is_compatible": reasons.is_empty() });
    if verbose
        && !reasons.is_empty()
        && let Some(object) = answer.as_object_mut()
    {
        object.insert("messages".to_owned(), reasons.into());
    }
    Ok(Answer::Json(answer))
}
