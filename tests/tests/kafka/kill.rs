//! kill -9 and recovery on Kafka, at least once: the same queries come back, no record is lost, and tables over a topic count
//! each of its records once. With the data folder gone, everything comes back from Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_engine::log::{Commit, Log, Offset, OutRecord, partition_for};
use tidemill_engine::state::StateBatch;
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::support::{PATIENCE, Waiting, handle, killed_under_load, log_on, new_topic, partition};

const PARTITIONS: u32 = 3;
/// Keys of the clicks.
const IDS: i64 = 17;
/// Groups of the clicks, by a column that is not their key.
const GROUPS: i64 = 5;
/// What happens to the server, one after the other, while records come: how long it ran, and whether its folder goes too.
const KILLS: [(u64, bool); 6] = [(300, false), (2_900, false), (2_000, true), (2_400, false), (3_100, true), (2_005, false)];

/// Adds clicks until told to stop; how many there are.
fn click(log: &dyn Log, topic: &str, stop: &AtomicBool) -> i64 {
    let topic = handle(log, topic);
    let mut writer = log.writer().expect("a writer");
    let mut n = 0;
    while !stop.load(Ordering::Acquire) {
        for _ in 0..20 {
            let (key, value) = (format!("k{}", n % IDS), json!({"n": n, "g": format!("g{}", n % GROUPS)}).to_string());
            let partition = partition_for(Some(key.as_bytes()), PARTITIONS, &mut 0);
            let record =
                OutRecord { partition, timestamp: 1_000 + n, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
            writer.send(topic, record).expect("a send");
            n += 1;
        }
        writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).expect("a commit");
        std::thread::sleep(Duration::from_millis(10));
    }
    n
}

#[test]
fn kill_9_loses_nothing() {
    let Some(bootstrap) = broker::shared("kill_9_loses_nothing") else { return };
    let log = log_on(&bootstrap);
    let clicks = new_topic(&log, "clicks", PARTITIONS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, config) = (folder.path().join("data"), folder.path().join("server.properties"));
    std::fs::write(&config, "ksql.service.id=kill_\n").expect("a configuration");
    let start = || ServerProcess::start(&data, &["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")]);

    let server = start();
    server.ksql(&format!(
        "CREATE STREAM clicks (id STRING KEY, n BIGINT, g STRING) WITH (KAFKA_TOPIC='{clicks}', VALUE_FORMAT='JSON');
         CREATE STREAM even WITH (KAFKA_TOPIC='{clicks}-even') AS SELECT id, n FROM clicks WHERE n % 2 = 0;
         CREATE TABLE latest AS SELECT id, LATEST_BY_OFFSET(n) AS last, MIN(n) AS low, COUNT(*) AS c FROM clicks GROUP BY id;
         CREATE TABLE named AS SELECT id, last FROM latest WHERE last > 3;
         CREATE TABLE groups AS SELECT g, MAX(n) AS high, MIN(n) AS low, COUNT(*) AS c FROM clicks GROUP BY g;"
    ));
    let queries = server.running_queries();
    assert_eq!(queries.len(), 4, "{queries:?}");

    let (mut server, count) = killed_under_load(server, &KILLS, &data, start, |stop| click(&log, &clicks, stop));
    let tables = settled(&server, count);
    check_even(&log, &clicks, count);

    // Ended in order, nothing is counted again; and everything is there without the folder as well.
    assert_eq!(server.terminate(), Some(0));
    server = start();
    assert_eq!(settled(&server, count), tables);
    assert_eq!(server.terminate(), Some(0));
    std::fs::remove_dir_all(&data).expect("the data folder can be removed");
    server = start();
    assert_eq!(server.running_queries(), queries);
    assert_eq!(settled(&server, count), tables);
}

/// The tables once every click is in them. State includes each record of its input once, so counts of clicks are exact, also
/// behind a repartition topic, which may hold a click more than once.
fn settled(server: &ServerProcess, count: i64) -> BTreeMap<String, Vec<Json>> {
    // The last, and the least, number up to `count` that leaves `rest` when divided by `of`.
    let last = |rest: i64, of: i64| (count - 1 - rest) / of * of + rest;
    let many = |rest: i64, of: i64| (count - 1 - rest) / of + 1;
    let mut tables = BTreeMap::new();
    for (table, prefix, of, columns) in [("latest", "k", IDS, "id, last, low, c"), ("groups", "g", GROUPS, "g, high, low, c")] {
        let rows = server.pull_until(&format!("SELECT {columns} FROM {table};"), PATIENCE, |rows| {
            rows.len() == of as usize
                && (0..of).all(|rest| rows.iter().any(|row| row[0] == format!("{prefix}{rest}") && row[1] == last(rest, of)))
                && rows.iter().filter_map(|row| row[3].as_i64()).sum::<i64>() >= count
        });
        for rest in 0..of {
            let row = rows.iter().find(|row| row[0] == format!("{prefix}{rest}")).expect("a row");
            assert_eq!(row[2], rest, "{table}: {row}");
            assert_eq!(row[3], many(rest, of), "{table}: {row}");
        }
        tables.insert(table.to_owned(), sorted(rows));
    }
    let named = server.pull_until("SELECT id, last FROM named;", PATIENCE, |rows| {
        rows.len() == IDS as usize && (0..IDS).all(|rest| rows.contains(&json!([format!("k{rest}"), last(rest, IDS)])))
    });
    tables.insert("named".to_owned(), sorted(named));
    tables
}

fn sorted(mut rows: Vec<Json>) -> Vec<Json> {
    rows.sort_by_key(Json::to_string);
    rows
}

/// Every even click is in the filter's topic, and the first time in its order.
fn check_even(log: &dyn Log, clicks: &str, count: i64) {
    let topic = format!("{clicks}-even");
    let from = (0..PARTITIONS).map(|p| (partition(&topic, p as i32), Offset(0))).collect();
    let mut reader = Waiting::new(log, from);
    let mut seen: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    let (mut total, mut repeated) = (0, 0);
    let began = Instant::now();
    while total < (count + 1) / 2 {
        for read in reader.next(Duration::from_secs(1)).expect("records") {
            let value: Json = serde_json::from_slice(&read.value.expect("a value")).expect("JSON");
            let n = value["N"].as_i64().expect("a number");
            assert_eq!(read.key, Some(format!("k{}", n % IDS).into_bytes()));
            assert_eq!(read.timestamp, 1_000 + n);
            let key = seen.entry(n % IDS).or_default();
            if key.insert(n) {
                assert_eq!(key.last(), Some(&n), "out of order for the first time");
                total += 1;
            } else {
                repeated += 1;
            }
        }
        assert!(began.elapsed() < PATIENCE, "{total} even clicks of {count}");
    }
    assert!(seen.values().flatten().all(|n| n % 2 == 0));
    println!("{total} even clicks, {repeated} of them more than once");
}

/// Whatever is left of a data folder that a killed server had, it starts.
#[test]
fn a_half_written_folder_is_no_obstacle() {
    let Some(bootstrap) = broker::shared("a_half_written_folder_is_no_obstacle") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, config) = (folder.path().join("data"), folder.path().join("server.properties"));
    std::fs::write(&config, "ksql.service.id=half_\n").expect("a configuration");
    let begun = Instant::now();
    for round in 0..3 {
        let mut child = spawn(&data, &config, &bootstrap);
        std::thread::sleep(Duration::from_millis(40 * (round + 1)));
        child.kill().expect("a kill");
        child.wait().expect("an end");
    }
    let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")];
    ServerProcess::start(&data, &arguments).ksql("SHOW QUERIES;");
    assert!(begun.elapsed() < PATIENCE);
}

fn spawn(data: &Path, config: &Path, bootstrap: &str) -> std::process::Child {
    std::process::Command::new(tidemill_tests::server::tidemill_binary())
        .args(["server", "--listen", "127.0.0.1:0", "--bootstrap-servers", bootstrap, "--data-dir"])
        .arg(data)
        .arg("--config")
        .arg(config)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts")
}
