//! Connections: HTTP/1.1 and cleartext HTTP/2 (prior knowledge) on one port, each with its limits, and their orderly end.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::ReplyBody;

/// How long a client may take to send a request's head.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);
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
    fn handle(self: Arc<Self>, request: Request<Incoming>) -> impl Future<Output = Response<ReplyBody>> + Send;
}

/// Accepts connections until it is told to end.
pub struct Connections {
    /// Says that the end has come.
    stop: watch::Sender<bool>,
    /// Every connection holds one until it is over.
    permits: Arc<Semaphore>,
    max: usize,
}

impl Connections {
    /// At most `max` connections are served at a time; more wait in the system's queue.
    pub fn new(max: usize) -> Self {
        Connections { stop: watch::Sender::new(false), permits: Arc::new(Semaphore::new(max)), max }
    }

    /// Serves a listener in the background.
    pub fn serve<H: Handler>(&self, listener: TcpListener, handler: Arc<H>) {
        tokio::spawn(accept(listener, handler, self.permits.clone(), self.stop.subscribe()));
    }

    /// Takes no more connections and requests, and waits until those under way are answered, at most `patience`.
    /// Whether all were.
    pub async fn shut_down(&self, patience: Duration) -> bool {
        self.stop.send_replace(true);
        let all = u32::try_from(self.max).unwrap_or(u32::MAX);
        tokio::time::timeout(patience, self.permits.acquire_many(all)).await.is_ok()
    }
}

async fn accept<H: Handler>(listener: TcpListener, handler: Arc<H>, permits: Arc<Semaphore>, mut stop: watch::Receiver<bool>) {
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
            Ok((stream, _)) => {
                let (handler, stop) = (handler.clone(), stop.clone());
                tokio::spawn(async move {
                    serve(stream, handler, stop).await;
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

async fn serve<H: Handler>(stream: TcpStream, handler: Arc<H>, mut stop: watch::Receiver<bool>) {
    // Rows go out when they are there.
    let _ = stream.set_nodelay(true);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .half_close(false)
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .keep_alive_interval(HTTP2_KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(HTTP2_KEEP_ALIVE_TIMEOUT);
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(handler.handle(request).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stopped(&mut stop) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection broke");
    }
}

/// Waits for the end, also where nobody is left to announce it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}
