//! Requests to Connect: what is sent, how long it may take, what is tried again, what is made of the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

use super::answers::{ActiveTopics, ConnectorInfo, ConnectorState, PluginInfo, Refusal, Validation};
use super::{ConnectConfig, Settings};

/// Statements that wait for Connect at a time; they are a share of the threads for statements.
const MAX_STATEMENTS: usize = 8;
/// Requests of one statement at a time.
const MAX_REQUESTS: usize = 8;
/// Bytes of an answer that are read.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Tries of a request to a Connect that can't be reached or fails.
const MAX_TRIES: u32 = 3;
/// The first pause before another try; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Characters of an answer that can't be read, as they are shown.
const MAX_SHOWN_CHARS: usize = 200;

/// Why Connect did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// There was no answer, or none that Connect gives; what to do.
    #[error("{0}")]
    Away(String),
    /// Connect's own words, with the HTTP status.
    #[error("{message}")]
    Refused { status: u16, message: String },
    /// Too many statements wait for it.
    #[error("{MAX_STATEMENTS} statements wait for Kafka Connect already; try again when they are through")]
    Busy,
}

/// Speaks with Connect. One for the server.
pub struct Connect {
    config: ConnectConfig,
    http: reqwest::Client,
    waiting: Arc<Semaphore>,
}

impl Connect {
    /// # Errors
    /// No client can be made for the configuration.
    pub fn new(config: ConnectConfig) -> Result<Self, String> {
        let tls = match &config.tls {
            Some(tls) => tls.clone(),
            // Never used: the address asks for none, and redirections are not followed.
            None => crate::tls::trusting_nobody()?,
        };
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).user_agent("tidemill");
        let http =
            client.tls_backend_preconfigured(tls).build().map_err(|error| format!("there can be no client for Kafka Connect: {error}"))?;
        Ok(Connect { config, http, waiting: Arc::new(Semaphore::new(MAX_STATEMENTS)) })
    }

    /// Begins a statement; `authorization` is what its client sent.
    ///
    /// # Errors
    /// Too many wait already.
    pub fn ask(&self, authorization: Option<&HeaderValue>) -> Result<Asking<'_>, ConnectError> {
        let permit = self.waiting.clone().try_acquire_owned().map_err(|_| ConnectError::Busy)?;
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| ConnectError::Away(error.to_string()))?;
        let mut headers = self.config.headers.clone();
        if let Some(header) = self.config.credentials.header(authorization)
            && !headers.contains_key(AUTHORIZATION)
        {
            headers.insert(AUTHORIZATION, header);
        }
        Ok(Asking { connect: self, headers, runtime, _permit: permit })
    }
}

/// What one statement asks. Blocks, so it must not run on a thread that serves connections.
pub struct Asking<'a> {
    connect: &'a Connect,
    headers: HeaderMap,
    runtime: tokio::runtime::Handle,
    _permit: OwnedSemaphorePermit,
}

/// What is tried again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// All that may pass: the request changes nothing.
    Always,
    /// Only what Connect has surely not begun.
    WhereUndone,
}

impl Asking<'_> {
    /// The names of all connectors.
    pub fn connectors(&self) -> Result<Vec<String>, ConnectError> {
        self.runtime.block_on(self.read(Method::GET, &["connectors"], None, Again::Always))
    }

    pub fn info(&self, connector: &str) -> Result<ConnectorInfo, ConnectError> {
        self.runtime.block_on(self.read(Method::GET, &["connectors", connector], None, Again::Always))
    }

    pub fn state(&self, connector: &str) -> Result<ConnectorState, ConnectError> {
        self.runtime.block_on(self.state_of(connector))
    }

    async fn state_of(&self, connector: &str) -> Result<ConnectorState, ConnectError> {
        self.read(Method::GET, &["connectors", connector, "status"], None, Again::Always).await
    }

    /// The topics that a connector has read or written.
    pub fn topics(&self, connector: &str) -> Result<Vec<String>, ConnectError> {
        let path = ["connectors", connector, "topics"];
        self.runtime.block_on(self.read::<ActiveTopics>(Method::GET, &path, None, Again::Always)).map(|topics| topics.of(connector))
    }

    /// Properties and state of several connectors; several are asked for at a time, and all within the time of one request.
    pub fn details(&self, connectors: &[String]) -> Vec<Result<(ConnectorInfo, ConnectorState), ConnectError>> {
        let deadline = Instant::now() + self.connect.config.timeout;
        let one = async |connector: &String| {
            let asked = async {
                let info = self.read::<ConnectorInfo>(Method::GET, &["connectors", connector], None, Again::Always).await?;
                Ok((info, self.state_of(connector).await?))
            };
            timeout_at(deadline, asked).await.unwrap_or_else(|_| Err(self.slow()))
        };
        self.runtime.block_on(futures::stream::iter(connectors).map(one).buffered(MAX_REQUESTS).collect())
    }

    pub fn plugins(&self) -> Result<Vec<PluginInfo>, ConnectError> {
        self.runtime.block_on(self.read(Method::GET, &["connector-plugins"], None, Again::Always))
    }

    /// What is wrong with a connector's properties, one line each.
    pub fn validate(&self, class: &str, settings: &Settings) -> Result<Vec<String>, ConnectError> {
        let path = ["connector-plugins", class, "config", "validate"];
        let read = self.read::<Validation>(Method::PUT, &path, Some(json!(settings)), Again::Always);
        self.runtime.block_on(read).map(Validation::errors)
    }

    pub fn create(&self, name: &str, settings: &Settings) -> Result<ConnectorInfo, ConnectError> {
        let body = json!({"name": name, "config": settings});
        self.runtime.block_on(self.read(Method::POST, &["connectors"], Some(body), Again::WhereUndone))
    }

    pub fn delete(&self, connector: &str) -> Result<(), ConnectError> {
        self.runtime.block_on(self.answer(Method::DELETE, &["connectors", connector], None, Again::WhereUndone)).map(|_| ())
    }

    async fn read<T: DeserializeOwned>(&self, method: Method, path: &[&str], body: Option<Json>, again: Again) -> Result<T, ConnectError> {
        let answer = self.answer(method, path, body, again).await?;
        // What it says may repeat a connector's properties, and is not shown.
        serde_json::from_slice(&answer).map_err(|error| {
            let kind = if error.is_data() { "another JSON than is expected" } else { "no JSON" };
            let place = format!("line {}:{} of {} bytes", error.line(), error.column(), answer.len());
            self.away(&format!("answers what Kafka Connect does not: {kind}, at {place}"))
        })
    }

    /// The body of a good answer.
    async fn answer(&self, method: Method, path: &[&str], body: Option<Json>, again: Again) -> Result<Bytes, ConnectError> {
        let url = self.url(path)?;
        let body = body.map(|body| body.to_string());
        let deadline = Instant::now() + self.connect.config.timeout;
        let (mut tries, mut pause) = (0, FIRST_PAUSE);
        loop {
            tries += 1;
            let tried = timeout_at(deadline, self.once(&method, &url, body.clone())).await;
            let (error, passes) = match tried {
                Err(_) => return Err(self.slow()),
                Ok(Ok((status, answer))) if (200..300).contains(&status) => return Ok(answer),
                Ok(Ok((status, answer))) => {
                    let error = refusal(status, &answer);
                    let exists = matches!(&error, ConnectError::Refused { message, .. } if message.contains("already exists"));
                    // Workers that part their work anew answer so for a while, and do nothing meanwhile.
                    let rebalances = status == 409 && !exists;
                    (error, rebalances || (status >= 500 && again == Again::Always && tries < MAX_TRIES))
                }
                Ok(Err(broken)) => {
                    let undone = broken.is_connect() || again == Again::Always;
                    (self.away(&reason(&broken)), undone && tries < MAX_TRIES)
                }
            };
            if !passes || Instant::now() + pause >= deadline {
                return Err(error);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One try: the status and the body.
    async fn once(&self, method: &Method, url: &Url, body: Option<String>) -> Result<(u16, Bytes), reqwest::Error> {
        let mut request = self.connect.http.request(method.clone(), url.clone()).headers(self.headers.clone());
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut answer = request.send().await?;
        let status = answer.status().as_u16();
        let mut read = BytesMut::new();
        while let Some(part) = answer.chunk().await? {
            let room = MAX_ANSWER_BYTES.saturating_sub(read.len());
            read.extend_from_slice(part.get(..room).unwrap_or(&part));
            if part.len() > room {
                break;
            }
        }
        Ok((status, read.freeze()))
    }

    /// Below the configured address, whatever a connector is called.
    fn url(&self, path: &[&str]) -> Result<Url, ConnectError> {
        let mut url = self.connect.config.url.clone();
        let dots = path.iter().any(|part| matches!(*part, "." | ".."));
        match url.path_segments_mut() {
            Ok(mut segments) if !dots => {
                segments.pop_if_empty().extend(path);
            }
            _ => return Err(ConnectError::Refused { status: 400, message: "Connect can't have a connector of that name".to_owned() }),
        }
        Ok(url)
    }

    fn slow(&self) -> ConnectError {
        let ms = self.connect.config.timeout.as_millis();
        self.away(&format!("gave no answer within {ms} ms (ksql.connect.request.timeout.ms)"))
    }

    fn away(&self, what: &str) -> ConnectError {
        ConnectError::Away(format!(
            "Kafka Connect at {} {what}. Check that ksql.connect.url is right and that Kafka Connect runs there",
            self.connect.config.shown()
        ))
    }
}

/// Connect says why in a JSON object; others that stand before it say it as they like.
fn refusal(status: u16, answer: &[u8]) -> ConnectError {
    let said = serde_json::from_slice::<Refusal>(answer).ok().and_then(|refusal| refusal.message);
    let message = said.unwrap_or_else(|| {
        let shown: String = String::from_utf8_lossy(answer).chars().take(MAX_SHOWN_CHARS).map(printable).collect();
        format!("HTTP status {status} {}", shown.trim()).trim_end().to_owned()
    });
    ConnectError::Refused { status, message }
}

fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// Why there was no answer, without the address that was asked.
fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let what = if error.is_connect() { "can't be reached" } else { "broke off" };
    format!("{what}: {innermost}")
}
