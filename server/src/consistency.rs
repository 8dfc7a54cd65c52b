//! Reading what one has written (see the engine's `Token`): a client hands a token on by a header or a property, and who writes with one
//! is given one back.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use tidemill_engine::engine::{TOKEN, Token};

use crate::error::ApiError;
use crate::reply::Reply;
use crate::request::Settings;

/// A token of a request, and of an answer to what wrote rows.
pub const HEADER: HeaderName = HeaderName::from_static("tidemill-consistency-token");

/// The token in a request's header; an empty one asks for nothing, but to be told of what is written.
///
/// # Errors
/// It can't be read.
pub fn given(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let text = value.to_str().map_err(|_| "it is no text".to_owned());
    let token = text.and_then(|text| Token::parse(text).map(|_| text.to_owned()));
    token.map(Some).map_err(|why| ApiError::bad_request(format!("Invalid value of the header {HEADER}: {why}")))
}

/// The header says more than the properties.
pub fn put(properties: &mut Settings, token: Option<String>) {
    if let Some(token) = token {
        properties.insert(TOKEN.to_owned(), token);
    }
}

/// Tells the client of what it has written.
pub fn tell(reply: &mut Reply, token: &Token) {
    if let Ok(value) = HeaderValue::from_str(&token.to_string()) {
        reply.headers_mut().insert(HEADER, value);
    }
}
