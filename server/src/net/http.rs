//! HTTP over one connection: 1.1 and 2 on one port, by what a client begins with, or by an upgrade.
//!
//! What serves HTTP/1.1 holds some 20 kB of buffers. A connection is given them when a request's head has come, and one that has been
//! idle for a moment gives them back: it waits as one does that has not said anything yet, so that ten thousand of them take little.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::UPGRADE;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::RequestBody;
use super::connections::{Handler, Held, Kept, Place, Protocol, stopped};
use super::counted::Counted;
use super::frames::Frames;
use super::handshake::handshake;
use super::owed;
use super::stream::Stream;
use super::to_http2::Turn;
use super::watched::{Overdue, Version, Watch, Watched};
use crate::tls::Listening;

/// Bytes of a request's head at most.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Requests at a time on one HTTP/2 connection.
const MAX_CONCURRENT_STREAMS: u32 = 1_000;
/// Bytes of an answer over HTTP/2 that may wait to be written to the socket.
const MAX_SEND_BYTES: usize = 64 << 10;
/// An HTTP/2 client that answers no ping for this long is gone.
const HTTP2_KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
const HTTP2_KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// How long a connection is idle before it rests. Who asks again sooner is answered by what answered before.
const REST_AFTER: Duration = Duration::from_millis(100);
/// The same, where many have not rested. It is longer than none: what is idle for the first time may not have sent all of its answer.
const REST_SOON: Duration = Duration::from_millis(1);
/// Connections of HTTP/1.1 that are served at a time before they have to rest sooner.
const MANY: usize = 256;
/// The memory that a connection of HTTP/2 takes once it has answered, kB.
const WEIGHT_KB: usize = 32;
/// How long the end of a connection that waits may take to be said.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an idle connection may take to end once it was asked to.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(100);

/// HTTP, encrypted where `tls` says how.
pub(super) struct Http<H> {
    handler: Arc<H>,
    tls: Option<Arc<Listening>>,
}

impl<H> Http<H> {
    pub fn new(handler: Arc<H>, tls: Option<Arc<Listening>>) -> Self {
        Http { handler, tls }
    }
}

impl<H: Handler> Protocol for Http<H> {
    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: Place) {
        let Place { watch, stop, held } = place;
        // What serves a connection is large, and there may be very many connections that say nothing.
        let stream = match &self.tls {
            None => Some(Stream::Plain(stream)),
            Some(tls) => handshake(stream, peer, tls, &watch, &held).await,
        };
        if let Some(stream) = stream {
            let stream = Watched::new(stream, watch.clone());
            Serving { handler: self.handler.clone(), peer, watch, held, stop }.run(stream).await;
        }
    }
}

/// One connection.
struct Serving<H> {
    handler: Arc<H>,
    peer: SocketAddr,
    watch: Arc<Watch>,
    held: Arc<Held>,
    stop: watch::Receiver<bool>,
}

/// What became of a connection that was served.
enum Served {
    /// Its client, or the server, has ended it.
    Over(hyper::Result<()>),
    /// A request's head, or the end of an answer, takes too long.
    TooSlow,
    /// Nothing is under way.
    Rests,
}

/// What an idle connection does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Idle {
    /// It rests, soon.
    Rests,
    /// It stays for as long as is configured.
    Stays,
}

/// What serves a connection.
trait Connection: Future<Output = hyper::Result<()>> {
    /// Takes no more requests.
    fn end(self: Pin<&mut Self>);
}

impl<S> Connection for http1::UpgradeableConnection<TokioIo<Watched>, S>
where
    S: Service<Request<Incoming>, Response = Response<Counted>, Error = Infallible>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S> Connection for http2::Connection<TokioIo<Watched>, S, TokioExecutor>
where
    S: Service<Request<Incoming>, Response = Response<Counted>, Error = Infallible>,
    S::Future: Send + 'static,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<H: Handler> Serving<H> {
    async fn run(mut self, mut stream: Watched) {
        loop {
            let served = match self.begins(&mut stream).await {
                Some(Version::Http1) => Box::pin(self.http1(stream)).await,
                Some(Version::Http2) => {
                    self.held.gains(WEIGHT_KB);
                    return Box::pin(self.http2(stream)).await;
                }
                None => return stream.close(CLOSE_TIMEOUT).await,
            };
            match served {
                Some(rests) => stream = rests,
                None => return,
            }
        }
    }

    /// Waits until the client begins to say something. `None`: the connection has to go.
    async fn begins(&mut self, stream: &mut Watched) -> Option<Version> {
        loop {
            if let Some(version) = stream.begun() {
                return Some(version);
            }
            let too_long = async {
                match self.watch.deadline() {
                    Some((at, _)) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                read = stream.read_ahead() => match read {
                    Ok(0) => return stream.ended(),
                    Ok(_) => {}
                    Err(_) => return None,
                },
                () = self.watch.asked_for_room() => return None,
                () = stopped(&mut self.stop) => return None,
                () = too_long => return None,
            }
        }
    }

    /// Serves HTTP/1.1; the connection where it rests, or has become another.
    async fn http1(&mut self, stream: Watched) -> Option<Watched> {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            // It would count idle time as well.
            .header_read_timeout(None::<Duration>)
            .max_buf_size(MAX_HEADER_BYTES)
            .half_close(false);
        let _warm = self.held.is_warm();
        // Who speaks TLS has agreed upon a version already.
        let turn = stream.is_plain().then(Turn::default);
        let mut connection = builder.serve_connection(TokioIo::new(stream), self.service(turn.clone())).with_upgrades();
        match self.served(Pin::new(&mut connection), Idle::Rests).await {
            Served::Over(ended) => {
                self.note(ended);
                let (upgrade, frames) = turn?.take()?;
                let parts = upgrade.await.ok()?.downcast::<TokioIo<Watched>>().ok()?;
                let mut stream = parts.io.into_inner();
                stream.turn_to_http2(Frames::upgraded(frames), &parts.read_buf);
                Some(stream)
            }
            Served::TooSlow => {
                tracing::debug!(peer = %self.peer, "a request's head, or taking the end of an answer, took too long");
                None
            }
            Served::Rests => {
                let parts = connection.into_parts()?;
                let mut stream = parts.io.into_inner();
                stream.put_back(parts.read_buf);
                Some(stream)
            }
        }
    }

    async fn http2(&mut self, stream: Watched) {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_header_list_size(MAX_HEADER_BYTES as u32)
            .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
            .max_send_buf_size(MAX_SEND_BYTES)
            .keep_alive_interval(HTTP2_KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(HTTP2_KEEP_ALIVE_TIMEOUT);
        let connection = pin!(builder.serve_connection(TokioIo::new(stream), self.service(None)));
        if let Served::Over(ended) = self.served(connection, Idle::Stays).await {
            self.note(ended);
        }
    }

    /// Drives a connection until it is over, or has to go, or rests.
    async fn served(&mut self, mut connection: Pin<&mut impl Connection>, idle: Idle) -> Served {
        let watch = &self.watch;
        let held = &self.held;
        let patience = || match idle {
            Idle::Rests if held.warm() > MANY => Some(REST_SOON),
            Idle::Rests => Some(REST_AFTER),
            Idle::Stays => watch.idle_patience(),
        };
        let mut stopping = pin!(stopped(&mut self.stop));
        let mut asked_for_room = pin!(watch.asked_for_room());
        let mut alarm = pin!(tokio::time::sleep(Duration::ZERO));
        let (mut closing, mut stops) = (false, false);
        // A client may never hear that its connection ends.
        let mut leaves_by = None;
        let served = poll_fn(|cx| {
            if !stops && stopping.as_mut().poll(cx).is_ready() {
                (stops, closing) = (true, true);
                connection.as_mut().end();
            }
            if !closing && asked_for_room.as_mut().poll(cx).is_ready() {
                (closing, leaves_by) = (true, Some(Instant::now() + LEAVE_TIMEOUT));
                connection.as_mut().end();
            }
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(Served::Over(ended));
            }
            // What the connection waits for may have changed. The alarm is only set earlier, never later, so that a request
            // that is answered at once does not touch it.
            let deadline = |leaves_by: Option<Instant>, closing: bool| match leaves_by {
                Some(at) => watch.is_spare().then_some((at, Overdue::Unsent)),
                None => watch.deadline_with(patience()).filter(|(_, overdue)| !closing || *overdue == Overdue::Unsent),
            };
            while let Some((at, overdue)) = deadline(leaves_by, closing) {
                if alarm.is_elapsed() || at < alarm.deadline() {
                    alarm.as_mut().reset(at);
                }
                if alarm.as_mut().poll(cx).is_pending() {
                    break;
                }
                match overdue {
                    _ if at > Instant::now() => continue,
                    Overdue::Head | Overdue::Unsent => return Poll::Ready(Served::TooSlow),
                    Overdue::Idle if idle == Idle::Rests => return Poll::Ready(Served::Rests),
                    Overdue::Idle => {
                        (closing, leaves_by) = (true, Some(Instant::now() + LEAVE_TIMEOUT));
                        connection.as_mut().end();
                        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                            return Poll::Ready(Served::Over(ended));
                        }
                    }
                }
            }
            Poll::Pending
        });
        served.await
    }

    /// Answers the connection's requests. `turn`: where it finds that it becomes HTTP/2.
    fn service(
        &self,
        turn: Option<Turn>,
    ) -> impl Service<
        Request<Incoming>,
        Response = Response<Counted>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<Counted>, Infallible>> + Send + use<H>,
    > + Unpin
    + use<H> {
        let (handler, watch, held, peer) = (self.handler.clone(), self.watch.clone(), self.held.clone(), self.peer);
        service_fn(move |request: Request<Incoming>| {
            let (handler, turn, under_way, debts) = (handler.clone(), turn.clone(), watch.begin(), watch.debts.clone());
            let mut request = request.map(|body| RequestBody::new(body, &watch));
            let upgrades = request.headers().contains_key(UPGRADE);
            if upgrades {
                request.extensions_mut().insert(Kept::new(held.clone(), watch.begin()));
            }
            async move {
                let is_alone = request.version() != hyper::Version::HTTP_2;
                let reserved = if is_alone { None } else { Some(debts.admitted().await) };
                if let Some(turn) = turn.filter(|_| upgrades) {
                    match Box::pin(turn.turned(request)).await {
                        Ok(turned) => return Ok(turned.map(|body| Counted::new(body, debts, is_alone, under_way))),
                        Err(other) => request = *other,
                    }
                }
                let many = (!is_alone).then(|| debts.clone());
                // What making an answer takes (some 20 KB) goes when it is there, and not when the client has taken it.
                let answer = Box::pin(owed::asking(many, handler.handle(request, peer))).await;
                let answer = answer.map(|body| Counted::new(body, debts, is_alone, under_way));
                drop(reserved);
                Ok(answer)
            }
        })
    }

    fn note(&self, ended: hyper::Result<()>) {
        if let Err(error) = ended {
            tracing::debug!(peer = %self.peer, %error, "a connection broke");
        }
    }
}
