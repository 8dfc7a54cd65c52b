//! The soak: every operator for minutes at a steady rate while event time runs. What an operator costs, and the memory that
//! it takes, must not grow with what has passed: the last tenth of the time is held against the second.

use std::time::{Duration, Instant};

use tidemill_engine::clock::{Clock, SystemClock};
use tidemill_engine::log::{Commit, LogWriter, OutRecord, TopicHandle, partition_for};
use tidemill_engine::state::StateBatch;

use crate::cpu::Process;
use crate::host;
use crate::input::{Input, PARTITIONS, text};

/// Parts of the time that are measured apart.
const PARTS: u32 = 10;
/// The most that the last part may take of what the second took.
const MOST: f64 = 1.1;
/// Memory that may come and go with buffers of the database, MB.
const SLACK_MB: f64 = 8.0;
/// Records are written this often, milliseconds.
const TICK_MS: u64 = 10;
/// Keys of the records.
const KEYS: u64 = 1_000;

const SOURCES: &str = "
    CREATE STREAM l (id BIGINT KEY, a BIGINT) WITH (KAFKA_TOPIC='soak_l', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');
    CREATE STREAM r (id BIGINT KEY, b BIGINT) WITH (KAFKA_TOPIC='soak_r', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');
    CREATE TABLE lt (id BIGINT PRIMARY KEY, a BIGINT) WITH (KAFKA_TOPIC='soak_l', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');
    CREATE TABLE rt (id BIGINT PRIMARY KEY, b BIGINT) WITH (KAFKA_TOPIC='soak_r', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');";

/// Each operator with a query that makes it work.
const OPERATORS: &[(&str, &str)] = &[
    ("filter", "CREATE STREAM o AS SELECT id, a FROM l WHERE a % 3 = 0 EMIT CHANGES;"),
    ("partition-by", "CREATE STREAM o AS SELECT * FROM l PARTITION BY a % 100 EMIT CHANGES;"),
    ("count", "CREATE TABLE o AS SELECT id, COUNT(*) AS n FROM l GROUP BY id EMIT CHANGES;"),
    (
        "tumbling",
        "CREATE TABLE o AS SELECT id, COUNT(*) AS n FROM l WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 1 SECOND) GROUP BY id EMIT CHANGES;",
    ),
    (
        "hopping",
        "CREATE TABLE o AS SELECT id, COUNT(*) AS n FROM l WINDOW HOPPING (SIZE 2 SECONDS, ADVANCE BY 500 MILLISECONDS,
         GRACE PERIOD 1 SECOND) GROUP BY id EMIT CHANGES;",
    ),
    (
        "final",
        "CREATE TABLE o AS SELECT id, COUNT(*) AS n FROM l WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 1 SECOND) GROUP BY id EMIT FINAL;",
    ),
    (
        "session",
        "CREATE TABLE o AS SELECT id, COUNT(*) AS n FROM l WINDOW SESSION (100 MILLISECONDS, GRACE PERIOD 1 SECOND) GROUP BY id EMIT CHANGES;",
    ),
    (
        "session-final",
        "CREATE TABLE o AS SELECT id, COUNT(*) AS n FROM l WINDOW SESSION (100 MILLISECONDS, GRACE PERIOD 1 SECOND) GROUP BY id EMIT FINAL;",
    ),
    (
        "join",
        "CREATE STREAM o AS SELECT l.id, a, b FROM l JOIN r WITHIN 500 MILLISECONDS GRACE PERIOD 1 SECOND ON l.id = r.id EMIT CHANGES;",
    ),
    (
        "left-join",
        "CREATE STREAM o AS SELECT l.id, a, b FROM l LEFT JOIN r WITHIN 500 MILLISECONDS GRACE PERIOD 1 SECOND ON l.id = r.id EMIT CHANGES;",
    ),
    (
        "full-join",
        "CREATE STREAM o AS SELECT ROWKEY AS id, a, b FROM l FULL OUTER JOIN r WITHIN (0 SECONDS, 1 SECOND) GRACE PERIOD 1 SECOND
         ON l.id = r.id EMIT CHANGES;",
    ),
    ("stream-table", "CREATE STREAM o AS SELECT l.id, a, b FROM l LEFT JOIN rt ON l.id = rt.id EMIT CHANGES;"),
    ("table-table", "CREATE TABLE o AS SELECT lt.id, a, b FROM lt JOIN rt ON lt.id = rt.id EMIT CHANGES;"),
    ("foreign-key", "CREATE TABLE o AS SELECT lt.id, a, b FROM lt JOIN rt ON lt.a = rt.id EMIT CHANGES;"),
];

/// What one part of the time took.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    cpu: Duration,
    memory_mb: f64,
    records: u64,
}

impl Part {
    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.records.max(1) as f64
    }
}

/// Runs every operator (or those named) for so many seconds at so many records a second, and gives the table; whether all
/// of them stayed as they were.
///
/// # Errors
/// What the server or the broker says.
pub fn run(input: &Input, only: &[String], seconds: u64, rate: u64) -> Result<(String, bool), String> {
    let mut table = format!(
        "{rate} records a second for {seconds} s each, {KEYS} keys; the second and the last of {PARTS} parts.\n\n\
         | | CPU, µs a record | … at the end | memory, MB | … at the end | |\n|---|---:|---:|---:|---:|---|\n"
    );
    let mut is_flat = true;
    for (number, (name, sql)) in OPERATORS.iter().enumerate().filter(|(_, (name, _))| only.is_empty() || only.iter().any(|o| o == name)) {
        let parts = soak(input, number, name, sql, Duration::from_secs(seconds), rate)?;
        let (Some(second), Some(last)) = (parts.get(1), parts.last()) else { return Err("the time is too short".into()) };
        let grew = last.cpu_us() > second.cpu_us() * MOST || last.memory_mb > (second.memory_mb * MOST).max(second.memory_mb + SLACK_MB);
        is_flat &= !grew;
        let (cpu, memory) = ((second.cpu_us(), last.cpu_us()), (second.memory_mb, last.memory_mb));
        let mark = if grew { "grows ✗" } else { "✓" };
        table += &format!("| {name} | {:.2} | {:.2} | {:.0} | {:.0} | {mark} |\n", cpu.0, cpu.1, memory.0, memory.1);
    }
    Ok((table, is_flat))
}

fn soak(input: &Input, number: usize, name: &str, sql: &str, time: Duration, rate: u64) -> Result<Vec<Part>, String> {
    let service = format!("soak_{}_{number}_", std::process::id());
    let topics = ["soak_l", "soak_r", "O"];
    for topic in topics {
        if input.log.describe_topic(topic).map_err(text)?.is_some() {
            input.delete(topic)?;
        }
    }
    input.create("soak_l")?;
    input.create("soak_r")?;
    let host = host::start(input, &service, None)?;
    host.execute(SOURCES, &[])?;
    host.execute(sql, &[("auto.offset.reset", "earliest")])?;
    let mut feed = Feed::new(input)?;
    let process = host.process();
    let mut parts = Vec::new();
    for part in 0..PARTS {
        let measured = measure(&mut feed, &process, time / PARTS, rate)?;
        eprintln!("{name}, part {}: {:.2} µs CPU a record, {:.0} MB", part + 1, measured.cpu_us(), measured.memory_mb);
        parts.push(measured);
    }
    let written = input.count("O")?;
    let kind = if sql.starts_with("CREATE STREAM") { "STREAM" } else { "TABLE" };
    host.execute(&format!("DROP {kind} o DELETE TOPIC; DROP STREAM l; DROP STREAM r; DROP TABLE lt; DROP TABLE rt;"), &[])?;
    drop(host);
    let own = |name: &str| topics.contains(&name) || name.contains(&service);
    for topic in input.log.list_topics().map_err(text)?.into_iter().filter(|topic| own(&topic.name)) {
        input.delete(&topic.name)?;
    }
    if written == 0 { Err(format!("{name} wrote nothing")) } else { Ok(parts) }
}

/// Feeds for so long at a steady rate.
fn measure(feed: &mut Feed, process: &Process, time: Duration, rate: u64) -> Result<Part, String> {
    let (cpu, first, began) = (process.cpu(), feed.fed, Instant::now());
    while began.elapsed() < time {
        let due = began.elapsed().as_millis() as u64 * rate / 1_000;
        feed.write(due.saturating_sub(feed.fed - first))?;
        std::thread::sleep(Duration::from_millis(TICK_MS));
    }
    let memory_mb = process.resident_bytes() as f64 / 1e6;
    Ok(Part { cpu: process.cpu().saturating_sub(cpu), memory_mb, records: feed.fed - first })
}

/// Writes to both topics, the time of each record being now.
struct Feed {
    writer: Box<dyn LogWriter>,
    topics: [TopicHandle; 2],
    fed: u64,
}

impl Feed {
    fn new(input: &Input) -> Result<Feed, String> {
        let handle = |topic| input.log.topic(topic).map(|(handle, _)| handle).map_err(text);
        Ok(Feed { writer: input.log.writer().map_err(text)?, topics: [handle("soak_l")?, handle("soak_r")?], fed: 0 })
    }

    /// Two records in three go to the left, so that some of them meet nothing.
    fn write(&mut self, records: u64) -> Result<(), String> {
        let now = SystemClock.now_ms();
        for _ in 0..records {
            let (topic, column) = if self.fed % 3 == 2 { (self.topics[1], "b") } else { (self.topics[0], "a") };
            // Neighbours have keys far apart; the same key comes on both sides.
            let key = (self.fed / 3 * 7_919 % KEYS).to_be_bytes();
            let value = format!(r#"{{"{column}":{}}}"#, self.fed % KEYS);
            let partition = partition_for(Some(&key), PARTITIONS, &mut 0);
            let record = OutRecord { partition, timestamp: now, key: Some(&key), value: Some(value.as_bytes()), headers: &[] };
            self.writer.send(topic, record).map_err(text)?;
            self.fed += 1;
        }
        self.writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).map_err(text)
    }
}
