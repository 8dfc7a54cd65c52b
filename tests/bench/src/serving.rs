//! The server beside its throughput: start, memory, pull queries, and the latency of a filter.

use std::time::{Duration, Instant};

use crate::host::Host;
use crate::input::{Input, text};
use crate::latency::{self, Copier, Latency};
use crate::pull::{self, Pulls};
use crate::server::Server;

/// Keys of the table that pull queries ask for.
const KEYS: u64 = 1_000;
/// Rows for each INSERT request.
const ROWS: u64 = 100;
/// How long the table may take to hold them, seconds.
const FILL_TIMEOUT_S: u64 = 60;
/// What an answer with a row holds.
const ROW: &str = "\"row\"";
/// The longest measurement of the limit, seconds.
const LIMIT_SECONDS: u64 = 3;
/// How long an idle server rests before its memory is taken, milliseconds.
const REST_MS: u64 = 500;

/// What was measured beside the queries' throughput.
#[derive(Debug, Clone, Copy)]
pub struct Served {
    /// From the start of the process to its first answer.
    pub started_ms: f64,
    pub idle_mb: f64,
    pub pulls: Pulls,
    /// `GET /info` by the same client: what HTTP alone takes here.
    pub pull_limit: Pulls,
}

/// A server on the embedded log: its start, its memory, pull queries.
///
/// # Errors
/// What the server says.
pub fn measure(seconds: u64) -> Result<Served, String> {
    let server = Server::start(None, "bench_idle_")?;
    let started_ms = server.started_in.as_secs_f64() * 1e3;
    std::thread::sleep(Duration::from_millis(REST_MS));
    let idle_mb = server.process().resident_bytes() as f64 / 1e6;
    let pulls = pulls(&server, seconds)?;
    let pull_limit = pull::measure(server.address, &server.process(), &[request_info()], "KsqlServerInfo", seconds.min(LIMIT_SECONDS))?;
    Ok(Served { started_ms, idle_mb, pulls, pull_limit })
}

fn request_info() -> String {
    "GET /info HTTP/1.1\r\nHost: bench\r\n\r\n".to_owned()
}

/// Pull queries by key on the embedded log, while nothing else runs.
fn pulls(server: &Server, seconds: u64) -> Result<Pulls, String> {
    server.execute(
        "CREATE STREAM clicks (id BIGINT KEY, page VARCHAR) WITH (KAFKA_TOPIC='clicks', PARTITIONS=4, VALUE_FORMAT='JSON');
         CREATE TABLE clicked AS SELECT id, COUNT(*) AS n, LATEST_BY_OFFSET(page) AS page FROM clicks GROUP BY id EMIT CHANGES;",
        &[("auto.offset.reset", "earliest")],
    )?;
    for from in (0..KEYS).step_by(ROWS as usize) {
        let rows: String = (from..from + ROWS).map(|id| format!("INSERT INTO clicks (id, page) VALUES ({id}, 'page {id}');")).collect();
        server.execute(&rows, &[])?;
    }
    let sql = "SELECT * FROM clicked WHERE id = {key};";
    let deadline = Instant::now() + Duration::from_secs(FILL_TIMEOUT_S);
    // A short look tells whether every key is there.
    let requests = pull::requests(sql, 0..KEYS);
    let process = server.process();
    while let Err(error) = pull::measure(server.address, &process, &requests, ROW, 1) {
        if Instant::now() > deadline {
            return Err(error);
        }
    }
    pull::measure(server.address, &process, &requests, ROW, seconds)
}

/// The latency of a filter between two topics of the real broker; with exactly once, that of a committed read.
///
/// # Errors
/// What the server says, or that too few records came through.
pub fn filter(input: &Input, seconds: u64, is_once: bool) -> Result<Latency, String> {
    let (from, to) = ("filter-in", "filter-out");
    input.create(from)?;
    input.create(to)?;
    let server = Server::start_with(Some(input.bootstrap()?), "bench_latency_", is_once.then_some(latency::ONCE_COMMIT_MS))?;
    let guarantee = if is_once { "exactly_once_v2" } else { "at_least_once" };
    server.execute(
        "CREATE STREAM sent (sent BIGINT, number BIGINT, price BIGINT) WITH (KAFKA_TOPIC='filter-in', VALUE_FORMAT='JSON');
         CREATE STREAM kept WITH (KAFKA_TOPIC='filter-out') AS SELECT sent, number FROM sent WHERE price = 17 EMIT CHANGES;",
        &[("auto.offset.reset", "earliest"), ("processing.guarantee", guarantee)],
    )?;
    let latency = latency::between(input.bootstrap()?, None, Copier::Query, from, to, seconds, latency::RATE);
    drop(server);
    for topic in input.log.list_topics().map_err(text)? {
        if topic.name == from || topic.name == to || topic.name.contains("bench_latency_") {
            input.delete(&topic.name)?;
        }
    }
    latency
}
