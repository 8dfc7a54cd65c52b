//! `/config` and `/config/{subject}`: the level of compatibility, and whether schemas are normalized.

use hyper::Method;
use serde_json::Value as Json;
use tidemill_engine::registry::compatibility::Level;
use tidemill_engine::registry::own::{Config, OwnError, OwnRegistry};

use super::Answer;
use super::error::Failure;
use super::request::Request;

/// What Confluent's registry can be told besides; none of it can be carried out here.
const NOT_BUILT: [&str; 8] = [
    "alias",
    "compatibilityGroup",
    "compatibilityPolicy",
    "validateFields",
    "defaultMetadata",
    "overrideMetadata",
    "defaultRuleSet",
    "overrideRuleSet",
];

pub fn route(registry: &OwnRegistry, request: &Request, subject: Option<&str>) -> Result<Answer, Failure> {
    request.only(
        &[
            (&Method::GET, &|r, q| Answer::of(r.config(subject, q.flag("defaultToGlobal"))?)),
            (&Method::PUT, &|r, q| put(r, q, subject)),
            (&Method::DELETE, &|r, _| Answer::of(r.delete_config(subject)?)),
        ],
        registry,
    )
}

/// Answers with what was asked for, as it was asked for.
fn put(registry: &OwnRegistry, request: &Request, subject: Option<&str>) -> Result<Answer, Failure> {
    let object = request.object()?;
    for name in NOT_BUILT {
        // What changes nothing is no promise.
        let changes = object.get(name).is_some_and(|value| !matches!(value, Json::Null | Json::Bool(false)));
        if changes {
            return Err(Failure::unprocessable(format!("\"{name}\" is not built; \"compatibility\" and \"normalize\" can be set")));
        }
    }
    let compatibility_level = match object.get("compatibility").or_else(|| object.get("compatibilityLevel")) {
        None | Some(Json::Null) => None,
        Some(level) => Some(level.as_str().and_then(Level::by_name).ok_or(OwnError::InvalidLevel)?),
    };
    let normalize = match object.get("normalize") {
        None | Some(Json::Null) => None,
        Some(Json::Bool(normalize)) => Some(*normalize),
        Some(_) => return Err(Failure::unreadable("\"normalize\" must be true or false")),
    };
    if compatibility_level.is_none() && normalize.is_none() {
        return Err(OwnError::InvalidLevel.into());
    }
    registry.set_config(subject, &Config { compatibility_level, normalize })?;
    Ok(Answer::Json(Json::Object(object.into_iter().filter(|(_, value)| !value.is_null()).collect())))
}
