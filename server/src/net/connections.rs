//! Connections of one server: how many there may be, who has to go for others, and their orderly end.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::{Request, Response};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::http::Http;
use super::owed::Owed;
use super::watched::{Patience, UNSENT_TIMEOUT, UnderWay, Watch};
use super::{ReplyBody, RequestBody};
use crate::tls::Listening;

/// How long a client may take to send a request's head, from its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait for room before the next idle connection is asked for it.
const ROOM_PAUSE: Duration = Duration::from_millis(20);
/// How many are open for each that is asked to make room at a time.
const PART: usize = 100;
/// Memory that idle connections may take all together, those of plain HTTP/1.1 left out, which take 2 kB each: kB.
const MAX_WEIGHT_KB: usize = 16 << 10;
/// Pause after a failed accept (no file descriptors left), lest the loop spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes of a connection that the system keeps for it before they can be sent, about.
const MAX_UNSENT_BYTES: u32 = 128 << 10;
/// How often it is looked for answers that nobody takes, and how long not after that.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// Where far too much waits to be sent, those connections are closed that hold the most; none that holds less than so many bytes.
const CROWDED_BYTES: usize = 256 << 10;

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// `peer` is who asks.
    fn handle(self: Arc<Self>, request: Request<RequestBody>, peer: SocketAddr) -> impl Future<Output = Response<ReplyBody>> + Send;
}

/// Serves connections in another protocol than HTTP.
pub trait Protocol: Send + Sync + 'static {
    /// Until the connection is over.
    fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: Place) -> impl Future<Output = ()> + Send;
}

/// A connection's place among those that are open.
pub struct Place {
    pub(super) watch: Arc<Watch>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) held: Arc<Held>,
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
    /// How many are being served.
    warm: Arc<AtomicUsize>,
    /// What their clients have not taken.
    owed: Arc<Owed>,
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
    /// The memory that they take even while they are idle, kB.
    weight_kb: usize,
}

impl Slab {
    /// Asks those that would be missed least to make room, one or a small part of all that are open: looking at each of them for each
    /// that goes would take longer than they come.
    fn ask_for_room(&mut self, may: impl Fn(&Watch) -> bool) {
        let now = Instant::now();
        let spare = self.watches.values().filter(|watch| may(watch)).filter_map(|watch| Some((watch.spare(now)?, watch)));
        let mut spare: Vec<_> = spare.collect();
        let part = self.watches.len() / PART + 1;
        if part < spare.len() {
            spare.select_nth_unstable_by_key(part, |(spare, _)| *spare);
            spare.truncate(part);
        }
        for (_, watch) in spare {
            // What it takes is as good as given back.
            self.weight_kb = self.weight_kb.saturating_sub(watch.make_room());
        }
    }
}

impl Open {
    /// Leave for one more connection. Where there are as many as may be, the one that is idle for the longest has to go; where none is,
    /// one whose request does not come to its end.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        loop {
            self.watches.lock().ask_for_room(|_| true);
            // Where none is idle, one may be soon.
            if let Ok(permit) = tokio::time::timeout(ROOM_PAUSE, self.permits.clone().acquire_owned()).await {
                return permit;
            }
        }
    }

    /// Ends answers, and connections, that wait for clients that take nothing.
    async fn end_what_nobody_takes(self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                () = self.owed.is_crowded() => {}
                () = stopped(&mut stop) => return,
            }
            self.look();
            // Not again for each answer that comes while there are too many.
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    fn look(&self) {
        let mut candidates = Vec::new();
        // They are let go of, if that, while nobody else waits for the slab.
        let watches: Vec<Arc<Watch>> = self.watches.lock().watches.values().cloned().collect();
        watches.iter().for_each(|watch| watch.debts.candidates(&mut candidates));
        let now = Instant::now();
        let cut = self.owed.cut(candidates, now);
        if cut > 0 {
            tracing::warn!(answers = cut, "answers were ended: their clients took nothing of them");
        }
        let patience = self.owed.patience() + UNSENT_TIMEOUT;
        let is_gone = |watch: &&Arc<Watch>| watch.debts.is_stuck_for(now, patience) || watch.is_blocked_for(now, patience);
        let mut closed = watches.iter().filter(is_gone).filter(|watch| watch.give_up()).count();
        // What is on its way already goes with its connection.
        let mut too_much = self.owed.too_much();
        if too_much > 0 {
            let mut holding: Vec<_> = watches.iter().map(|watch| (watch.debts.bytes(), watch)).collect();
            holding.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
            for (bytes, watch) in holding {
                if too_much == 0 || bytes < CROWDED_BYTES {
                    break;
                }
                too_much = too_much.saturating_sub(bytes);
                closed += usize::from(watch.give_up());
            }
        }
        if closed > 0 {
            tracing::warn!(connections = closed, "connections were closed: their clients took nothing of what was sent");
        }
    }

    fn add(&self, watch: Arc<Watch>) -> Entered {
        let mut slab = self.watches.lock();
        let number = slab.next;
        slab.next = slab.next.wrapping_add(1);
        slab.watches.insert(number, watch.clone());
        Entered { open: self.clone(), number, watch }
    }
}

/// What an upgraded connection holds for as long as it is in use: its place among those that are open, and that something goes on
/// in it. It goes with requests that ask for an upgrade.
#[derive(Clone)]
pub struct Kept {
    _held: Arc<Held>,
    _under_way: Arc<UnderWay>,
}

impl Kept {
    pub(super) fn new(held: Arc<Held>, under_way: UnderWay) -> Self {
        Kept { _held: held, _under_way: Arc::new(under_way) }
    }
}

/// One of the connections that may be open.
pub(super) struct Held {
    entered: Entered,
    _permit: OwnedSemaphorePermit,
}

/// A connection that is being served: counted until it is dropped.
pub(super) struct Warm(Arc<AtomicUsize>);

impl Drop for Warm {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Held {
    /// From now on, until what is returned is dropped, the connection holds what it takes to serve HTTP/1.1.
    pub fn is_warm(&self) -> Warm {
        let warm = self.entered.open.warm.clone();
        warm.fetch_add(1, Ordering::Relaxed);
        Warm(warm)
    }

    /// How many do.
    pub fn warm(&self) -> usize {
        self.entered.open.warm.load(Ordering::Relaxed)
    }

    /// The connection takes so much memory, also while it is idle. Where all together take much, the one that is idle for the longest
    /// is closed for it; nobody waits.
    pub fn gains(&self, kb: usize) {
        let Entered { open, watch, .. } = &self.entered;
        // In this order, as everywhere: first the slab, then a watch in it.
        let mut slab = open.watches.lock();
        watch.gains(kb);
        slab.weight_kb += kb;
        if slab.weight_kb > MAX_WEIGHT_KB {
            slab.ask_for_room(|other| other.weighs() && !std::ptr::eq(other, &**watch));
        }
    }
}

/// A connection's place among those that are open.
struct Entered {
    open: Open,
    number: u64,
    watch: Arc<Watch>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut slab = self.open.watches.lock();
        slab.watches.remove(&self.number);
        slab.weight_kb = slab.weight_kb.saturating_sub(self.watch.make_room());
    }
}

impl Connections {
    /// At most `max` connections are served at a time; more wait in the system's queue, and have idle ones closed. One without a request for `idle`
    /// is closed; `None`: it stays. An answer of which nothing is taken for `stall` is ended. To be called within a runtime.
    pub fn new(max: usize, idle: Option<Duration>, stall: Duration) -> Self {
        Self::with(max, Patience { head: HEAD_TIMEOUT, idle }, stall)
    }

    fn with(max: usize, patience: Patience, stall: Duration) -> Self {
        let (watches, owed) = (Arc::default(), Owed::new(stall));
        let open = Open { permits: Arc::new(Semaphore::new(max)), watches, warm: Arc::default(), owed };
        let stop = watch::Sender::new(false);
        tokio::spawn(open.clone().end_what_nobody_takes(stop.subscribe()));
        Connections { stop, open, max, patience }
    }

    /// Counts them, for as long as anybody wants to know.
    pub fn open(&self) -> OpenConnections {
        OpenConnections { permits: self.open.permits.clone(), max: self.max }
    }

    /// Serves a listener in the background, encrypted where `tls` says how.
    pub fn serve<H: Handler>(&self, listener: TcpListener, handler: Arc<H>, tls: Option<Arc<Listening>>) {
        self.serve_as(listener, Arc::new(Http::new(handler, tls)));
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
            let watch = Watch::new(self.patience, self.open.owed.clone());
            let held = Arc::new(Held { entered: self.open.add(watch.clone()), _permit: permit });
            tokio::spawn(async move {
                // Rows go out when they are there.
                let _ = stream.set_nodelay(true);
                // What can't be sent yet waits where it is counted, not in the system's memory.
                let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(MAX_UNSENT_BYTES);
                // Held to the end here, and beyond it by what the connection may have become.
                let kept = held.clone();
                protocol.serve(stream, peer, Place { watch, stop, held }).await;
                drop(kept);
            });
        }
    }
}

/// Waits for the end, also where nobody is left to announce it.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::frames::PREFACE;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct Echo;

    impl Handler for Echo {
        async fn handle(self: Arc<Self>, request: Request<RequestBody>, _: SocketAddr) -> Response<ReplyBody> {
            let path = request.uri().path().to_owned();
            let _ = request.into_body().collect().await;
            Response::new(ReplyBody::Whole(path.into()))
        }
    }

    const STALL: Duration = Duration::from_secs(300);
    const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n";

    async fn connected(patience: Patience) -> (Connections, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = Connections::with(10, patience, STALL);
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
        let connections = Connections::with(3, Patience { head: Duration::from_secs(60), idle: None }, STALL);
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
    async fn what_never_comes_to_its_end_makes_room_for_others() {
        let http2 = [PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
        for (what, begins) in [
            ("HTTP/2, and nobody hears that it ends", http2.as_slice()),
            ("a head", b"GET /x HT"),
            ("a body", b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n{"),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let connections = Connections::with(3, Patience { head: Duration::from_secs(600), idle: None }, STALL);
            connections.serve(listener, Arc::new(Echo), None);
            let mut open = Vec::new();
            for _ in 0..3 {
                let mut stream = TcpStream::connect(address).await.expect("a connection");
                stream.write_all(begins).await.expect("sent");
                open.push(stream);
            }
            for round in 0..3 {
                let mut stream = TcpStream::connect(address).await.expect("a connection");
                stream.write_all(REQUEST).await.expect("sent");
                assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"), "{what}, round {round}");
                open.push(stream);
            }
        }
    }

    #[tokio::test]
    async fn a_connection_that_rests_goes_on() {
        let patience = Patience { head: Duration::from_secs(60), idle: None };
        let (_connections, mut stream) = connected(patience).await;
        for pause in [0, 50, 300, 300] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            stream.write_all(REQUEST).await.expect("sent");
            assert!(answer(&mut stream).await.ends_with("/x"), "after {pause} ms");
        }
        // Two at once, the second of which comes to its end after the connection would have rested.
        stream.write_all(&[REQUEST, b"POST /late HTTP/1.1\r\nhost: h\r\ncontent-"].concat()).await.expect("sent");
        assert!(answer(&mut stream).await.ends_with("/x"));
        tokio::time::sleep(Duration::from_millis(400)).await;
        stream.write_all(b"length: 3\r\n\r\na").await.expect("sent");
        tokio::time::sleep(Duration::from_millis(400)).await;
        stream.write_all(b"bc").await.expect("sent");
        assert!(answer(&mut stream).await.ends_with("/late"));
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
