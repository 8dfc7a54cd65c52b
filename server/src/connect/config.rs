//! Where Connect is and how it is asked, from `ksql.connect.…`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;

use super::credentials::Credentials;
use crate::config::file;
use crate::tls::{self, TlsProperties};

/// How Connect is asked.
#[derive(Clone)]
pub struct ConnectConfig {
    pub url: Url,
    /// Of one request, with all its tries.
    pub timeout: Duration,
    pub(super) credentials: Credentials,
    /// Sent with each request.
    pub(super) headers: HeaderMap,
    /// For `https`.
    pub(super) tls: Option<rustls::ClientConfig>,
}

/// What properties begin with.
pub const PREFIX: &str = "ksql.connect.";

impl ConnectConfig {
    /// Reads the properties: `values` were set, and `value` gives the default of others.
    ///
    /// # Errors
    /// What can't be meant, or a file that can't be read. One line.
    pub fn read(values: &BTreeMap<String, String>, value: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let url = address(&value("ksql.connect.url").unwrap_or_default())?;
        let ms = value("ksql.connect.request.timeout.ms").and_then(|ms| ms.trim().parse().ok()).unwrap_or(0);
        if ms == 0 {
            return Err("ksql.connect.request.timeout.ms=0 leaves Connect no time to answer; 5000 is the default".to_owned());
        }
        let flag = |name: &str| value(name).is_some_and(|v| v.trim().eq_ignore_ascii_case("true"));
        let file = value("ksql.connect.basic.auth.credentials.file");
        let source = value("ksql.connect.basic.auth.credentials.source").unwrap_or_default();
        let credentials = match source.trim().to_ascii_uppercase().as_str() {
            "FILE" => {
                let file = file.ok_or(
                    "ksql.connect.basic.auth.credentials.source=FILE needs ksql.connect.basic.auth.credentials.file: a properties file with \
                     username and password",
                )?;
                Credentials::of_file(file.into(), flag("ksql.connect.basic.auth.credentials.reload"))?
            }
            _ => Credentials::None,
        };
        let headers = match value("tidemill.connect.request.headers.file") {
            Some(file) => headers(Path::new(&file))?,
            None => HeaderMap::new(),
        };
        let encrypted = url.scheme() == "https";
        let tls = encrypted.then(|| tls::client_config(&TlsProperties { values, prefix: PREFIX })).transpose()?;
        Ok(ConnectConfig { url, timeout: Duration::from_millis(ms), credentials, headers, tls })
    }

    /// The names of what was set for encryption, where the address asks for none.
    pub fn in_vain(&self, values: &BTreeMap<String, String>) -> Option<String> {
        let ssl = values.keys().filter(|name| name.strip_prefix(PREFIX).is_some_and(|bare| bare.starts_with("ssl.")));
        let names: Vec<&str> = ssl.map(String::as_str).collect();
        (self.tls.is_none() && !names.is_empty()).then(|| names.join(", "))
    }

    /// The address as it may be shown: without a user and password.
    pub fn shown(&self) -> String {
        let mut url = self.url.clone();
        let _ = url.set_password(None);
        let _ = url.set_username("");
        url.as_str().trim_end_matches('/').to_owned()
    }
}

fn address(text: &str) -> Result<Url, String> {
    // What is wrong with an address may have a password in it.
    let wrong = |what: &str| format!("ksql.connect.url: {what}; e.g. http://localhost:8083");
    let url = Url::parse(text.trim()).map_err(|error| wrong(&format!("not an address ({error})")))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        "http" | "https" => Err(wrong("it names no host")),
        other => Err(wrong(&format!("'{other}' is not spoken, http and https are"))),
    }
}

/// Headers from a properties file.
fn headers(path: &Path) -> Result<HeaderMap, String> {
    let wrong = |what: String| format!("tidemill.connect.request.headers.file: {}: {what}", path.display());
    let text = file::text(std::fs::read(path).map_err(|error| wrong(error.to_string()))?).map_err(wrong)?;
    let mut headers = HeaderMap::new();
    for entry in file::parse(&text).map_err(wrong)? {
        let name = HeaderName::try_from(&entry.name);
        let value = HeaderValue::try_from(&entry.value);
        // A value may be a secret, so it is not shown.
        let (Ok(name), Ok(mut value)) = (name, value) else {
            return Err(wrong(format!("line {} is no header (Name: value)", entry.line)));
        };
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<ConnectConfig, String> {
        let default = |name: &str| crate::config::property(name).and_then(|p| p.default).filter(|v| !v.is_empty());
        let values = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ConnectConfig::read(&values, |name| {
            set.iter().find(|(n, _)| *n == name).map(|(_, v)| *v).or_else(|| default(name)).map(str::to_owned)
        })
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (set, expected) in [
            (("ksql.connect.url", "localhost:8083"), "'localhost' is not spoken"),
            (("ksql.connect.url", "http://"), "not an address"),
            (("ksql.connect.url", "::"), "not an address"),
            (("ksql.connect.request.timeout.ms", "0"), "no time"),
            (("ksql.connect.basic.auth.credentials.source", "FILE"), "needs ksql.connect.basic.auth.credentials.file"),
            (("tidemill.connect.request.headers.file", "/no/such/file"), "/no/such/file"),
        ] {
            let error = read(&[set]).err().unwrap_or_default();
            assert!(error.contains(expected) && error.starts_with(set.0), "{error}");
        }
        assert_eq!(read(&[]).expect("defaults").url.as_str(), "http://localhost:8083/");
        // For an address without TLS nobody looks at the store.
        let store = ("ksql.connect.ssl.truststore.location", "/no/such/store");
        let in_vain = read(&[store]).expect("unused").in_vain(&[(store.0.to_owned(), store.1.to_owned())].into());
        assert_eq!(in_vain.as_deref(), Some(store.0));
        let error = read(&[store, ("ksql.connect.url", "https://connect:8083")]).err().unwrap_or_default();
        assert!(error.starts_with(store.0) && error.contains("/no/such/store"), "{error}");
        assert!(read(&[("ksql.connect.url", "https://connect:8083")]).expect("the system's certificates").tls.is_some());
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        let config = read(&[("ksql.connect.url", "http://me:secret@connect:8083/api/")]).expect("an address");
        assert_eq!(config.shown(), "http://connect:8083/api");
        let error = read(&[("ksql.connect.url", "http://me:secret@connect:port")]).err().unwrap_or_default();
        assert!(error.contains("port") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn headers_come_from_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("headers");
        std::fs::write(&file, "X-Tenant: blue\nAuthorization: Bearer t0ken\n").expect("written");
        let headers = headers(&file).expect("headers");
        assert_eq!(headers.get("x-tenant").map(HeaderValue::as_bytes), Some(&b"blue"[..]));
        assert!(!format!("{headers:?}").contains("t0ken"));
        std::fs::write(&file, "X-Tenant: blue\nX-(: s3cret\n").expect("written");
        let error = super::headers(&file).expect_err("no header");
        assert!(error.contains("line 2") && !error.contains("s3cret"), "{error}");
    }
}
