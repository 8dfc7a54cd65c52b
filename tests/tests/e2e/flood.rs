//! More of everything than anybody needs, at once: ten thousand connections, a thousand heads that don't end, bodies without end
//! and of a gigabyte, JSON a hundred thousand deep, half handshakes. Meanwhile the server keeps its memory, and /healthcheck
//! answers at once.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use serde_json::json;
use tidemill_tests::certificates::Authority;
use tidemill_tests::server::{ServerProcess, exchange};

use crate::flooding::{alone, connect, opened, raise_file_limit, suffered};

const CONNECTIONS: usize = 10_000;
const SLOW_HEADS: usize = 1_000;
const DEPTH: usize = 100_000;
const REQUEST: &[u8] = b"GET /info HTTP/1.1\r\nhost: h\r\n\r\n";
const SLOW_HEAD: &[u8] = b"POST /ksql HTTP/1.1\r\nhost: h\r\nx-slow: ";
/// The beginning of a TLS handshake, which is nothing at a port for plain HTTP.
const HALF_HANDSHAKE: &[u8] = b"\x16\x03\x01\x02\x00\x01";
/// Paths that would lead elsewhere.
const TRICKS: [&str; 6] =
    ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/info/../../etc/passwd", "/status/%00/x/create", "//info", "/%"];
const TRICK_ROUNDS: usize = 200;

/// Sends a body until the server has had enough; how many bytes that were, and what it says.
fn pour(address: SocketAddr, head: &str, chunk: &[u8], most: usize) -> (usize, String) {
    let Some(mut stream) = connect(address) else { return (0, String::new()) };
    let _ = stream.write_all(head.as_bytes());
    let mut sent = 0;
    while sent < most {
        match stream.write(chunk) {
            Ok(length) => sent += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let mut answer = Vec::new();
    // What was reset has said what it had to say.
    let _ = stream.read_to_end(&mut answer);
    (sent, String::from_utf8_lossy(&answer).into_owned())
}

/// As many as are asked for, or as the system gives files for. The other tests of this process have some open as well.
fn connections() -> usize {
    let files = usize::try_from(raise_file_limit()).unwrap_or(usize::MAX);
    CONNECTIONS.min(files.saturating_sub(2_000) / 2)
}

#[test]
fn floods_take_little_memory_and_keep_nobody_waiting() {
    let _alone = alone();
    let connections = connections();
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    let address = server.address();
    let pouring = move || {
        let chunk = vec![b'x'; 1 << 20];
        let gigabyte = format!("POST /ksql HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n", 1 << 30);
        let (sent, answer) = pour(address, &gigabyte, &chunk, 1 << 30);
        assert!(sent < 1 << 30 && (answer.is_empty() || answer.starts_with("HTTP/1.1 413")), "{sent} bytes: {answer}");
        let endless = "POST /query HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut framed = b"100000\r\n".to_vec();
        framed.extend_from_slice(&chunk);
        framed.extend_from_slice(b"\r\n");
        let (sent, answer) = pour(address, endless, &framed, 1 << 30);
        assert!(sent < 1 << 30 && (answer.is_empty() || answer.starts_with("HTTP/1.1 413")), "{sent} bytes: {answer}");
        for nested in ["[".repeat(DEPTH), format!("{}1{}", "{\"a\":".repeat(DEPTH), "}".repeat(DEPTH))] {
            let head = format!("POST /ksql HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", nested.len());
            let (_, answer) = pour(address, &head, nested.as_bytes(), nested.len());
            assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        }
        for path in TRICKS.iter().cycle().take(TRICKS.len() * TRICK_ROUNDS) {
            // Where all places are taken it may be cut off.
            let body = exchange(address, "GET", path, &[], b"").map(|answer| answer.body).unwrap_or_default();
            assert!(!body.contains("root:"), "{path}: {body}");
        }
    };
    suffered(&server, "connections, heads, bodies and paths", || {
        let bodies = std::thread::spawn(pouring);
        let mut held = Vec::new();
        for says in [REQUEST, HALF_HANDSHAKE, b""] {
            held.extend(opened(address, connections / 3, says));
        }
        held.extend(opened(address, SLOW_HEADS, SLOW_HEAD));
        bodies.join().expect("no panic");
        held
    });
    server.ksql("INSERT INTO s (k, n) VALUES ('a', 1);");
    assert_eq!(server.pull("SELECT n FROM s;"), [json!([1])]);
}

/// All of one kind, of the costly ones: of each the server keeps only so many as it has memory for.
#[test]
fn floods_of_one_kind_take_no_more() {
    let _alone = alone();
    let connections = connections();
    let folder = tempfile::tempdir().expect("a folder");
    // Settings that say nothing, and GET /info.
    let http2 = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &[0, 0, 0, 4, 0, 0, 0, 0, 0][..],
        &[0, 0, 12, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x04, 5],
        b"/info",
        &[1, 1, b'h'],
    ];
    let http2 = http2.concat();
    for (what, says) in [("requests", REQUEST), ("streams of HTTP 2", &http2)] {
        let server = ServerProcess::start(&folder.path().join(what), &[]);
        // More than there are places.
        suffered(&server, what, || opened(server.address(), connections + SLOW_HEADS, says));
    }
    let Some(authority) = Authority::new(folder.path()) else { return };
    let (secure_data, configured) = (folder.path().join("secure"), folder.path().join("secure.properties"));
    authority.sign("server", "subjectAltName=IP:127.0.0.1");
    std::fs::write(&configured, format!("ssl.keystore.location={}\n", authority.path("server.both.pem").display())).expect("written");
    let (server, secure) = ServerProcess::start_secure(&secure_data, &["--config", &configured.display().to_string()]);
    suffered(&server, "half handshakes", || opened(secure, connections, HALF_HANDSHAKE));
}
