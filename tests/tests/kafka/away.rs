//! The broker goes and comes back under a running server, and is away when one starts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_engine::log::{Commit, Log, OutRecord, partition_for};
use tidemill_engine::state::StateBatch;
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::support::{PATIENCE, handle, log_on, new_topic};

const PARTITIONS: u32 = 2;
const IDS: i64 = 7;
/// Records between two outages.
const STEP: i64 = 2_000;
/// Outages, seconds: shorter and longer than a request's time limit.
const OUTAGES_S: [u64; 2] = [2, 14];
/// How long a server may take to end while its broker is away.
const END: Duration = Duration::from_secs(15);

fn produce(log: &dyn Log, topic: &str, from: i64, to: i64) {
    let topic = handle(log, topic);
    let mut writer = log.writer().expect("a writer");
    for n in from..to {
        let (key, value) = (format!("k{}", n % IDS), json!({"n": n, "g": n % 3}).to_string());
        let partition = partition_for(Some(key.as_bytes()), PARTITIONS, &mut 0);
        let record = OutRecord { partition, timestamp: 1_000 + n, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
        writer.send(topic, record).expect("a send");
    }
    writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).expect("a commit");
}

fn counted(rows: &[serde_json::Value]) -> i64 {
    rows.iter().map(|row| row[2].as_i64().unwrap_or(0)).sum()
}

/// The tables hold every record up to `count`; behind the repartition, counts may be higher.
fn check(server: &ServerProcess, count: i64) {
    let last = |rest: i64, of: i64| (count - 1 - rest) / of * of + rest;
    for (table, of) in [("latest", IDS), ("groups", 3)] {
        let rows = server.pull_until(&format!("SELECT * FROM {table};"), PATIENCE, |rows| {
            let highs: BTreeMap<String, i64> = rows.iter().map(|row| (row[0].to_string(), row[1].as_i64().unwrap_or(-1))).collect();
            // The highest number may arrive before lower ones of other partitions.
            rows.len() == of as usize && counted(rows) >= count && (0..of).all(|rest| highs.values().any(|high| *high == last(rest, of)))
        });
        let counted = counted(&rows);
        println!("{table}: {count} records, {} of them more than once", counted - count);
    }
}

#[test]
fn a_server_outlasts_its_broker() {
    let Some(mut broker) = broker::own("a_server_outlasts_its_broker") else { return };
    let bootstrap = broker.bootstrap();
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "away", PARTITIONS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let server = ServerProcess::start(&data, &["--bootstrap-servers", &bootstrap]);
    server.ksql(&format!(
        "CREATE STREAM away (id STRING KEY, n BIGINT, g INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE TABLE latest AS SELECT id, MAX(n) AS last, COUNT(*) AS c FROM away GROUP BY id;
         CREATE TABLE groups AS SELECT g, MAX(n) AS high, COUNT(*) AS c FROM away GROUP BY g;"
    ));
    let queries = server.running_queries();
    produce(&log, &topic, 0, STEP);
    check(&server, STEP);

    let mut count = STEP;
    for outage_s in OUTAGES_S {
        // Some of it under way when the broker goes.
        produce(&log, &topic, count, count + STEP);
        count += STEP;
        broker.kill();
        let killed = Instant::now();
        // It says so, refuses what needs the broker, and answers what does not.
        while !server.log().contains("away") {
            assert!(killed.elapsed() < PATIENCE, "the outage was not noticed:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(server.pull("SELECT * FROM latest;").len(), IDS as usize, "tables answer meanwhile");
        let (status, text) = server.request("GET", "/healthcheck", None).expect("an answer");
        let health: Json = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status, &health["isHealthy"], &health["details"]["kafka"]["isHealthy"]), (200, &json!(false), &json!(false)), "{text}");
        println!("noticed and asked within {:?}", killed.elapsed());
        std::thread::sleep(Duration::from_secs(outage_s).saturating_sub(killed.elapsed()));
        broker.start_again().expect("the broker comes back");
        let back = Instant::now();
        produce(&log, &topic, count, count + STEP);
        count += STEP;
        check(&server, count);
        println!("caught up within {:?}", back.elapsed());
        assert_eq!(server.running_queries(), queries);
    }
    let (status, text) = server.request("GET", "/healthcheck", None).expect("an answer");
    let health: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, &health["isHealthy"]), (200, &json!(true)), "{text}");
    let lines = server.log().lines().count();
    assert!(lines < 50, "it does not repeat itself:\n{}", server.log());

    // It ends without its broker, and waits for it at the start: both with records that are under way.
    produce(&log, &topic, count, count + STEP);
    count += STEP;
    broker.kill();
    let (status, text) = server
        .request(
            "POST",
            "/ksql",
            Some(&json!({"ksql": format!("CREATE STREAM more (n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');")})),
        )
        .expect("an answer");
    assert_eq!(status, 503, "not that the topic is missing: {text}");
    let ending = Instant::now();
    assert_eq!(server.terminate(), Some(0));
    assert!(ending.elapsed() < END, "it took {:?} to end", ending.elapsed());
    let server = std::thread::scope(|scope| {
        let starting = scope.spawn(|| ServerProcess::start(&data, &["--bootstrap-servers", &bootstrap]));
        std::thread::sleep(Duration::from_secs(2));
        assert!(!starting.is_finished(), "it does not answer before it can");
        broker.start_again().expect("the broker comes back");
        starting.join().expect("the server starts")
    });
    assert_eq!(server.running_queries(), queries);
    check(&server, count);
    assert_eq!(server.terminate(), Some(0));
}
