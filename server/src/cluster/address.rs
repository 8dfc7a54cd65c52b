//! Where other servers reach this one.

use std::net::SocketAddr;

/// Where the name of the machine is found.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The URL that other servers are told: what was set, else the first listener, with the machine's name where that listens on all
/// addresses, as ksqlDB has it.
pub fn advertised(set: Option<&str>, listener: SocketAddr, is_secure: bool) -> String {
    let scheme = if is_secure { "https" } else { "http" };
    match set {
        Some(url) if url.contains("://") => url.trim_end_matches('/').to_owned(),
        Some(address) => format!("{scheme}://{}", address.trim_end_matches('/')),
        None if listener.ip().is_unspecified() => format!("{scheme}://{}:{}", host_name(), listener.port()),
        None => format!("{scheme}://{listener}"),
    }
}

/// `host:port` of a URL.
pub fn host_of(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/')
}

fn host_name() -> String {
    let found = std::fs::read_to_string(HOST_NAME).ok().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    found.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_what_they_can_reach() {
        let at = |address: &str| address.parse::<SocketAddr>().expect("an address");
        assert_eq!(advertised(None, at("127.0.0.1:8088"), false), "http://127.0.0.1:8088");
        assert_eq!(advertised(None, at("[::1]:8088"), true), "https://[::1]:8088");
        assert_eq!(advertised(Some("http://ksql-1:8088/"), at("0.0.0.0:8088"), false), "http://ksql-1:8088");
        assert_eq!(advertised(Some("ksql-1:8088"), at("0.0.0.0:8088"), true), "https://ksql-1:8088");
        let everywhere = advertised(None, at("0.0.0.0:8088"), false);
        assert!(everywhere.ends_with(":8088") && !everywhere.contains("0.0.0.0"), "{everywhere}");
    }
}
