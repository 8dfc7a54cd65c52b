//! Answers in fewer bytes, for clients that ask for it (`Accept-Encoding: gzip`): answers that are there as a whole, and rows of pull
//! queries as they are read. What a push query, PRINT or an insert says leaves at once, a row at a time, and stays as it is: a line of a
//! hundred bytes that is flushed by itself does not become smaller.
//!
//! Invariant: an answer under way holds no encoder. Pieces are compressed one by one, at the moment at which the connection takes them,
//! by the thread that sends them; between two pieces there is a checksum and a length ([`gzip::Member`]).

mod accepted;
mod gzip;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use hyper::Request;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, VARY};

use accepted::accepts_gzip;
use gzip::Member;

use crate::net::{Handler, ReplyBody, RequestBody, Rows};
use crate::reply::Reply;

/// Answers of fewer bytes go as they are: they fit into a packet.
const MIN_BYTES: usize = 1 << 10;
/// Bytes that are compressed at a time. Between two pieces of an answer others have their turn.
const PIECE_BYTES: usize = 64 << 10;

/// Answers as another handler does, in fewer bytes.
pub struct Compressed<H>(Arc<H>);

impl<H: Handler> Compressed<H> {
    pub fn new(inner: Arc<H>) -> Arc<Self> {
        Arc::new(Compressed(inner))
    }
}

impl<H: Handler> Handler for Compressed<H> {
    async fn handle(self: Arc<Self>, request: Request<RequestBody>, peer: SocketAddr) -> Reply {
        let is_asked_for = accepts_gzip(request.headers());
        let mut reply = self.0.clone().handle(request, peer).await;
        let fits = match reply.body() {
            body @ (ReplyBody::Whole(_) | ReplyBody::Chunks(_)) => body.made_bytes().is_some_and(|bytes| bytes >= MIN_BYTES),
            ReplyBody::Read(_) => true,
            ReplyBody::Stream(_) | ReplyBody::Framed(_) | ReplyBody::Cut => false,
        };
        if !fits || reply.headers().contains_key(CONTENT_ENCODING) {
            return reply;
        }
        reply.headers_mut().append(VARY, HeaderValue::from_static("Accept-Encoding"));
        if !is_asked_for {
            return reply;
        }
        reply.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        reply.headers_mut().remove(CONTENT_LENGTH);
        let (parts, body) = reply.into_parts();
        let body = match body {
            ReplyBody::Whole(bytes) => ReplyBody::Whole(whole([bytes].into()).await),
            ReplyBody::Chunks(chunks) => ReplyBody::Whole(whole(chunks).await),
            ReplyBody::Read(rows) => ReplyBody::read(Reading { rows, member: Some(Member::default()) }),
            other => other,
        };
        Reply::from_parts(parts, body)
    }
}

/// All of an answer.
async fn whole(mut chunks: VecDeque<Bytes>) -> Bytes {
    let (mut member, mut out) = (Member::default(), Vec::new());
    let mut piece = BytesMut::new();
    while let Some(mut chunk) = chunks.pop_front() {
        while !chunk.is_empty() {
            let room = PIECE_BYTES - piece.len();
            piece.extend_from_slice(&chunk.split_to(chunk.len().min(room)));
            if piece.len() == PIECE_BYTES {
                member.piece(&piece, &mut out);
                piece.clear();
                tokio::task::yield_now().await;
            }
        }
    }
    member.piece(&piece, &mut out);
    member.end(&mut out);
    out.into()
}

/// Rows that are read while they are sent.
struct Reading {
    rows: Pin<Box<dyn Rows>>,
    /// `None`: the end was written.
    member: Option<Member>,
}

impl Stream for Reading {
    type Item = Bytes;

    /// What is there goes together, as far as it is there.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let reading = self.get_mut();
        let Some(member) = &mut reading.member else { return Poll::Ready(None) };
        let mut gathered = BytesMut::new();
        let mut out = Vec::new();
        while gathered.len() < PIECE_BYTES {
            match reading.rows.as_mut().poll_next(cx) {
                Poll::Ready(Some(chunk)) => gathered.extend_from_slice(&chunk),
                Poll::Ready(None) => {
                    member.piece(&gathered, &mut out);
                    member.end(&mut out);
                    reading.member = None;
                    return Poll::Ready(Some(out.into()));
                }
                Poll::Pending if gathered.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        member.piece(&gathered, &mut out);
        Poll::Ready(Some(out.into()))
    }
}

impl Rows for Reading {
    fn held_bytes(&self) -> usize {
        self.rows.held_bytes()
    }

    fn cut(mut self: Pin<&mut Self>, reason: &str) {
        self.rows.as_mut().cut(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::gzip::opened;
    use super::*;

    /// Rows that come in bursts, and may be cut.
    struct Bursts {
        left: VecDeque<Option<Bytes>>,
    }

    impl Stream for Bursts {
        type Item = Bytes;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
            match self.left.pop_front() {
                Some(Some(chunk)) => Poll::Ready(Some(chunk)),
                Some(None) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                None => Poll::Ready(None),
            }
        }
    }

    impl Rows for Bursts {
        fn held_bytes(&self) -> usize {
            7
        }

        fn cut(mut self: Pin<&mut Self>, reason: &str) {
            self.left = [Some(Bytes::from(reason.to_owned()))].into();
        }
    }

    fn reading(left: &[Option<&'static str>]) -> Pin<Box<Reading>> {
        let left = left.iter().map(|chunk| chunk.map(|text| Bytes::from_static(text.as_bytes()))).collect();
        Box::pin(Reading { rows: Box::pin(Bursts { left }), member: Some(Member::default()) })
    }

    async fn next(rows: &mut Pin<Box<Reading>>) -> Option<Bytes> {
        std::future::poll_fn(|cx| rows.as_mut().poll_next(cx)).await
    }

    #[tokio::test]
    async fn what_is_there_leaves_at_once_and_can_be_read_at_once() {
        let mut rows = reading(&[Some("a\n"), Some("b\n"), None, Some("c\n"), None]);
        let mut sent = next(&mut rows).await.expect("a piece").to_vec();
        assert_eq!(opened(&sent), (b"a\nb\n".to_vec(), false), "one piece of what was there, readable before the end");
        sent.extend(next(&mut rows).await.expect("a piece"));
        assert_eq!(opened(&sent), (b"a\nb\nc\n".to_vec(), false));
        sent.extend(next(&mut rows).await.expect("the end"));
        assert_eq!(opened(&sent), (b"a\nb\nc\n".to_vec(), true));
        assert_eq!(next(&mut rows).await, None);
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_says_why_and_ends() {
        let mut rows = reading(&[Some("a\n"), None, Some("b\n")]);
        let mut sent = next(&mut rows).await.expect("a piece").to_vec();
        assert_eq!(rows.held_bytes(), 7);
        rows.as_mut().cut("too slow");
        sent.extend(next(&mut rows).await.expect("the end"));
        assert_eq!(opened(&sent), (b"a\ntoo slow".to_vec(), true));
    }

    #[tokio::test]
    async fn a_whole_answer_is_one_member_however_it_was_cut_up() {
        let text: Vec<u8> = (0..40_000).flat_map(|row| format!("{{\"row\":{row}}}\n").into_bytes()).collect();
        for size in [13, PIECE_BYTES, 1_000_000] {
            let packed = whole(text.chunks(size).map(Bytes::copy_from_slice).collect()).await;
            assert!(packed.len() * 4 < text.len(), "{} of {}", packed.len(), text.len());
            assert!(opened(&packed) == (text.clone(), true), "in chunks of {size}");
        }
        assert_eq!(opened(&whole(VecDeque::new()).await), (Vec::new(), true));
    }
}
