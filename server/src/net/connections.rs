//! Connections: HTTP/1.1 and cleartext HTTP/2 (prior knowledge) on one port, each with its limits, and their orderly end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::UPGRADE;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::ReplyBody;
use super::body::Counted;
use super::handshake::handshake;
use super::stream::Stream;
use super::watched::{Overdue, Patience, UnderWay, Watch, Watched};
use crate::tls::Listening;

/// How long a client may take to send a request's head, from its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head at most.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Requests at a time on one HTTP/2 connection.
const MAX_CONCURRENT_STREAMS: u32 = 1_000;
/// An HTTP/2 client that answers no ping for this long is gone.
const HTTP2_KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
const HTTP2_KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// How long to wait for room before the next idle connection is asked for it.
const ROOM_PAUSE: Duration = Duration::from_millis(20);
/// Pause after a failed accept (no file descriptors left), lest the loop spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// `peer` is who asks.
    fn handle(self: Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> impl Future<Output = Response<ReplyBody>> + Send;
}

/// Serves connections in another protocol than HTTP.
pub trait Protocol: Send + Sync + 'static {
    /// Until the connection is over.
    fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: Place) -> impl Future<Output = ()> + Send;
}

/// A connection's place among those that are open.
pub struct Place {
    watch: Arc<Watch>,
    stop: watch::Receiver<bool>,
    held: Arc<Held>,
}

/// Why a connection has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// The server ends.
    Ends,
    /// Others wait for a place, and it is idle.
    Room,
}

impl Place {
    /// Something is under way until what is returned is dropped: so long nobody asks for the place.
    pub fn busy(&self) -> UnderWay {
        self.watch.begin()
    }

    /// Waits until the connection has to go.
    pub async fn has_to_leave(&mut self) -> Leave {
        tokio::select! {
            () = stopped(&mut self.stop) => Leave::Ends,
            () = self.watch.asked_for_room() => Leave::Room,
        }
    }
}

/// Accepts connections until it is told to end.
pub struct Connections {
    /// Says that the end has come.
    stop: watch::Sender<bool>,
    open: Open,
    max: usize,
    patience: Patience,
}

/// The connections that are open.
#[derive(Clone)]
struct Open {
    /// Every connection holds one until it is over.
    permits: Arc<Semaphore>,
    watches: Arc<Mutex<Slab>>,
}

/// Counts connections. Cheap to clone.
#[derive(Clone)]
pub struct OpenConnections {
    permits: Arc<Semaphore>,
    max: usize,
}

impl OpenConnections {
    /// How many are open.
    pub fn open(&self) -> usize {
        self.max.saturating_sub(self.permits.available_permits())
    }

    /// How many may be open at a time.
    pub fn max(&self) -> usize {
        self.max
    }
}

/// What each of them is doing, by its number.
#[derive(Default)]
struct Slab {
    next: u64,
    watches: HashMap<u64, Arc<Watch>>,
}

impl Open {
    /// Leave for one more connection. Where there are as many as may be, the one that is idle for the longest has to go.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        loop {
            let idle = {
                let slab = self.watches.lock();
                let since = slab.watches.values().filter_map(|watch| Some((watch.idle_since()?, watch)));
                since.min_by_key(|(since, _)| *since).map(|(_, watch)| watch.clone())
            };
            if let Some(watch) = idle {
                watch.make_room();
            }
            // Where none is idle, one may be soon.
            if let Ok(permit) = tokio::time::timeout(ROOM_PAUSE, self.permits.clone().acquire_owned()).await {
                return permit;
            }
        }
    }

    fn add(&self, watch: Arc<Watch>) -> Entered {
        let mut slab = self.watches.lock();
        let number = slab.next;
        slab.next = slab.next.wrapping_add(1);
        slab.watches.insert(number, watch);
        Entered { open: self.clone(), number }
    }
}

/// What an upgraded connection holds for as long as it is in use: its place among those that are open, and that something goes on
/// in it. It goes with requests that ask for an upgrade.
#[derive(Clone)]
pub struct Kept {
    _held: Arc<Held>,
    _under_way: Arc<UnderWay>,
}

/// One of the connections that may be open.
struct Held {
    _entered: Entered,
    _permit: OwnedSemaphorePermit,
}

/// A connection's place among those that are open.
struct Entered {
    open: Open,
    number: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.open.watches.lock().watches.remove(&self.number);
    }
}

impl Connections {
    /// At most `max` connections are served at a time; more wait in the system's queue, and have idle ones closed. One without a request for `idle`
    /// is closed; `None`: it stays.
    pub fn new(max: usize, idle: Option<Duration>) -> Self {
        Self::with(max, Patience { head: HEAD_TIMEOUT, idle })
    }

    fn with(max: usize, patience: Patience) -> Self {
        let open = Open { permits: Arc::new(Semaphore::new(max)), watches: Arc::default() };
        Connections { stop: watch::Sender::new(false), open, max, patience }
    }

    /// Counts them, for as long as anybody wants to know.
    pub fn open(&self) -> OpenConnections {
        OpenConnections { permits: self.open.permits.clone(), max: self.max }
    }

    /// Serves a listener in the background, encrypted where `tls` says how.
    pub fn serve<H: Handler>(&self, listener: TcpListener, handler: Arc<H>, tls: Option<Arc<Listening>>) {
        self.serve_as(listener, Arc::new(Http { handler, tls }));
    }

    /// Serves a listener that speaks another protocol in the background.
    pub fn serve_as<P: Protocol>(&self, listener: TcpListener, protocol: Arc<P>) {
        let accepting = Accepting { listener, open: self.open.clone(), patience: self.patience };
        tokio::spawn(accepting.run(protocol, self.stop.subscribe()));
    }

    /// Takes no more connections and requests, and waits until those under way are answered, at most `patience`.
    /// Whether all were.
    pub async fn shut_down(&self, patience: Duration) -> bool {
        self.stop.send_replace(true);
        let all = u32::try_from(self.max).unwrap_or(u32::MAX);
        tokio::time::timeout(patience, self.open.permits.acquire_many(all)).await.is_ok()
    }
}

/// HTTP, encrypted where `tls` says how.
struct Http<H> {
    handler: Arc<H>,
    tls: Option<Arc<Listening>>,
}

impl<H: Handler> Protocol for Http<H> {
    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: Place) {
        let Place { watch, mut stop, held } = place;
        // What serves a connection is large, and there may be very many connections that say nothing.
        let stream = match &self.tls {
            None if begins(&stream, &watch, &mut stop).await => Some(Stream::Plain(stream)),
            None => None,
            Some(tls) => Box::pin(handshake(stream, peer, tls, &watch)).await,
        };
        if let Some(stream) = stream {
            Box::pin(serve(stream, peer, self.handler.clone(), watch, held, stop)).await;
        }
    }
}

/// A port, and what is done with who comes there.
struct Accepting {
    listener: TcpListener,
    open: Open,
    patience: Patience,
}

impl Accepting {
    async fn run<P: Protocol>(self, protocol: Arc<P>, mut stop: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stopped(&mut stop) => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let permit = tokio::select! {
                permit = self.open.permit() => permit,
                () = stopped(&mut stop) => return,
            };
            let Ok(permit) = permit else { return };
            let (protocol, stop) = (protocol.clone(), stop.clone());
            let watch = Watch::new(self.patience);
            let held = Arc::new(Held { _entered: self.open.add(watch.clone()), _permit: permit });
            tokio::spawn(async move {
                // Rows go out when they are there.
                let _ = stream.set_nodelay(true);
                // Held to the end here, and beyond it by what the connection may have become.
                let kept = held.clone();
                protocol.serve(stream, peer, Place { watch, stop, held }).await;
                drop(kept);
            });
        }
    }
}

/// Waits for a connection's first byte. Whether it came; else the connection has to go.
async fn begins(stream: &TcpStream, watch: &Watch, stop: &mut watch::Receiver<bool>) -> bool {
    let idle_too_long = async {
        match watch.deadline() {
            Some((at, _)) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ready = stream.readable() => ready.is_ok(),
        () = watch.asked_for_room() => false,
        () = stopped(stop) => false,
        () = idle_too_long => false,
    }
}

async fn serve<H: Handler>(
    stream: Stream,
    peer: SocketAddr,
    handler: Arc<H>,
    watch: Arc<Watch>,
    held: Arc<Held>,
    mut stop: watch::Receiver<bool>,
) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // It would count idle time as well.
        .header_read_timeout(None::<Duration>)
        .max_buf_size(MAX_HEADER_BYTES)
        .half_close(false)
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .keep_alive_interval(HTTP2_KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(HTTP2_KEEP_ALIVE_TIMEOUT);
    let service = service_fn({
        let watch = watch.clone();
        move |mut request: Request<Incoming>| {
            let (handler, under_way) = (handler.clone(), watch.begin());
            if request.headers().contains_key(UPGRADE) {
                request.extensions_mut().insert(Kept { _held: held.clone(), _under_way: Arc::new(watch.begin()) });
            }
            async move { Ok::<_, Infallible>(handler.handle(request, peer).await.map(|body| Counted::new(body, under_way))) }
        }
    });
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(Watched::new(stream, watch.clone())), service));
    let mut stopping = pin!(stopped(&mut stop));
    let mut asked_for_room = pin!(watch.asked_for_room());
    let mut alarm = pin!(tokio::time::sleep(Duration::ZERO));
    let (mut closing, mut stops) = (false, false);
    let ended = poll_fn(|cx| {
        if !stops && stopping.as_mut().poll(cx).is_ready() {
            (stops, closing) = (true, true);
            connection.as_mut().graceful_shutdown();
        }
        if !closing && asked_for_room.as_mut().poll(cx).is_ready() {
            closing = true;
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(ended));
        }
        // What the connection waits for may have changed. The alarm is only set earlier, never later, so that a request
        // that is answered at once does not touch it.
        while let Some((at, overdue)) = watch.deadline().filter(|_| !closing) {
            if alarm.is_elapsed() || at < alarm.deadline() {
                alarm.as_mut().reset(at);
            }
            if alarm.as_mut().poll(cx).is_pending() {
                break;
            }
            match overdue {
                _ if at > Instant::now() => continue,
                Overdue::Head => return Poll::Ready(None),
                Overdue::Idle => {
                    closing = true;
                    connection.as_mut().graceful_shutdown();
                    if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                        return Poll::Ready(Some(ended));
                    }
                }
            }
        }
        Poll::Pending
    });
    match ended.await {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(%peer, %error, "a connection broke"),
        None => tracing::debug!(%peer, "a request's head did not come to its end in time"),
    }
}

/// Waits for the end, also where nobody is left to announce it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct Echo;

    impl Handler for Echo {
        async fn handle(self: Arc<Self>, request: Request<Incoming>, _: SocketAddr) -> Response<ReplyBody> {
            Response::new(ReplyBody::Whole(request.uri().path().to_owned().into()))
        }
    }

    const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n";

    async fn connected(patience: Patience) -> (Connections, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Connections::with(10, patience);
        connections.serve(listener, Arc::new(Echo), None);
        (connections, TcpStream::connect(address).await.expect("a connection"))
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut read = vec![0; 4096];
        let length = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut read)).await.expect("in time").expect("an answer");
        String::from_utf8_lossy(&read[..length]).into_owned()
    }

    #[tokio::test]
    async fn an_idle_connection_outlives_the_time_of_a_head() {
        let patience = Patience { head: Duration::from_millis(200), idle: Some(Duration::from_secs(60)) };
        let (_connections, mut stream) = connected(patience).await;
        for _ in 0..3 {
            tokio::time::sleep(2 * patience.head).await;
            stream.write_all(REQUEST).await.expect("sent");
            assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
        }
    }

    #[tokio::test]
    async fn a_head_that_does_not_end_is_answered_and_cut() {
        let patience = Patience { head: Duration::from_millis(300), idle: None };
        let (_connections, mut stream) = connected(patience).await;
        // Not only for the first request.
        stream.write_all(REQUEST).await.expect("sent");
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
        let began = Instant::now();
        stream.write_all(b"GET /x HT").await.expect("sent");
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 408"));
        assert!(began.elapsed() >= patience.head);
        assert_eq!(answer(&mut stream).await, "", "closed");
    }

    #[tokio::test]
    async fn idle_connections_make_room_for_others() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Connections::with(3, Patience { head: Duration::from_secs(60), idle: None });
        connections.serve(listener, Arc::new(Echo), None);
        let mut idle = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.write_all(REQUEST).await.expect("sent");
            assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
            idle.push(stream);
        }
        // The last one is not idle: it is in the midst of a head.
        idle[2].write_all(b"GET /y").await.expect("sent");
        for round in 0..5 {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.write_all(REQUEST).await.expect("sent");
            assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"), "round {round}");
        }
        assert_eq!(answer(&mut idle[0]).await, "", "closed");
        idle[2].write_all(b" HTTP/1.1\r\nhost: h\r\n\r\n").await.expect("sent");
        assert!(answer(&mut idle[2]).await.ends_with("/y"));
    }

    #[tokio::test]
    async fn an_idle_connection_ends_in_its_time() {
        let patience = Patience { head: Duration::from_secs(60), idle: Some(Duration::from_millis(300)) };
        for first in [&b""[..], REQUEST] {
            let (_connections, mut stream) = connected(patience).await;
            stream.write_all(first).await.expect("sent");
            if !first.is_empty() {
                assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
            }
            let began = Instant::now();
            assert_eq!(answer(&mut stream).await, "", "closed");
            assert!(began.elapsed() < Duration::from_secs(10));
        }
    }
}
