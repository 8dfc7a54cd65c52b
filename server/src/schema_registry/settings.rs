//! The client's settings, read from the properties `ksql.schema.registry.…`.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::config::{Role, property};
use crate::tls::{self, TlsProperties};

/// Where the registry answers.
pub const URL: &str = "ksql.schema.registry.url";
const PREFIX: &str = "ksql.schema.registry.";
/// How long a statement waits for the registry.
const STATEMENT_TIMEOUT: &str = "tidemill.schema.registry.timeout.ms";

/// A URL and who asks there.
pub(super) struct Target {
    /// Without credentials; its path ends with a slash.
    pub base: Url,
    pub authorization: Option<HeaderValue>,
}

/// What a client is made with.
pub struct Settings {
    /// At least one.
    pub(super) targets: Vec<Target>,
    pub(super) headers: HeaderMap,
    /// `None`: no URL asks for it.
    pub(super) tls: Option<rustls::ClientConfig>,
    /// `host:port`.
    pub(super) proxy: Option<String>,
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) statement_timeout: Duration,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let urls: Vec<&str> = self.targets.iter().map(|target| target.base.as_str()).collect();
        f.debug_struct("Settings").field("urls", &urls).finish_non_exhaustive()
    }
}

impl Settings {
    /// `None`: no registry is named.
    ///
    /// # Errors
    /// A property that can't be used: a sentence with its name, without a word of a secret.
    pub fn from_properties(values: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        let read = Properties(values);
        let Some(urls) = read.get("url") else { return Ok(None) };
        let mut targets = urls.split(',').map(str::trim).filter(|url| !url.is_empty()).map(target).collect::<Result<Vec<_>, _>>()?;
        if targets.is_empty() {
            return Err(format!("{URL}: '{urls}' names no URL, e.g. http://localhost:8081"));
        }
        read.authorize(&mut targets)?;
        let mut headers = HeaderMap::new();
        for (name, header) in
            [("bearer.auth.logical.cluster", "target-sr-cluster"), ("bearer.auth.identity.pool.id", "confluent-identity-pool-id")]
        {
            if let Some(value) = read.get(name) {
                let value = HeaderValue::from_str(value).map_err(|_| format!("{PREFIX}{name}: a header can't hold that"))?;
                headers.insert(HeaderName::from_static(header), value);
            }
        }
        let encrypted = targets.iter().any(|target| target.base.scheme() == "https");
        Ok(Some(Settings {
            tls: encrypted.then(|| tls::client_config(&TlsProperties { values, prefix: PREFIX })).transpose()?,
            targets,
            headers,
            proxy: read.proxy()?,
            connect_timeout: read.ms(&format!("{PREFIX}http.connect.timeout.ms")),
            request_timeout: read.ms(&format!("{PREFIX}http.read.timeout.ms")),
            statement_timeout: read.ms(STATEMENT_TIMEOUT),
        }))
    }
}

/// The names of what was set for a registry that is not named.
pub fn in_vain(values: &BTreeMap<String, String>) -> Option<String> {
    let set = values.iter().filter(|(name, value)| name.starts_with(PREFIX) && !value.trim().is_empty());
    let names: Vec<&str> =
        set.map(|(name, _)| name.as_str()).filter(|name| property(name).is_some_and(|p| p.role == Role::Server)).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// What was set.
struct Properties<'a>(&'a BTreeMap<String, String>);

impl<'a> Properties<'a> {
    /// Set and not empty.
    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(&format!("{PREFIX}{name}")).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// A time, by default as the table of properties has it.
    fn ms(&self, name: &str) -> Duration {
        let set = self.0.get(name).map(String::as_str).filter(|value| !value.trim().is_empty());
        let text = set.or_else(|| property(name).and_then(|p| p.default)).unwrap_or_default();
        Duration::from_millis(text.trim().parse().unwrap_or(1).max(1))
    }

    fn authorize(&self, targets: &mut [Target]) -> Result<(), String> {
        let (basic, bearer) = (self.get("basic.auth.credentials.source"), self.get("bearer.auth.credentials.source"));
        let (user_info, token) = (self.get("basic.auth.user.info"), self.get("bearer.auth.token"));
        if (basic.is_some() || user_info.is_some()) && (bearer.is_some() || token.is_some()) {
            return Err(format!("{PREFIX}basic.auth.… and {PREFIX}bearer.auth.… exclude each other: set one of them"));
        }
        let from_url = basic.is_some_and(|source| source.eq_ignore_ascii_case("URL"));
        let everywhere = match (basic, user_info, bearer, token) {
            (_, Some(_), ..) if from_url => {
                return Err(format!(
                    "{PREFIX}basic.auth.user.info is set, but {PREFIX}basic.auth.credentials.source=URL looks for it in the URL: set USER_INFO"
                ));
            }
            (_, Some(user_info), ..) if !user_info.contains(':') => {
                return Err(format!("{PREFIX}basic.auth.user.info is to be a name and a password with a colon between them"));
            }
            (_, Some(user_info), ..) => Some(secret("basic.auth.user.info", &format!("Basic {}", STANDARD.encode(user_info)))?),
            (Some(_), None, ..) if !from_url => {
                return Err(format!(
                    "{PREFIX}basic.auth.user.info is not set, and {PREFIX}basic.auth.credentials.source=USER_INFO needs it: name:password"
                ));
            }
            (.., Some(token)) => Some(secret("bearer.auth.token", &format!("Bearer {token}"))?),
            (.., Some(_), None) => {
                return Err(format!("{PREFIX}bearer.auth.token is not set, and {PREFIX}bearer.auth.credentials.source needs it"));
            }
            _ => None,
        };
        if let Some(everywhere) = everywhere {
            targets.iter_mut().for_each(|target| target.authorization = Some(everywhere.clone()));
        } else if from_url && targets.iter().all(|target| target.authorization.is_none()) {
            return Err(format!("{URL} holds no name and password, and {PREFIX}basic.auth.credentials.source=URL looks for them there"));
        }
        Ok(())
    }

    fn proxy(&self) -> Result<Option<String>, String> {
        match (self.get("proxy.host"), self.get("proxy.port")) {
            (Some(host), Some(port)) => Ok(Some(format!("{host}:{port}"))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(format!("{PREFIX}proxy.host is set, and {PREFIX}proxy.port is not")),
            (None, Some(_)) => Err(format!("{PREFIX}proxy.port is set, and {PREFIX}proxy.host is not")),
        }
    }
}

/// A header that is never shown.
fn secret(name: &str, value: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(value).map_err(|_| format!("{PREFIX}{name}: a header can't hold that"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn target(text: &str) -> Result<Target, String> {
    let wrong = |what: &str| format!("{URL}: '{}' {what}, e.g. http://localhost:8081", without_credentials(text));
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err(wrong("does not begin with http:// or https://"));
    }
    let mut base = Url::parse(text).map_err(|error| wrong(&format!("is not a URL ({error})")))?;
    if base.query().is_some() || base.fragment().is_some() {
        return Err(wrong("has something behind its path"));
    }
    let authorization = match (base.username(), base.password()) {
        ("", None) => None,
        (user, password) => {
            let decoded = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
            let pair = format!("{}:{}", decoded(user), decoded(password.unwrap_or_default()));
            Some(secret("url", &format!("Basic {}", STANDARD.encode(pair)))?)
        }
    };
    // These fail only where a URL has no host, and then there is nothing to take away.
    let _ = base.set_username("");
    let _ = base.set_password(None);
    if !base.path().ends_with('/') {
        let path = format!("{}/", base.path());
        base.set_path(&path);
    }
    Ok(Target { base, authorization })
}

/// A URL as it may be shown.
fn without_credentials(text: &str) -> String {
    match (text.split_once("://"), text.rfind('@')) {
        (Some((scheme, _)), Some(at)) => format!("{scheme}://{}", text.get(at + 1..).unwrap_or_default()),
        (None, Some(at)) => text.get(at + 1..).unwrap_or_default().to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        let values = pairs.iter().map(|(name, value)| (format!("{PREFIX}{name}"), (*value).to_owned())).collect();
        Settings::from_properties(&values)
    }

    fn authorizations(pairs: &[(&str, &str)]) -> Vec<Option<String>> {
        let settings = read(pairs).expect("good settings").expect("a registry");
        let text = |value: &HeaderValue| value.to_str().expect("ASCII").to_owned();
        settings.targets.iter().map(|target| target.authorization.as_ref().map(text)).collect()
    }

    #[test]
    fn urls_are_tried_in_turn() {
        let settings = read(&[("url", "http://a:8081, https://b/sr/")]).expect("good").expect("a registry");
        let urls: Vec<&str> = settings.targets.iter().map(|target| target.base.as_str()).collect();
        assert_eq!(urls, ["http://a:8081/", "https://b/sr/"]);
        assert!(settings.tls.is_some());
        assert!(read(&[("url", " ")]).expect("nothing").is_none());
    }

    #[test]
    fn credentials_come_from_where_they_are_said_to_be() {
        let basic = |pair: &str| Some(format!("Basic {}", STANDARD.encode(pair)));
        assert_eq!(authorizations(&[("url", "http://a")]), [None]);
        assert_eq!(authorizations(&[("url", "http://u:p%20w@a,http://b")]), [basic("u:p w"), None]);
        let user_info = [("url", "http://a"), ("basic.auth.credentials.source", "USER_INFO"), ("basic.auth.user.info", "k:s:3")];
        assert_eq!(authorizations(&user_info), [basic("k:s:3")]);
        let bearer = [("url", "http://a"), ("bearer.auth.credentials.source", "STATIC_TOKEN"), ("bearer.auth.token", "tok")];
        assert_eq!(authorizations(&bearer), [Some("Bearer tok".to_owned())]);
    }

    #[test]
    fn what_is_wrong_is_named_without_a_secret() {
        for (pairs, expected) in [
            (&[("url", "schema-registry:8081")][..], "http://"),
            (&[("url", "hush:hush@registry")], "does not begin with http://"),
            (&[("url", "http://u:hush@:x")], "is not a URL"),
            (&[("url", "http://u:hush@a?x=1")], "behind its path"),
            (&[("url", "http://a"), ("basic.auth.credentials.source", "USER_INFO")], "basic.auth.user.info is not set"),
            (&[("url", "http://a"), ("basic.auth.credentials.source", "URL")], "holds no name and password"),
            (&[("url", "http://a"), ("basic.auth.credentials.source", "URL"), ("basic.auth.user.info", "u:hush")], "set USER_INFO"),
            (&[("url", "http://a"), ("basic.auth.user.info", "hush")], "a colon"),
            (&[("url", "http://a"), ("bearer.auth.credentials.source", "STATIC_TOKEN")], "bearer.auth.token is not set"),
            (&[("url", "http://a"), ("basic.auth.user.info", "u:hush"), ("bearer.auth.token", "hush")], "exclude each other"),
            (&[("url", "http://a"), ("proxy.host", "p")], "proxy.port"),
            (&[("url", "https://a"), ("ssl.truststore.location", "/nowhere/trust.pem")], "ksql.schema.registry.ssl.truststore.location"),
        ] {
            let error = read(pairs).expect_err(expected);
            assert!(error.contains(expected) && error.contains("ksql.schema.registry.") && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let settings = read(&[("url", "http://u:hush@a"), ("proxy.host", "p"), ("proxy.port", "1")]).expect("good").expect("a registry");
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
