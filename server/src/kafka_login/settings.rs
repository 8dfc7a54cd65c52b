//! How tokens are come by, read from the properties of Java's clients.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::pace::Pace;
use super::unsecured::Unsecured;

pub(super) const URL: &str = "sasl.oauthbearer.token.endpoint.url";
const HANDLER: &str = "sasl.login.callback.handler.class";
const RETRIEVER: &str = "sasl.oauthbearer.jwt.retriever.class";
const SCOPE: &str = "sasl.oauthbearer.scope";
const CLIENT_ID: &str = "sasl.oauthbearer.client.credentials.client.id";
const CLIENT_SECRET: &str = "sasl.oauthbearer.client.credentials.client.secret";
const CA: &str = "https.ca.location";
/// What the options of the login module for extensions begin with.
const EXTENSION: &str = "extension_";
const UNSECURED_EXTENSION: &str = "unsecuredLoginExtension_";

/// A token service, and who asks there.
#[derive(Clone, PartialEq)]
pub(super) struct Service {
    pub url: String,
    pub client_id: String,
    pub client_secret: String,
    pub scope: Option<String>,
    /// Id and secret are encoded as in a form before they go into the header.
    pub encodes: bool,
    pub connect_timeout: Duration,
    pub read_timeout: Duration,
    /// `ssl.…` of the login module's options.
    ssl: BTreeMap<String, String>,
    ca: Option<String>,
}

impl Service {
    /// How the service is spoken to; the system's certificates are trusted where nothing else was said.
    pub fn tls(&self) -> Result<rustls::ClientConfig, String> {
        match &self.ca {
            Some(path) => {
                let mut values = self.ssl.clone();
                values.insert("ssl.truststore.location".to_owned(), path.clone());
                crate::tls::for_client(&values).map_err(|error| error.replace("ssl.truststore.location", CA))
            }
            None => crate::tls::for_client(&self.ssl).map_err(|error| format!("sasl.jaas.config: {error}")),
        }
    }

    #[cfg(test)]
    pub fn for_tests(url: &str, client_id: &str, client_secret: &str) -> Service {
        Service {
            url: url.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: client_secret.to_owned(),
            scope: None,
            encodes: false,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
            ssl: BTreeMap::new(),
            ca: None,
        }
    }
}

#[derive(Clone, PartialEq)]
pub(super) enum Source {
    Endpoint(Service),
    /// Read anew for each token.
    File(PathBuf),
    Unsecured(Unsecured),
}

/// See the module.
#[derive(Clone, PartialEq)]
pub struct Settings {
    pub(super) source: Source,
    pub(super) extensions: Vec<(String, String)>,
    /// The claim that says whose a token is.
    pub(super) principal_claim: String,
    pub(super) pace: Pace,
    pub(super) pauses: (Duration, Duration),
}

impl Settings {
    /// From properties by their bare names, and the options of the login module (`sasl.jaas.config`).
    ///
    /// # Errors
    /// What is missing or can't be used; a sentence that begins with the property's name, without a word of a secret.
    pub fn new(set: &BTreeMap<&str, &str>, options: &BTreeMap<String, String>) -> Result<Settings, String> {
        let read = Reading { set, options };
        let url = read.property(URL);
        let makes_them = match read.class(HANDLER, &["OAuthBearerLoginCallbackHandler", "OAuthBearerUnsecuredLoginCallbackHandler"])? {
            Some("OAuthBearerUnsecuredLoginCallbackHandler") => true,
            Some(_) => false,
            None => url.is_none(),
        };
        let (source, prefix) = match url {
            _ if makes_them => (Source::Unsecured(read.unsecured()?), UNSECURED_EXTENSION),
            Some(url) => (read.source(url)?, EXTENSION),
            None => return Err(format!("{URL} is not set, and {HANDLER} needs it: https://… or file:/…")),
        };
        let extensions = options.iter().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value.clone())));
        let by_option = options.get("unsecuredLoginPrincipalClaimName").filter(|_| makes_them).map(String::as_str);
        Ok(Settings {
            extensions: extensions.collect(),
            source,
            principal_claim: by_option.or(read.property("sasl.oauthbearer.sub.claim.name")).unwrap_or("sub").to_owned(),
            pace: Pace {
                factor: read.part("sasl.login.refresh.window.factor", 0.8, 0.5, 1.0)?,
                jitter: read.part("sasl.login.refresh.window.jitter", 0.05, 0.0, 0.25)?,
                least: Duration::from_secs(read.number("sasl.login.refresh.min.period.seconds", 60, 0, 900)?),
                buffer: Duration::from_secs(read.number("sasl.login.refresh.buffer.seconds", 300, 0, 3600)?),
            },
            pauses: (read.ms("sasl.login.retry.backoff.ms", 100)?, read.ms("sasl.login.retry.backoff.max.ms", 10_000)?),
        })
    }
}

/// What was set.
struct Reading<'a> {
    set: &'a BTreeMap<&'a str, &'a str>,
    options: &'a BTreeMap<String, String>,
}

impl<'a> Reading<'a> {
    fn property(&self, name: &str) -> Option<&'a str> {
        self.set.get(name).copied().filter(|value| !value.is_empty())
    }

    /// A property, or the option of the login module that it was before.
    fn either(&self, name: &str, option: &str) -> Option<&'a str> {
        self.property(name).or_else(|| self.options.get(option).map(String::as_str).filter(|value| !value.is_empty()))
    }

    fn needed(&self, name: &str, option: &str) -> Result<String, String> {
        let missing = || format!("{name} is not set, and the token service wants it (or {option}=\"…\" in sasl.jaas.config)");
        self.either(name, option).map(str::to_owned).ok_or_else(missing)
    }

    /// The simple name of a class of Kafka's.
    fn class(&self, property: &str, known: &[&'static str]) -> Result<Option<&'static str>, String> {
        let Some(class) = self.property(property) else { return Ok(None) };
        let simple = class.rsplit(['.', '$']).next().unwrap_or_default();
        let is_kafkas = class.starts_with("org.apache.kafka.common.security.oauthbearer.");
        match known.iter().find(|name| is_kafkas && **name == simple) {
            Some(name) => Ok(Some(*name)),
            None => {
                Err(format!("{property}={class} can't be used: it is Java, and of Kafka's own {} is carried out here", known.join(", ")))
            }
        }
    }

    fn number(&self, name: &str, default: u64, least: u64, most: u64) -> Result<u64, String> {
        let Some(text) = self.property(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("{name}={text} can't be used: a whole number from {least} to {most} is"))
    }

    fn part(&self, name: &str, default: f64, least: f64, most: f64) -> Result<f64, String> {
        let Some(text) = self.property(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("{name}={text} can't be used: a number from {least} to {most} is"))
    }

    fn ms(&self, name: &str, default: u64) -> Result<Duration, String> {
        self.number(name, default, 1, 3_600_000).map(Duration::from_millis)
    }

    fn source(&self, url: &str) -> Result<Source, String> {
        let retriever = self
            .class(RETRIEVER, &["DefaultJwtRetriever", "ClientCredentialsJwtRetriever", "FileJwtRetriever"])?
            .unwrap_or("DefaultJwtRetriever");
        let parsed = reqwest::Url::parse(url).map_err(|error| format!("{URL}: not a URL ({error}): https://… or file:/… is"))?;
        match parsed.scheme() {
            "file" if retriever != "ClientCredentialsJwtRetriever" => {
                let path = parsed.to_file_path().map_err(|()| format!("{URL}={url} can't be used: it names no file of this machine"))?;
                Ok(Source::File(path))
            }
            "http" | "https" if retriever != "FileJwtRetriever" => {
                if !parsed.username().is_empty() || parsed.password().is_some() {
                    return Err(format!("{URL} holds a name or a password: they belong into {CLIENT_ID} and {CLIENT_SECRET}"));
                }
                let encodes = self.property("sasl.oauthbearer.header.urlencode").is_some_and(|value| value.eq_ignore_ascii_case("true"));
                let ssl = self.options.iter().filter(|(name, _)| name.starts_with("ssl."));
                Ok(Source::Endpoint(Service {
                    url: url.to_owned(),
                    client_id: self.needed(CLIENT_ID, "clientId")?,
                    client_secret: self.needed(CLIENT_SECRET, "clientSecret")?,
                    scope: self.either(SCOPE, "scope").map(str::to_owned),
                    encodes,
                    connect_timeout: self.ms("sasl.login.connect.timeout.ms", 10_000)?,
                    read_timeout: self.ms("sasl.login.read.timeout.ms", 10_000)?,
                    ssl: ssl.map(|(name, value)| (name.clone(), value.clone())).collect(),
                    ca: self.property(CA).map(str::to_owned),
                }))
            }
            scheme => Err(format!("{URL}: {scheme}:… is not where {retriever} finds a token: https, http and file are known")),
        }
    }

    /// What a token that is made here says.
    fn unsecured(&self) -> Result<Unsecured, String> {
        let mut claims = Map::new();
        for (option, value) in self.options {
            if let Some(name) = option.strip_prefix("unsecuredLoginStringClaim_") {
                claims.insert(name.to_owned(), json!(value));
            } else if let Some(name) = option.strip_prefix("unsecuredLoginNumberClaim_") {
                let number: Json = serde_json::from_str(value)
                    .ok()
                    .filter(Json::is_number)
                    .ok_or_else(|| format!("sasl.jaas.config: {option} is no number"))?;
                claims.insert(name.to_owned(), number);
            } else if let Some(name) = option.strip_prefix("unsecuredLoginListClaim_") {
                // Its first character parts the others.
                let mut chars = value.chars();
                let parts: Vec<&str> = chars.next().map(|separator| chars.as_str().split(separator).collect()).unwrap_or_default();
                claims.insert(name.to_owned(), json!(parts));
            }
        }
        let principal = self.options.get("unsecuredLoginPrincipalClaimName").map_or("sub", String::as_str);
        if !claims.get(principal).is_some_and(Json::is_string) {
            return Err(format!(
                "sasl.jaas.config: it says neither where tokens come from nor who logs in. Set {URL} with clientId and clientSecret; or, for \
                 a broker that takes tokens without a signature, unsecuredLoginStringClaim_{principal}=\"…\""
            ));
        }
        let seconds = self.options.get("unsecuredLoginLifetimeSeconds").map_or(Ok(3600), |text| text.parse::<u64>().map_err(|_| text));
        let seconds = seconds.ok().filter(|seconds| (1..=315_360_000).contains(seconds));
        let life = seconds.ok_or("sasl.jaas.config: unsecuredLoginLifetimeSeconds is to be a number of seconds, 1 or more")?;
        Ok(Unsecured { claims, life: Duration::from_secs(life) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(set: &[(&'static str, &'static str)], options: &[(&str, &str)]) -> Result<Settings, String> {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::new(&set.iter().copied().collect(), &options)
    }

    #[test]
    fn old_and_new_names_mean_the_same() {
        let url = (URL, "https://id.example.com/token");
        let old = settings(&[url], &[("clientId", "me"), ("clientSecret", "hush"), ("scope", "kafka"), ("extension_traceId", "7")]);
        let new = settings(
            &[
                url,
                (HANDLER, "org.apache.kafka.common.security.oauthbearer.secured.OAuthBearerLoginCallbackHandler"),
                (RETRIEVER, "org.apache.kafka.common.security.oauthbearer.ClientCredentialsJwtRetriever"),
                (CLIENT_ID, "me"),
                (CLIENT_SECRET, "hush"),
                (SCOPE, "kafka"),
            ],
            &[("extension_traceId", "7")],
        );
        let (old, new) = (old.expect("taken"), new.expect("taken"));
        assert!(old == new && old.extensions == [("traceId".to_owned(), "7".to_owned())]);
        let Source::Endpoint(service) = old.source else { panic!("a service") };
        assert_eq!((&*service.client_id, service.scope.as_deref()), ("me", Some("kafka")));
        let file = settings(&[(URL, "file:///run/token")], &[]).expect("taken");
        assert!(matches!(file.source, Source::File(path) if path == std::path::Path::new("/run/token")));
    }

    #[test]
    fn unsecured_tokens_have_javas_options() {
        let options = [
            ("unsecuredLoginStringClaim_sub", "me"),
            ("unsecuredLoginNumberClaim_level", "3"),
            ("unsecuredLoginListClaim_scope", "|a|b"),
            ("unsecuredLoginExtension_traceId", "7"),
            ("unsecuredLoginLifetimeSeconds", "5"),
        ];
        let made = settings(&[], &options).expect("taken");
        assert_eq!(made.extensions, [("traceId".to_owned(), "7".to_owned())]);
        let Source::Unsecured(Unsecured { claims, life }) = made.source else { panic!("made here") };
        assert_eq!((Json::Object(claims), life.as_secs()), (json!({"level": 3, "scope": ["a", "b"], "sub": "me"}), 5));
    }

    #[test]
    fn what_can_not_be_used_is_named_without_a_word_of_the_secret() {
        let me = [("clientId", "me"), ("clientSecret", "hush")];
        for (set, options, expected) in [
            (vec![(URL, "https://x/")], &me[..1], "client.secret is not set"),
            (vec![(URL, "https://x/")], &me[1..], "client.id is not set"),
            (vec![(URL, "https://u:hush@x/")], &me[..], "holds a name or a password"),
            (vec![(URL, "ldap://x/")], &me[..], "https, http and file are known"),
            (vec![(URL, "nonsense")], &me[..], "not a URL"),
            (vec![], &me[..], "neither where tokens come from nor who logs in"),
            (vec![(HANDLER, "com.example.Hush")], &me[..], "com.example.Hush can't be used"),
            (
                vec![(HANDLER, "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler")],
                &me[..],
                "token.endpoint.url is not set",
            ),
            (
                vec![(URL, "https://x/"), (RETRIEVER, "org.apache.kafka.common.security.oauthbearer.JwtBearerJwtRetriever")],
                &me[..],
                "JwtBearerJwtRetriever can't be used",
            ),
            (vec![(URL, "https://x/"), ("sasl.login.refresh.window.factor", "0.2")], &me[..], "a number from 0.5 to 1"),
            (vec![(URL, "https://x/"), ("sasl.login.retry.backoff.ms", "0")], &me[..], "a whole number from 1"),
        ] {
            let error = settings(&set, options).err().unwrap_or_else(|| panic!("{set:?}"));
            assert!(error.contains(expected) && !error.contains("hush"), "{error}");
        }
    }
}
