//! URIs as `java.net.URI` takes them apart (RFC 2396 with its deviations).

use percent_encoding::percent_decode_str;

/// The parts of a URI as they are written; [`decoded`] takes the escapes out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Uri<'t> {
    pub scheme: Option<&'t str>,
    pub host: Option<&'t str>,
    pub port: Option<i32>,
    /// `None` for opaque URIs such as `mailto:x`.
    pub path: Option<&'t str>,
    pub query: Option<&'t str>,
    pub fragment: Option<&'t str>,
}

impl<'t> Uri<'t> {
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &'t str) -> Result<Self, String> {
        let illegal = |part: &str| format!("Illegal character in {part}: {text}");
        let (rest, fragment) = match text.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (text, None),
        };
        if !fragment.is_none_or(|fragment| is_legal(fragment, "[]")) {
            return Err(illegal("fragment"));
        }
        let (scheme, rest) = match rest.find([':', '/', '?']).filter(|at| rest.as_bytes().get(*at) == Some(&b':')) {
            Some(at) => (Some(rest.get(..at).unwrap_or_default()), rest.get(at + 1..).unwrap_or_default()),
            None => (None, rest),
        };
        if !scheme.is_none_or(is_scheme) {
            return Err(illegal("scheme name"));
        }
        if scheme.is_some() && !rest.starts_with('/') {
            if rest.is_empty() {
                return Err(format!("Expected scheme-specific part: {text}"));
            }
            return if is_legal(rest, "[]") { Ok(Uri { scheme, fragment, ..Uri::default() }) } else { Err(illegal("opaque part")) };
        }
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        if !query.is_none_or(|query| is_legal(query, "[]")) {
            return Err(illegal("query"));
        }
        let mut uri = Uri { scheme, query, fragment, ..Uri::default() };
        let mut path = rest;
        if let Some(behind) = rest.strip_prefix("//") {
            let end = behind.find('/').unwrap_or(behind.len());
            let (authority, behind) = behind.split_at(end);
            if authority.is_empty() && behind.is_empty() && query.is_none() && fragment.is_none() {
                return Err(format!("Expected authority: {text}"));
            }
            if !is_legal(authority, "[]") {
                return Err(illegal("authority"));
            }
            (uri.host, uri.port) = server(authority).unwrap_or_default();
            path = behind;
        }
        if !is_legal(path, "") {
            return Err(illegal("path"));
        }
        uri.path = Some(path);
        Ok(uri)
    }
}

/// Escapes taken out; what is no UTF-8 becomes U+FFFD.
pub fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// Letters, digits, marks, reserved characters, escapes, and what is not ASCII; `also` lists more.
fn is_legal(part: &str, also: &str) -> bool {
    let bytes = part.as_bytes();
    part.char_indices().all(|(at, c)| match c {
        '%' => bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
        _ if c.is_ascii_alphanumeric() || "-_.!~*'();/?:@&=+$,".contains(c) || also.contains(c) => true,
        _ => !c.is_ascii() && !c.is_control() && !c.is_whitespace(),
    })
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// Host and port of `user@host:port`; `None` where the authority is not of that form.
fn server(authority: &str) -> Option<(Option<&str>, Option<i32>)> {
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    let (host, port) = match address.strip_prefix('[') {
        Some(v6) => {
            let (inner, behind) = v6.split_once(']')?;
            inner.parse::<std::net::Ipv6Addr>().ok()?;
            (address.get(..inner.len() + 2)?, behind.strip_prefix(':').or_else(|| behind.is_empty().then_some(""))?)
        }
        None => {
            let (host, port) = address.split_once(':').unwrap_or((address, ""));
            if !is_host_name(host) && host.parse::<std::net::Ipv4Addr>().is_err() {
                return None;
            }
            (host, port)
        }
    };
    let port = if port.is_empty() { None } else { Some(port.parse::<u32>().ok().and_then(|port| i32::try_from(port).ok())?) };
    Some((Some(host), port))
}

/// Labels of letters, digits and hyphens; the last one begins with a letter.
fn is_host_name(host: &str) -> bool {
    let labels = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    labels.split('.').all(is_label) && labels.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_come_apart_as_in_java() {
        for (text, scheme, host, port, path, query) in [
            (
                "http://user:pw@example.com:8080/a/b%20c?x=1&y=a+b#f",
                Some("http"),
                Some("example.com"),
                Some(8080),
                Some("/a/b%20c"),
                Some("x=1&y=a+b"),
            ),
            ("https://example.com", Some("https"), Some("example.com"), None, Some(""), None),
            ("ftp://host/path;p?", Some("ftp"), Some("host"), None, Some("/path;p"), Some("")),
            ("mailto:bob@example.com", Some("mailto"), None, None, None, None),
            ("//host/p", None, Some("host"), None, Some("/p"), None),
            ("", None, None, None, Some(""), None),
            ("www.confluent.io", None, None, None, Some("www.confluent.io"), None),
            ("http://[::1]:99/i", Some("http"), Some("[::1]"), Some(99), Some("/i"), None),
            ("http://example.com:99999/", Some("http"), Some("example.com"), Some(99_999), Some("/"), None),
            ("http://under_score.com/x", Some("http"), None, None, Some("/x"), None),
            ("http://1.2.3.4:5", Some("http"), Some("1.2.3.4"), Some(5), Some(""), None),
        ] {
            let uri = Uri::parse(text).unwrap();
            assert_eq!((uri.scheme, uri.host, uri.port, uri.path, uri.query), (scheme, host, port, path, query), "{text}");
        }
        for text in ["not a url with spaces", "http://a b/", "1http://x", "a:", "/a%zz", "/a[1]", "/a|b", "//"] {
            assert!(Uri::parse(text).is_err(), "{text}");
        }
    }
}
