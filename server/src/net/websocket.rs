//! WebSockets: the handshake, and a socket whose client is watched. A client that takes nothing for long, or answers no ping, is
//! let go; what it sends is read and, but for what ends the socket, thrown away.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use hyper::header::{CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::{Kept, ReplyBody, RequestBody};

/// Bytes of a message of a client at most: it has nothing to say.
const MAX_MESSAGE_BYTES: usize = 16 << 10;
/// Bytes that may wait to be written, besides the frame at hand.
const MAX_WRITE_BUFFER_BYTES: usize = 16 << 20;
/// Bytes that are read at once.
const READ_BUFFER_BYTES: usize = 4 << 10;
/// How long a client may take to take a frame.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a client is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// A client that says nothing for this long, not even that it was pinged, is gone.
const SILENCE: Duration = Duration::from_secs(90);
/// How long a client may take to close its end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of a close frame's reason at most, and what stands for the rest.
const MAX_REASON_BYTES: usize = 120;
const CUT: &str = "...";

/// Why nothing more is to be heard of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It asks for the end, or is gone.
    Gone,
    /// It has sent what may not be sent: the code that RFC 6455 has for that, and what is said.
    Wrong(u16, &'static str),
}

/// Close codes of RFC 6455, 7.4.1: a frame that may not be, a text that is no UTF-8, a message that is too large.
const PROTOCOL_ERROR: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_LARGE: u16 = 1009;

impl From<&Error> for Left {
    fn from(error: &Error) -> Self {
        match error {
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Left::Gone,
            Error::Protocol(_) => Left::Wrong(PROTOCOL_ERROR, "a frame that RFC 6455 does not allow"),
            Error::Utf8(_) => Left::Wrong(NOT_UTF8, "a text that is no UTF-8"),
            Error::Capacity(_) => Left::Wrong(TOO_LARGE, "a message of more than 16384 bytes"),
            _ => Left::Gone,
        }
    }
}

/// An open WebSocket.
pub struct Socket {
    inner: WebSocketStream<TokioIo<Upgraded>>,
    pings: tokio::time::Interval,
    last_heard: Instant,
    _kept: Option<Kept>,
}

/// Answers a handshake: the answer, and the socket once the client has it.
///
/// # Errors
/// What is asked is no WebSocket; the sentence says what is missing.
pub fn accept(
    request: &mut Request<RequestBody>,
) -> Result<(Response<ReplyBody>, impl Future<Output = Option<Socket>> + Send + 'static), &'static str> {
    let key = check(request.method(), request.version(), request.headers())?;
    let accepted = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| "its Sec-WebSocket-Key can't be answered")?;
    let kept = request.extensions_mut().remove::<Kept>();
    let upgrade = hyper::upgrade::on(request);
    let mut reply = Response::new(ReplyBody::Whole(Bytes::new()));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [(CONNECTION, HeaderValue::from_static("Upgrade")), (UPGRADE, HeaderValue::from_static("websocket"))] {
        reply.headers_mut().insert(name, value);
    }
    reply.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accepted);
    Ok((reply, open(upgrade, kept)))
}

async fn open(upgrade: OnUpgrade, kept: Option<Kept>) -> Option<Socket> {
    let upgraded = upgrade.await.ok()?;
    let inner = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config())).await;
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(Socket { inner, pings, last_heard: Instant::now(), _kept: kept })
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
        .read_buffer_size(READ_BUFFER_BYTES)
        // Each frame goes out at once.
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
}

/// The client's key.
fn check<'a>(method: &Method, version: Version, headers: &'a HeaderMap) -> Result<&'a HeaderValue, &'static str> {
    let says = |name: HeaderName, word: &str| {
        let values = headers.get_all(name);
        values.iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    if method != Method::GET || version != Version::HTTP_11 {
        return Err("it takes GET over HTTP/1.1");
    }
    if !says(CONNECTION, "upgrade") || !says(UPGRADE, "websocket") {
        return Err("the headers Connection: Upgrade and Upgrade: websocket are missing");
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err("Sec-WebSocket-Version must be 13");
    }
    headers.get(SEC_WEBSOCKET_KEY).ok_or("Sec-WebSocket-Key is missing")
}

impl Socket {
    /// Sends a text, and waits until the client has room for it. `false`: the client is gone, or takes nothing.
    pub async fn send(&mut self, text: Bytes) -> bool {
        match Utf8Bytes::try_from(text) {
            Ok(text) => self.message(Message::Text(text)).await,
            Err(_) => false,
        }
    }

    async fn message(&mut self, message: Message) -> bool {
        matches!(timeout(SEND_TIMEOUT, self.inner.send(message)).await, Ok(Ok(())))
    }

    /// Waits until the client leaves, and pings it meanwhile. May be given up and called again.
    pub async fn heard(&mut self) -> Left {
        loop {
            tokio::select! {
                message = self.inner.next() => match message {
                    Some(Err(error)) => return Left::from(&error),
                    Some(Ok(Message::Close(_))) | None => return Left::Gone,
                    // Pings are answered below this.
                    Some(Ok(_)) => self.last_heard = Instant::now(),
                },
                _ = self.pings.tick() => {
                    if self.last_heard.elapsed() > SILENCE || !self.message(Message::Ping(Bytes::new())).await {
                        return Left::Gone;
                    }
                }
            }
        }
    }

    /// Closes with a code and a reason, of which a frame takes only so much.
    pub async fn close(mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: shortened(reason).into() };
        let closing = async {
            // Refused where the client began to close: its frame is answered below this, while it is read on.
            let _ = self.inner.send(Message::Close(Some(frame))).await;
            while let Some(Ok(_)) = self.inner.next().await {}
        };
        let _ = timeout(CLOSE_TIMEOUT, closing).await;
    }
}

fn shortened(reason: &str) -> String {
    if reason.len() <= MAX_REASON_BYTES + CUT.len() {
        return reason.to_owned();
    }
    let end = (0..=MAX_REASON_BYTES).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{CUT}", reason.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_from_a_handshake_is_said() {
        let whole =
            [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket"), ("sec-websocket-version", "13"), ("sec-websocket-key", "x")];
        let headers = |without: usize| -> HeaderMap {
            let kept = whole.iter().enumerate().filter(|(i, _)| *i != without);
            kept.map(|(_, (n, v))| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
        };
        assert_eq!(check(&Method::GET, Version::HTTP_11, &headers(9)), Ok(&HeaderValue::from_static("x")));
        assert!(check(&Method::POST, Version::HTTP_11, &headers(9)).is_err() && check(&Method::GET, Version::HTTP_2, &headers(9)).is_err());
        for (without, named) in [(0, "Connection"), (1, "Upgrade"), (2, "Version"), (3, "Key")] {
            let headers = headers(without);
            let error = check(&Method::GET, Version::HTTP_11, &headers).expect_err("refused");
            assert!(error.contains(named), "{error}");
        }
    }

    /// What is heard of a client that sends these bytes.
    async fn heard(bytes: &[u8]) -> Left {
        use tokio::io::AsyncWriteExt;
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let mut socket = WebSocketStream::from_raw_socket(server, Role::Server, Some(config())).await;
        client.write_all(bytes).await.expect("written");
        drop(client);
        loop {
            match socket.next().await {
                Some(Err(error)) => return Left::from(&error),
                Some(Ok(Message::Close(_))) | None => return Left::Gone,
                Some(Ok(_)) => {}
            }
        }
    }

    /// A frame of a client, its mask all zeros.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).expect("short");
        let head = if length < 126 { vec![first, 0x80 | length as u8] } else { [&[first, 0x80 | 126][..], &length.to_be_bytes()].concat() };
        [&head, &[0; 4][..], payload].concat()
    }

    #[tokio::test]
    async fn what_may_not_be_sent_has_the_code_of_the_rfc() {
        let code = |left: Left| match left {
            Left::Gone => 0,
            Left::Wrong(code, _) => code,
        };
        for (what, bytes, expected) in [
            ("a text", frame(0x81, b"hello"), 0),
            ("a close", frame(0x88, &1000u16.to_be_bytes()), 0),
            ("unmasked", vec![0x81, 1, b'a'], 1002),
            ("a reserved bit", frame(0xc1, b"a"), 1002),
            ("an unknown kind", frame(0x83, b"a"), 1002),
            ("a large ping", frame(0x89, &[0; 126]), 1002),
            ("a ping in parts", frame(0x09, b"a"), 1002),
            ("the rest of nothing", frame(0x80, b"a"), 1002),
            ("half a close code", frame(0x88, &[3]), 1002),
            ("no UTF-8", frame(0x81, &[0xff, 0xfe]), 1007),
            ("no UTF-8 in parts", [frame(0x01, "\u{e9}".as_bytes()), frame(0x80, &[0xff])].concat(), 1007),
            ("too large", frame(0x82, &[0; MAX_MESSAGE_BYTES + 1]), 1009),
            ("too large in parts", [frame(0x02, &[0; MAX_MESSAGE_BYTES]), frame(0x80, &[0; 1])].concat(), 1009),
            ("endless", vec![0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], 1009),
        ] {
            assert_eq!(code(heard(&bytes).await), expected, "{what}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_within_a_frames_bounds() {
        assert_eq!(shortened("done"), "done");
        assert_eq!(shortened(&"x".repeat(123)).len(), 123);
        let cut = shortened(&"\u{e9}".repeat(100));
        assert!(cut.len() <= 123 && cut.ends_with("\u{e9}..."), "{cut}");
    }
}
