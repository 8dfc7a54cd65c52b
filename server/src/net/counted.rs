//! An answer's body as its connection sends it: its request is under way until it was sent, and what it holds counts as owed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::body::{BrokeOff, ReplyBody};
use super::owed::{Answer, Debts, Small};
use super::watched::UnderWay;

/// An answer of at most so many bytes is not worth to be cut. It takes no more than its connection does, or its stream.
const MAX_SMALL_BYTES: usize = 4 << 10;

/// See the module.
pub struct Counted {
    kind: Kind,
    _under_way: UnderWay,
}

enum Kind {
    /// The one answer of a connection, and small.
    Alone(ReplyBody),
    /// One of many, and small.
    Small(ReplyBody, Small),
    Owed {
        debts: Arc<Debts>,
        number: u64,
        answer: Arc<Answer>,
    },
}

impl Counted {
    /// `is_alone`: the connection has one answer at a time.
    pub fn new(body: ReplyBody, debts: Arc<Debts>, is_alone: bool, under_way: UnderWay) -> Self {
        let kind = match body.made_bytes() {
            Some(bytes) if bytes <= MAX_SMALL_BYTES && is_alone => Kind::Alone(body),
            Some(bytes) if bytes <= MAX_SMALL_BYTES => Kind::Small(body, debts.small(bytes)),
            _ => {
                let (number, answer) = debts.begin(body);
                Kind::Owed { debts, number, answer }
            }
        };
        Counted { kind, _under_way: under_way }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Kind::Owed { debts, number, .. } = &self.kind {
            debts.end(*number);
        }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        match &mut self.kind {
            Kind::Alone(body) => Pin::new(body).poll_frame(cx),
            Kind::Small(body, small) => {
                small.progresses();
                Pin::new(body).poll_frame(cx)
            }
            Kind::Owed { debts, answer, .. } => answer.poll(debts, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Alone(body) | Kind::Small(body, _) => body.is_end_stream(),
            Kind::Owed { answer, .. } => answer.with_body(Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Alone(body) | Kind::Small(body, _) => body.size_hint(),
            Kind::Owed { answer, .. } => answer.with_body(Body::size_hint),
        }
    }
}
