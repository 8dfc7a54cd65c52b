//! Answers in gzip, for clients that ask for it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use flate2::read::GzDecoder;
use serde_json::json;
use tidemill_tests::server::ServerProcess;

const PATIENCE: Duration = Duration::from_secs(60);

/// The head of an answer in small letters, and its body without the framing of HTTP/1.1.
fn exchange(address: SocketAddr, request: &str, accept: &str, body: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let accept = if accept.is_empty() { String::new() } else { format!("Accept-Encoding: {accept}\r\n") };
    let length = body.len();
    let text = format!("{request} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {length}\r\n{accept}\r\n{body}");
    stream.write_all(text.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let sent = answer.split_off(end);
    let body = if head.contains("transfer-encoding: chunked") { without_chunks(&sent) } else { sent };
    (head, body)
}

fn without_chunks(mut sent: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = sent.windows(2).position(|bytes| bytes == b"\r\n").expect("the size of a chunk");
        let size = usize::from_str_radix(std::str::from_utf8(&sent[..line]).expect("a size"), 16).expect("a size");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&sent[line + 2..line + 2 + size]);
        sent = &sent[line + 4 + size..];
    }
}

fn unpacked(body: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    GzDecoder::new(body).read_to_end(&mut text).expect("gzip, whole and with the right checksum");
    text
}

fn post(server: &ServerProcess, path: &str, accept: &str, body: &serde_json::Value) -> (String, Vec<u8>) {
    exchange(server.address(), &format!("POST {path}"), accept, &body.to_string())
}

#[test]
fn answers_are_compressed_for_who_asks() {
    const KEYS: usize = 5_000;
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(&format!(
        "CREATE STREAM one (k STRING KEY, n INT) WITH (KAFKA_TOPIC='one', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM many AS SELECT k, EXPLODE(GENERATE_SERIES(0, {})) AS n FROM one;
         CREATE STREAM s AS SELECT k, CONCAT('k', LPAD(CAST(n AS STRING), 5, '0')) AS id, n FROM many;
         CREATE TABLE t AS SELECT id, SUM(n) AS n FROM s GROUP BY id;
         INSERT INTO one (k, n) VALUES ('x', 1);",
        KEYS - 1
    ));
    server.pull_until("SELECT id FROM t;", PATIENCE, |rows| rows.len() == KEYS);

    // What is whole has a length, that of what is sent.
    let ask = json!({"ksql": "SHOW PROPERTIES;"});
    let (plain_head, plain) = post(&server, "/ksql", "", &ask);
    let (head, packed) = post(&server, "/ksql", "gzip, deflate, br", &ask);
    assert!(!plain_head.contains("content-encoding") && plain_head.contains("vary: accept-encoding"), "{plain_head}");
    assert!(head.contains("content-encoding: gzip") && head.contains("vary: accept-encoding"), "{head}");
    assert!(head.contains(&format!("content-length: {}\r\n", packed.len())), "{head}");
    assert_eq!(unpacked(&packed), plain);
    assert!(packed.len() * 4 < plain.len(), "{} of {} bytes", packed.len(), plain.len());
    let (head, _) = exchange(server.address(), "GET /metrics", "gzip", "");
    assert!(head.contains("content-encoding: gzip"), "{head}");

    // So have rows that are read while they are sent, and all of them arrive.
    for format in ["/query-stream", "/query"] {
        let all = json!({"sql": "SELECT * FROM t;", "ksql": "SELECT * FROM t;"});
        let (head, plain) = post(&server, format, "gzip;q=0", &all);
        assert!(!head.contains("content-encoding"), "{head}");
        let (head, packed) = post(&server, format, "gzip", &all);
        assert!(head.contains("content-encoding: gzip"), "{format}: {head}");
        let text = unpacked(&packed);
        // Apart from the query's id the same.
        let ids = |text: &[u8]| String::from_utf8_lossy(text).matches("\"k0").count();
        assert_eq!((ids(&text), ids(&plain)), (KEYS, KEYS));
        assert!(packed.len() * 3 < text.len(), "{} of {} bytes", packed.len(), text.len());
    }

    // What is small is left as it is.
    let key = json!({"sql": "SELECT * FROM t WHERE id = 'k00007';"});
    let (head, body) = post(&server, "/query-stream", "gzip", &key);
    assert!(!head.contains("content-encoding") && String::from_utf8_lossy(&body).contains("k00007"), "{head}");

    // So is a push query, whose rows leave one by one.
    let push = json!({"sql": "SELECT * FROM s EMIT CHANGES LIMIT 2000;", "properties": {"auto.offset.reset": "earliest"}});
    let (head, body) = post(&server, "/query-stream", "gzip", &push);
    assert!(!head.contains("content-encoding") && String::from_utf8_lossy(&body).contains("k00007"), "{head}");

    // What others read of it: curl, where it is here.
    let url = format!("http://{}/query-stream", server.address());
    let sql = json!({"sql": "SELECT * FROM t;"}).to_string();
    let curl = std::process::Command::new("curl").args(["-s", "--compressed", &url, "-d", &sql]).output();
    match curl {
        Err(error) => tidemill_tests::broker::skipped("curl --compressed", &error.to_string()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && text.matches("\"k0").count() == KEYS, "{:.200}", text);
        }
    }
}
