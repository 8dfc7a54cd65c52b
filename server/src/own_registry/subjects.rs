//! `/subjects` and `/subjects/{subject}`: which there are; whether one has a schema; deleting one.

use tidemill_engine::registry::own::{Deleted, OwnRegistry};

use super::Answer;
use super::error::Failure;
use super::request::Request;
use super::view::VersionView;

/// Subjects of one answer at most.
const MAX_SUBJECTS: usize = 20_000;

/// Which of the softly deleted a request asks for.
pub fn deleted(request: &Request) -> Deleted {
    match (request.flag("deletedOnly"), request.flag("deleted")) {
        (true, _) => Deleted::Only,
        (false, true) => Deleted::Include,
        (false, false) => Deleted::Exclude,
    }
}

pub fn list(registry: &OwnRegistry, request: &Request) -> Result<Answer, Failure> {
    let prefix = request.text("subjectPrefix").unwrap_or(":*:");
    Answer::of(request.page(registry.subjects(prefix, deleted(request)), MAX_SUBJECTS))
}

pub fn look_up(registry: &OwnRegistry, request: &Request, subject: &str) -> Result<Answer, Failure> {
    let found = registry.look_up(subject, &request.schema()?, request.flag("normalize"), request.flag("deleted"))?;
    Answer::of(VersionView::of(&found))
}

pub fn delete(registry: &OwnRegistry, request: &Request, subject: &str) -> Result<Answer, Failure> {
    Answer::of(registry.delete_subject(subject, request.flag("permanent"))?)
}
