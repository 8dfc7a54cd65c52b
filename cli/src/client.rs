//! The shell's side of the REST API: statements, and queries whose rows arrive one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use indexmap::IndexMap;
use rustls::ClientConfig;
use serde_json::{Value as Json, json};

use crate::certificates;
use crate::connector::Connector;

/// The longest line of an answer, bytes.
const MAX_LINE_BYTES: usize = 64 << 20;
/// How long a connection is kept without a request. Servers and what stands before them close it at some time.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Properties or variables of a session, in the order they were set.
pub type Settings = IndexMap<String, String>;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("can't reach the server at {url}: {reason}\nIs it running? Start one with: tidemill server")]
    Unreachable { url: String, reason: String },
    /// It is there, but the connection would not be safe, or it does not want it.
    #[error("no connection to {url}: {reason}")]
    Untrusted { url: String, reason: String },
    /// The URL is none that this client can speak to.
    #[error("{0}")]
    Url(String),
    /// The server's own words.
    #[error("{0}")]
    Refused(String),
    #[error("the server's answer can't be read: {0}")]
    Garbled(String),
}

/// How users of a client say who they are and whom to trust, for messages.
#[derive(Debug, Clone, Copy)]
pub struct Means {
    /// Whose certificates are trusted.
    pub trust: &'static str,
    /// The certificate that says who asks.
    pub identity: &'static str,
    /// A name with a password, or a token.
    pub login: &'static str,
}

impl Means {
    pub const FLAGS: Means =
        Means { trust: "--cacert FILE", identity: "--cert FILE and --key FILE", login: "--user NAME, or --token TOKEN" };
}

/// A connection to one server, kept between requests.
#[derive(Clone)]
pub struct Client {
    url: String,
    http: HttpClient<Connector, Full<bytes::Bytes>>,
    /// Whom to trust; `None`: those that the system trusts.
    tls: Option<Arc<ClientConfig>>,
    /// Whether a request was answered, so that a connection may have been kept since.
    answered: Arc<AtomicBool>,
    /// The value of the header that says who asks.
    authorization: Option<String>,
    means: Means,
}

impl Client {
    /// `url` is `http://host:port` or `https://host:port`; without a scheme it is http. `tls` says whom to trust; without it those that
    /// the system trusts are.
    ///
    /// # Errors
    /// Another scheme, a password in it, or no address; the certificates that the system trusts can't be found.
    pub fn with_tls(url: &str, tls: Option<Arc<ClientConfig>>, means: Means) -> Result<Self, ClientError> {
        let url = url.trim_end_matches('/');
        let (url, is_secure) = match url.split_once("://") {
            None => (format!("http://{url}"), false),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => (url.to_owned(), false),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (format!("https://{rest}"), true),
            Some((scheme, _)) => return Err(ClientError::Url(format!("'{scheme}' is no scheme of a server: write http://host:port"))),
        };
        let authority = url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
        if authority.contains('@') {
            // Others can read it there, and not all that shows a URL would hide it.
            return Err(ClientError::Url(format!(
                "the server's address has a login before '@', which is not taken from there. Leave it out, and log in with {}",
                means.login
            )));
        }
        if url.parse::<hyper::Uri>().ok().is_none_or(|uri| uri.host().is_none_or(str::is_empty)) {
            return Err(ClientError::Url(format!("'{url}' is no server's address: write http://host:port")));
        }
        let used = match (&tls, is_secure) {
            (_, false) => None,
            (Some(tls), true) => Some(tls.clone()),
            (None, true) => Some(Arc::new(tidemill_server::client_tls(&BTreeMap::new()).map_err(ClientError::Url)?)),
        };
        let http = HttpClient::builder(TokioExecutor::new()).pool_idle_timeout(KEPT_FOR).build(Connector::new(used));
        Ok(Client { url, http, tls, answered: Arc::default(), authorization: None, means })
    }

    /// Sends a token with each request.
    pub fn with_token(mut self, token: &str) -> Self {
        self.authorization = Some(format!("Bearer {token}"));
        self
    }

    /// Sends a name and a password with each request (HTTP Basic).
    pub fn with_credentials(mut self, user: &str, password: &str) -> Self {
        self.authorization = Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))));
        self
    }

    /// The same credentials, if any, at another server.
    ///
    /// # Errors
    /// As for [`Client::with_tls`].
    pub fn at(&self, url: &str) -> Result<Self, ClientError> {
        Ok(Client { authorization: self.authorization.clone(), ..Client::with_tls(url, self.tls.clone(), self.means)? })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// `GET /info`.
    pub async fn info(&self) -> Result<Json, ClientError> {
        let response = self.send(Method::GET, "/info", None).await?;
        parse(&self.body(response).await?)
    }

    /// `POST /ksql`: one entity for each statement.
    pub async fn statements(&self, sql: &str, properties: &Settings, variables: &Settings) -> Result<Vec<Json>, ClientError> {
        let request = json!({"ksql": sql, "streamsProperties": properties, "sessionVariables": variables});
        let response = self.send(Method::POST, "/ksql", Some(request)).await?;
        match parse(&self.body(response).await?)? {
            Json::Array(entities) => Ok(entities),
            other => Err(ClientError::Garbled(other.to_string())),
        }
    }

    /// `GET /running-queries`.
    pub async fn running_queries(&self) -> Result<Json, ClientError> {
        let response = self.send(Method::GET, "/running-queries", None).await?;
        parse(&self.body(response).await?)
    }

    /// `GET /is_valid_property`: refused where a session can't set it.
    pub async fn check_property(&self, name: &str) -> Result<(), ClientError> {
        // A name with anything else is none, and must not become another path.
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !plain {
            return Err(ClientError::Refused(format!("'{name}' is not the name of a property")));
        }
        self.send(Method::GET, &format!("/is_valid_property/{name}"), None).await.map(|_| ())
    }

    /// `POST /query-stream`: the header, then rows. For pull queries.
    pub async fn query(&self, sql: &str, properties: &Settings, variables: &Settings) -> Result<Lines, ClientError> {
        let request = json!({"sql": sql, "properties": properties, "sessionVariables": variables});
        Ok(Lines::new(self.send(Method::POST, "/query-stream", Some(request)).await?))
    }

    /// `POST /query`: lines of text for PRINT; for a push query objects of one array, which tell deletions from rows and
    /// say why the query ended.
    pub async fn stream(&self, sql: &str, properties: &Settings, variables: &Settings) -> Result<Lines, ClientError> {
        let request = json!({"ksql": sql, "streamsProperties": properties, "sessionVariables": variables});
        Ok(Lines::new(self.send(Method::POST, "/query", Some(request)).await?))
    }

    /// `POST /close-query`.
    pub async fn close(&self, query_id: &str) -> Result<(), ClientError> {
        self.send(Method::POST, "/close-query", Some(json!({"queryId": query_id}))).await.map(|_| ())
    }

    async fn send(&self, method: Method, path: &str, body: Option<Json>) -> Result<Response<Incoming>, ClientError> {
        let body = bytes::Bytes::from(body.map(|b| b.to_string()).unwrap_or_default());
        let unreachable = |reason: String| ClientError::Unreachable { url: self.url.clone(), reason };
        let request = || {
            let request =
                Request::builder().method(method.clone()).uri(format!("{}{path}", self.url)).header("content-type", "application/json");
            let request = match &self.authorization {
                Some(credentials) => request.header("authorization", credentials),
                None => request,
            };
            request.body(Full::from(body.clone())).map_err(|e| unreachable(e.to_string()))
        };
        let mut sent = self.http.request(request()?).await;
        if let Err(error) = &sent
            && self.answered.load(Ordering::Acquire)
            && was_closed(error)
        {
            // The server, or something between, closed the kept connection: nothing was asked on it yet.
            sent = self.http.request(request()?).await;
        }
        let response = sent.map_err(|error| match certificates::explained(&error, self.means) {
            Some(reason) => ClientError::Untrusted { url: self.url.clone(), reason },
            None if speaks_otherwise(&error) && self.url.starts_with("http://") => {
                let reason = "what listens there does not speak plain HTTP; is it https:// instead of http://?".to_owned();
                ClientError::Untrusted { url: self.url.clone(), reason }
            }
            None => unreachable(innermost(&error)),
        })?;
        self.answered.store(true, Ordering::Release);
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let status = response.status();
        let body = self.body(response).await?;
        let message = serde_json::from_slice::<Json>(&body)
            .ok()
            .and_then(|json| json.get("message").and_then(Json::as_str).map(str::to_owned))
            .unwrap_or_else(|| format!("{status}: {}", String::from_utf8_lossy(&body)));
        let message = match (status, &self.authorization) {
            (StatusCode::UNAUTHORIZED, None) => {
                format!("{message}: the server wants to know who asks. Log in with {}", self.means.login)
            }
            (StatusCode::UNAUTHORIZED, Some(_)) => format!("{message}: the server does not take this name and password, or this token"),
            _ => message,
        };
        Err(ClientError::Refused(message))
    }

    async fn body(&self, response: Response<Incoming>) -> Result<bytes::Bytes, ClientError> {
        let collected = response.into_body().collect().await;
        collected.map(|c| c.to_bytes()).map_err(|e| ClientError::Unreachable { url: self.url.clone(), reason: e.to_string() })
    }
}

fn parse(body: &[u8]) -> Result<Json, ClientError> {
    serde_json::from_slice(body).map_err(|e| ClientError::Garbled(e.to_string()))
}

/// Whether a connection turned out to be closed before anything was answered.
fn was_closed(error: &hyper_util::client::legacy::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    if error.is_connect() {
        return false;
    }
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let closed = error.downcast_ref::<hyper::Error>().is_some_and(|e| e.is_incomplete_message() || e.is_canceled() || e.is_closed());
        let reset = error.downcast_ref::<std::io::Error>();
        if closed || reset.is_some_and(|e| matches!(e.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether what came was no answer of HTTP: the alert of a server that expects TLS, for one.
fn speaks_otherwise(error: &hyper_util::client::legacy::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The lines of an answer, as they arrive.
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
    ended: bool,
}

impl Lines {
    fn new(response: Response<Incoming>) -> Self {
        Lines { body: response.into_body(), buffer: BytesMut::new(), ended: false }
    }

    /// The next line without its end; `None` once the answer is complete.
    pub async fn next(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            if self.ended {
                let rest = self.buffer.split();
                return Ok((!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned()));
            }
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(ClientError::Garbled(format!("a line of more than {MAX_LINE_BYTES} bytes")));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => return Err(ClientError::Garbled(format!("the connection broke: {}", innermost(&error)))),
                None => self.ended = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    async fn read_request(stream: &mut TcpStream) -> usize {
        let mut buffer = [0; 4096];
        stream.read(&mut buffer).await.expect("a request")
    }

    async fn answer(stream: &mut TcpStream) {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]").await.expect("sent");
    }

    #[test]
    fn a_login_in_the_address_is_refused_and_not_said() {
        for url in ["http://me:hush@h:1", "me:hush@h:1", "https://me@h", "HTTPS://a:hush%40@h:1/x"] {
            let error = Client::with_tls(url, None, Means::FLAGS).err().expect(url).to_string();
            assert!(error.contains("--user NAME") && !error.contains("hush"), "{error}");
        }
        assert!(Client::with_tls("http://h:1/a@b", None, Means::FLAGS).is_ok());
    }

    #[tokio::test]
    async fn a_server_that_expects_tls_is_told_from_one_that_is_away() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = Client::with_tls(&listener.local_addr().expect("an address").to_string(), None, Means::FLAGS).expect("an address");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            read_request(&mut stream).await;
            // The alert `decode_error` of TLS 1.2.
            stream.write_all(&[0x15, 3, 3, 0, 2, 2, 50]).await.expect("sent");
        });
        let error = client.info().await.expect_err("no HTTP").to_string();
        server.await.expect("no panic");
        assert!(error.contains("is it https:// instead of http://?") && !error.contains("Is it running?"), "{error}");
    }

    #[tokio::test]
    async fn a_kept_connection_that_was_closed_is_replaced() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = Client::with_tls(&listener.local_addr().expect("an address").to_string(), None, Means::FLAGS).expect("an address");
        let server = tokio::spawn(async move {
            let (mut first, _) = listener.accept().await.expect("a connection");
            read_request(&mut first).await;
            answer(&mut first).await;
            // Closed when the second request comes, so that the client learns of it only then.
            read_request(&mut first).await;
            drop(first);
            let (mut second, _) = listener.accept().await.expect("another connection");
            read_request(&mut second).await;
            answer(&mut second).await;
            // A third request's connection breaks in the midst of an answer: that is not tried again.
            read_request(&mut second).await;
            second.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n[").await.expect("sent");
            drop(second);
            listener
        });
        let none = Settings::new();
        for _ in 0..2 {
            assert!(client.statements("SHOW STREAMS;", &none, &none).await.expect("an answer").is_empty());
        }
        assert!(client.statements("SHOW STREAMS;", &none, &none).await.is_err());
        drop(server.await.expect("no panic"));
        let gone = client.statements("SHOW STREAMS;", &none, &none).await.expect_err("nobody listens").to_string();
        assert!(gone.contains("Is it running?"), "{gone}");
    }
}
