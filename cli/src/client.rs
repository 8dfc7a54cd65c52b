//! The shell's side of the REST API: statements, and queries whose rows arrive one by one.

use bytes::{Buf, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use indexmap::IndexMap;
use serde_json::{Value as Json, json};

/// The longest line of an answer, bytes.
const MAX_LINE_BYTES: usize = 64 << 20;

/// Properties or variables of a session, in the order they were set.
pub type Settings = IndexMap<String, String>;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("can't reach the server at {url}: {reason}\nIs it running? Start one with: tidemill server")]
    Unreachable { url: String, reason: String },
    /// The server's own words.
    #[error("{0}")]
    Refused(String),
    #[error("the server's answer can't be read: {0}")]
    Garbled(String),
}

/// A connection to one server.
#[derive(Clone)]
pub struct Client {
    url: String,
    http: HttpClient<HttpConnector, Full<bytes::Bytes>>,
}

impl Client {
    /// `url` is `http://host:port`; the scheme may be left out.
    pub fn new(url: &str) -> Self {
        let url = url.trim_end_matches('/');
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        Client { url, http: HttpClient::builder(TokioExecutor::new()).build_http() }
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

    /// `POST /query-stream`: the header, then rows.
    pub async fn query(&self, sql: &str, properties: &Settings, variables: &Settings) -> Result<Lines, ClientError> {
        let request = json!({"sql": sql, "properties": properties, "sessionVariables": variables});
        Ok(Lines::new(self.send(Method::POST, "/query-stream", Some(request)).await?))
    }

    /// `POST /query` for PRINT: lines of text.
    pub async fn print(&self, sql: &str, properties: &Settings, variables: &Settings) -> Result<Lines, ClientError> {
        let request = json!({"ksql": sql, "streamsProperties": properties, "sessionVariables": variables});
        Ok(Lines::new(self.send(Method::POST, "/query", Some(request)).await?))
    }

    /// `POST /close-query`.
    pub async fn close(&self, query_id: &str) -> Result<(), ClientError> {
        self.send(Method::POST, "/close-query", Some(json!({"queryId": query_id}))).await.map(|_| ())
    }

    async fn send(&self, method: Method, path: &str, body: Option<Json>) -> Result<Response<Incoming>, ClientError> {
        let body = body.map(|b| b.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .body(Full::from(body))
            .map_err(|e| ClientError::Unreachable { url: self.url.clone(), reason: e.to_string() })?;
        let response =
            self.http.request(request).await.map_err(|e| ClientError::Unreachable { url: self.url.clone(), reason: innermost(&e) })?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let status = response.status();
        let body = self.body(response).await?;
        let message = serde_json::from_slice::<Json>(&body)
            .ok()
            .and_then(|json| json.get("message").and_then(Json::as_str).map(str::to_owned))
            .unwrap_or_else(|| format!("{status}: {}", String::from_utf8_lossy(&body)));
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
