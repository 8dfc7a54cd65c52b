//! Many push queries over one stream: what they share changes nothing of what each of them gets, and nobody waits for a slow one.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

const PATIENCE: Duration = Duration::from_secs(60);
/// Clients that come and go.
const CLIENTS: usize = 24;
/// Keys that they look for.
const KEYS: i64 = 4;
/// Rows of one record of the seeds.
const BURST: i64 = 40;

/// A record that can't be read comes with each seed.
const STREAMS: &str = "
    CREATE STREAM seeds (seed BIGINT) WITH (KAFKA_TOPIC='seeds', PARTITIONS=1, VALUE_FORMAT='JSON');
    CREATE STREAM spread AS SELECT seed, EXPLODE(GENERATE_SERIES(0, 39)) AS n FROM seeds EMIT CHANGES;
    CREATE STREAM numbers WITH (KAFKA_TOPIC='numbers') AS SELECT seed * 40 + n AS id, (seed * 40 + n) % 4 AS slot, 'a text beside it' AS note
        FROM spread EMIT CHANGES;
    CREATE STREAM garbage (text STRING) WITH (KAFKA_TOPIC='numbers', VALUE_FORMAT='KAFKA');";

/// An answer under way, over HTTP/1.1.
struct Rows {
    lines: BufReader<TcpStream>,
    /// The last row's id.
    last: Option<i64>,
    /// From one row's id to the next.
    step: i64,
}

impl Rows {
    /// Asks, and waits for the answer to begin.
    fn of(server: &ServerProcess, sql: &str, step: i64) -> Rows {
        let mut stream = TcpStream::connect(server.address()).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let body = json!({ "sql": sql }).to_string();
        write!(stream, "POST /query-stream HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("sent");
        let mut rows = Rows { lines: BufReader::new(stream), last: None, step };
        while !rows.line().contains("queryId") {}
        rows
    }

    /// The next line: of the head, of a chunk's size, or of an answer.
    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.lines.read_line(&mut line).expect("a line in time"), 0, "the answer ended");
        line
    }

    /// Reads one more row, which must be the one behind the last.
    fn follow(&mut self) {
        let line = std::iter::from_fn(|| Some(self.line())).find(|line| line.starts_with(['[', '{'])).expect("a line");
        let row: Json = serde_json::from_str(&line).expect("JSON");
        let id = row[0].as_i64().unwrap_or_else(|| panic!("no row: {line}"));
        if let Some(last) = self.last {
            assert_eq!(id, last + self.step, "after {last}");
        }
        self.last = Some(id);
    }

    /// Reads on as far as rows go up to an id.
    fn follow_to(&mut self, end: i64) {
        while self.last.is_none_or(|last| last + self.step <= end) {
            self.follow();
        }
    }
}

#[test]
fn who_comes_and_goes_loses_nothing_and_gets_nothing_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(STREAMS);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (server, is_done) = (&server, &is_done);
        let writing = scope.spawn(move || {
            let mut seed = 0;
            while !is_done.load(Ordering::Acquire) {
                server.ksql(&format!("INSERT INTO seeds (seed) VALUES ({seed}); INSERT INTO garbage (text) VALUES ('no JSON');"));
                seed += 1;
            }
            seed * BURST - 1
        });
        let mut staying = Vec::new();
        for number in 0..CLIENTS {
            // Filters that are looked up, that are tried row by row, that call functions, that are more than an equality, and none.
            let key = i64::try_from(number).expect("small") % KEYS;
            let (filter, step) = match number % 6 {
                0 => (format!("WHERE slot = {key}"), KEYS),
                1 => (format!("WHERE slot > {} AND slot < {}", key - 1, key + 1), KEYS),
                2 => (format!("WHERE ABS(slot) = {key}"), KEYS),
                3 => (format!("WHERE slot = {key} AND note = 'a text beside it'"), KEYS),
                4 => ("WHERE note = 'a text beside it'".to_owned(), 1),
                _ => (String::new(), 1),
            };
            let mut rows = Rows::of(server, &format!("SELECT id, slot, note FROM numbers {filter} EMIT CHANGES;"), step);
            for _ in 0..3 {
                rows.follow();
            }
            // Every other one leaves.
            if number % 2 == 0 {
                staying.push(rows);
            }
        }
        is_done.store(true, Ordering::Release);
        let end = writing.join().expect("writes");
        for rows in &mut staying {
            rows.follow_to(end);
        }
        assert_eq!(staying.len(), CLIENTS / 2);
    });
}

#[test]
fn a_client_that_takes_nothing_is_closed_and_told_so_and_others_go_on() {
    const SEEDS: i64 = 15;
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("server.properties");
    std::fs::write(&config, "tidemill.push.stall.timeout.ms=1000\n").expect("a file");
    let server = ServerProcess::start(&folder.path().join("data"), &["--config", config.to_str().expect("a path")]);
    server.ksql(
        "CREATE STREAM seeds (seed BIGINT) WITH (KAFKA_TOPIC='seeds', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM spread AS SELECT seed, EXPLODE(GENERATE_SERIES(0, 999)) AS n FROM seeds EMIT CHANGES;
         CREATE STREAM numbers AS SELECT seed * 1000 + n AS id, LPAD('', 1000, 'x') AS note FROM spread EMIT CHANGES;",
    );
    let sql = "SELECT id, note FROM numbers EMIT CHANGES;";
    let mut slow = Rows::of(&server, sql, 1);
    let mut quick = Rows::of(&server, sql, 1);
    let push_queries = || server.request("GET", "/metrics", None).expect("metrics").1.lines().any(|line| line == "tidemill_push_queries 1");
    let mut seed = 0;
    let began = Instant::now();
    // What fits into the sockets' buffers is no backlog.
    while !push_queries() {
        assert!(began.elapsed() < PATIENCE, "the slow client is not closed");
        if seed < SEEDS {
            server.ksql(&format!("INSERT INTO seeds (seed) VALUES ({seed});"));
            seed += 1;
            quick.follow_to(seed * 1000 - 1);
        } else {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    // The other one goes on.
    server.ksql(&format!("INSERT INTO seeds (seed) VALUES ({seed});"));
    quick.follow_to((seed + 1) * 1000 - 1);
    // It finds what waited for it, from the first row on, and then why there is no more.
    let mut received = String::new();
    while !received.contains("tidemill.push.stall.timeout.ms") {
        received = slow.line();
        if received.starts_with('[') {
            let row: Json = serde_json::from_str(&received).expect("JSON");
            assert_eq!(row[0].as_i64(), Some(slow.last.map_or(0, |last| last + 1)), "rows are missing");
            slow.last = row[0].as_i64();
        }
    }
}
