//! Rows that clients write, a second: by COPY … FROM STDIN, and by Arrow Flight SQL where Python has ADBC.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::host::Host;
use crate::input::text;
use crate::server::Server;

/// How they are written, and what that is called.
const WAYS: [(&str, &str); 2] = [("copy", "COPY … FROM STDIN"), ("flight", "ingest by Flight SQL")];
/// How long rows may take to be there that were acknowledged.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes so many rows by each way, so many times in turn; the medians, as a table.
///
/// # Errors
/// What a server says, or that not all rows are there.
pub fn measure(log: &str, bootstrap: Option<&str>, rows: u64, runs: usize) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(text)?;
    let (postgres, flight) = (free_port()?, free_port()?);
    let listeners = format!("tidemill.postgres.listen=127.0.0.1:{postgres}\ntidemill.flight.sql.listen=127.0.0.1:{flight}\n");
    let server = Server::start_configured(folder.path(), bootstrap, "bench_inserting_", &listeners)?;
    server.execute(
        "CREATE STREAM numbers (id BIGINT, word STRING, price DOUBLE) WITH (KAFKA_TOPIC='numbers', PARTITIONS=4, VALUE_FORMAT='JSON');",
        &[],
    )?;
    let mut took: Vec<(&str, Vec<(f64, f64)>)> = WAYS.iter().map(|(_, name)| (*name, Vec::new())).collect();
    let mut written = 0;
    for _ in 0..runs.max(1) {
        for ((way, _), (_, seconds)) in WAYS.iter().zip(&mut took) {
            let port = if *way == "copy" { postgres } else { flight };
            let before = server.process().cpu();
            match write(way, port, rows) {
                Ok(wrote) => seconds.push((wrote, server.process().cpu().saturating_sub(before).as_secs_f64())),
                // Python need not have it.
                Err(error) if *way == "flight" && error.contains("No module") => continue,
                Err(error) => return Err(format!("{way}: {error}")),
            }
            written += rows;
        }
    }
    let began = Instant::now();
    while server.count("numbers")? != written {
        if began.elapsed() > PATIENCE {
            return Err(format!("{} rows are there, {written} were acknowledged", server.count("numbers")?));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut table = format!("| {rows} rows into {log} | rows a second | CPU of the server, µs a row |\n|---|---:|---:|\n");
    for (name, mut runs) in took.into_iter().filter(|(_, runs)| !runs.is_empty()) {
        runs.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let (seconds, cpu) = runs.get(runs.len() / 2).copied().unwrap_or_default();
        table += &format!("| {name} | {:.0} | {:.1} |\n", rows as f64 / seconds, cpu * 1e6 / rows as f64);
    }
    Ok(table)
}

fn free_port() -> Result<u16, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|held| held.local_addr()).map(|address| address.port()).map_err(text)
}

/// The seconds that a client took until all of its rows were acknowledged.
fn write(way: &str, port: u16, rows: u64) -> Result<f64, String> {
    // One that has ADBC, where there is one.
    let python = std::env::var("TIDEMILL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/insert_bench.py");
    let arguments = [way.to_owned(), "127.0.0.1".to_owned(), port.to_string(), rows.to_string()];
    let output = Command::new(python).arg(script).args(arguments).output().map_err(text)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let told: Value = serde_json::from_slice(&output.stdout).map_err(text)?;
    told.get("seconds").and_then(Value::as_f64).ok_or_else(|| format!("no seconds: {told}"))
}
