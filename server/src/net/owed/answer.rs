//! An answer under way: what it holds until its client has taken it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::super::body::{BrokeOff, ReplyBody};
use super::{Debts, Load};

/// What an answer of another protocol over HTTP holds while it is sent, about, bytes.
const FRAMED_BYTES: usize = 1 << 20;
/// Pieces of an answer of at least this many bytes count until they are sent.
const MIN_COUNTED_BYTES: usize = 1 << 10;
/// A whole answer is sent in pieces of this many bytes, so that it shows that some of it is taken.
pub(super) const PIECE_BYTES: usize = 64 << 10;
/// An answer under way.
pub struct Answer(Mutex<State>);

struct State {
    body: ReplyBody,
    /// Since when it is the client's turn.
    since: Option<Instant>,
    load: Option<Arc<Load>>,
    is_cut: bool,
}

/// A piece of an answer on its way, and what counts for it.
struct Piece {
    bytes: Bytes,
    _load: Arc<Load>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What a body holds while it is the client's turn, bytes. What is 0 is bounded elsewhere: how many push queries there are, and what
/// waits for each.
fn held_bytes(body: &ReplyBody) -> usize {
    match body {
        ReplyBody::Whole(_) | ReplyBody::Chunks(_) => body.made_bytes().unwrap_or_default(),
        ReplyBody::Read(rows) => rows.held_bytes(),
        ReplyBody::Framed(_) => FRAMED_BYTES,
        ReplyBody::Stream(_) | ReplyBody::Cut => 0,
    }
}

impl Answer {
    pub(super) fn new(body: ReplyBody, debts: &Arc<Debts>) -> Self {
        let load = Some(held_bytes(&body)).filter(|bytes| *bytes > 0).map(|bytes| debts.load(bytes));
        Answer(Mutex::new(State { body, since: Some(Instant::now()), load, is_cut: false }))
    }

    /// Since when it holds something while it is the client's turn.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        let state = self.0.lock();
        state.since.filter(|_| state.load.is_some() && !state.is_cut)
    }

    /// Asks the body for more.
    pub fn poll(&self, debts: &Arc<Debts>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        self.0.lock().poll(debts, cx)
    }

    pub fn with_body<T>(&self, look: impl FnOnce(&ReplyBody) -> T) -> T {
        look(&self.0.lock().body)
    }

    /// Gives back what the answer holds; its client finds the reason where rows can be followed by one, else the answer breaks off.
    /// Whether there was anything to cut.
    pub(super) fn cut(&self, reason: &str) -> bool {
        let mut state = self.0.lock();
        if state.is_cut || state.since.is_none() {
            return false;
        }
        state.is_cut = true;
        state.load = None;
        match &mut state.body {
            ReplyBody::Read(rows) => rows.as_mut().cut(reason),
            other => *other = ReplyBody::Cut,
        }
        true
    }
}

impl State {
    fn poll(&mut self, debts: &Arc<Debts>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        let piece = match &mut self.body {
            ReplyBody::Whole(rest) => Some(rest.split_to(rest.len().min(PIECE_BYTES))).filter(|piece| !piece.is_empty()),
            ReplyBody::Chunks(chunks) => chunks.pop_front(),
            _ => return self.poll_more(debts, cx),
        };
        self.since = Some(Instant::now());
        debts.progresses();
        // What of it is not sent yet counts with the last piece.
        let load = if self.body.is_end_stream() { self.load.take() } else { self.load.clone() };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(counted(piece, load)))))
    }

    /// Of a body that is made while it is sent.
    fn poll_more(&mut self, debts: &Arc<Debts>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        let holds = if self.is_cut { 0 } else { held_bytes(&self.body) };
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            debts.progresses();
        }
        if holds == 0 {
            return polled;
        }
        if polled.is_pending() {
            // The client waits.
            (self.since, self.load) = (None, None);
        }
        let frame = ready!(polled);
        self.since = Some(Instant::now());
        if self.load.is_none() {
            self.load = Some(debts.load(holds));
        }
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|piece| {
                    let load = Some(piece.len()).filter(|bytes| *bytes >= MIN_COUNTED_BYTES).map(|bytes| debts.load(bytes));
                    counted(piece, load)
                })
            })
        }))
    }
}

/// A piece that counts until it is sent, where it is large enough to matter.
fn counted(bytes: Bytes, load: Option<Arc<Load>>) -> Bytes {
    match load {
        Some(load) if bytes.len() >= MIN_COUNTED_BYTES => Bytes::from_owner(Piece { bytes, _load: load }),
        _ => bytes,
    }
}
