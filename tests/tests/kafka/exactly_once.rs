//! exactly_once_v2 on a real broker: what committed readers see holds each change once and in order, whatever dies meanwhile.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_engine::clock::{Clock, SystemClock};
use tidemill_engine::log::{Commit, Log, Offset, OutRecord, partition_for};
use tidemill_engine::state::StateBatch;
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::support::{PATIENCE, Waiting, handle, killed_under_load, log_on, new_topic, partition};

pub const PARTITIONS: u32 = 3;
pub const IDS: i64 = 13;
pub const GROUPS: i64 = 5;
/// How long the server lives each time, milliseconds; whether its folder goes with it.
const KILLS: [(u64, bool); 8] =
    [(150, false), (700, false), (1_700, true), (430, false), (60, false), (2_300, false), (1_100, true), (900, false)];

/// Adds clicks until told to stop; how many there are.
pub fn click(log: &dyn Log, topic: &str, stop: &AtomicBool) -> i64 {
    let topic = handle(log, topic);
    let mut writer = log.writer().expect("a writer");
    let mut n = 0;
    while !stop.load(Ordering::Acquire) {
        for _ in 0..20 {
            let (key, value) = (format!("k{}", n % IDS), json!({"n": n, "g": format!("g{}", n % GROUPS)}).to_string());
            let partition = partition_for(Some(key.as_bytes()), PARTITIONS, &mut 0);
            // Lately: what ends a transaction bears the time of now, and a table's topic is compacted behind it.
            let timestamp = SystemClock.now_ms();
            let record = OutRecord { partition, timestamp, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
            writer.send(topic, record).expect("a send");
            n += 1;
        }
        writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).expect("a commit");
        std::thread::sleep(Duration::from_millis(10));
    }
    n
}

/// What a committed reader finds in a topic, by key: a number of each record's value, in order.
fn read_committed(
    log: &dyn Log,
    topic: &str,
    column: &str,
    until: impl Fn(&BTreeMap<String, Vec<i64>>) -> bool,
) -> BTreeMap<String, Vec<i64>> {
    let from = (0..PARTITIONS).map(|p| (partition(topic, p as i32), Offset(0))).collect();
    let mut reader = Waiting::new(log, from);
    let mut seen: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let began = Instant::now();
    while !until(&seen) {
        let told = |(key, all): (&String, &Vec<i64>)| format!("{key}: {} up to {:?}, odd at {:?}", all.len(), all.last(), first_odd(all));
        assert!(began.elapsed() < PATIENCE, "{topic}: {:#?}", seen.iter().map(told).collect::<Vec<_>>());
        for read in reader.next(Duration::from_secs(1)).unwrap_or_default() {
            let value: Json = serde_json::from_slice(&read.value.expect("a value")).expect("JSON");
            let key = String::from_utf8(read.key.expect("a key")).expect("a text");
            seen.entry(key).or_default().push(value[column].as_i64().expect("a number"));
        }
    }
    seen
}

fn total(seen: &BTreeMap<String, Vec<i64>>) -> i64 {
    seen.values().map(|all| all.len() as i64).sum()
}

/// How many of `0..count` leave `rest` when divided by `of`.
pub fn many(count: i64, rest: i64, of: i64) -> i64 {
    (count - 1 - rest) / of + 1
}

/// Statements for one guarantee; sinks are named after the source and a suffix.
fn queries(clicks: &str, suffix: &str) -> String {
    format!(
        "CREATE STREAM even{suffix} WITH (KAFKA_TOPIC='{clicks}-even{suffix}') AS SELECT id, n FROM clicks WHERE n % 2 = 0;
         CREATE TABLE counts{suffix} WITH (KAFKA_TOPIC='{clicks}-counts{suffix}') AS SELECT id, COUNT(*) AS c FROM clicks GROUP BY id;
         CREATE TABLE groups{suffix} WITH (KAFKA_TOPIC='{clicks}-groups{suffix}') AS SELECT g, COUNT(*) AS c FROM clicks GROUP BY g;"
    )
}

pub fn create(server: &ServerProcess, clicks: &str) {
    server.ksql(&format!("CREATE STREAM clicks (id STRING KEY, n BIGINT, g STRING) WITH (KAFKA_TOPIC='{clicks}', VALUE_FORMAT='JSON');"));
    for (suffix, guarantee) in [("", "exactly_once_v2"), ("_al", "at_least_once")] {
        let body = json!({"ksql": queries(clicks, suffix), "streamsProperties": {"processing.guarantee": guarantee, "auto.offset.reset": "earliest"}});
        let (status, text) = server.request("POST", "/ksql", Some(&body)).expect("an answer");
        assert_eq!(status, 200, "{text}");
    }
}

/// Everything once, and each key's changes in order.
pub fn check_exact(log: &dyn Log, clicks: &str, count: i64) {
    let evens = (count + 1) / 2;
    let even = read_committed(log, &format!("{clicks}-even"), "N", |seen| total(seen) >= evens);
    assert_eq!(total(&even), evens);
    for (key, all) in &even {
        assert!(all.is_sorted_by(|a, b| a < b), "{key}: {all:?}");
    }
    for (sink, prefix, of) in [("counts", "k", IDS), ("groups", "g", GROUPS)] {
        let seen = read_committed(log, &format!("{clicks}-{sink}"), "C", |seen| total(seen) >= count);
        for rest in 0..of {
            let key = format!("{prefix}{rest}");
            let expected: Vec<i64> = (1..=many(count, rest, of)).collect();
            assert!(seen.get(&key) == Some(&expected), "{sink} {key}: {:?}", first_odd(seen.get(&key).map_or(&[], Vec::as_slice)));
        }
    }
}

/// Where counts leave 1, 2, 3 …
fn first_odd(all: &[i64]) -> Option<(usize, Vec<i64>)> {
    let at = all.iter().zip(1..).position(|(found, expected)| *found != expected)?;
    Some((at, all.iter().skip(at.saturating_sub(2)).take(6).copied().collect()))
}

#[test]
fn kill_9_repeats_nothing_and_loses_nothing() {
    let Some(bootstrap) = broker::shared("kill_9_repeats_nothing_and_loses_nothing") else { return };
    let log = log_on(&bootstrap);
    let clicks = new_topic(&log, "once", PARTITIONS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, config) = (folder.path().join("data"), folder.path().join("server.properties"));
    std::fs::write(&config, "ksql.service.id=once_\nksql.streams.commit.interval.ms=100\n").expect("a configuration");
    let start = || ServerProcess::start(&data, &["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")]);
    let server = start();
    create(&server, &clicks);
    let queries = server.running_queries();
    assert_eq!(queries.len(), 6, "{queries:?}");
    let (server, count) = killed_under_load(server, &KILLS, &data, start, |stop| click(&log, &clicks, stop));
    check_exact(&log, &clicks, count);
    // Those beside them lose nothing, and their state is exact as well.
    server.pull_until("SELECT id, c FROM counts_al;", PATIENCE, |rows| {
        (0..IDS).all(|rest| rows.contains(&json!([format!("k{rest}"), many(count, rest, IDS)])))
    });
    server.pull_until("SELECT g, c FROM groups;", PATIENCE, |rows| {
        (0..GROUPS).all(|rest| rows.contains(&json!([format!("g{rest}"), many(count, rest, GROUPS)])))
    });
    println!("{count} clicks, each once");
    assert_eq!(server.terminate(), Some(0));
}

pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().expect("kill runs");
    assert!(status.success());
}

#[test]
fn a_zombie_is_fenced_and_changes_nothing() {
    let Some(bootstrap) = broker::shared("a_zombie_is_fenced_and_changes_nothing") else { return };
    let log = log_on(&bootstrap);
    let clicks = new_topic(&log, "zombie", PARTITIONS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("server.properties");
    std::fs::write(&config, "ksql.service.id=zombie_\nksql.streams.commit.interval.ms=100\n").expect("a configuration");
    let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")];
    let start = |data: &Path| ServerProcess::start(data, &arguments);
    let zombie = start(&folder.path().join("one"));
    create(&zombie, &clicks);
    let stop = AtomicBool::new(false);
    let count = std::thread::scope(|scope| {
        let clicking = scope.spawn(|| click(&log, &clicks, &stop));
        std::thread::sleep(Duration::from_millis(800));
        signal(zombie.pid(), "STOP");
        let heir = start(&folder.path().join("two"));
        std::thread::sleep(Duration::from_millis(500));
        signal(zombie.pid(), "CONT");
        let began = Instant::now();
        while !zombie.log().contains("another server") {
            assert!(began.elapsed() < PATIENCE, "{}", zombie.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        println!("the zombie found out within {:?}", began.elapsed());
        std::thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Release);
        let count = clicking.join().expect("no panic");
        check_exact(&log, &clicks, count);
        assert_eq!(heir.running_queries().len(), 6, "{}", heir.log());
        assert_eq!(heir.terminate(), Some(0));
        count
    });
    println!("{count} clicks, each once");
    zombie.kill();
}
