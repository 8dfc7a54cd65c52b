//! SQL over a live table and over a topic, beside SQLite (of Python's standard library) over the same rows.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::host::Host;
use crate::http::Connection;
use crate::input::text;
use crate::server::Server;

/// Rows that one record of the seeds becomes.
const ROWS_OF_A_SEED: u64 = 1_000;
/// How long the table may take to fill, seconds.
const FILL_TIMEOUT_S: u64 = 1_800;
/// Groups of a filter's rows.
const TABLE_QUERY: &str = "SELECT bucket, COUNT(*), SUM(total) FROM totals WHERE total % 3 = 0 GROUP BY bucket ORDER BY bucket";
const TOPIC_QUERY: &str = "SELECT bucket, COUNT(*), SUM(id) FROM numbers GROUP BY bucket ORDER BY bucket";

/// What was measured, medians in seconds.
pub struct Asked {
    pub rows: u64,
    pub table_s: f64,
    /// CPU time of the server's threads for it.
    pub table_cpu_s: f64,
    pub sqlite_s: f64,
    /// Where Python has DuckDB.
    pub duckdb_s: Option<f64>,
    pub topic_s: f64,
    /// Memory of the server beyond what it took before the first query, bytes.
    pub memory: u64,
    /// The same for a pull query over the whole table.
    pub scan_memory: u64,
    pub scan_s: f64,
}

/// Fills a table and a topic with so many rows, and asks, in turn with SQLite.
///
/// # Errors
/// What the server says, or that the answers are not the same.
pub fn measure(rows: u64, runs: usize) -> Result<Asked, String> {
    let server = Server::start(None, "bench_asking_")?;
    let seeds = rows.div_ceil(ROWS_OF_A_SEED);
    let rows = seeds * ROWS_OF_A_SEED;
    server.execute(
        "CREATE STREAM seeds (seed BIGINT) WITH (KAFKA_TOPIC='seeds', PARTITIONS=4, VALUE_FORMAT='JSON');
         CREATE STREAM spread AS SELECT seed, EXPLODE(GENERATE_SERIES(0, 999)) AS n FROM seeds EMIT CHANGES;
         CREATE STREAM numbers AS SELECT seed * 1000 + n AS id, CAST(n % 100 AS INT) AS bucket FROM spread EMIT CHANGES;
         CREATE TABLE totals AS SELECT id, LATEST_BY_OFFSET(bucket) AS bucket, SUM(id) AS total FROM numbers GROUP BY id EMIT CHANGES;",
        &[("auto.offset.reset", "earliest")],
    )?;
    for from in (0..seeds).step_by(100) {
        let inserts: String = (from..(from + 100).min(seeds)).map(|seed| format!("INSERT INTO seeds (seed) VALUES ({seed});")).collect();
        server.execute(&inserts, &[])?;
    }
    let deadline = Instant::now() + Duration::from_secs(FILL_TIMEOUT_S);
    while ask(&server, "SELECT COUNT(*) FROM totals")?.0 != [json!([rows])] {
        if Instant::now() > deadline {
            return Err("the table does not fill".into());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    let before = server.process().resident_bytes();
    let folder = tempfile::tempdir().map_err(text)?;
    let database = folder.path().join("rows.db");
    sqlite(&database, &["fill", &rows.to_string()])?;
    let (mut table, mut cpu, mut topic, mut peer, mut duck, mut memory) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..runs.max(1) {
        let threads = server.process().threads();
        let (answer, took) = ask(&server, TABLE_QUERY)?;
        cpu.push(server.process().threads().since(&threads).as_secs_f64());
        memory = memory.max(server.process().resident_bytes().saturating_sub(before));
        table.push(took);
        let (expected, took) = sqlite(&database, &["ask", TABLE_QUERY])?;
        peer.push(took);
        if answer != expected {
            return Err(format!("the table's answer is not SQLite's: {answer:?}, not {expected:?}"));
        }
        if let Ok((found, took)) = sqlite(&database, &["duck", &rows.to_string(), TABLE_QUERY]) {
            duck.push(took);
            if found != expected {
                return Err("DuckDB's answer is not SQLite's".to_owned());
            }
        }
        let (answer, took) = ask(&server, TOPIC_QUERY)?;
        topic.push(took);
        let (expected, _) = sqlite(&database, &["ask", &TOPIC_QUERY.replace("numbers", "totals")])?;
        if answer != expected {
            return Err("the topic's answer is not SQLite's".to_owned());
        }
    }
    let before = server.process().resident_bytes();
    let (all, scan_s) = ask(&server, "SELECT * FROM totals")?;
    if all.len() as u64 != rows {
        return Err(format!("a pull query over the whole table gave {} rows of {rows}", all.len()));
    }
    let scan_memory = server.process().resident_bytes().saturating_sub(before);
    Ok(Asked {
        rows,
        table_s: median(table),
        table_cpu_s: median(cpu),
        sqlite_s: median(peer),
        duckdb_s: (!duck.is_empty()).then(|| median(duck)),
        topic_s: median(topic),
        memory,
        scan_memory,
        scan_s,
    })
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The rows of a query, and the seconds that it took.
fn ask(server: &Server, sql: &str) -> Result<(Vec<Value>, f64), String> {
    let began = Instant::now();
    let answer = Connection::open(server.address)?.post("/query-stream", &json!({ "sql": format!("{sql};") }).to_string())?;
    let took = began.elapsed().as_secs_f64();
    let body = String::from_utf8_lossy(&answer.body);
    if answer.status != 200 {
        return Err(format!("{sql}: {body}"));
    }
    let rows = body.lines().skip(1).map(serde_json::from_str).collect::<Result<_, _>>().map_err(text)?;
    Ok((rows, took))
}

/// What SQLite answers, and the seconds that it took by itself.
fn sqlite(database: &Path, arguments: &[&str]) -> Result<(Vec<Value>, f64), String> {
    // One that has DuckDB, where there is one.
    let python = std::env::var("TIDEMILL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python)
        .args(["-c", include_str!("../../python/sqlite_bench.py")])
        .arg(database)
        .args(arguments)
        .output()
        .map_err(text)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let told: Value = serde_json::from_slice(&output.stdout).map_err(text)?;
    let rows = told.get("rows").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok((rows, told.get("seconds").and_then(Value::as_f64).unwrap_or_default()))
}

impl Asked {
    /// As a table.
    pub fn table(&self) -> String {
        let Asked { rows, table_s, table_cpu_s, sqlite_s, duckdb_s, topic_s, memory, scan_memory, scan_s } = self;
        let mb = |bytes: &u64| *bytes as f64 / 1e6;
        let duck = duckdb_s.map_or_else(String::new, |s| format!("| the same by DuckDB | {s:.2} | {:.0} | |\n", *rows as f64 / s));
        format!(
            "| {rows} rows | seconds | rows a second | memory beyond, MB |\n|---|---|---|---|\n\
             | filter and GROUP BY over a live table, {table_cpu_s:.2} s of CPU | {table_s:.2} | {:.0} | {:.0} |\n\
             | the same by SQLite | {sqlite_s:.2} | {:.0} | |\n{duck}\
             | GROUP BY over a topic of JSON | {topic_s:.2} | {:.0} | |\n\
             | pull query over the whole table | {scan_s:.2} | {:.0} | {:.0} |\n",
            *rows as f64 / table_s,
            mb(memory),
            *rows as f64 / sqlite_s,
            *rows as f64 / topic_s,
            *rows as f64 / scan_s,
            mb(scan_memory),
        )
    }
}
