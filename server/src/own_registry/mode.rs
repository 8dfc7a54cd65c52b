//! `/mode` and `/mode/{subject}`: what may be done.

use hyper::Method;
use serde_json::{Value as Json, json};
use tidemill_engine::registry::own::{Mode, OwnError, OwnRegistry};

use super::Answer;
use super::error::Failure;
use super::request::Request;

pub fn route(registry: &OwnRegistry, request: &Request, subject: Option<&str>) -> Result<Answer, Failure> {
    request.only(
        &[
            (&Method::GET, &|r, q| said(r.mode(subject, q.flag("defaultToGlobal"))?)),
            (&Method::PUT, &|r, q| {
                let mode = q.object()?.get("mode").and_then(Json::as_str).and_then(Mode::by_name).ok_or(OwnError::InvalidMode)?;
                r.set_mode(subject, mode, q.flag("force"))?;
                said(mode)
            }),
            (&Method::DELETE, &|r, _| said(r.delete_mode(subject)?)),
        ],
        registry,
    )
}

fn said(mode: Mode) -> Result<Answer, Failure> {
    Ok(Answer::Json(json!({ "mode": mode.name() })))
}
