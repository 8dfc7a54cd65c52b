//! The token service: one request of the client-credentials grant (RFC 6749, 4.4).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Url};
use serde_json::Value as Json;

use super::Given;
use super::settings::Service;
use crate::cause;

/// The most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// The most characters of what a service says of a failure that are told.
const MAX_TOLD_CHARS: usize = 200;
/// Characters that a form leaves as they are.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'*').remove(b'_');

/// See the module.
pub(super) struct Endpoint {
    http: Client,
    service: Service,
    url: Url,
    /// The URL as it may be shown.
    name: String,
    authorization: HeaderValue,
}

impl Endpoint {
    /// # Errors
    /// As for [`super::TokenLogin::new`].
    pub fn new(service: &Service) -> Result<Self, String> {
        let url = Url::parse(&service.url).map_err(|error| format!("{}: not a URL: {error}", super::settings::URL))?;
        let tls = if url.scheme() == "https" { service.tls()? } else { crate::tls::trusting_nobody()? };
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(service.connect_timeout)
            .timeout(service.read_timeout)
            // Each request has a runtime of its own, with which its connection goes.
            .pool_max_idle_per_host(0)
            .no_proxy()
            .user_agent(concat!("tidemill/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(|error| format!("{}: no client can be made: {error}", super::settings::URL))?;
        let encoded = |text: &str| if service.encodes { form(text) } else { text.to_owned() };
        let pair = format!("{}:{}", encoded(&service.client_id), encoded(&service.client_secret));
        let mut authorization = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))
            .map_err(|_| "sasl.oauthbearer.client.credentials.client.secret: a header can't hold that".to_owned())?;
        authorization.set_sensitive(true);
        let mut shown = url.clone();
        shown.set_query(None);
        Ok(Endpoint { http, service: service.clone(), name: format!("the token service at {shown}"), url, authorization })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// # Errors
    /// Why there is no token.
    pub fn ask(&self) -> Result<Given, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("{} can't be asked: {error}", self.name))?;
        let patience = self.service.connect_timeout + self.service.read_timeout;
        let answer = runtime.block_on(async { tokio::time::timeout(patience, self.request()).await });
        // A look-up of a name may still go on.
        runtime.shutdown_background();
        let (status, body) = answer.unwrap_or_else(|_| Err(self.late(patience)))?;
        self.understood(status, &body)
    }

    async fn request(&self) -> Result<(u16, Vec<u8>), String> {
        let mut body = "grant_type=client_credentials".to_owned();
        if let Some(scope) = &self.service.scope {
            body += &format!("&scope={}", form(scope));
        }
        let sent = self.http.post(self.url.clone()).header(ACCEPT, "application/json").header(AUTHORIZATION, self.authorization.clone());
        let sent = sent.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let mut response = sent.send().await.map_err(|error| self.unanswered(&error))?;
        let (status, mut body) = (response.status().as_u16(), Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unanswered(&error))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(format!("{} answers with more than {} MiB, which no token takes", self.name, MAX_ANSWER_BYTES >> 20));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, body))
    }

    fn understood(&self, status: u16, body: &[u8]) -> Result<Given, String> {
        let json: Option<Json> = serde_json::from_slice(body).ok();
        let text = |name: &str| json.as_ref().and_then(|json| json.get(name)).and_then(Json::as_str).filter(|text| !text.is_empty());
        if !(200..300).contains(&status) {
            let said: Vec<&str> = ["error", "error_description"].iter().filter_map(|name| text(name)).collect();
            let said = if said.is_empty() { String::new() } else { format!(": {}", self.without_secret(&said.join(": "))) };
            return Err(match status {
                400 | 401 | 403 => format!(
                    "{} refuses the login of client '{}' (status {status}{said}). Check the client's id, secret and scope",
                    self.name, self.service.client_id
                ),
                404 | 405 => format!("{} is not there (status {status}{said}). Check {}", self.name, super::settings::URL),
                300..400 => {
                    format!("{} leads elsewhere (status {status}), which is not followed. Check {}", self.name, super::settings::URL)
                }
                _ => format!("{} answers with status {status}{said}", self.name),
            });
        }
        let Some(token) = text("access_token").or_else(|| text("id_token")) else {
            return Err(format!("{} answers without an access_token. Check {}", self.name, super::settings::URL));
        };
        let holds_for = json.as_ref().and_then(|json| json.get("expires_in")).and_then(|seconds| match seconds {
            Json::String(text) => text.parse().ok(),
            other => other.as_f64(),
        });
        let holds_for = holds_for.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(Given { token: token.trim().to_owned(), holds_for })
    }

    /// What a service says, cut, and without the secret where it repeats it.
    fn without_secret(&self, said: &str) -> String {
        let said = said.replace(&self.service.client_secret, "[hidden]");
        said.chars().filter(|c| !c.is_control()).take(MAX_TOLD_CHARS).collect()
    }

    fn unanswered(&self, error: &reqwest::Error) -> String {
        if let Some(tls) = cause::of_tls(error) {
            return format!(
                "{} can't be spoken to by TLS: {tls}. Check https.ca.location, or ssl.truststore.location within sasl.jaas.config",
                self.name
            );
        }
        if error.is_timeout() {
            return self.late(self.service.read_timeout);
        }
        let what = if error.is_connect() { "can't be reached" } else { "broke off its answer" };
        format!("{} {what}: {}", self.name, cause::deepest(error))
    }

    fn late(&self, patience: Duration) -> String {
        format!("{} does not answer within {} s", self.name, patience.as_secs_f64())
    }
}

/// As a form has it.
fn form(text: &str) -> String {
    utf8_percent_encode(text, FORM).to_string().replace("%20", "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Endpoint {
        Endpoint::new(&Service::for_tests("http://127.0.0.1:1/token?key=hush", "tide", "s3cret")).expect("an endpoint")
    }

    #[test]
    fn answers_are_understood_and_failures_told_without_the_secret() {
        let given = endpoint().understood(200, br#"{"access_token":"a.b.c","expires_in":"30"}"#).expect("a token");
        assert_eq!((given.token.as_str(), given.holds_for), ("a.b.c", Some(Duration::from_secs(30))));
        for (status, body, expected) in [
            (401, r#"{"error":"invalid_client","error_description":"s3cret is wrong"}"#, "(status 401: invalid_client: [hidden] is wrong)"),
            (400, "<html>", "refuses the login of client 'tide' (status 400)"),
            (404, "", "is not there (status 404)"),
            (302, "", "leads elsewhere"),
            (503, "busy", "answers with status 503"),
            (200, "{}", "without an access_token"),
            (200, "[", "without an access_token"),
        ] {
            let error = endpoint().understood(status, body.as_bytes()).err().expect(body);
            assert!(error.contains(expected) && error.contains("http://127.0.0.1:1/token"), "{error}");
            assert!(!error.contains("s3cret") && !error.contains("hush"), "{error}");
        }
        let error = endpoint().ask().err().expect("nobody is there");
        assert!(error.contains("can't be reached"), "{error}");
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(form("a b&c=ä*-._"), "a+b%26c%3D%C3%A4*-._");
    }
}
