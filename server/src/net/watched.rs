//! A connection's socket, watched: what it is doing, since when, and whether that takes too long.
//!
//! HTTP/1.1: idle between requests, reading a request's head, or with a request under way. HTTP/2: idle or with requests
//! under way; its own pings find clients that are gone.

use std::io::{Error, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::stream::Stream;

/// What an HTTP/2 client begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Sent to a client whose request's head does not come to an end.
const HEAD_TIMEOUT_ANSWER: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// How long a connection may take for what.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From a request's first byte to the end of its head.
    pub head: Duration,
    /// Between two requests; `None`: for ever.
    pub idle: Option<Duration>,
}

/// What a connection is doing.
pub struct Watch {
    patience: Patience,
    state: Mutex<State>,
    /// Rings where the connection has to make room for others.
    makes_room: Notify,
}

struct State {
    protocol: Protocol,
    phase: Phase,
    since: Instant,
    /// Requests that are not answered to the end.
    under_way: usize,
    /// Whether the bytes that come belong to a request's first line.
    in_first_line: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// So many bytes of HTTP/2's preface have come.
    Unknown(usize),
    Http1,
    Http2,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    UnderWay,
}

/// Why a connection has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    Head,
    Idle,
}

impl Watch {
    pub fn new(patience: Patience) -> Arc<Self> {
        let state = State { protocol: Protocol::Unknown(0), phase: Phase::Idle, since: Instant::now(), under_way: 0, in_first_line: false };
        Arc::new(Watch { patience, state: Mutex::new(state), makes_room: Notify::new() })
    }

    /// A request's head has come; it is under way until what is returned is dropped.
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        let mut state = self.state.lock();
        state.under_way += 1;
        state.phase = Phase::UnderWay;
        UnderWay(self.clone())
    }

    /// When to look again, and why the connection has to end if nothing has changed by then.
    pub fn deadline(&self) -> Option<(Instant, Overdue)> {
        let state = self.state.lock();
        match state.phase {
            Phase::UnderWay => None,
            Phase::Head => Some((state.since + self.patience.head, Overdue::Head)),
            Phase::Idle => self.patience.idle.and_then(|idle| Some((state.since.checked_add(idle)?, Overdue::Idle))),
        }
    }

    /// Since when the connection is idle; `None`: it is not.
    pub fn idle_since(&self) -> Option<Instant> {
        let state = self.state.lock();
        (state.phase == Phase::Idle).then_some(state.since)
    }

    /// Asks the connection to end, for others wait.
    pub fn make_room(&self) {
        self.makes_room.notify_one();
    }

    /// Waits until that is asked.
    pub async fn asked_for_room(&self) {
        self.makes_room.notified().await;
    }

    /// Bytes have come.
    fn read(&self, bytes: &mut [u8]) {
        let mut state = self.state.lock();
        if state.protocol == Protocol::Http2 {
            return;
        }
        let begins = state.phase == Phase::Idle;
        if begins {
            (state.phase, state.since, state.in_first_line) = (Phase::Head, Instant::now(), true);
        }
        if let Protocol::Unknown(before) = state.protocol {
            let rest = PREFACE.get(before..).unwrap_or_default();
            let common = rest.iter().zip(bytes.iter()).take_while(|(a, b)| a == b).count();
            state.protocol = match before + common {
                all if all == PREFACE.len() => Protocol::Http2,
                some if common == bytes.len() => Protocol::Unknown(some),
                _ => Protocol::Http1,
            };
            if state.protocol == Protocol::Http2 {
                (state.phase, state.in_first_line) = (Phase::Idle, false);
                return;
            }
        }
        if state.in_first_line {
            state.in_first_line = !spell_quotes(bytes);
        }
    }
}

/// Some clients put names into paths as ksqlDB prints them, in back-quotes, which the parser of addresses does not take:
/// within a request's first line they become double quotes, which it takes and which no client sends (see
/// [`RAW_QUOTE`]). Whether the line is over.
fn spell_quotes(bytes: &mut [u8]) -> bool {
    for byte in bytes {
        match byte {
            b'`' => *byte = RAW_QUOTE as u8,
            b'\n' => return true,
            _ => {}
        }
    }
    false
}

/// What stands in a path for a back-quote that was not encoded.
pub const RAW_QUOTE: char = '"';

/// A request that is not answered to the end.
pub struct UnderWay(Arc<Watch>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.under_way = state.under_way.saturating_sub(1);
        if state.under_way == 0 {
            (state.phase, state.since) = (Phase::Idle, Instant::now());
        }
    }
}

/// The socket.
pub struct Watched {
    stream: Stream,
    watch: Arc<Watch>,
}

impl Watched {
    pub fn new(stream: Stream, watch: Arc<Watch>) -> Self {
        Watched { stream, watch }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if matches!(self.watch.deadline(), Some((at, Overdue::Head)) if at <= Instant::now()) {
            // As far as it can be sent at once; a client that reads nothing learns nothing.
            self.stream.try_last_words(HEAD_TIMEOUT_ANSWER);
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<(), Error>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Some(new) = buffer.filled_mut().get_mut(before..).filter(|new| !new.is_empty()) {
            self.watch.read(new);
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize, Error>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Arc<Watch> {
        Watch::new(Patience { head: Duration::from_secs(30), idle: Some(Duration::from_secs(86_400)) })
    }

    fn waits_for(watch: &Watch) -> Option<Overdue> {
        watch.deadline().map(|(_, overdue)| overdue)
    }

    #[test]
    fn the_head_counts_from_its_first_byte() {
        let watch = watch();
        assert_eq!(waits_for(&watch), Some(Overdue::Idle));
        for _ in 0..2 {
            watch.read(&mut b"GET / ".to_vec());
            let first = watch.deadline();
            assert_eq!(waits_for(&watch), Some(Overdue::Head));
            watch.read(&mut b"HTTP/1.1\r\n".to_vec());
            assert_eq!(watch.deadline(), first, "more bytes are no more time");
            let under_way = watch.begin();
            watch.read(&mut b"a body".to_vec());
            assert_eq!(waits_for(&watch), None);
            drop(under_way);
            assert_eq!(waits_for(&watch), Some(Overdue::Idle));
        }
    }

    #[test]
    fn an_http2_connection_may_be_idle_from_the_start() {
        for parts in [vec![PREFACE.to_vec()], PREFACE.chunks(5).map(<[u8]>::to_vec).collect()] {
            let watch = watch();
            for mut part in parts {
                watch.read(&mut part);
            }
            assert_eq!(waits_for(&watch), Some(Overdue::Idle));
            let (first, second) = (watch.begin(), watch.begin());
            drop(first);
            assert_eq!(waits_for(&watch), None, "one of two is under way");
            drop(second);
            assert_eq!(waits_for(&watch), Some(Overdue::Idle));
        }
        let watch = watch();
        watch.read(&mut b"PRI * HTTP/1.1\r\n".to_vec());
        assert_eq!(waits_for(&watch), Some(Overdue::Head));
    }

    #[test]
    fn back_quotes_are_spelled_otherwise_within_the_first_line_only() {
        let watch = watch();
        let mut read = Vec::new();
        for part in ["GET /status/stream/`", "X`/create HTTP/1.1\r\nx: `\r\n", "y: `\r\n\r\n"] {
            let mut part = part.as_bytes().to_vec();
            watch.read(&mut part);
            read.extend(part);
        }
        assert_eq!(String::from_utf8_lossy(&read), "GET /status/stream/\"X\"/create HTTP/1.1\r\nx: `\r\ny: `\r\n\r\n");
    }
}
