//! `/ws/query` as browsers and scripts use it: rows as they come, how it ends, and who floods it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::flooding::{alone, suffered};

const PATIENCE: Duration = Duration::from_secs(30);
/// Sockets that flood, and messages of each.
const FLOODERS: usize = 20;
const MESSAGES: usize = 2_000;

type Socket = WebSocketStream<TcpStream>;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn path(sql: &str) -> String {
    let request = json!({"ksql": sql, "streamsProperties": {"auto.offset.reset": "earliest"}}).to_string();
    format!("/ws/query?request={}", request.bytes().map(|b| format!("%{b:02X}")).collect::<String>())
}

/// The socket, or the status that it was refused with.
async fn open(address: SocketAddr, path: &str, headers: &[(&'static str, String)]) -> Result<Socket, u16> {
    let mut request = format!("ws://{address}{path}").into_client_request().expect("a request");
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).expect("a value"));
    }
    let stream = TcpStream::connect(address).await.expect("a connection");
    match tokio::time::timeout(PATIENCE, client_async(request, stream)).await.expect("an answer in time") {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// The next text, or code and reason of the close frame.
async fn next(socket: &mut Socket) -> Result<Json, (u16, String)> {
    loop {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("a message in time");
        match message {
            Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
            Some(Ok(Message::Close(Some(frame)))) => return Err((frame.code.into(), frame.reason.to_string())),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn started(folder: &tempfile::TempDir, lines: &str) -> ServerProcess {
    let config = folder.path().join("server.properties");
    std::fs::write(&config, lines).expect("a file");
    ServerProcess::start(&folder.path().join("data"), &["--config", &config.display().to_string()])
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The ids of push queries that run.
fn push_queries(server: &ServerProcess) -> Vec<String> {
    let listed = server.ksql("SHOW QUERIES;");
    let queries = listed[0]["queries"].as_array().expect("a list");
    queries.iter().filter(|q| q["queryType"] == "PUSH").filter_map(|q| q["id"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_query_goes_on_until_one_of_both_ends_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = started(&folder, "");
    server.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    let runtime = runtime();
    let begin = |sql: &str| runtime.block_on(open(server.address(), &path(sql), &[])).expect("a socket");
    let next = |socket: &mut Socket| runtime.block_on(next(socket));
    let done = Err((1000, "done".to_owned()));
    for (n, ends) in ["TERMINATE", "the client closes", "the client hangs up"].iter().enumerate() {
        let mut socket = begin("SELECT n FROM s EMIT CHANGES;");
        let columns = json!([{"name": "N", "schema": {"type": "INTEGER", "fields": null, "memberSchema": null}}]);
        assert_eq!(next(&mut socket), Ok(columns));
        server.ksql(&format!("INSERT INTO s (k, n) VALUES ('a', {n});"));
        for row in 0..=n {
            assert_eq!(next(&mut socket), Ok(json!({"row": {"columns": [row]}})), "{ends}");
        }
        match *ends {
            "TERMINATE" => {
                let ids = push_queries(&server);
                let [id] = ids.as_slice() else { panic!("{ids:?}") };
                server.ksql(&format!("TERMINATE {id};"));
                assert_eq!((next(&mut socket), next(&mut socket)), (Ok(json!({"error": "done"})), done.clone()));
            }
            "the client closes" => {
                let frame = CloseFrame { code: CloseCode::Normal, reason: "enough".into() };
                runtime.block_on(socket.close(Some(frame))).expect("closed");
                assert!(next(&mut socket).is_err_and(|(code, _)| code == 1000));
            }
            _ => drop(socket),
        }
        wait_for("the query ends", || push_queries(&server).is_empty());
    }
    // The server ends.
    let mut socket = begin("SELECT n FROM s EMIT CHANGES;");
    next(&mut socket).expect("the columns");
    server.signal(libc::SIGTERM);
    let mut last = next(&mut socket);
    while last.as_ref().is_ok_and(|frame| frame.get("row").is_some()) {
        last = next(&mut socket);
    }
    assert_eq!(last, Ok(json!({"error": "Server is shutting down"})));
    assert_eq!(next(&mut socket), Err((1001, "Server is shutting down".to_owned())));
    wait_for("the server ends", || server.has_ended());
}

#[test]
fn a_client_that_breaks_the_protocol_is_told_by_its_code() {
    use tokio::io::AsyncWriteExt;
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(&folder, "");
    server.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    let large_ping = [&[0x89, 0xfe, 0, 126, 0, 0, 0, 0][..], &[0; 126]].concat();
    runtime().block_on(async {
        for (what, bytes, expected) in [
            ("unmasked", &[0x81, 1, b'a'][..], 1002),
            ("a reserved bit", &[0xc1, 0x81, 0, 0, 0, 0, b'a'], 1002),
            ("a ping of 126 bytes", &large_ping, 1002),
            ("no UTF-8", &[0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe], 1007),
            ("endless", &[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], 1009),
        ] {
            let mut socket = open(server.address(), &path("SELECT n FROM s EMIT CHANGES;"), &[]).await.expect("a socket");
            next(&mut socket).await.expect("the columns");
            socket.get_mut().write_all(bytes).await.expect("sent");
            let (code, reason) = next(&mut socket).await.expect_err(what);
            assert_eq!(code, expected, "{what}: {reason}");
        }
    });
    wait_for("their queries end", || push_queries(&server).is_empty());
}

#[test]
fn who_may_not_ask_gets_no_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = folder.path().join("tokens").display().to_string();
    let made = std::process::Command::new(tidemill_tests::server::tidemill_binary())
        .args(["user", "token", "web", "--role", "read", "--file", &tokens])
        .output()
        .expect("it runs");
    let token = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let server = started(&folder, &format!("authentication.method=BEARER\ntidemill.auth.tokens.file={tokens}\n"));
    let runtime = runtime();
    let sql = path("PRINT nobody;");
    let asks = |headers: &[(&'static str, String)]| runtime.block_on(open(server.address(), &sql, headers)).map(|_| ());
    let bearer = ("authorization", format!("Bearer {token}"));
    assert_eq!(asks(&[]), Err(401));
    assert_eq!(asks(&[("authorization", "Bearer nonsense".to_owned())]), Err(401));
    assert_eq!(asks(&[bearer.clone(), ("origin", "http://elsewhere.example".to_owned())]), Err(403), "a page of another site");
    assert_eq!(asks(&[bearer]), Ok(()));
}

#[test]
fn a_flood_of_messages_takes_little_and_keeps_nobody_waiting() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(&folder, "");
    server.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    server.ksql("INSERT INTO s (k, n) VALUES ('a', 1);");
    let (runtime, address) = (runtime(), server.address());
    let push = path("SELECT n FROM s EMIT CHANGES;");
    // One that is served meanwhile, and one that says too much at once.
    let mut served = runtime.block_on(open(address, &push, &[])).expect("a socket");
    assert!(runtime.block_on(next(&mut served)).is_ok());
    assert_eq!(runtime.block_on(next(&mut served)), Ok(json!({"row": {"columns": [1]}})));
    let mut sockets: Vec<Socket> = Vec::new();
    suffered(&server, "messages of WebSockets", || {
        let mut floods = Vec::new();
        sockets.clear();
        for _ in 0..FLOODERS {
            let push = push.clone();
            floods.push(runtime.spawn(async move {
                let mut socket = open(address, &push, &[]).await.expect("a socket");
                for message in 0..MESSAGES {
                    // Pings, whose answers nobody reads, and texts that nobody asked for.
                    let sent = match message % 2 {
                        0 => socket.send(Message::Ping(vec![b'x'; 125].into())).await,
                        _ => socket.send(Message::text("x".repeat(8 << 10))).await,
                    };
                    if sent.is_err() {
                        break;
                    }
                }
                socket
            }));
        }
        sockets.extend(floods.into_iter().map(|flood| runtime.block_on(flood).expect("no panic")));
    });
    server.ksql("INSERT INTO s (k, n) VALUES ('a', 2);");
    assert_eq!(runtime.block_on(next(&mut served)), Ok(json!({"row": {"columns": [2]}})));
    // A message that is larger than any need be ends its socket.
    let mut loud = sockets.pop().expect("a socket");
    let _ = runtime.block_on(loud.send(Message::text("x".repeat(1 << 20))));
    drop(sockets);
    wait_for("the queries of those who left end", || push_queries(&server).len() == 1);
}
