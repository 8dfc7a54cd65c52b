//! A client that speaks cleartext HTTP/2 by prior knowledge and sees each DATA frame by itself.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value as Json;
use tokio::runtime::Runtime;

/// How long an answer's head may take.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
pub struct Http2 {
    runtime: std::sync::Arc<Runtime>,
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

/// An answer whose body is read as it comes.
pub struct Answer {
    pub status: u16,
    runtime: std::sync::Arc<Runtime>,
    body: Incoming,
}

impl Http2 {
    pub fn connect(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let sender = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
            let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
            tokio::spawn(connection);
            sender
        });
        Http2 { runtime: std::sync::Arc::new(runtime), address, sender }
    }

    pub fn post(&mut self, path: &str, body: &Json) -> Answer {
        self.post_text(path, &body.to_string())
    }

    /// As [`Http2::post`]; `None` where the server went away.
    pub fn try_post(&mut self, path: &str, body: &Json) -> Option<Answer> {
        self.sent(path, &body.to_string()).ok()
    }

    pub fn post_text(&mut self, path: &str, body: &str) -> Answer {
        self.sent(path, body).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    fn sent(&mut self, path: &str, body: &str) -> hyper::Result<Answer> {
        let request = hyper::Request::post(format!("http://{}{path}", self.address))
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .expect("a request");
        let sent = self.sender.send_request(request);
        let response = self.runtime.block_on(async { tokio::time::timeout(HEAD_PATIENCE, sent).await });
        let response = response.expect("an answer in time")?;
        Ok(Answer { status: response.status().as_u16(), runtime: self.runtime.clone(), body: response.into_body() })
    }
}

impl Answer {
    /// The next DATA frame; `None` at the end.
    pub fn frame(&mut self, patience: Duration) -> Option<String> {
        loop {
            let frame = self.runtime.block_on(async { tokio::time::timeout(patience, self.body.frame()).await });
            let frame = frame.expect("a frame in time")?.expect("a whole answer");
            let Ok(data) = frame.into_data() else { continue };
            if !data.is_empty() {
                return Some(String::from_utf8_lossy(&data).into_owned());
            }
        }
    }

    /// The whole body; `None` where the server went away.
    pub fn try_text(&mut self) -> Option<String> {
        let whole = self.runtime.block_on((&mut self.body).collect()).ok()?;
        Some(String::from_utf8_lossy(&whole.to_bytes()).into_owned())
    }

    /// What is left of the body.
    pub fn text(&mut self, patience: Duration) -> String {
        std::iter::from_fn(|| self.frame(patience)).collect()
    }

    /// The lines that are left.
    pub fn lines(&mut self, patience: Duration) -> Vec<String> {
        self.text(patience).lines().map(str::to_owned).collect()
    }
}
