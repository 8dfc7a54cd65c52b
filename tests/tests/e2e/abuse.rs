//! Clients that mean harm or know no better: whatever they send, everybody else is served, and /healthcheck at once.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

/// How long anything may take that is answered at all.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long /healthcheck may take meanwhile; on an idle machine it is a millisecond.
const QUICK: Duration = Duration::from_secs(2);
const SLOW_HEADS: usize = 1_000;
const DEPTH: usize = 100_000;

fn started() -> (tempfile::TempDir, ServerProcess) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    (folder, server)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

/// What comes until the server closes the connection.
fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A connection that is reset has said what it had to say.
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Sends bytes and reads what comes until the server closes the connection.
fn sent(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes);
    rest(&mut stream)
}

fn assert_well(server: &ServerProcess, after: &str) {
    let began = Instant::now();
    let (status, body) = server.request("GET", "/healthcheck", None).expect("an answer");
    assert!(status == 200 && body.contains("\"isHealthy\":true"), "after {after}: {status} {body}");
    assert!(began.elapsed() < QUICK, "after {after} /healthcheck took {:?}", began.elapsed());
}

#[test]
fn a_thousand_slow_heads_keep_nobody_waiting() {
    let (_folder, server) = started();
    let mut slow = Vec::with_capacity(SLOW_HEADS);
    for number in 0..SLOW_HEADS {
        let mut stream = connect(server.address());
        stream.write_all(b"POST /ksql HTTP/1.1\r\nhost: tidemill\r\nx-sl").expect("sent");
        slow.push(stream);
        if number % 100 == 0 {
            assert_well(&server, "slow heads");
        }
    }
    for stream in &mut slow {
        let _ = stream.write_all(b"o");
    }
    assert_well(&server, "slow heads");
    server.ksql("INSERT INTO s (k, n) VALUES ('a', 1);");
    assert_eq!(server.pull("SELECT n FROM s;"), [json!([1])]);
}

#[test]
fn bodies_without_end_are_cut() {
    let (_folder, server) = started();
    let mut stream = connect(server.address());
    stream.write_all(b"POST /ksql HTTP/1.1\r\nhost: tidemill\r\ntransfer-encoding: chunked\r\n\r\n").expect("sent");
    let mut chunk = b"100000\r\n".to_vec();
    chunk.resize(chunk.len() + (1 << 20), b'x');
    chunk.extend_from_slice(b"\r\n");
    let mut sent_mb = 0;
    while stream.write_all(&chunk).is_ok() {
        sent_mb += 1;
        assert!(sent_mb < 1_000, "the server takes whatever comes");
    }
    let answer = rest(&mut stream);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_well(&server, "an endless body");
    // Ones whose announced length says enough: answered before anything of them has come, and soon where they stop.
    for (length, sent) in [("99999999999999", ""), ("60000000", "{")] {
        let mut huge = connect(server.address());
        let head = format!("POST /ksql HTTP/1.1\r\nhost: tidemill\r\ncontent-length: {length}\r\n\r\n{sent}");
        huge.write_all(head.as_bytes()).expect("sent");
        assert!(rest(&mut huge).starts_with("HTTP/1.1 413"), "{length}");
    }
    // One that stops coming, beside others.
    let mut stalled = connect(server.address());
    stalled.write_all(b"POST /ksql HTTP/1.1\r\nhost: tidemill\r\ncontent-length: 100\r\n\r\n{").expect("sent");
    assert_well(&server, "a body that stops");
}

#[test]
fn what_is_nested_deeply_is_refused() {
    let (_folder, server) = started();
    let nested = |open: &str, inside: &str, close: &str| format!("{}{inside}{}", open.repeat(DEPTH), close.repeat(DEPTH));
    let sql = |sql: String| json!({ "ksql": sql }).to_string();
    for (what, body) in [
        ("arrays", nested("[", "1", "]")),
        ("objects", nested("{\"a\":", "1", "}")),
        ("arrays without end", "[".repeat(DEPTH)),
        ("properties", format!("{{\"ksql\":\"SHOW STREAMS;\",\"streamsProperties\":{{\"a\":{}}}}}", nested("[", "1", "]"))),
        ("parentheses", sql(format!("CREATE STREAM x AS SELECT {} FROM s;", nested("(", "1", ")")))),
        ("calls", sql(format!("CREATE STREAM x AS SELECT {} FROM s;", nested("ABS(", "n", ")")))),
        ("types", sql(format!("CREATE STREAM x (a {}) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');", nested("ARRAY<", "INT", ">")))),
        ("negations", sql(format!("CREATE STREAM x AS SELECT * FROM s WHERE {} true;", "NOT ".repeat(DEPTH)))),
        ("sums", sql(format!("CREATE STREAM x AS SELECT 1 {} FROM s;", "+ 1".repeat(DEPTH)))),
        ("values", sql(format!("INSERT INTO s (k, n) VALUES ('a', {});", nested("(", "1", ")")))),
        ("comments", sql(format!("{} SHOW STREAMS;", nested("/*", "x", "*/")))),
    ] {
        for path in ["/ksql", "/query-stream"] {
            let (status, answer) =
                server.raw("POST", path, body.as_bytes()).unwrap_or_else(|e| panic!("{what} at {path}: {e}\n{}", server.log()));
            let is_error = (400..500).contains(&status);
            assert!(is_error, "{what} at {path}: {status} {}", &answer.chars().take(200).collect::<String>());
            assert!(answer.len() < body.len() * 3 + 10_000, "{what}: an answer of {} bytes", answer.len());
        }
        assert_well(&server, what);
    }
}

#[test]
fn paths_lead_nowhere_else() {
    let (_folder, server) = started();
    let long = format!("/{}", "x".repeat(60_000));
    for (path, expected) in [
        ("/../../etc/passwd", "404"),
        ("/info/../../etc/passwd", "404"),
        ("/%2e%2e/%2e%2e/etc/passwd", "404"),
        ("/status/%00/x/create", "500"),
        ("/status/stream/%ff%fe/create", "404"),
        ("/status/stream/`S`/create", "200"),
        ("/status/stream/%60S%60/create", "200"),
        ("//info", "200"),
        ("/info/", "200"),
        ("/info?x=%", "200"),
        ("/info#x", "200"),
        ("http://elsewhere.example/info", "200"),
        ("*", "404"),
        ("info", "307"),
        ("/%", "404"),
        (long.as_str(), "404"),
        ("/is_valid_property/%2e%2e%2f", "400"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: tidemill\r\nconnection: close\r\n\r\n");
        let answer = sent(server.address(), request.as_bytes());
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert_eq!(status, expected, "{}: {answer}", &path[..path.len().min(100)]);
        assert!(!answer.contains("root:"), "{answer}");
    }
    let json = |path: &str| server.request("GET", path, None).expect("an answer");
    assert_eq!(json("/status/stream/`S`/create"), json("/status/stream/%60S%60/create"));
    assert_well(&server, "paths");
}

#[test]
fn what_is_no_request_is_answered_or_cut() {
    let (_folder, server) = started();
    let long_header = format!("GET /info HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let many_headers = format!("GET /info HTTP/1.1\r\nhost: h\r\n{}\r\n", "x: y\r\n".repeat(5_000));
    let garbage: Vec<u8> = (0..10_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    preface.extend_from_slice(&[0xff; 4096]);
    for (what, bytes) in [
        ("a TLS handshake", &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..]),
        ("garbage", &garbage),
        ("broken HTTP/2", &preface),
        ("no version", b"GET /info\r\n\r\n"),
        ("HTTP/0.9", b"GET /info HTTP/0.9\r\n\r\n"),
        ("a long header", long_header.as_bytes()),
        ("many headers", many_headers.as_bytes()),
        ("two lengths", b"POST /ksql HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}"),
        ("a length and chunks", b"POST /ksql HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"),
        ("a chunk's length of letters", b"POST /ksql HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
        ("a huge chunk", b"POST /ksql HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n"),
        ("a huge length", b"POST /ksql HTTP/1.1\r\nhost: h\r\ncontent-length: 18446744073709551615\r\n\r\n"),
        ("a negative length", b"POST /ksql HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n"),
    ] {
        let mut stream = connect(server.address());
        let _ = stream.write_all(bytes);
        // Some wait for more that never comes.
        let _ = stream.shutdown(Shutdown::Write);
        let answer = rest(&mut stream);
        assert!(!answer.starts_with("HTTP/1.1 2"), "{what}: {answer}");
        assert_well(&server, what);
    }
}

#[test]
fn requests_in_a_row_are_answered_in_order() {
    const ROUNDS: usize = 200;
    let (_folder, server) = started();
    let mut requests = String::new();
    for number in 0..ROUNDS {
        let body = json!({"ksql": format!("DEFINE x = '{number}'; SHOW VARIABLES;")}).to_string();
        requests += &format!("POST /ksql HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    }
    requests += "GET /info HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    let answers = sent(server.address(), requests.as_bytes());
    let values: Vec<usize> =
        answers.split("\"value\":\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default().parse().expect("a number")).collect();
    assert_eq!(values, (0..ROUNDS).collect::<Vec<_>>());
    assert_eq!(answers.matches("HTTP/1.1 200").count(), ROUNDS + 1);
}

#[test]
fn half_closed_and_abandoned_connections_do_no_harm() {
    let (_folder, server) = started();
    let push = json!({"sql": "SELECT * FROM s EMIT CHANGES;"}).to_string();
    let head = format!("POST /query-stream HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n", push.len());
    for round in 0..50 {
        let mut stream = connect(server.address());
        stream.write_all(head.as_bytes()).expect("sent");
        match round % 3 {
            0 => {}
            1 => stream.write_all(&push.as_bytes()[..5]).expect("sent"),
            _ => stream.write_all(push.as_bytes()).expect("sent"),
        }
        let _ = stream.shutdown(if round % 2 == 0 { Shutdown::Write } else { Shutdown::Both });
    }
    assert_well(&server, "half-closed connections");
    // Nobody listens to their queries any more.
    let began = Instant::now();
    loop {
        let queries = server.ksql("SHOW QUERIES;");
        if queries[0]["queries"].as_array().is_some_and(Vec::is_empty) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{queries}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn web_pages_of_others_change_nothing() {
    let (_folder, server) = started();
    let posted = |path: &str, body: &str, headers: &str| {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}",
            server.address()
        );
        sent(server.address(), request.as_bytes())
    };
    let drop = json!({"ksql": "DROP STREAM s;"}).to_string();
    for headers in [
        "origin: https://evil.example\r\ncontent-type: text/plain\r\n".to_owned(),
        "origin: null\r\n".to_owned(),
        "sec-fetch-site: cross-site\r\ncontent-type: application/x-www-form-urlencoded\r\n".to_owned(),
        format!("origin: http://127.0.0.1:{}\r\n", server.address().port() ^ 1),
    ] {
        for (path, body) in [("/ksql/terminate", "{}"), ("/ksql", &drop), ("/query", &drop), ("/close-query", "{}")] {
            let answer = posted(path, body, &headers);
            assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("access.control.allow.origin"), "{headers}{path}: {answer}");
            let error: Json = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap_or_default()).expect("JSON");
            assert_eq!(error["error_code"], 40300, "{error}");
        }
    }
    // Programs send no such headers; a page of the server's own may ask.
    let show = json!({"ksql": "SHOW STREAMS;"}).to_string();
    for headers in ["content-type: application/x-www-form-urlencoded\r\n".to_owned(), format!("origin: http://{}\r\n", server.address())] {
        assert!(posted("/ksql", &show, &headers).starts_with("HTTP/1.1 200"), "{headers}");
    }
    assert!(server.log().contains("a web page's request was refused"), "{}", server.log());
}
