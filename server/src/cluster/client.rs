//! Asks other servers for their parts of pull queries and of scans.

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode};
use tidemill_engine::engine::{EngineError, NotAnswered, Page, Peers, Question};
use tidemill_query::{ScanPage, ScanPeers, ScanQuestion};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{OwnStatus, PULL_PATH, SCAN_END_PATH, SCAN_PATH, STATUS_PATH, scan_wire, wire};
use crate::cause;
use crate::config::ServerConfig;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);
/// Idle connections are closed after so long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The most that a page may hold, bytes: one of 4 MiB, and its last row, which may be as large as a record may be.
const MAX_PAGE_BYTES: usize = 64 << 20;
/// How long a server may take to say what there is to say of it.
const STATUS_PATIENCE: Duration = Duration::from_secs(2);
/// How this server shows others who it is, where they ask.
const USER_INFO: &str = "tidemill.cluster.basic.auth.user.info";
const TOKEN: &str = "tidemill.cluster.bearer.auth.token";

/// See the module.
pub struct HttpPeers {
    http: Client,
    runtime: Handle,
}

impl HttpPeers {
    /// For a server whose others are reached as it is: by TLS where `is_secure`, of which `ssl.…` says whom to trust.
    ///
    /// # Errors
    /// What was set can't be used; a sentence that names the property.
    pub fn new(config: &ServerConfig, is_secure: bool, runtime: Handle) -> Result<Self, String> {
        let tls = if is_secure { crate::tls::for_client(&config.values)? } else { crate::tls::trusting_nobody()? };
        let mut headers = HeaderMap::new();
        if let Some(authorization) = authorization(config.value(USER_INFO), config.value(TOKEN))? {
            headers.insert(AUTHORIZATION, authorization);
        }
        let builder = Client::builder()
            .default_headers(headers)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("tidemill/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls);
        let http = builder.build().map_err(|error| format!("there can be no client for the other servers: {error}"))?;
        Ok(HttpPeers { http, runtime })
    }

    async fn ask_one(&self, url: &str, question: &Question, patience: Duration) -> Result<Page, NotAnswered> {
        let body = wire::write_question(question).map_err(|error| NotAnswered::Failed(EngineError::internal(error)))?;
        let read = page(self.post(url, PULL_PATH, body, patience), url).await?;
        wire::read_page(&read, question.width).ok_or_else(no_page)
    }

    fn post(&self, url: &str, path: &str, body: Vec<u8>, patience: Duration) -> RequestBuilder {
        self.http.post(format!("{url}{path}")).header(CONTENT_TYPE, "application/json").timeout(patience).body(body)
    }
}

fn no_page() -> NotAnswered {
    NotAnswered::NotNow("its answer is none that this version knows, or is not whole".to_owned())
}

/// The bytes of a page that the server at an address is asked for.
async fn page(asked: RequestBuilder, url: &str) -> Result<Bytes, NotAnswered> {
    let too_large =
        || NotAnswered::Failed(EngineError::external(format!("the answer of server {url} is larger than {MAX_PAGE_BYTES} bytes")));
    let (status, read) = answered(asked).await.map_err(NotAnswered::NotNow)?;
    let read = read.ok_or_else(too_large)?;
    match status {
        StatusCode::OK => Ok(read.freeze()),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(NotAnswered::Failed(EngineError::external(format!(
            "server {url} does not take this server's questions for its part of the table (HTTP {}): set {USER_INFO} or {TOKEN} to \
                 those of a user who may read",
            status.as_u16()
        )))),
        StatusCode::NOT_FOUND => Err(NotAnswered::NotNow(format!(
            "it does not answer questions of other servers (HTTP 404); is another service, or an older version, at {url}?"
        ))),
        _ => Err(wire::read_failure(&read).unwrap_or_else(|| NotAnswered::NotNow(format!("it answers with HTTP {}", status.as_u16())))),
    }
}

impl HttpPeers {
    /// Waits for what is asked; for threads that may block.
    pub fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        self.runtime.block_on(asked)
    }

    /// What a server says of itself; else why it does not.
    pub async fn status(&self, url: &str, with_host: bool) -> Result<OwnStatus, String> {
        let asked = self.http.get(format!("{url}{STATUS_PATH}{}", if with_host { "/host" } else { "" })).timeout(STATUS_PATIENCE);
        let (status, read) = answered(asked).await?;
        match status {
            StatusCode::OK => {
                serde_json::from_slice(&read.unwrap_or_default()).map_err(|_| "its answer is none that this version knows".to_owned())
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(format!(
                "it does not take this server's questions (HTTP {}): set {USER_INFO} or {TOKEN} to those of a user who may read",
                status.as_u16()
            )),
            _ => Err(format!("it answers with HTTP {}", status.as_u16())),
        }
    }
}

/// The status of an answer and its body, `None` of one that is too large; else why there is none.
async fn answered(asked: RequestBuilder) -> Result<(StatusCode, Option<BytesMut>), String> {
    let away = |error: reqwest::Error| format!("it does not answer: {}", cause::deepest(&error));
    let mut answer = asked.send().await.map_err(away)?;
    let (status, mut read) = (answer.status(), BytesMut::new());
    while let Some(chunk) = answer.chunk().await.map_err(away)? {
        read.extend_from_slice(&chunk);
        if read.len() > MAX_PAGE_BYTES {
            return Ok((status, None));
        }
    }
    Ok((status, Some(read)))
}

impl Peers for HttpPeers {
    fn ask(&self, questions: &[(&str, Question)], patience: Duration) -> Vec<Result<Page, NotAnswered>> {
        let asked = questions.iter().map(|(url, question)| self.ask_one(url, question, patience));
        self.runtime.block_on(join_all(asked))
    }
}

impl ScanPeers for HttpPeers {
    fn ask<'a>(
        &'a self,
        url: &'a str,
        question: &'a ScanQuestion,
        schema: &'a SchemaRef,
        patience: Duration,
    ) -> BoxFuture<'a, Result<ScanPage, NotAnswered>> {
        async move {
            let body = scan_wire::write_question(question).map_err(|error| NotAnswered::Failed(EngineError::internal(error)))?;
            let (asked, at) = (self.post(url, SCAN_PATH, body, patience), url.to_owned());
            // Connections are the server's threads' matter.
            let mut asking = Asking(self.runtime.spawn(async move { page(asked, &at).await }));
            let read = (&mut asking.0).await.map_err(|error| NotAnswered::NotNow(format!("the request broke off: {error}")))??;
            scan_wire::read_page(read, schema).ok_or_else(no_page)
        }
        .boxed()
    }

    fn end(&self, url: &str, scan: &str) {
        let asked = self.post(url, SCAN_END_PATH, scan.into(), CONNECT_TIMEOUT);
        drop(self.runtime.spawn(async move { answered(asked).await }));
    }
}

/// A request under way, which ends with this.
struct Asking(JoinHandle<Result<Bytes, NotAnswered>>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How the server says who it is.
fn authorization(user_info: Option<String>, token: Option<String>) -> Result<Option<HeaderValue>, String> {
    let (name, text) = match (user_info, token) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(format!("{USER_INFO} and {TOKEN} exclude each other: set one of them")),
        (Some(user_info), None) if !user_info.contains(':') => {
            return Err(format!("{USER_INFO} is to be a name and a password with a colon between them"));
        }
        (Some(user_info), None) => (USER_INFO, format!("Basic {}", STANDARD.encode(user_info))),
        (None, Some(token)) => (TOKEN, format!("Bearer {token}")),
    };
    let mut header = HeaderValue::from_str(&text).map_err(|_| format!("{name}: a header can't hold that"))?;
    header.set_sensitive(true);
    Ok(Some(header))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_who_it_is() {
        let header = |user: Option<&str>, token: Option<&str>| authorization(user.map(str::to_owned), token.map(str::to_owned));
        assert_eq!(header(None, None), Ok(None));
        assert_eq!(header(Some("a:b:c"), None).ok().flatten(), Some(HeaderValue::from_static("Basic YTpiOmM=")));
        assert_eq!(header(None, Some("t0k")).ok().flatten(), Some(HeaderValue::from_static("Bearer t0k")));
        for (user, token, said) in [(Some("a"), None, "a colon"), (Some("a:b"), Some("t"), "exclude"), (None, Some("a\nb"), "can't hold")] {
            let refused = header(user, token).expect_err("it can't be used");
            assert!(refused.contains(said) && !refused.contains("a\nb"), "{refused}");
        }
    }
}
