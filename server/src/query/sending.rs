//! An answer whose rows are read while it is sent, a chunk at a time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use tidemill_engine::types::Value;

use super::pull::{Step, Writing};
use crate::error::ApiError;
use crate::limits::PullPermit;
use crate::net::Rows;

/// What was read: rows, and where the next ones come from; `None`: these were all.
pub(super) type Read<S> = Result<Option<(S, Vec<Vec<Value>>)>, ApiError>;

/// Where rows come from.
pub(super) trait Chunks: Sized {
    /// Reads the next ones.
    fn read(self) -> BoxFuture<'static, Read<Self>>;
}

/// See the module. Dropping it ends the query.
pub(super) struct Sending<S> {
    rest: Rest<S>,
    writing: Writing,
    /// `None` once it was cut.
    permit: Option<PullPermit>,
    held_bytes: Box<dyn Fn() -> usize + Send>,
}

/// What was not read yet.
enum Rest<S> {
    Here(S),
    /// The next chunk is being read.
    Read(BoxFuture<'static, Read<S>>),
    /// All was read, or reading failed.
    Nothing,
}

impl<S: Chunks> Sending<S> {
    /// `writing` has the first rows. `held_bytes`: what the query holds while its client takes nothing, about, bytes.
    pub fn new(rest: S, writing: Writing, permit: PullPermit, held_bytes: impl Fn() -> usize + Send + 'static) -> Self {
        Sending { rest: Rest::Here(rest), writing, permit: Some(permit), held_bytes: Box::new(held_bytes) }
    }
}

impl<S: Chunks + Unpin> Stream for Sending<S> {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let sending = self.get_mut();
        loop {
            if let Some(chunk) = sending.writing.next(matches!(sending.rest, Rest::Nothing)) {
                if let Some(permit) = &sending.permit {
                    permit.answered(chunk.len());
                }
                return Poll::Ready(Some(chunk));
            }
            let read = match &mut sending.rest {
                Rest::Read(read) => ready!(read.as_mut().poll(cx)),
                rest => {
                    let Rest::Here(source) = std::mem::replace(rest, Rest::Nothing) else { return Poll::Ready(None) };
                    *rest = Rest::Read(source.read());
                    continue;
                }
            };
            sending.rest = Rest::Nothing;
            match read {
                Ok(Some((source, rows))) => {
                    sending.rest = Rest::Here(source);
                    sending.writing.rows = rows.into_iter();
                }
                Ok(None) => {}
                Err(error) => sending.writing.step = Step::Failed(error),
            }
        }
    }
}

impl<S: Chunks + Send + Unpin> Rows for Sending<S> {
    fn held_bytes(&self) -> usize {
        (self.held_bytes)()
    }

    fn cut(self: Pin<&mut Self>, reason: &str) {
        let sending = self.get_mut();
        (sending.rest, sending.permit) = (Rest::Nothing, None);
        sending.writing.cut(reason);
    }
}
