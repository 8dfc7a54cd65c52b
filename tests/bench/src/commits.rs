//! What many queries with exactly once cost: how late committed readers see what the last of them writes, and how much of a core
//! the broker takes for their commits.

use std::time::{Duration, Instant};

use crate::cpu::Process;
use crate::host::Host;
use crate::input::{Input, text};
use crate::latency::{self, Copier, Latency};
use crate::server::Server;
use crate::warming;

const SERVICE: &str = "bench_commits_";
const FROM: &str = "commits-in";
/// Begins the names of the topics that are written.
const TO: &str = "commits-out-";
/// Records a second that each query reads: every query has something to commit each time.
const RATE: u32 = 50;
/// How long the broker is watched without input, to know what it does anyway.
const IDLE: Duration = Duration::from_secs(5);
/// What the broker may take for the commits of a thousand queries, of a core.
const CORE_GOAL: f64 = 0.1;

/// Measures so many queries, and returns the table. `broker` is the broker's process, where it is known.
///
/// # Errors
/// What the server says, or that too few records came through.
pub fn run(input: &Input, broker: Option<u32>, queries: usize, commit_ms: u64, seconds: u64) -> Result<String, String> {
    warming::transactions(input)?;
    input.create(FROM)?;
    let server = Server::start_with(Some(input.bootstrap()?), SERVICE, Some(commit_ms))?;
    let properties = [("auto.offset.reset", "latest"), ("processing.guarantee", "exactly_once_v2")];
    server.execute(
        &format!("CREATE STREAM sent (sent BIGINT, number BIGINT, price BIGINT) WITH (KAFKA_TOPIC='{FROM}', VALUE_FORMAT='JSON');"),
        &properties,
    )?;
    for query in 0..queries {
        // All of them read everything, and the last one lets it pass.
        let price = if query + 1 == queries { 17 } else { 0 };
        let sql = format!(
            "CREATE STREAM kept_{query} WITH (KAFKA_TOPIC='{TO}{query}', PARTITIONS={}) AS SELECT sent, number FROM sent WHERE price = {price} EMIT CHANGES;",
            crate::input::PARTITIONS
        );
        server.execute(&sql, &properties)?;
    }
    let to = format!("{TO}{}", queries.saturating_sub(1));
    let broker = broker.map(Process::of);
    let watch = |since: (Instant, Duration)| {
        let used = broker.as_ref().map_or(Duration::ZERO, Process::cpu).saturating_sub(since.1);
        used.as_secs_f64() / since.0.elapsed().as_secs_f64()
    };
    let begin = || (Instant::now(), broker.as_ref().map_or(Duration::ZERO, Process::cpu));
    let idle = begin();
    std::thread::sleep(IDLE);
    let idle = watch(idle);
    let (busy, own) = (begin(), Process::of(server.pid()));
    let (cpu, began) = (own.cpu(), Instant::now());
    let latency = latency::between(input.bootstrap()?, None, Copier::Query, FROM, &to, seconds, RATE)?;
    let (busy, own) = (watch(busy), (own.cpu().saturating_sub(cpu)).as_secs_f64() / began.elapsed().as_secs_f64());
    drop(server);
    for topic in input.log.list_topics().map_err(text)? {
        if topic.name == FROM || topic.name.starts_with(TO) || topic.name.contains(SERVICE) {
            input.delete(&topic.name)?;
        }
    }
    Ok(table(queries, commit_ms, latency, (busy - idle).max(0.0), own))
}

fn table(queries: usize, commit_ms: u64, latency: Latency, broker: f64, own: f64) -> String {
    let Latency { p50, p99, max, .. } = latency;
    format!(
        "{queries} queries with exactly once on one topic, committed each {commit_ms} ms, {RATE} records a second:\n\n\
         | from produce to a committed read, ms | p50 | p99 | max |\n|---|---:|---:|---:|\n| the last query | {p50:.1} | {p99:.1} | {max:.1} |\n\n\
         The broker takes {:.1}% of a core more than without input (goal for 1,000 queries at 2 s: {:.0}%{}), the server {:.1}%.\n",
        broker * 100.0,
        CORE_GOAL * 100.0,
        crate::report::mark(broker <= CORE_GOAL),
        own * 100.0
    )
}
