//! Cleartext HTTP/2 by an upgrade from HTTP/1.1, and paths with back-quotes over HTTP/2, byte by byte.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

const PATIENCE: Duration = Duration::from_secs(60);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// How `:status: 200` is spelled.
const OK: u8 = 0x88;

struct Client(TcpStream);

impl Client {
    fn connect(server: &ServerProcess) -> Self {
        let stream = TcpStream::connect(server.address()).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Client(stream)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("sent");
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
        self.send(&[&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat());
    }

    /// The head of an answer of HTTP/1.1.
    fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("an answer");
            head.push(byte[0]);
        }
        String::from_utf8(head).expect("a text")
    }

    /// The answer on a stream: the first byte of its head, and its body. What else comes is passed over.
    fn answer(&mut self, stream: u32) -> (u8, String) {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).expect("a frame");
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            self.0.read_exact(&mut payload).expect("a payload");
            let (kind, flags) = (head[3], head[4]);
            assert!(kind != 7 && kind != 3, "refused: {head:?} {}", String::from_utf8_lossy(&payload));
            if u32::from_be_bytes([head[5], head[6], head[7], head[8]]) != stream {
                continue;
            }
            match kind {
                HEADERS => status = payload[0],
                DATA => body.extend(payload),
                _ => {}
            }
            if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                return (status, String::from_utf8(body).expect("a text"));
            }
        }
    }
}

fn started() -> (tempfile::TempDir, ServerProcess) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    (folder, server)
}

/// A request that asks for HTTP/2, as clients send it.
fn asking(method: &str, path: &str, more: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: h\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\
         {more}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_request_may_ask_for_http2_and_is_answered_over_it() {
    let (_folder, server) = started();
    let mut client = Client::connect(&server);
    // Not only as a connection's first.
    client.send(b"GET /info HTTP/1.1\r\nhost: h\r\n\r\n");
    let head = client.head();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let length: usize =
        head.to_ascii_lowercase().split("content-length: ").nth(1).and_then(|l| l.lines().next()?.parse().ok()).expect("a length");
    client.0.read_exact(&mut vec![0; length]).expect("a body");
    let long = "-- ".to_owned() + &"x".repeat(20_000);
    let body = json!({"ksql": format!("SHOW STREAMS; {long}")}).to_string();
    client.send(asking("POST", "/ksql", "content-type: application/json\r\n", &body).as_bytes());
    let head = client.head().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101") && head.contains("upgrade: h2c"), "{head}");
    client.send(PREFACE);
    client.frame(SETTINGS, 0, 0, &[]);
    let (status, answer) = client.answer(1);
    let answer: Json = serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
    assert_eq!((status, &answer[0]["@type"]), (OK, &json!("streams")));
    // And it goes on: a second request, whose path is spelled as names are printed.
    let path = "/status/stream/`S`/create";
    let block = [&[0x82, 0x86, 0x04, path.len() as u8][..], path.as_bytes(), &[0x01, 1, b'h']].concat();
    client.frame(HEADERS, END_HEADERS | END_STREAM, 3, &block);
    let (status, answer) = client.answer(3);
    let (_, expected) = server.request("GET", path, None).expect("an answer");
    assert_eq!((status, answer), (OK, expected));
}

#[test]
fn what_cannot_be_upgraded_goes_on_in_http1() {
    let (_folder, server) = started();
    let plain = asking("GET", "/info", "", "");
    let body = json!({"ksql": format!("SHOW STREAMS; -- {}", "x".repeat(40_000))}).to_string();
    for request in [
        plain.replace("AAMAAABkAAQAAP__", "AAMA"),
        plain.replace("http2-settings: ", "x-settings: "),
        plain.replace(", HTTP2-Settings", ""),
        plain.replace("upgrade: h2c", "upgrade: h3"),
        plain.replace("content-length: 0\r\n\r\n", "transfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        asking("POST", "/ksql", "", &body),
    ] {
        let mut client = Client::connect(&server);
        client.send(request.as_bytes());
        let head = client.head();
        assert!(head.starts_with("HTTP/1.1 200"), "{}: {head}", &request[..request.len().min(300)]);
    }
    // One that gets what it asks for and says nothing more is as idle as any.
    let mut client = Client::connect(&server);
    client.send(plain.as_bytes());
    assert!(client.head().starts_with("HTTP/1.1 101"));
    let mut other = Client::connect(&server);
    other.send(plain.as_bytes());
    assert!(other.head().starts_with("HTTP/1.1 101"));
    other.send(&[0xff; 1_000]);
    let _ = other.0.read_to_end(&mut Vec::new());
    let (status, _) = server.request("GET", "/healthcheck", None).expect("an answer");
    assert_eq!(status, 200);
    assert_eq!(server.terminate(), Some(0));
}
