//! Clients that ask and don't take what they are answered: over HTTP/2 with windows of nothing, in the midst of a pull query, and push
//! clients that are slow or have stopped. Little is held for them, they are told why they are ended, and everybody else is served.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::Builder;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

use crate::flooding::{alone, suffered};

const PATIENCE: Duration = Duration::from_secs(60);
/// Streams of one connection, of each kind of request.
const STREAMS: usize = 1_000;
/// How long a client may stall, in these tests.
const STALL: Duration = Duration::from_secs(10);
const STALL_PROPERTY: &str = "tidemill.push.stall.timeout.ms";
const SLOW: usize = 200;
const STALLED: usize = 20;
/// Rows that one record of the seeds becomes.
const BURST: i64 = 1_000;
/// Thousands of rows that are there before push clients come.
const BEFORE: i64 = 8;

/// Numbered rows with a text: a thousand for each seed.
const ROWS: &str = "
    CREATE STREAM seeds (seed BIGINT) WITH (KAFKA_TOPIC='seeds', PARTITIONS=1, VALUE_FORMAT='JSON');
    CREATE STREAM spread AS SELECT seed, EXPLODE(GENERATE_SERIES(0, 999)) AS n FROM seeds EMIT CHANGES;
    CREATE STREAM numbers AS SELECT seed * 1000 + n AS id, LPAD('', 1000, 'x') AS note FROM spread EMIT CHANGES;";
/// The same as a table.
const TABLE: &str = "CREATE TABLE latest AS SELECT id, LATEST_BY_OFFSET(note) AS note FROM numbers GROUP BY id EMIT CHANGES;";

const SORTED: &str = "SELECT id, note FROM latest ORDER BY id;";

/// A server with so many thousands of rows, in a table too where one is given.
fn started(folder: &Path, stall: Duration, more: &str, table: &str, thousands: i64) -> ServerProcess {
    let config = folder.join("server.properties");
    std::fs::write(&config, format!("{STALL_PROPERTY}={}\n{more}", stall.as_millis())).expect("written");
    let server = ServerProcess::start(&folder.join("data"), &["--config", config.to_str().expect("a path")]);
    server.ksql(&format!("{ROWS}{table}"));
    for seed in 0..thousands {
        server.ksql(&format!("INSERT INTO seeds (seed) VALUES ({seed});"));
    }
    let last = thousands * BURST - 1;
    let source = if table.is_empty() { "numbers" } else { "latest" };
    server.pull_until(&format!("SELECT id FROM {source} WHERE id = {last};"), PATIENCE, |rows| rows == [json!([last])]);
    server
}

/// One connection of HTTP/2 whose streams have a window of so many bytes, and so many requests on it, whose answers are kept and not
/// read. It lives until what is returned is dropped.
struct Streams {
    _runtime: tokio::runtime::Runtime,
}

impl Streams {
    fn open(address: SocketAddr, path: &'static str, body: String) -> Streams {
        Self::open_for(address, path, body, "identity")
    }

    /// The same, of a client that takes answers in this coding.
    fn open_for(address: SocketAddr, path: &'static str, body: String, coding: &'static str) -> Streams {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
            let (sender, connection) =
                Builder::new(TokioExecutor::new()).initial_stream_window_size(0).handshake(TokioIo::new(stream)).await.expect("HTTP/2");
            tokio::spawn(connection);
            for _ in 0..STREAMS {
                let (mut sender, body) = (sender.clone(), body.clone());
                tokio::spawn(async move {
                    let request = hyper::Request::post(format!("http://{address}{path}")).header("accept-encoding", coding);
                    let request = request.body(Full::new(Bytes::from(body)));
                    let answer = sender.send_request(request.expect("a request")).await;
                    // Kept for as long as the runtime is.
                    std::future::pending::<()>().await;
                    drop(answer);
                });
            }
        });
        Streams { _runtime: runtime }
    }
}

#[test]
fn streams_with_windows_of_nothing_hold_little() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(folder.path(), Duration::from_secs(300), "", TABLE, 4);
    let address = server.address();
    // What a first query of each kind makes ready stays.
    for _ in 0..20 {
        assert_eq!(server.pull("SELECT * FROM latest;").len(), 4_000);
    }
    for coding in ["identity", "gzip"] {
        suffered(&server, &format!("answers that nobody takes ({coding})"), || {
            let asked = |sql: &str| json!({ "sql": sql }).to_string();
            let held = [
                Streams::open_for(address, "/query-stream", asked("SELECT * FROM latest;"), coding),
                Streams::open_for(address, "/ksql", json!({"ksql": "SHOW PROPERTIES; SHOW FUNCTIONS;"}).to_string(), coding),
            ];
            std::thread::sleep(Duration::from_secs(5));
            assert_eq!(server.pull("SELECT id FROM latest WHERE id = 7;"), [json!([7])]);
            assert_eq!(server.pull("SELECT * FROM latest;").len(), 4_000);
            held
        });
    }
}

/// Answers that are made as a whole before the first row goes out.
#[test]
fn sorted_answers_that_nobody_takes_hold_little() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(folder.path(), Duration::from_secs(300), "", TABLE, 4);
    let address = server.address();
    for _ in 0..20 {
        assert_eq!(server.pull(SORTED).len(), 4_000);
    }
    suffered(&server, "sorted answers that nobody takes", || {
        let held = Streams::open(address, "/query-stream", json!({ "sql": SORTED }).to_string());
        std::thread::sleep(Duration::from_secs(5));
        assert_eq!(server.pull("SELECT id FROM latest WHERE id = 7;"), [json!([7])]);
        assert_eq!(server.pull(SORTED).len(), 4_000);
        held
    });
}

/// Asks by HTTP/1.1 with a small buffer, and reads nothing yet.
fn asked(server: &ServerProcess, sql: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).expect("a connection");
    let bytes: libc::c_int = 16 << 10;
    // SAFETY: the socket is open, and the value an int of the length that is said.
    #[allow(unsafe_code)]
    let set = unsafe {
        let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("small");
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, (&raw const bytes).cast(), length)
    };
    assert_eq!(set, 0, "a small buffer");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let body = json!({ "sql": sql }).to_string();
    write!(stream, "POST /query-stream HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("sent");
    stream
}

/// Reads an answer to its end or up to the reason; the ids of its rows, and whether it said the reason.
fn taken(stream: TcpStream) -> (Vec<i64>, bool) {
    let mut ids = Vec::new();
    for line in BufReader::new(stream).lines() {
        let line = line.expect("a line in time");
        if line.contains(STALL_PROPERTY) {
            return (ids, true);
        }
        if line == "0" {
            break;
        }
        if let Some(id) = row(&line) {
            ids.push(id);
        }
    }
    (ids, false)
}

/// The id of a row that is a whole line.
fn row(line: &str) -> Option<i64> {
    let row: Json = serde_json::from_str(line).ok()?;
    row.get(0)?.as_i64()
}

#[test]
fn a_pull_query_that_stalls_is_ended_and_its_client_told_so() {
    let folder = tempfile::tempdir().expect("a folder");
    // There is one place for pull queries, which one that stalls must not keep.
    let server = started(folder.path(), Duration::from_secs(2), "ksql.query.pull.max.concurrent.requests=1\n", TABLE, 4);
    for sql in ["SELECT * FROM latest;", SORTED] {
        let mut stalled = asked(&server, sql);
        // It has the place, and not the next one.
        let mut status = [0; 12];
        stalled.read_exact(&mut status).expect("the begin of an answer");
        assert_eq!(&status, b"HTTP/1.1 200");
        let refused = json!({"sql": "SELECT id FROM latest WHERE id = 7;"});
        let began = Instant::now();
        let mut was_refused = false;
        loop {
            let (status, answer) = server.request("POST", "/query-stream", Some(&refused)).expect("an answer");
            was_refused |= status == 429;
            if was_refused && status == 200 {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{sql}: {status} {answer}");
            std::thread::sleep(Duration::from_millis(20));
        }
        let (ids, told) = taken(stalled);
        assert!(told && !ids.is_empty() && ids.len() < 4_000, "{sql}: {} rows, told so: {told}", ids.len());
    }
    // Who takes its rows has all of them, however slowly.
    let mut slow = asked(&server, "SELECT * FROM latest;");
    let mut received = Vec::new();
    let mut piece = [0; 64 << 10];
    while !received.ends_with(b"0\r\n\r\n") {
        let length = slow.read(&mut piece).expect("in time");
        assert_ne!(length, 0, "the answer ended");
        received.extend_from_slice(piece.get(..length).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(50));
    }
    let text = String::from_utf8_lossy(&received);
    assert_eq!(text.lines().filter_map(row).count(), 4_000, "{}", &text[text.len() - 300..]);
}

/// The same over HTTP/2, where a client stalls by its window.
#[test]
fn a_stream_that_stalls_is_ended_and_its_client_told_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(folder.path(), Duration::from_secs(2), "", TABLE, 4);
    let address = server.address();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let text = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        let (mut sender, connection) =
            Builder::new(TokioExecutor::new()).initial_stream_window_size(16 << 10).handshake(TokioIo::new(stream)).await.expect("HTTP/2");
        tokio::spawn(connection);
        let body = json!({"sql": "SELECT * FROM latest;"}).to_string();
        let request = hyper::Request::post(format!("http://{address}/query-stream")).body(Full::new(Bytes::from(body)));
        let answer = sender.send_request(request.expect("a request")).await.expect("an answer");
        tokio::time::sleep(Duration::from_secs(5)).await;
        let body = tokio::time::timeout(PATIENCE, answer.into_body().collect()).await.expect("in time").expect("a whole answer");
        String::from_utf8_lossy(&body.to_bytes()).into_owned()
    });
    let rows = text.lines().filter_map(row).count();
    assert!(rows > 0 && rows < 4_000, "{rows} rows");
    assert!(text.lines().last().is_some_and(|last| last.contains(STALL_PROPERTY)), "{}", text.lines().last().unwrap_or_default());
}

/// A push client that takes a little now and then.
struct Slow {
    stream: TcpStream,
    /// Of a line that has not come to its end.
    begun: Vec<u8>,
    /// The id of the first row that it is to get, and of the last that it got.
    first: i64,
    last: Option<i64>,
}

impl Slow {
    /// Takes a little, and checks that rows come one behind the other.
    fn take(&mut self) {
        let mut piece = [0; 2 << 10];
        let length = match self.stream.read(&mut piece) {
            Ok(0) => panic!("a slow client was closed behind {:?}", self.last),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error} behind {:?}", self.last),
        };
        self.begun.extend_from_slice(piece.get(..length).unwrap_or_default());
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            assert!(!line.contains(STALL_PROPERTY), "a slow client was ended: {line}");
            if let Some(id) = row(line.trim()) {
                assert_eq!(id, self.last.map_or(self.first, |last| last + 1), "rows are missing");
                self.last = Some(id);
            }
        }
    }
}

#[test]
fn slow_push_clients_are_served_and_stalled_ones_closed_and_told_so() {
    const THOUSANDS: i64 = 4;
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    // What rows cost the server by themselves is there before.
    let server = started(folder.path(), STALL, "", "", BEFORE);
    let sql = "SELECT id, note FROM numbers EMIT CHANGES;";
    let running = || {
        let page = server.request("GET", "/metrics", None).expect("metrics").1;
        let number = page.lines().find_map(|line| line.strip_prefix("tidemill_push_queries "));
        number.and_then(|number| number.parse::<usize>().ok()).expect("a number")
    };
    let mut stalled = Vec::new();
    // The thousands of rows that were there when clients came.
    let mut there = BEFORE;
    suffered(&server, "200 slow push clients and 20 stalled ones", || {
        let (first, end) = (there * BURST, (there + THOUSANDS) * BURST);
        // Those of the round before.
        while running() > 0 {
            std::thread::sleep(Duration::from_millis(50));
        }
        stalled = (0..STALLED).map(|_| asked(&server, sql)).collect();
        let mut slow: Vec<Slow> = (0..SLOW).map(|_| Slow { stream: asked(&server, sql), begun: Vec::new(), first, last: None }).collect();
        for client in &slow {
            client.stream.set_nonblocking(true).expect("a socket");
        }
        let quick = asked(&server, sql);
        let began = Instant::now();
        while running() < SLOW + STALLED + 1 {
            assert!(began.elapsed() < PATIENCE, "{} queries run", running());
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::scope(|scope| {
            let quick = scope.spawn(move || {
                let lines = BufReader::new(quick).lines().map(|line| line.expect("a line in time"));
                lines.filter_map(|line| row(&line)).take(usize::try_from(THOUSANDS * BURST).expect("small")).collect::<Vec<_>>()
            });
            for seed in there..there + THOUSANDS {
                server.ksql(&format!("INSERT INTO seeds (seed) VALUES ({seed});"));
            }
            // Until those that stalled are closed, and for a while after.
            let began = Instant::now();
            let mut until = None;
            while until.is_none_or(|until| Instant::now() < until) {
                assert!(began.elapsed() < 3 * PATIENCE, "{} queries run", running());
                slow.iter_mut().for_each(Slow::take);
                std::thread::sleep(Duration::from_millis(50));
                if until.is_none() && running() <= SLOW + 1 {
                    until = Some(Instant::now() + Duration::from_secs(2));
                }
            }
            assert_eq!(quick.join().expect("no panic"), (first..end).collect::<Vec<_>>());
        });
        for client in &slow {
            let last = client.last.expect("rows");
            assert!(last < end - 1, "a client that was to be slow has all");
        }
        there += THOUSANDS;
        slow
    });
    // Together: with such small buffers each takes its time.
    let reading: Vec<_> = stalled.into_iter().map(|client| std::thread::spawn(move || taken(client))).collect();
    for client in reading {
        let (ids, told) = client.join().expect("no panic");
        assert!(told, "{} rows, and no reason behind them", ids.len());
        let first = (there - THOUSANDS) * BURST;
        assert_eq!(ids, (first..first + i64::try_from(ids.len()).expect("small")).collect::<Vec<_>>());
    }
}
