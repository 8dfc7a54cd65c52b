//! Which pages a browser lets read answers (`access.control.allow.*`). Browsers ask before they send a request with JSON in
//! it; that question is answered here, and no endpoint knows of it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue,
    ORIGIN, VARY,
};
use hyper::{Method, Request, StatusCode};

use crate::config::ServerConfig;
use crate::config::places::is_pattern;
use crate::net::{Handler, RequestBody};
use crate::reply::{self, Reply};

/// What a browser is told where nothing is configured.
const METHODS: &str = "GET,POST,HEAD";
const HEADERS: &str = "X-Requested-With,Content-Type,Accept,Origin";

/// Answers as another handler does, and tells browsers who may read the answers.
pub struct Cors<H> {
    inner: Arc<H>,
    rules: Option<Rules>,
}

impl<H: Handler> Cors<H> {
    pub fn new(inner: Arc<H>, config: &ServerConfig) -> Arc<Self> {
        Arc::new(Cors { inner, rules: Rules::new(config) })
    }
}

impl<H: Handler> Handler for Cors<H> {
    async fn handle(self: Arc<Self>, request: Request<RequestBody>, peer: SocketAddr) -> Reply {
        let Some(rules) = &self.rules else { return self.inner.clone().handle(request, peer).await };
        let allowed = request.headers().get(ORIGIN).and_then(|origin| rules.allowed(origin));
        let asks = request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let mut reply = match (&allowed, asks) {
            (Some(_), true) => rules.answer(),
            _ => self.inner.clone().handle(request, peer).await,
        };
        reply.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
        if let Some(allowed) = allowed {
            reply.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        }
        reply
    }
}

/// The configured rules.
#[derive(Debug)]
pub struct Rules {
    origins: Vec<Origin>,
    methods: HeaderValue,
    headers: HeaderValue,
}

#[derive(Debug)]
enum Origin {
    Any,
    Exact(String),
    /// ksqlDB takes patterns.
    Pattern(regex::Regex),
}

impl Rules {
    /// `None`: no origin is allowed.
    pub fn new(config: &ServerConfig) -> Option<Self> {
        let origins = config.value("access.control.allow.origin")?;
        let header = |name: &str, default: &'static str| {
            let set = config.value(name).and_then(|value| HeaderValue::from_str(&value).ok());
            set.unwrap_or_else(|| HeaderValue::from_static(default))
        };
        Some(Rules {
            origins: origins.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(Origin::new).collect(),
            methods: header("access.control.allow.methods", METHODS),
            headers: header("access.control.allow.headers", HEADERS),
        })
    }

    /// What an origin is told: that all may read, or that it may; `None`: it may not.
    pub fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        let text = origin.to_str().ok()?;
        self.origins.iter().find_map(|allowed| match allowed {
            Origin::Any => Some(HeaderValue::from_static("*")),
            Origin::Exact(one) => one.eq_ignore_ascii_case(text).then(|| origin.clone()),
            Origin::Pattern(pattern) => pattern.is_match(text).then(|| origin.clone()),
        })
    }

    fn answer(&self) -> Reply {
        let mut reply = reply::whole(StatusCode::NO_CONTENT, None, Bytes::new());
        reply.headers_mut().insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        reply.headers_mut().insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
        reply
    }
}

impl Origin {
    fn new(text: &str) -> Self {
        if text == "*" {
            return Origin::Any;
        }
        let pattern = is_pattern(text).then(|| regex::Regex::new(&format!("^(?:{text})$")).ok()).flatten();
        pattern.map_or_else(|| Origin::Exact(text.to_owned()), Origin::Pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rule: &str, origin: &str) -> Option<String> {
        let config = crate::config::ConfigBuilder::new().set("access.control.allow.origin", rule, "test").build().expect("valid");
        let told = Rules::new(&config)?.allowed(&HeaderValue::from_str(origin).expect("a value"))?;
        Some(told.to_str().expect("text").to_owned())
    }

    #[test]
    fn origins_are_told_apart() {
        let page = "https://app.example.com";
        for (rule, origin, expected) in [
            ("*", page, Some("*")),
            (page, page, Some(page)),
            ("https://a.example.com, https://app.example.com", page, Some(page)),
            (".*example.com", page, Some(page)),
            ("https://app.example.com", "https://appXexample.com", None),
            ("https://app.example.com", "https://app.example.com.evil.org", None),
            ("", page, None),
        ] {
            assert_eq!(allowed(rule, origin).as_deref(), expected, "{rule} {origin}");
        }
    }
}
