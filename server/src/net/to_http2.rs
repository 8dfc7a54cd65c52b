//! From HTTP/1.1 to cleartext HTTP/2 by a request that asks for it (`Upgrade: h2c`, RFC 7540, 3.2).
//!
//! The request is answered over HTTP/2, as the first of the connection. What serves HTTP/2 knows nothing of upgrades: it is given the
//! request as frames among the client's own ([`Frames`](super::frames::Frames)). A request that asks in a way that can't be heeded
//! (a body that is long or of unknown length, settings that are none) is answered over HTTP/1.1, as the RFC has it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Request, Response, StatusCode, Version};
use parking_lot::Mutex;

use super::frames::{self, DATA, END_HEADERS, END_STREAM, HEADERS, MAX_PAYLOAD_BYTES};
use super::{ReplyBody, RequestBody, hpack};

const SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
/// Bytes of one setting.
const SETTING_BYTES: usize = 6;
/// Headers that speak of the connection and not of the request.
const OF_THE_CONNECTION: [&str; 7] = ["connection", "upgrade", "http2-settings", "host", "keep-alive", "proxy-connection", "te"];
/// A longer body would not fit what the client and the server take to be under way of bodies.
const MAX_BODY_BYTES: usize = 32 << 10;
/// How long a client may take for it.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The number of the stream that the request is answered on.
const FIRST_STREAM: u32 = 1;

/// What becomes HTTP/2, and the frames to begin with.
type Turned = (OnUpgrade, Vec<u8>);

/// Where a connection finds that it becomes HTTP/2.
#[derive(Clone, Default)]
pub struct Turn(Arc<Mutex<Option<Turned>>>);

impl Turn {
    pub fn take(&self) -> Option<Turned> {
        self.0.lock().take()
    }

    /// Takes a request that asks for HTTP/2 and can have it; what it is answered.
    pub async fn turned(&self, request: Request<RequestBody>) -> Result<Response<ReplyBody>, Box<Request<RequestBody>>> {
        if !asks(&request) {
            return Err(Box::new(request));
        }
        let (mut head, body) = request.into_parts();
        let Some(upgrade) = head.extensions.remove::<OnUpgrade>() else {
            return Err(Box::new(Request::from_parts(head, body)));
        };
        let body = match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => return Ok(status(StatusCode::BAD_REQUEST)),
            Err(_) => return Ok(status(StatusCode::REQUEST_TIMEOUT)),
        };
        // Checked before the body was read: it fits.
        let Some(frames) = as_frames(&head, &body) else { return Ok(status(StatusCode::BAD_REQUEST)) };
        *self.0.lock() = Some((upgrade, frames));
        let mut answer = status(StatusCode::SWITCHING_PROTOCOLS);
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        answer.headers_mut().insert(UPGRADE, HeaderValue::from_static("h2c"));
        Ok(answer)
    }
}

fn status(status: StatusCode) -> Response<ReplyBody> {
    let mut answer = Response::new(ReplyBody::Whole(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

/// Whether a request asks for HTTP/2, in a way that can be heeded.
fn asks(request: &Request<RequestBody>) -> bool {
    let headers = request.headers();
    let is_short = request.body().size_hint().upper().is_some_and(|bytes| bytes <= MAX_BODY_BYTES as u64);
    request.version() == Version::HTTP_11
        && names(headers, UPGRADE, "h2c")
        && names(headers, CONNECTION, "upgrade")
        && names(headers, CONNECTION, SETTINGS.as_str())
        && has_settings(headers)
        && is_short
        && !headers.contains_key(TRANSFER_ENCODING)
        && block(request.uri(), request.method().as_str(), headers).is_some()
}

/// Whether a header's list has a word.
fn names(headers: &HeaderMap, header: HeaderName, word: &str) -> bool {
    let values = headers.get_all(header);
    values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|p| p.trim().eq_ignore_ascii_case(word))
}

/// The client's settings come again behind its preface, and count from there on; here they only have to be some.
fn has_settings(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(SETTINGS).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let spelled = value.to_str().unwrap_or("=").trim_end_matches('=');
    BASE64_URL_SAFE_NO_PAD.decode(spelled).is_ok_and(|settings| settings.len() % SETTING_BYTES == 0)
}

/// A request's head as HTTP/2 spells it. `None`: it takes more than a frame.
fn block(uri: &hyper::Uri, method: &str, headers: &HeaderMap) -> Option<Vec<u8>> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = headers.get(HOST).map(HeaderValue::as_bytes).or_else(|| uri.authority().map(|a| a.as_str().as_bytes()));
    let mut block = Vec::new();
    for (name, value) in [(":method", method.as_bytes()), (":scheme", b"http"), (":path", path.as_bytes())] {
        hpack::write(name.as_bytes(), value, &mut block);
    }
    if let Some(host) = host {
        hpack::write(b":authority", host, &mut block);
    }
    for (name, value) in headers.iter().filter(|(name, _)| !OF_THE_CONNECTION.contains(&name.as_str())) {
        hpack::write(name.as_str().as_bytes(), value.as_bytes(), &mut block);
    }
    (block.len() <= MAX_PAYLOAD_BYTES).then_some(block)
}

/// A request as frames of HTTP/2.
fn as_frames(head: &Parts, body: &[u8]) -> Option<Vec<u8>> {
    let block = block(&head.uri, head.method.as_str(), &head.headers)?;
    let end = |is_last: bool| if is_last { END_STREAM } else { 0 };
    let mut out = Vec::with_capacity(block.len() + body.len() + 64);
    frames::write(HEADERS, END_HEADERS | end(body.is_empty()), FIRST_STREAM, &block, &mut out);
    let mut parts = body.chunks(MAX_PAYLOAD_BYTES).peekable();
    while let Some(part) = parts.next() {
        frames::write(DATA, end(parts.peek().is_none()), FIRST_STREAM, part, &mut out);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn settings_are_some_or_the_request_does_not_ask() {
        for (value, expected) in
            [("AAMAAABkAAQAAP__", true), ("AAMAAABkAAQAAP__==", true), ("", true), ("AAMA", false), ("no base64!", false)]
        {
            let headers: HeaderMap = [(SETTINGS, HeaderValue::from_static(value))].into_iter().collect();
            assert_eq!(has_settings(&headers), expected, "{value}");
        }
        assert!(!has_settings(&HeaderMap::new()));
        let mut twice = HeaderMap::new();
        twice.append(SETTINGS, HeaderValue::from_static(""));
        twice.append(SETTINGS, HeaderValue::from_static(""));
        assert!(!has_settings(&twice));
    }

    #[test]
    fn what_speaks_of_the_connection_is_left_out() {
        let lines = [("host", "h:1"), ("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("accept", "a/b")];
        let uri: hyper::Uri = "/x?y=1".parse().expect("an address");
        let block = block(&uri, "POST", &headers(&lines)).expect("it fits");
        let text = String::from_utf8_lossy(&block).into_owned();
        for (expected, is_there) in [("/x?y=1", true), ("h:1", true), ("accept", true), ("upgrade", false), ("Settings", false)] {
            assert_eq!(text.contains(expected), is_there, "{expected} in {text:?}");
        }
        let long = HeaderValue::from_str(&"x".repeat(MAX_PAYLOAD_BYTES)).expect("a value");
        assert_eq!(super::block(&uri, "GET", &[(HOST, long)].into_iter().collect()), None);
    }

    #[test]
    fn a_body_is_cut_into_frames_and_the_last_one_ends_it() {
        let (head, ()) = Request::post("http://h/x").body(()).expect("a request").into_parts();
        let empty = as_frames(&head, b"").expect("it fits");
        assert_eq!(empty[3..5], [HEADERS, END_HEADERS | END_STREAM]);
        let (whole, body) = (as_frames(&head, &[7; 20_000]).expect("it fits"), empty.len());
        assert_eq!(whole[3..5], [HEADERS, END_HEADERS]);
        assert_eq!(whole[body..body + 9], [0, 0x40, 0, DATA, 0, 0, 0, 0, 1]);
        let second = body + 9 + MAX_PAYLOAD_BYTES;
        assert_eq!(whole[second..second + 9], [0, 0x0e, 0x20, DATA, END_STREAM, 0, 0, 0, 1]);
    }
}
