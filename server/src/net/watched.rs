//! A connection's socket, watched: what it is doing, since when, and whether that takes too long.
//!
//! HTTP/1.1: idle between requests, reading a request's head, or with a request under way. HTTP/2: idle or with requests
//! under way; its own pings find clients that are gone.

use std::future::poll_fn;
use std::io::{Error, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::frames::{Frames, PREFACE};
use super::owed::{Debts, Owed};
use super::stream::Stream;

/// A client that takes nothing of the rest of its answer for so long is gone.
pub const UNSENT_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a request's head that are read before anything is made ready for it.
const MAX_AHEAD_BYTES: usize = 1 << 10;
/// What takes longer than this has to go where there is no room for others.
const SLOW: Duration = Duration::from_secs(1);
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
    /// The answers that its client has not taken.
    pub debts: Arc<Debts>,
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
    /// Since when the client takes nothing of what there is to send.
    blocked: Option<Instant>,
    /// Since when a request's body does not go on.
    body_waits: Option<Instant>,
    /// Whether the connection was asked to make room.
    asked: bool,
    /// Whether it ends whatever is under way: its client takes nothing any more.
    given_up: bool,
    /// The memory that it takes even while it is idle, kB.
    weight_kb: usize,
}

/// How little a connection would be missed: less first, then longer.
pub type Spare = (Rank, Instant);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Idle,
    /// In the midst of a request's head for longer than any head takes.
    SlowHead,
    /// The same of a body. Over HTTP/2 bodies may stay open for as long as clients like.
    SlowBody,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// So many bytes of HTTP/2's preface have come.
    Unknown(usize),
    Http1,
    Http2,
}

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
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
    /// A request's head does not come to its end.
    Head,
    /// The last answer was made, and its end is not taken.
    Unsent,
    Idle,
}

impl Watch {
    pub fn new(patience: Patience, owed: Arc<Owed>) -> Arc<Self> {
        let state = State {
            protocol: Protocol::Unknown(0),
            phase: Phase::Idle,
            since: Instant::now(),
            under_way: 0,
            in_first_line: false,
            blocked: None,
            body_waits: None,
            asked: false,
            given_up: false,
            weight_kb: 0,
        };
        Arc::new(Watch { patience, debts: Debts::new(owed), state: Mutex::new(state), makes_room: Notify::new() })
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
        self.deadline_with(self.patience.idle)
    }

    /// The same, with another patience for idle ones.
    pub fn deadline_with(&self, idle: Option<Duration>) -> Option<(Instant, Overdue)> {
        let state = self.state.lock();
        match (state.phase, state.blocked) {
            (Phase::UnderWay, _) => None,
            (Phase::Head, _) => Some((state.since + self.patience.head, Overdue::Head)),
            (Phase::Idle, Some(blocked)) => Some((blocked + UNSENT_TIMEOUT, Overdue::Unsent)),
            (Phase::Idle, None) => idle.and_then(|idle| Some((state.since.checked_add(idle)?, Overdue::Idle))),
        }
    }

    /// How long a connection may be idle; `None`: for ever.
    pub fn idle_patience(&self) -> Option<Duration> {
        self.patience.idle
    }

    /// Whether the connection may be asked to make room; not twice.
    pub fn spare(&self, now: Instant) -> Option<Spare> {
        let state = self.state.lock();
        let is_slow = |since: Instant| now.saturating_duration_since(since) >= SLOW;
        match state.phase {
            _ if state.asked => None,
            Phase::Idle => Some((Rank::Idle, state.since)),
            Phase::Head => is_slow(state.since).then_some((Rank::SlowHead, state.since)),
            Phase::UnderWay if state.protocol == Protocol::Http1 => {
                state.body_waits.filter(|since| is_slow(*since)).map(|since| (Rank::SlowBody, since))
            }
            Phase::UnderWay => None,
        }
    }

    /// Whether nothing is under way but what never comes to its end.
    pub fn is_spare(&self) -> bool {
        let state = self.state.lock();
        state.given_up || state.phase != Phase::UnderWay || (state.protocol == Protocol::Http1 && state.body_waits.is_some())
    }

    /// Asks the connection to end, for others wait. What it weighs, kB, which does not count any more.
    pub fn make_room(&self) -> usize {
        let mut state = self.state.lock();
        state.asked = true;
        self.makes_room.notify_one();
        std::mem::take(&mut state.weight_kb)
    }

    /// Whether the client has taken nothing of what there is to send for so long.
    pub fn is_blocked_for(&self, now: Instant, patience: Duration) -> bool {
        self.state.lock().blocked.is_some_and(|since| now.saturating_duration_since(since) >= patience)
    }

    /// Asks the connection to end, whatever is under way; false: it was asked before.
    pub fn give_up(&self) -> bool {
        let mut state = self.state.lock();
        if state.given_up {
            return false;
        }
        (state.asked, state.given_up) = (true, true);
        self.makes_room.notify_one();
        true
    }

    /// Waits until that is asked.
    pub async fn asked_for_room(&self) {
        self.makes_room.notified().await;
    }

    /// From now on the connection takes so much more memory.
    pub fn gains(&self, kb: usize) {
        self.state.lock().weight_kb += kb;
    }

    /// Whether it takes more memory than each does, even while it is idle.
    pub fn weighs(&self) -> bool {
        self.state.lock().weight_kb > 0
    }

    /// A request's body has gone on, or does not.
    pub fn body_waits(&self, waits: bool) {
        let mut state = self.state.lock();
        if waits != state.body_waits.is_some() {
            state.body_waits = waits.then(Instant::now);
        }
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

/// Whether what has come of HTTP/1.1 is worth being looked at: a whole head, or the most that is read ahead, or no head at all.
fn is_enough(ahead: &[u8]) -> bool {
    let blank = || ahead.windows(2).any(|two| two == b"\n\n") || ahead.windows(3).any(|three| three == b"\n\r\n");
    match ahead.first() {
        None => false,
        Some(first) => !first.is_ascii_uppercase() || ahead.len() >= MAX_AHEAD_BYTES || blank(),
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
    /// What has come and is to be read first.
    ahead: Bytes,
    /// Of HTTP/2.
    frames: Option<Frames>,
    /// Whether the client takes nothing of what there is to send.
    is_blocked: bool,
}

impl Watched {
    pub fn new(stream: Stream, watch: Arc<Watch>) -> Self {
        Watched { stream, watch, ahead: Bytes::new(), frames: None, is_blocked: false }
    }

    pub fn is_plain(&self) -> bool {
        matches!(self.stream, Stream::Plain(_))
    }

    /// What the client speaks; `None`: it has not said enough since it was heard last.
    pub fn begun(&mut self) -> Option<Version> {
        if self.frames.is_none() {
            let protocol = self.watch.state.lock().protocol;
            return match protocol {
                Protocol::Unknown(_) => None,
                Protocol::Http1 => is_enough(&self.ahead).then_some(Version::Http1),
                Protocol::Http2 if self.ahead.is_empty() => None,
                Protocol::Http2 => {
                    // All that was read ahead is the preface.
                    self.frames = Some(Frames::behind_preface());
                    Some(Version::Http2)
                }
            };
        }
        Some(Version::Http2)
    }

    /// What the client spoke of which there is no more.
    pub fn ended(&self) -> Option<Version> {
        // It is told what is wrong with what it has said.
        (!self.ahead.is_empty() && self.watch.state.lock().protocol == Protocol::Http1).then_some(Version::Http1)
    }

    /// Reads what a client says first, no more than it takes to know what it speaks, and keeps it; how many bytes came. Nothing is lost
    /// where waiting is given up.
    pub async fn read_ahead(&mut self) -> Result<usize, Error> {
        poll_fn(|cx| {
            let mut bytes = [0; MAX_AHEAD_BYTES];
            let most = if self.watch.state.lock().protocol == Protocol::Http1 { MAX_AHEAD_BYTES } else { PREFACE.len() };
            let room = most.saturating_sub(self.ahead.len());
            let mut buffer = ReadBuf::new(bytes.get_mut(..room).unwrap_or_default());
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            let new = buffer.filled_mut();
            if !new.is_empty() {
                self.watch.read(new);
                self.ahead = [&self.ahead, &*new].concat().into();
            }
            Poll::Ready(Ok(new.len()))
        })
        .await
    }

    /// Gives back what was read by who served the connection, and not used.
    pub fn put_back(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            // The beginning of a request.
            let mut state = self.watch.state.lock();
            (state.phase, state.since, state.in_first_line) = (Phase::Head, Instant::now(), false);
        }
        // Even of none, the room that they were read into would be held.
        self.ahead = if bytes.is_empty() { Bytes::new() } else { bytes };
    }

    /// From now on the client speaks HTTP/2; `read` is what has come of it.
    pub fn turn_to_http2(&mut self, mut frames: Frames, read: &[u8]) {
        {
            let mut state = self.watch.state.lock();
            (state.protocol, state.in_first_line) = (Protocol::Http2, false);
            if state.under_way == 0 {
                (state.phase, state.since) = (Phase::Idle, Instant::now());
            }
        }
        let mut passed = Vec::new();
        frames.pass(read, &mut passed);
        (self.ahead, self.frames) = (passed.into(), Some(frames));
    }

    /// Ends a connection on which nothing is under way.
    pub async fn close(mut self, patience: Duration) {
        if matches!(self.watch.deadline(), Some((_, Overdue::Head))) {
            return;
        }
        // Who does not hear it finds out.
        let _ = tokio::time::timeout(patience, self.stream.shutdown()).await;
    }

    /// Notes whether the client takes what is sent.
    fn taken<T>(&mut self, polled: Poll<T>) -> Poll<T> {
        if polled.is_pending() != self.is_blocked {
            self.is_blocked = polled.is_pending();
            self.watch.state.lock().blocked = self.is_blocked.then(Instant::now);
        }
        polled
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let is_asked = self.watch.state.lock().asked;
        if matches!(self.watch.deadline(), Some((at, Overdue::Head)) if is_asked || at <= Instant::now()) {
            // As far as it can be sent at once; a client that reads nothing learns nothing.
            self.stream.try_last_words(HEAD_TIMEOUT_ANSWER);
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        loop {
            if !this.ahead.is_empty() {
                // With the last of them their room goes.
                let fits = this.ahead.len() <= buffer.remaining();
                let these = if fits { std::mem::take(&mut this.ahead) } else { this.ahead.split_to(buffer.remaining()) };
                buffer.put_slice(&these);
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            let Some(new) = buffer.filled_mut().get_mut(before..).filter(|new| !new.is_empty()) else {
                return Poll::Ready(Ok(()));
            };
            this.watch.read(new);
            let Some(frames) = &mut this.frames else { return Poll::Ready(Ok(())) };
            if frames.has_passed(new) {
                return Poll::Ready(Ok(()));
            }
            let mut passed = Vec::with_capacity(new.len());
            frames.pass(new, &mut passed);
            buffer.set_filled(before);
            this.ahead = passed.into();
            // Where all of it is held back, more has to come.
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.taken(polled)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize, Error>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.taken(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.taken(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Arc<Watch> {
        let patience = Patience { head: Duration::from_secs(30), idle: Some(Duration::from_secs(86_400)) };
        Watch::new(patience, Owed::new(Duration::from_secs(300)))
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
