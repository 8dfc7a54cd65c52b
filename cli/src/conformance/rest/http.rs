//! Requests to the server of a case, and what is answered.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use crate::connector::Connector;

/// Rows as JSON, or as messages of Protocol Buffers.
pub(super) const ROWS: &str = "application/vnd.ksql.v1+json";
pub(super) const MESSAGES: &str = "application/vnd.ksql.v1+protobuf";

/// Asks one server.
#[derive(Clone)]
pub(super) struct Http {
    url: String,
    client: HttpClient<Connector, Full<Bytes>>,
    properties: IndexMap<String, String>,
}

/// A refusal, in the server's words.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub status: u16,
    pub body: Json,
}

/// Why there is no answer to judge.
#[derive(Debug)]
pub(super) enum Failure {
    Refused(Refusal),
    /// Nothing that an error of a case could mean.
    Broken(String),
}

impl Http {
    pub(super) fn new(url: String, properties: IndexMap<String, String>) -> Self {
        Http { url, client: HttpClient::builder(TokioExecutor::new()).build(Connector::new(None)), properties }
    }

    /// One entity for each statement that has an answer.
    pub(super) async fn statements(&self, sql: &str) -> Result<Vec<Json>, Failure> {
        let response = self.post("/ksql", sql, ROWS).await?;
        let body = whole(response).await?;
        serde_json::from_slice(&body).map_err(|e| Failure::Broken(format!("/ksql answered no list: {e}")))
    }

    /// A query whose answer has begun.
    pub(super) async fn query(&self, sql: &str, form: &str) -> Result<Entries, Failure> {
        let response = self.post("/query", sql, form).await?;
        Ok(Entries { body: response.into_body(), text: Vec::new() })
    }

    async fn post(&self, path: &str, sql: &str, form: &str) -> Result<Response<Incoming>, Failure> {
        let broken = |reason: String| Failure::Broken(format!("{path}: {reason}"));
        let body = json!({ "ksql": sql, "streamsProperties": self.properties }).to_string();
        let request = Request::post(format!("{}{path}", self.url)).header("content-type", "application/json").header("accept", form);
        let request = request.body(Full::from(Bytes::from(body))).map_err(|e| broken(e.to_string()))?;
        let response = self.client.request(request).await.map_err(|e| broken(e.to_string()))?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let body = whole(response).await?;
        let text = String::from_utf8_lossy(&body);
        let body = serde_json::from_str(&text).map_err(|e| broken(format!("{status} with what is no JSON ({e}): {text}")))?;
        Err(Failure::Refused(Refusal { status: status.as_u16(), body }))
    }
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, Failure> {
    let collected = response.into_body().collect().await;
    collected.map(|c| c.to_bytes()).map_err(|e| Failure::Broken(format!("the answer breaks off: {e}")))
}

/// The answer to a query, under way: the objects of one array.
pub(super) struct Entries {
    body: Incoming,
    text: Vec<u8>,
}

impl Entries {
    /// Waits for the header.
    pub(super) async fn begun(&mut self, patience: Duration) -> Result<(), Failure> {
        while self.parsed().is_empty() {
            if !self.more(patience).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What comes until the answer ends; or until there are as many as expected and nothing more comes for a moment, or nothing at
    /// all does for `patience`: a push query may go on for ever.
    pub(super) async fn all(mut self, expected: usize, patience: Duration) -> Result<Vec<Json>, Failure> {
        const MOMENT: Duration = Duration::from_millis(300);
        loop {
            let found = self.parsed();
            let wait = if found.len() >= expected { MOMENT.min(patience) } else { patience };
            if !self.more(wait).await? {
                return Ok(self.parsed());
            }
        }
    }

    /// False: there is no more.
    async fn more(&mut self, patience: Duration) -> Result<bool, Failure> {
        match tokio::time::timeout(patience, self.body.frame()).await {
            Err(_) | Ok(None) => Ok(false),
            Ok(Some(Err(error))) => Err(Failure::Broken(format!("the answer breaks off: {error}"))),
            Ok(Some(Ok(frame))) => {
                self.text.extend(frame.data_ref().into_iter().flatten());
                Ok(true)
            }
        }
    }

    /// The objects that have come so far; one stands on each line.
    fn parsed(&self) -> Vec<Json> {
        let text = String::from_utf8_lossy(&self.text);
        let entry = |line: &str| {
            let line = line.trim().trim_start_matches('[');
            [line, line.trim_end_matches([',', ']'])].into_iter().find_map(|line| serde_json::from_str::<Json>(line).ok())
        };
        text.lines().filter_map(entry).filter(Json::is_object).collect()
    }
}
