//! Connections: HTTP/1.1 and cleartext HTTP/2 (prior knowledge) on one port, each with its limits, and their orderly end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::ReplyBody;
use super::body::Counted;
use super::watched::{Overdue, Patience, Watch, Watched};

/// How long a client may take to send a request's head, from its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head at most.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// Requests at a time on one HTTP/2 connection.
const MAX_CONCURRENT_STREAMS: u32 = 1_000;
/// An HTTP/2 client that answers no ping for this long is gone.
const HTTP2_KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
const HTTP2_KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// Pause after a failed accept (no file descriptors left), lest the loop spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// `peer` is who asks.
    fn handle(self: Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> impl Future<Output = Response<ReplyBody>> + Send;
}

/// Accepts connections until it is told to end.
pub struct Connections {
    /// Says that the end has come.
    stop: watch::Sender<bool>,
    /// Every connection holds one until it is over.
    permits: Arc<Semaphore>,
    max: usize,
    patience: Patience,
}

impl Connections {
    /// At most `max` connections are served at a time; more wait in the system's queue. One without a request for `idle`
    /// is closed; `None`: it stays.
    pub fn new(max: usize, idle: Option<Duration>) -> Self {
        Self::with(max, Patience { head: HEAD_TIMEOUT, idle })
    }

    fn with(max: usize, patience: Patience) -> Self {
        Connections { stop: watch::Sender::new(false), permits: Arc::new(Semaphore::new(max)), max, patience }
    }

    /// Serves a listener in the background.
    pub fn serve<H: Handler>(&self, listener: TcpListener, handler: Arc<H>) {
        tokio::spawn(accept(listener, handler, self.permits.clone(), self.patience, self.stop.subscribe()));
    }

    /// Takes no more connections and requests, and waits until those under way are answered, at most `patience`.
    /// Whether all were.
    pub async fn shut_down(&self, patience: Duration) -> bool {
        self.stop.send_replace(true);
        let all = u32::try_from(self.max).unwrap_or(u32::MAX);
        tokio::time::timeout(patience, self.permits.acquire_many(all)).await.is_ok()
    }
}

async fn accept<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    permits: Arc<Semaphore>,
    patience: Patience,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let permit = tokio::select! {
            permit = permits.clone().acquire_owned() => permit,
            () = stopped(&mut stop) => return,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => return,
        };
        let Ok(permit) = permit else { return };
        match accepted {
            Ok((stream, peer)) => {
                let (handler, stop) = (handler.clone(), stop.clone());
                tokio::spawn(async move {
                    serve(stream, peer, handler, patience, stop).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve<H: Handler>(stream: TcpStream, peer: SocketAddr, handler: Arc<H>, patience: Patience, mut stop: watch::Receiver<bool>) {
    // Rows go out when they are there.
    let _ = stream.set_nodelay(true);
    let watch = Watch::new(patience);
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
        move |request| {
            let (handler, under_way) = (handler.clone(), watch.begin());
            async move { Ok::<_, Infallible>(handler.handle(request, peer).await.map(|body| Counted::new(body, under_way))) }
        }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(Watched::new(stream, watch.clone())), service));
    let mut stopping = pin!(stopped(&mut stop));
    let mut alarm = pin!(tokio::time::sleep(Duration::ZERO));
    let (mut closing, mut stops) = (false, false);
    let ended = poll_fn(|cx| {
        if !stops && stopping.as_mut().poll(cx).is_ready() {
            (stops, closing) = (true, true);
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
        None => tracing::debug!(%peer, "a request's head did not come to its end within {:?}", patience.head),
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
        connections.serve(listener, Arc::new(Echo));
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
