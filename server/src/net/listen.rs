//! Taking ports.

use tokio::net::TcpListener;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Why an address can't be listened on. One line.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("port {port} of {host} is taken: is another server running? Choose another with --listen HOST:PORT")]
    Taken { host: String, port: String },
    #[error("can't listen on {address}: {reason}")]
    Other { address: String, reason: String },
}

/// Listens on `host:port`; port 0 takes any free one.
///
/// # Errors
/// The port is taken, the name is unknown, or the system refuses.
pub async fn bind(address: &str) -> Result<TcpListener, BindError> {
    let other = |reason: String| BindError::Other { address: address.to_owned(), reason };
    let mut last = None;
    for candidate in tokio::net::lookup_host(address).await.map_err(|e| other(e.to_string()))? {
        let socket = if candidate.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() };
        let listener = socket.and_then(|socket| {
            // A port whose last connections are still being forgotten can be taken again at once.
            socket.set_reuseaddr(true)?;
            socket.bind(candidate)?;
            socket.listen(BACKLOG)
        });
        match listener {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
            Err(BindError::Taken { host: host.to_owned(), port: port.to_owned() })
        }
        Some(error) => Err(other(error.to_string())),
        None => Err(other("the name has no address".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = bind("127.0.0.1:0").await.expect("a free port");
        let address = first.local_addr().expect("an address").to_string();
        let error = bind(&address).await.expect_err("taken").to_string();
        assert!(error.starts_with("port ") && error.contains("is taken") && !error.contains('\n'), "{error}");
    }
}
