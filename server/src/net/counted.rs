//! An answer's body as its connection sends it: its request is under way until it was sent, and what it holds counts as owed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::body::{BrokeOff, ReplyBody};
use super::owed::{Answer, Debts};
use super::watched::UnderWay;

/// See the module.
pub struct Counted {
    debts: Arc<Debts>,
    number: u64,
    answer: Arc<Answer>,
    _under_way: UnderWay,
}

impl Counted {
    pub fn new(body: ReplyBody, debts: Arc<Debts>, under_way: UnderWay) -> Self {
        let (number, answer) = debts.begin(body);
        Counted { debts, number, answer, _under_way: under_way }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.debts.end(self.number);
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = BrokeOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        self.answer.poll(&self.debts, cx)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.with_body(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.with_body(Body::size_hint)
    }
}
