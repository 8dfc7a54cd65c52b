//! Bodies of requests.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::watched::{UnderWay, Watch};

/// A request's body as it comes. While somebody holds it the request is under way, also where it was answered before its end: a
/// connection is idle only where nobody reads from it any more.
pub struct RequestBody {
    body: Incoming,
    watch: Arc<Watch>,
    /// Whether more of it was asked for and has not come.
    waits: bool,
    _under_way: UnderWay,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, watch: &Arc<Watch>) -> Self {
        RequestBody { body, watch: watch.clone(), waits: false, _under_way: watch.begin() }
    }

    fn notes(&mut self, waits: bool) {
        if waits != self.waits {
            self.waits = waits;
            self.watch.body_waits(waits);
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.notes(false);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.notes(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
