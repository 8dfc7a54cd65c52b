//! Bodies of answers: whole, in chunks that are known, or in chunks that are still to come.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use hyper::body::{Body, Frame, SizeHint};

/// An answer's body. Each chunk is a chunk of HTTP/1.1 or a DATA frame of HTTP/2 of its own: clients count on that.
pub enum ReplyBody {
    /// Sent with its length.
    Whole(Bytes),
    /// Sent chunk by chunk, without a length.
    Chunks(VecDeque<Bytes>),
    /// Sent as it comes. What waits for the client is bounded by who makes it.
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
    /// Read while it is sent: what it holds meanwhile can be taken from it.
    Read(Pin<Box<dyn Rows>>),
    /// Of a protocol over HTTP that has its own bodies: chunks, and what follows them.
    Framed(Pin<Box<dyn Body<Data = Bytes, Error = Infallible> + Send>>),
    /// Nobody took it for too long: it breaks off.
    Cut,
}

/// Rows that are read as their client takes them.
pub trait Rows: Stream<Item = Bytes> + Send {
    /// What they hold while their client takes nothing, about, bytes; more than none.
    fn held_bytes(&self) -> usize;

    /// Lets go of all that the rest of the answer takes; what comes behind what was sent is the reason, and the end.
    fn cut(self: Pin<&mut Self>, reason: &str);
}

impl ReplyBody {
    pub fn stream(stream: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        ReplyBody::Stream(Box::pin(stream))
    }

    pub fn read(rows: impl Rows + 'static) -> Self {
        ReplyBody::Read(Box::pin(rows))
    }

    /// How many bytes it has yet, where all of it is there.
    pub fn made_bytes(&self) -> Option<usize> {
        match self {
            ReplyBody::Whole(bytes) => Some(bytes.len()),
            ReplyBody::Chunks(chunks) => Some(chunks.iter().map(Bytes::len).sum()),
            _ => None,
        }
    }

    /// The next chunk, for who sends chunks otherwise than as an answer's body. Nothing is lost where waiting for it is given up.
    pub async fn next(&mut self) -> Option<Bytes> {
        let frame = poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await;
        frame.and_then(Result::ok).and_then(|frame| frame.into_data().ok())
    }
}

/// Why an answer broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its client took nothing of the answer for too long")]
pub struct BrokeOff;

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        let data = |bytes| Some(Ok(Frame::data(bytes)));
        match self.get_mut() {
            ReplyBody::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            ReplyBody::Whole(bytes) => Poll::Ready(data(std::mem::take(bytes))),
            ReplyBody::Chunks(chunks) => Poll::Ready(chunks.pop_front().and_then(data)),
            ReplyBody::Stream(stream) => stream.as_mut().poll_next(cx).map(|chunk| chunk.and_then(data)),
            ReplyBody::Read(rows) => rows.as_mut().poll_next(cx).map(|chunk| chunk.and_then(data)),
            ReplyBody::Framed(body) => body.as_mut().poll_frame(cx).map(|frame| frame.and_then(Result::ok).map(Ok)),
            ReplyBody::Cut => Poll::Ready(Some(Err(BrokeOff))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ReplyBody::Whole(bytes) => bytes.is_empty(),
            ReplyBody::Chunks(chunks) => chunks.is_empty(),
            ReplyBody::Stream(_) | ReplyBody::Read(_) | ReplyBody::Cut => false,
            ReplyBody::Framed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ReplyBody::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            ReplyBody::Framed(body) => body.size_hint(),
            _ => SizeHint::default(),
        }
    }
}
