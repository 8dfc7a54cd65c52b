//! Answers: status, content type, body.

use std::collections::VecDeque;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::net::ReplyBody;

pub type Reply = Response<ReplyBody>;

/// `application/json`.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer with its length; without a content type where none is given.
pub fn whole(status: StatusCode, content_type: Option<HeaderValue>, body: impl Into<Bytes>) -> Reply {
    with(status, content_type, ReplyBody::Whole(body.into()))
}

/// An answer without a length, each chunk apart.
pub fn chunks(status: StatusCode, content_type: Option<HeaderValue>, chunks: VecDeque<Bytes>) -> Reply {
    with(status, content_type, ReplyBody::Chunks(chunks))
}

/// An answer as it comes.
pub fn stream(content_type: Option<HeaderValue>, body: ReplyBody) -> Reply {
    with(StatusCode::OK, content_type, body)
}

/// 200 with a JSON body.
pub fn json(value: &impl Serialize) -> Reply {
    whole(StatusCode::OK, Some(JSON), to_json(value))
}

/// The text of a value of our own; those always have one.
pub fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        b"null".to_vec()
    })
}

/// What ksqlDB answers to a method or media type that an endpoint does not know.
pub fn not_found() -> Reply {
    whole(StatusCode::NOT_FOUND, None, Bytes::from_static(b"Not Found"))
}

/// 307 to another path.
pub fn redirect(path: &'static str) -> Reply {
    let mut reply = whole(StatusCode::TEMPORARY_REDIRECT, None, Bytes::new());
    reply.headers_mut().insert(LOCATION, HeaderValue::from_static(path));
    reply
}

fn with(status: StatusCode, content_type: Option<HeaderValue>, body: ReplyBody) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    if let Some(content_type) = content_type {
        reply.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    reply
}
