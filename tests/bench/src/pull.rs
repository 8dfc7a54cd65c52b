//! Pull queries by key over HTTP: as many as go through on so many connections, against a table that rests.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cpu::Process;
use crate::http::{Connection, request};

/// Connections at a time.
pub const CONNECTIONS: usize = 32;

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Pulls {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// CPU time of the server for each, microseconds.
    pub cpu_us: f64,
}

/// A request for each key. `sql` has `{key}` for the key.
pub fn requests(sql: &str, keys: std::ops::Range<u64>) -> Vec<String> {
    keys.map(|key| request("/query", &json!({ "ksql": sql.replace("{key}", &key.to_string()) }).to_string())).collect()
}

/// Sends one request after another on every connection, for so many seconds.
///
/// # Errors
/// An answer that is not 200 or does not hold `wanted`.
pub fn measure(address: SocketAddr, process: &Process, requests: &[String], wanted: &str, seconds: u64) -> Result<Pulls, String> {
    let cpu = process.cpu();
    let began = Instant::now();
    let end = began + Duration::from_secs(seconds);
    let mut samples = std::thread::scope(|scope| -> Result<Vec<f64>, String> {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|first| {
                scope.spawn(move || -> Result<Vec<f64>, String> {
                    let mut connection = Connection::open(address)?;
                    let mut samples = Vec::new();
                    for request in requests.iter().cycle().skip(first) {
                        let sent = Instant::now();
                        if sent > end {
                            break;
                        }
                        let answer = connection.exchange(request)?;
                        if answer.status != 200 || !answer.body.windows(wanted.len()).any(|window| window == wanted.as_bytes()) {
                            return Err(format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body)));
                        }
                        samples.push(sent.elapsed().as_secs_f64() * 1e3);
                    }
                    Ok(samples)
                })
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| "a client panicked")??);
        }
        Ok(all)
    })?;
    let wall = began.elapsed().as_secs_f64();
    samples.sort_by(f64::total_cmp);
    let at =
        |share: f64| samples.get(((samples.len() as f64 * share) as usize).min(samples.len().saturating_sub(1))).copied().unwrap_or(0.0);
    let cpu_us = process.cpu().saturating_sub(cpu).as_secs_f64() * 1e6 / samples.len().max(1) as f64;
    Ok(Pulls { per_second: samples.len() as f64 / wall, p50_ms: at(0.5), p99_ms: at(0.99), cpu_us })
}
