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
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

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

/// The client asks for the end, or is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left;

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
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
        .read_buffer_size(READ_BUFFER_BYTES)
        // Each frame goes out at once.
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES);
    let inner = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(Socket { inner, pings, last_heard: Instant::now(), _kept: kept })
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
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Left,
                    // Pings are answered below this.
                    Some(Ok(_)) => self.last_heard = Instant::now(),
                },
                _ = self.pings.tick() => {
                    if self.last_heard.elapsed() > SILENCE || !self.message(Message::Ping(Bytes::new())).await {
                        return Left;
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

    #[test]
    fn a_long_reason_is_cut_within_a_frames_bounds() {
        assert_eq!(shortened("done"), "done");
        assert_eq!(shortened(&"x".repeat(123)).len(), 123);
        let cut = shortened(&"\u{e9}".repeat(100));
        assert!(cut.len() <= 123 && cut.ends_with("\u{e9}..."), "{cut}");
    }
}
