//! Where other servers reach this one.

use std::net::SocketAddr;

/// Where the name of the machine is found.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The URL that other servers are told: what was set, else the first listener that encrypts, else the first. The machine's name stands
/// for a listener on all addresses, as ksqlDB has it. `bound`: the listeners, and whether they encrypt; `None` without any.
pub fn advertised(set: Option<&str>, bound: &[(SocketAddr, bool)]) -> Option<String> {
    let (listener, is_secure) = *bound.iter().find(|(_, is_secure)| *is_secure).or_else(|| bound.first())?;
    let scheme = |is_secure| if is_secure { "https" } else { "http" };
    Some(match set {
        Some(url) if url.contains("://") => url.trim_end_matches('/').to_owned(),
        Some(address) => {
            let address = address.trim_end_matches('/');
            // The listener of that port, if there is one: another one may stand behind a name that is mapped to it.
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            let named = bound.iter().find(|(listener, _)| Some(listener.port()) == port).map_or(is_secure, |(_, is_secure)| *is_secure);
            format!("{}://{address}", scheme(named))
        }
        None if listener.ip().is_unspecified() => format!("{}://{}:{}", scheme(is_secure), host_name(), listener.port()),
        None => format!("{}://{listener}", scheme(is_secure)),
    })
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
        let told = |set: Option<&str>, bound: &[(&str, bool)]| {
            let bound: Vec<_> = bound.iter().map(|(address, is_secure)| (at(address), *is_secure)).collect();
            advertised(set, &bound).expect("a listener")
        };
        assert_eq!(told(None, &[("127.0.0.1:8088", false)]), "http://127.0.0.1:8088");
        assert_eq!(told(None, &[("[::1]:8088", true)]), "https://[::1]:8088");
        assert_eq!(told(Some("http://ksql-1:8088/"), &[("0.0.0.0:8088", false)]), "http://ksql-1:8088");
        assert_eq!(told(Some("ksql-1:8088"), &[("0.0.0.0:8088", true)]), "https://ksql-1:8088");
        // Of several the one that encrypts, wherever it stands.
        let both = [("127.0.0.1:8088", false), ("127.0.0.2:8443", true)];
        assert_eq!(told(None, &both), "https://127.0.0.2:8443");
        assert_eq!(told(Some("ksql-1:8443"), &both), "https://ksql-1:8443");
        assert_eq!(told(Some("ksql-1:443"), &both), "https://ksql-1:443");
        assert_eq!(told(Some("ksql-1:8088"), &both), "http://ksql-1:8088");
        assert_eq!(advertised(None, &[]), None);
        let everywhere = told(None, &[("0.0.0.0:8088", false)]);
        assert!(everywhere.ends_with(":8088") && !everywhere.contains("0.0.0.0"), "{everywhere}");
    }
}
