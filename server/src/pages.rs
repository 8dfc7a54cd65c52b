//! Keeps web pages out that have no business here.
//!
//! A browser lets a page of any site send POST requests to any address, a server on loopback included; only the answer is
//! withheld from it. Without a check, whoever lures a user of this machine to a page could end the service. Browsers say
//! which page asks (`Origin`, `Sec-Fetch-Site`); ksqlDB's clients, curl and scripts send neither, and nothing is asked of
//! them. A page is let in where it comes from this server (none does yet, but a proxy in front may serve some) or where
//! `access.control.allow.origin` names its site.
//!
//! `Host` counts too: a page can have its own name point to this address (DNS rebinding), and then looks like one of ours.
//! `Content-Type` does not count: what tells a form from a program would refuse `curl -d`.

use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName, HeaderValue, ORIGIN};
use hyper::http::uri::{Authority, Uri};

use crate::config::ServerConfig;
use crate::cors::Rules;
use crate::error::{ApiError, ErrorCode};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who is let in.
#[derive(Debug, Default)]
pub struct Pages {
    /// `access.control.allow.origin`.
    rules: Option<Rules>,
    /// Names that this server goes by besides addresses and `localhost`; lower case.
    names: Vec<String>,
}

impl Pages {
    /// `host` is what clients are told.
    pub fn new(config: &ServerConfig, host: &str) -> Self {
        let hosts = config.listen.iter().map(|listen| listen.address.as_str()).chain([host]);
        let names = hosts.filter_map(|h| h.parse::<Authority>().ok()).map(|a| a.host().to_ascii_lowercase()).collect();
        Pages { rules: Rules::new(config), names }
    }

    /// # Errors
    /// The request comes from a page that may not ask; nothing may be done for it.
    pub fn check(&self, headers: &HeaderMap, authority: Option<&Authority>) -> Result<(), ApiError> {
        let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let (origin, site) = (headers.get(ORIGIN), text(SEC_FETCH_SITE));
        if origin.is_none() && !matches!(site, Some("cross-site" | "same-site")) {
            return Ok(());
        }
        let unnamed = HeaderValue::from_static("null");
        let origin = origin.unwrap_or(&unnamed);
        if self.rules.as_ref().is_some_and(|rules| rules.allowed(origin).is_some()) {
            return Ok(());
        }
        let origin = origin.to_str().unwrap_or("?").to_ascii_lowercase();
        let of_header = || text(HOST).and_then(|host| host.parse::<Authority>().ok());
        let asked = authority.cloned().or_else(of_header);
        let is_ours = asked.is_some_and(|asked| self.is_named(&asked) && is_of(&origin, &asked));
        if is_ours {
            return Ok(());
        }
        Err(ApiError::generic(
            ErrorCode::FORBIDDEN,
            format!("Requests of web pages from '{origin}' are not taken; to allow them, name it in access.control.allow.origin"),
        ))
    }

    /// Whether this server goes by a name: addresses can't be pointed elsewhere, names can.
    fn is_named(&self, asked: &Authority) -> bool {
        let host = asked.host().trim_matches(['[', ']']).to_ascii_lowercase();
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok() || self.names.contains(&host)
    }
}

/// Whether an origin is that of the address that was asked.
fn is_of(origin: &str, asked: &Authority) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default);
    uri.authority().is_some_and(|own| own.host().eq_ignore_ascii_case(asked.host()) && port(own) == port(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn let_in(pages: &Pages, pairs: &[(&'static str, &'static str)]) -> bool {
        let headers = pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
        pages.check(&headers, None).is_ok()
    }

    #[test]
    fn programs_are_let_in_and_pages_of_others_are_not() {
        let pages = Pages { names: vec!["ksql.example.com".to_owned()], ..Pages::default() };
        for (headers, expected) in [
            // curl, ksqlDB's clients, behind whatever name.
            (&[("host", "127.0.0.1:8088")][..], true),
            (&[("host", "anything.internal:8088"), ("content-type", "application/x-www-form-urlencoded")], true),
            (&[], true),
            // A page of another site, an unnamed one, one of another port.
            (&[("host", "127.0.0.1:8088"), ("origin", "https://evil.example")], false),
            (&[("host", "127.0.0.1:8088"), ("origin", "null")], false),
            (&[("host", "localhost:8088"), ("origin", "http://localhost:3000")], false),
            (&[("host", "127.0.0.1:8088"), ("sec-fetch-site", "cross-site")], false),
            // The server's own, by an address, by a name that it goes by.
            (&[("host", "127.0.0.1:8088"), ("origin", "http://127.0.0.1:8088"), ("sec-fetch-site", "same-origin")], true),
            (&[("host", "[::1]:8088"), ("origin", "http://[::1]:8088")], true),
            (&[("host", "ksql.example.com"), ("origin", "https://ksql.example.com")], true),
            // A page whose name was pointed here.
            (&[("host", "evil.example:8088"), ("origin", "http://evil.example:8088")], false),
            // Typed by the user into the address bar.
            (&[("host", "localhost:8088"), ("sec-fetch-site", "none")], true),
        ] {
            assert_eq!(let_in(&pages, headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn configured_origins_are_let_in() {
        let page = [("host", "ksql:8088"), ("origin", "https://ui.example")];
        let only = |origin: &str| {
            let config = crate::config::ConfigBuilder::new().set("access.control.allow.origin", origin, "test").build().expect("valid");
            Pages::new(&config, "localhost:8088")
        };
        assert!(let_in(&only("https://ui.example"), &page) && let_in(&only("*"), &page) && let_in(&only(r"https://.*\.example"), &page));
        assert!(!let_in(&only("https://other.example"), &page));
    }
}
