//! Under which name JSON is sent.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use serde_json::json;

use super::Answer;
use super::error::Failure;
use crate::accept::negotiate;
use crate::reply::{self, Reply};

/// The media types of the registry's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    V1,
    Default,
    Json,
}

const OFFERED: [(&str, Form); 3] = [
    ("application/vnd.schemaregistry.v1+json", Form::V1),
    ("application/vnd.schemaregistry+json", Form::Default),
    ("application/json", Form::Json),
];

impl Form {
    /// `None`: the client takes none of them.
    pub fn wanted(headers: &HeaderMap) -> Option<Self> {
        negotiate(headers, &OFFERED)
    }

    pub fn reply(self, answer: Result<Answer, Failure>) -> Reply {
        let (status, body) = written(answer);
        let mut reply = reply::whole(status, None, body);
        let name = OFFERED.iter().find(|(_, form)| *form == self).map_or("application/json", |(name, _)| name);
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(name));
        reply
    }
}

/// An answer's status and body.
pub fn written(answer: Result<Answer, Failure>) -> (StatusCode, String) {
    match answer {
        Ok(Answer::Json(json)) => (StatusCode::OK, json.to_string()),
        Ok(Answer::Text(text)) => (StatusCode::OK, text),
        Err(failure) => (failure.status, json!({ "error_code": failure.code, "message": failure.message }).to_string()),
    }
}
