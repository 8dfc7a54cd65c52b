//! `/inserts-stream`: rows and acknowledgements, both at once.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const PATIENCE: Duration = Duration::from_secs(60);

/// A body whose parts come when the test says so.
struct Parts(UnboundedReceiver<Bytes>);

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}

#[test]
fn acknowledgements_come_while_the_body_is_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql("CREATE STREAM s (k STRING KEY, a INT, d DECIMAL(5, 2)) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    server.ksql("CREATE SOURCE STREAM kept (k STRING KEY, a INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let streamed = async {
        let stream = tokio::net::TcpStream::connect(server.address()).await.expect("a connection");
        let (mut sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
        tokio::spawn(connection);
        let mut ask_with = async |target: &str, more: &str| {
            let (parts, body) = unbounded_channel();
            parts.send(Bytes::from(format!("{{\"target\": \"{target}\"{more}}}\n"))).expect("sent");
            let request = hyper::Request::post(format!("http://{}/inserts-stream", server.address())).body(Parts(body)).expect("a request");
            (parts, sender.send_request(request).await.expect("an answer"))
        };
        let (parts, answer) = ask_with("s", "").await;
        assert_eq!(answer.status(), 200);
        let mut answer = answer.into_body();
        for seq in 0..5 {
            // In pieces, and the next only when the one before was acknowledged.
            parts.send(Bytes::from(format!("{{\"k\": \"{seq}\", "))).expect("sent");
            parts.send(Bytes::from(format!("\"a\": {seq}, \"d\": 1.5}}\n"))).expect("sent");
            let data = answer.frame().await.expect("a frame").expect("a whole answer").into_data().expect("data");
            assert_eq!(serde_json::from_slice::<Json>(&data).expect("JSON"), json!({"status": "ok", "seq": seq}));
        }
        // The first that is wrong ends it; what comes behind it is not written.
        parts.send(Bytes::from("{\"k\": \"x\", \"a\": \"1\"}\n{\"k\": \"y\"}\n")).expect("sent");
        let rest = answer.collect().await.expect("the end").to_bytes();
        let error: Json = serde_json::from_slice(&rest).expect("one error");
        assert_eq!((&error["@type"], &error["seq"], &error["error_code"]), (&json!("InsertError"), &json!(5), &json!(40000)), "{error}");
        assert!(error["message"].as_str().is_some_and(|m| m.contains("STRING into type INTEGER")), "{error}");
        // So it is where many come at once, wherever the wrong one stands.
        let (parts, answer) = ask_with("s", "").await;
        let rows: String =
            (0..1_300).map(|n| if n == 900 { "{\"a\": 1}\n".to_owned() } else { format!("{{\"k\": \"many\", \"a\": {n}}}\n") }).collect();
        parts.send(Bytes::from(rows)).expect("sent");
        let all = answer.into_body().collect().await.expect("the end").to_bytes();
        let lines: Vec<Json> = all.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let (last, acknowledged) = lines.split_last().expect("an answer");
        assert_eq!(acknowledged, (0..900).map(|seq| json!({"status": "ok", "seq": seq})).collect::<Vec<_>>());
        assert_eq!((&last["seq"], &last["message"]), (&json!(900), &json!("Key field must be specified: K")), "{last}");
        let (_parts, answer) = ask_with("nosuch", "").await;
        assert_eq!(answer.status(), 400);
        let error: Json = serde_json::from_slice(&answer.into_body().collect().await.expect("an answer").to_bytes()).expect("JSON");
        assert_eq!(error["error_code"], 40001, "{error}");
        // INSERT INTO is refused there; the API takes rows, as ksqlDB's does.
        let (parts, answer) = ask_with("kept", "").await;
        assert_eq!(answer.status(), 200);
        parts.send(Bytes::from("{\"k\": \"a\"}\n")).expect("sent");
        drop(parts);
        let all = answer.into_body().collect().await.expect("the end").to_bytes();
        assert_eq!(serde_json::from_slice::<Json>(&all).expect("JSON"), json!({"status": "ok", "seq": 0}));
        // Up to where the topic holds it: 5 rows, 900, and one.
        let (parts, answer) = ask_with("s", ", \"properties\": {\"tidemill.consistency.positions\": \"\"}").await;
        assert_eq!(answer.status(), 200);
        parts.send(Bytes::from("{\"k\": \"b\"}\n")).expect("sent");
        drop(parts);
        let all = answer.into_body().collect().await.expect("the end").to_bytes();
        let acknowledged = json!({"status": "ok", "seq": 0, "consistencyToken": "s:0:906"});
        assert_eq!(serde_json::from_slice::<Json>(&all).expect("JSON"), acknowledged);
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, streamed).await }).expect("in time");
    assert_eq!(server.pull("SELECT a FROM s WHERE k = 'many';"), (0..900).map(|n| json!([n])).collect::<Vec<_>>());
    assert_eq!(server.pull("SELECT a FROM s WHERE k = 'a';"), [json!([null])]);
    assert_eq!(
        server.pull("SELECT k FROM s WHERE k <> 'many' AND k <> 'a' AND k <> 'b';"),
        (0..5).map(|seq| json!([seq.to_string()])).collect::<Vec<_>>()
    );
    // HTTP/1.1 can't answer while it is asked.
    let (status, answer) = server.raw("POST", "/inserts-stream", b"{\"target\": \"s\"}\n").expect("an answer");
    assert!(status == 400 && answer.contains("40004"), "{answer}");
}
