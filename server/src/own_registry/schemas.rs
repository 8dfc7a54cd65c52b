//! `/schemas…`: all schemas, the types that there are, and a schema by its id.

use hyper::StatusCode;
use serde_json::json;
use tidemill_engine::registry::own::OwnRegistry;

use super::Answer;
use super::error::Failure;
use super::request::Request;
use super::view::VersionView;

/// Schemas of one answer at most.
const MAX_SCHEMAS: usize = 1_000;

pub fn list(registry: &OwnRegistry, request: &Request) -> Result<Answer, Failure> {
    let prefix = request.text("subjectPrefix").unwrap_or(":*:");
    let found = request.page(registry.schemas(prefix, request.flag("deleted"), request.flag("latestOnly")), MAX_SCHEMAS);
    Answer::of(found.iter().map(|version| VersionView::of(version)).collect::<Vec<_>>())
}

pub fn types() -> Result<Answer, Failure> {
    Ok(Answer::Json(json!(["JSON", "PROTOBUF", "AVRO"])))
}

/// An id that is no number is a path that is not there.
fn number(id: &str) -> Result<i32, Failure> {
    id.parse().map_err(|_| Failure::plain(StatusCode::NOT_FOUND))
}

pub fn by_id(registry: &OwnRegistry, request: &Request, id: &str) -> Result<Answer, Failure> {
    let subject = request.text("subject");
    let found = registry.by_id(number(id)?, subject)?;
    let text = registry.formatted(&found, request.text("format").unwrap_or_default())?;
    let max_id = request.flag("fetchMaxId").then(|| registry.max_id(subject));
    Answer::of(VersionView { max_id, ..VersionView::schema(&found, &text) })
}

pub fn text(registry: &OwnRegistry, request: &Request, id: &str) -> Result<Answer, Failure> {
    let found = registry.by_id(number(id)?, request.text("subject"))?;
    Ok(Answer::Text(registry.formatted(&found, request.text("format").unwrap_or_default())?))
}

pub fn subjects(registry: &OwnRegistry, request: &Request, id: &str) -> Result<Answer, Failure> {
    let places = registry.places(number(id)?, request.text("subject"), request.flag("deleted"))?;
    let mut subjects: Vec<String> = places.into_iter().map(|place| place.subject).collect();
    subjects.dedup();
    Answer::of(subjects)
}

pub fn versions(registry: &OwnRegistry, request: &Request, id: &str) -> Result<Answer, Failure> {
    let places = registry.places(number(id)?, request.text("subject"), request.flag("deleted"))?;
    Answer::of(places.iter().map(|place| json!({ "subject": place.subject, "version": place.version })).collect::<Vec<_>>())
}
