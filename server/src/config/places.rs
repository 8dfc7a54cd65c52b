//! Names and places as properties hold them: what would never match, could not be reached, or is found wrong only when it is used.

/// Characters of a label at most.
const MOST_LABEL: usize = 255;

type Checked = Result<(), String>;

/// What stands in the name of a topic.
pub fn topic_part(text: &str, most: usize) -> Checked {
    match text.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-')) {
        Some(wrong) => Err(format!("It is part of topics' names, and has {wrong:?}; letters, digits, '.', '_' and '-' are possible")),
        None if text.len() > most => Err(format!("It is part of topics' names, and has {} characters; {most} are possible", text.len())),
        None => Ok(()),
    }
}

/// What a browser sends as `Origin`, or a pattern of it.
pub fn origin(text: &str) -> Checked {
    if text == "*" || text == "null" {
        return Ok(());
    }
    if is_pattern(text) {
        let compiled = regex::Regex::new(&format!("^(?:{text})$"));
        return compiled.map(|_| ()).map_err(|_| format!("'{text}' is no pattern of origins"));
    }
    let wrong = || Err(format!("'{text}' is no origin: say scheme://host[:port], as https://app.example.com, or * for all"));
    let Some((scheme, rest)) = text.split_once("://") else { return wrong() };
    let is_scheme = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    // Browsers send neither a path nor a slash.
    if is_scheme && is_host_and_port(rest, false) { Ok(()) } else { wrong() }
}

/// Whether an origin is meant as a pattern.
pub fn is_pattern(origin: &str) -> bool {
    origin.contains(['*', '(', '[', '|', '+', '\\', '^', '$', '?'])
}

/// A path of the server's, as patterns of `authentication.skip.paths` name it.
pub fn path(text: &str) -> Checked {
    if !text.starts_with(['/', '*']) {
        return Err(format!("'{text}' never matches: a path begins with /, as /{text}"));
    }
    match text.find(['?', '#', '%']) {
        Some(_) => Err(format!("'{text}' never matches: a path is compared without what follows ? and #, and decoded")),
        None => Ok(()),
    }
}

/// The name of a method or of a header.
pub fn token(text: &str) -> Checked {
    let is_token = text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c));
    if is_token { Ok(()) } else { Err(format!("'{text}' can't be the name of a method or of a header")) }
}

/// Where others reach a server.
pub fn reached(text: &str) -> Checked {
    let wrong = |why: &str| Err(format!("{why}; say http://host:port, https://host:port or host:port"));
    let (has_scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") => (true, rest),
        Some((scheme, _)) => return wrong(&format!("'{scheme}' is not spoken here")),
        None => (false, text),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains('@') {
        return wrong("A name and a password do not belong into an address that everybody is told");
    }
    if !is_host_and_port(rest, !has_scheme) {
        return wrong("It is no address");
    }
    let host = rest.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(rest, |(host, _)| host);
    if matches!(host, "0.0.0.0" | "[::]" | "*") {
        return wrong("Nobody can reach a server at the address that stands for all addresses");
    }
    Ok(())
}

/// A broker, with or without a protocol before it.
pub fn broker(text: &str) -> Checked {
    let address = text.rsplit_once("://").map_or(text, |(_, rest)| rest);
    if is_host_and_port(address, false) { Ok(()) } else { Err(format!("'{text}' is no broker: say host:port")) }
}

/// A name for people and comparisons.
pub fn label(text: &str) -> Checked {
    if text.chars().any(char::is_control) {
        return Err("It has letters that can't be seen".to_owned());
    }
    if text.chars().count() > MOST_LABEL { Err(format!("It has more than {MOST_LABEL} characters")) } else { Ok(()) }
}

/// `host`, `host:port` or `[address]:port`.
fn is_host_and_port(text: &str, needs_port: bool) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_address = text.starts_with('[') && host.parse::<std::net::Ipv6Addr>().is_ok();
    let is_name = !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let is_port = port.map_or(!needs_port, |port| port.parse::<u16>().is_ok_and(|port| port > 0));
    (is_address || (!text.starts_with('[') && is_name)) && is_port
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(what: fn(&str) -> Checked, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(what(text), Ok(()), "{text}");
        }
        for text in bad {
            assert!(what(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places_are_such_as_can_be_reached_or_match() {
        check(
            origin,
            &["*", "null", "https://app.example.com", "http://localhost:3000", "http://[::1]:3000", "https://.*\\.example\\.com"],
            &["notanorigin", "https://", "https://a/", "https://a b", "http://a:x", "https://(a", "://a"],
        );
        check(path, &["/healthcheck", "/*", "*", "/chc/*"], &["healthcheck", "chc/*", "/a?b", "/a%20b"]);
        check(token, &["GET", "X-Requested-With"], &["GET POST", "a:b", "\u{e9}"]);
        check(
            reached,
            &["http://ksql-1:8088", "https://ksql.example.com/", "ksql-1:8088", "[::1]:8088", "10.0.0.1:80"],
            &[
                "ksql-1",
                "ftp://a:1",
                "http://a:1/path",
                "http://u:p@a:1",
                "http://0.0.0.0:8088",
                "0.0.0.0:8088",
                "a b:1",
                "a:0",
                "a:99999",
                ":8088",
            ],
        );
        check(broker, &["kafka:9092", "PLAINTEXT://kafka:9092", "[::1]:9092", "kafka"], &["a b:9092", "kafka:x", "kafka:0", ":9092"]);
        check(label, &["rack 1", "Z\u{fc}rich"], &["a\nb", &"x".repeat(256)]);
    }
}
