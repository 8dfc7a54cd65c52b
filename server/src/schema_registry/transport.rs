//! One request, sent to whichever of the registry's URLs answers. The one that answered last is asked first.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Method, Proxy, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use tidemill_engine::registry::{Schema, SchemaKind};

use super::answers::{self, Failure};
use super::settings::{Settings, Target};
use crate::cause;

/// The most that an answer may hold, bytes. A schema is a record of a topic, so a tenth of it mostly suffices.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// Pauses between two rounds over all URLs, where a statement waits; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const JSON_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// Idle connections are closed after so long: a registry may have done so before.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Request {
    method: Method,
    /// Parts of the path, not encoded yet.
    path: Vec<String>,
    query: Option<(&'static str, &'static str)>,
    body: Option<Json>,
}

impl Request {
    fn get(path: &[&str]) -> Self {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Request { method: Method::GET, path, query: None, body: None }
    }

    /// The schema of an id.
    pub fn by_id(id: i32) -> Self {
        Self::get(&["schemas", "ids", &id.to_string()])
    }

    /// A version of a subject, or `latest`.
    pub fn version(subject: &str, version: &str) -> Self {
        Self::get(&["subjects", subject, "versions", version])
    }

    /// A version that another schema refers to: one that was deleted since still holds for it.
    pub fn referenced(subject: &str, version: i32) -> Self {
        Request { query: Some(("deleted", "true")), ..Self::version(subject, &version.to_string()) }
    }

    /// A schema is to be found or registered.
    pub fn register(subject: &str, schema: &Schema) -> Self {
        let mut body = json!({"schema": schema.text});
        match schema.kind {
            SchemaKind::Avro => {}
            SchemaKind::Json => body["schemaType"] = json!("JSON"),
            SchemaKind::Protobuf => body["schemaType"] = json!("PROTOBUF"),
        }
        if !schema.references.is_empty() {
            let references = schema.references.iter().map(|r| json!({"name": r.name, "subject": r.subject, "version": r.version}));
            body["references"] = references.collect();
        }
        Request { method: Method::POST, body: Some(body), ..Self::get(&["subjects", subject, "versions"]) }
    }

    /// A subject goes with all its versions; their ids stay known.
    pub fn delete(subject: &str) -> Self {
        Request { method: Method::DELETE, ..Self::get(&["subjects", subject]) }
    }

    fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&self.path);
        }
        if let Some((name, value)) = self.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    }
}

pub(super) struct Transport {
    http: Client,
    targets: Vec<Target>,
    request_timeout: Duration,
    /// The one that answered last.
    preferred: AtomicUsize,
    /// Why none answers at the moment.
    trouble: Mutex<Option<String>>,
}

impl Transport {
    pub fn new(settings: Settings) -> Result<Self, String> {
        let Settings { targets, headers, tls, proxy, connect_timeout, request_timeout, .. } = settings;
        let builder = Client::builder()
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect_timeout)
            .timeout(request_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("tidemill/", env!("CARGO_PKG_VERSION")));
        let builder = match proxy {
            Some(address) => {
                let proxy = Proxy::all(format!("http://{address}"));
                builder.proxy(proxy.map_err(|error| format!("ksql.schema.registry.proxy.host: '{address}' can't be used: {error}"))?)
            }
            None => builder.no_proxy(),
        };
        let tls = match tls {
            Some(tls) => tls,
            // Never used: no URL asks for it, and redirections are not followed.
            None => crate::tls::trusting_nobody()?,
        };
        let http = builder.tls_backend_preconfigured(tls).build();
        let http = http.map_err(|error| format!("ksql.schema.registry.url: no client can be made: {}", causes(&error)))?;
        Ok(Transport { http, targets, request_timeout, preferred: AtomicUsize::new(0), trouble: Mutex::new(None) })
    }

    /// The URLs, without credentials.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.targets.iter().map(name).collect();
        names.join(", ")
    }

    /// Why the registry does not answer at the moment.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Asks each URL once, until one answers.
    pub async fn ask(&self, request: &Request) -> Result<Json, Failure> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        let mut is_wrong = true;
        for offset in 0..self.targets.len() {
            let index = (first + offset) % self.targets.len();
            let Some(target) = self.targets.get(index) else { continue };
            match self.ask_at(target, request).await {
                Err(Failure::Away(why)) => {
                    is_wrong = false;
                    failures.push(format!("{} {why}", name(target)));
                }
                Err(Failure::Wrong(why)) => failures.push(format!("{} {why}", name(target))),
                answered => {
                    self.preferred.store(index, Ordering::Relaxed);
                    self.is_back();
                    return answered;
                }
            }
        }
        let said = format!("The schema registry at {}", failures.join("; the one at "));
        self.is_away(&said);
        Err(if is_wrong { Failure::Wrong(said) } else { Failure::Away(said) })
    }

    /// As [`Self::ask`], again and again while the registry is away, unless that was known before: others wait behind who asks.
    /// Whoever calls it bounds the time.
    pub async fn ask_patiently(&self, request: &Request) -> Result<Json, Failure> {
        let is_known_away = self.trouble().is_some();
        let mut pause = FIRST_PAUSE;
        loop {
            match self.ask(request).await {
                Err(Failure::Away(_)) if !is_known_away => tokio::time::sleep(pause).await,
                answered => return answered,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn ask_at(&self, target: &Target, request: &Request) -> Result<Json, Failure> {
        let mut sent = self.http.request(request.method.clone(), request.url(&target.base)).header(ACCEPT, JSON_TYPE);
        if let Some(authorization) = &target.authorization {
            sent = sent.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(body) = &request.body {
            sent = sent.header(CONTENT_TYPE, JSON_TYPE).body(body.to_string());
        }
        let mut response = sent.send().await.map_err(|error| self.unanswered(&error))?;
        let status = response.status().as_u16();
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unanswered(&error))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                let most = MAX_ANSWER_BYTES >> 20;
                return Err(Failure::Wrong(format!(
                    "answers with more than {most} MiB, which no schema takes. Check ksql.schema.registry.url"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        if status != 200 {
            return Err(answers::failure(status, content_type.as_deref(), &body));
        }
        serde_json::from_slice(&body).map_err(|_| Failure::Wrong(answers::not_json(status, content_type.as_deref())))
    }

    /// What an answer means.
    pub fn understood<T: DeserializeOwned>(&self, answer: Json) -> Result<T, Failure> {
        serde_json::from_value(answer).map_err(|error| self.nonsense(&format!("JSON that is not what was asked for ({error})")))
    }

    /// The registry answers with what no registry does.
    pub fn nonsense(&self, what: &str) -> Failure {
        let said = format!("The schema registry at {} answers with {what}. Check ksql.schema.registry.url", self.names());
        self.is_away(&said);
        Failure::Wrong(said)
    }

    /// The answer takes longer than it may.
    pub fn late(&self, timeout: Duration) -> Failure {
        let why = self.trouble().unwrap_or_else(|| format!("The schema registry at {} does not answer", self.names()));
        let seconds = timeout.as_secs_f64();
        Failure::Away(format!("{why}. It was tried for {seconds} s (tidemill.schema.registry.timeout.ms)"))
    }

    /// Why there is no answer.
    fn unanswered(&self, error: &reqwest::Error) -> Failure {
        if let Some(tls) = cause::of_tls(error) {
            return Failure::Wrong(format!(
                "can't be spoken to by TLS: {tls}. Check ksql.schema.registry.ssl.truststore.location and the other ksql.schema.registry.ssl.…"
            ));
        }
        if error.is_timeout() {
            return Failure::Away(format!("does not answer within {} s", self.request_timeout.as_secs_f64()));
        }
        if error.is_connect() {
            return Failure::Away(format!("can't be reached: {}", cause::deepest(error)));
        }
        Failure::Away(format!("broke off its answer: {}", cause::deepest(error)))
    }

    fn is_back(&self) {
        if self.trouble.lock().take().is_some() {
            tracing::info!("the schema registry answers again");
        }
    }

    /// Says once what is wrong.
    fn is_away(&self, why: &str) {
        let mut trouble = self.trouble.lock();
        if trouble.as_deref() != Some(why) {
            tracing::warn!("{why}");
            *trouble = Some(why.to_owned());
        }
    }
}

fn name(target: &Target) -> &str {
    target.base.as_str().trim_end_matches('/')
}

fn causes(error: &(dyn Error + 'static)) -> String {
    let mut all = error.to_string();
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
        all = format!("{all}: {cause}");
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_path_are_encoded() {
        let base = Url::parse("http://a:1/apis/ccompat/v7/").expect("a URL");
        let url = Request::version("x/y ?#ä", "latest").url(&base);
        assert_eq!(url.as_str(), "http://a:1/apis/ccompat/v7/subjects/x%2Fy%20%3F%23%C3%A4/versions/latest");
        assert_eq!(Request::referenced("a", 3).url(&base).as_str(), "http://a:1/apis/ccompat/v7/subjects/a/versions/3?deleted=true");
        assert_eq!(Request::by_id(7).url(&Url::parse("http://a").expect("a URL")).as_str(), "http://a/schemas/ids/7");
    }
}
