//! Dead letters on a real broker with exactly_once_v2: each bad record is one letter, and goes through a mended query once, whatever
//! dies meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tidemill_engine::clock::{Clock, SystemClock};
use tidemill_engine::log::{Commit, Log, Offset, OutRecord};
use tidemill_engine::state::StateBatch;
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::support::{PATIENCE, Waiting, handle, log_on, new_topic, partition};

const PARTITIONS: u32 = 3;
/// How long the server lives each time while records come, milliseconds.
const KILLS: [u64; 4] = [150, 900, 60, 400];
/// And while letters are replayed.
const KILLS_WHILE_REPLAYING: [u64; 3] = [15, 60, 200];

/// Adds records until told to stop, every third of them bad; how many there are.
fn produce(log: &dyn Log, topic: &str, stop: &AtomicBool) -> i64 {
    let topic = handle(log, topic);
    let mut writer = log.writer().expect("a writer");
    let mut n: i64 = 0;
    while !stop.load(Ordering::Acquire) {
        for _ in 0..20 {
            let value = if n % 3 == 0 { format!("bad {n}") } else { json!({"n": n}).to_string() };
            let partition = i32::try_from(n % i64::from(PARTITIONS)).expect("small");
            let record = OutRecord { partition, timestamp: SystemClock.now_ms(), key: None, value: Some(value.as_bytes()), headers: &[] };
            writer.send(topic, record).expect("a send");
            n += 1;
        }
        writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).expect("a commit");
        std::thread::sleep(Duration::from_millis(10));
    }
    n
}

/// How often a committed reader finds each value of a topic, once it has found this many.
fn values(log: &dyn Log, topic: &str, partitions: i32, count: usize) -> BTreeMap<String, usize> {
    let mut reader = Waiting::new(log, (0..partitions).map(|p| (partition(topic, p), Offset(0))).collect());
    let mut seen = BTreeMap::new();
    let began = Instant::now();
    while seen.values().sum::<usize>() < count {
        assert!(began.elapsed() < PATIENCE, "{topic}: {} of {count}", seen.values().sum::<usize>());
        for read in reader.next(Duration::from_secs(1)).unwrap_or_default() {
            let value = String::from_utf8(read.value.expect("a value")).expect("a text");
            *seen.entry(value).or_default() += 1;
        }
    }
    seen
}

fn post(server: &ServerProcess, sql: &str, properties: serde_json::Value) {
    let body = json!({"ksql": sql, "streamsProperties": properties});
    let (status, text) = server.request("POST", "/ksql", Some(&body)).expect("an answer");
    assert_eq!(status, 200, "{text}");
}

#[test]
fn kill_9_neither_repeats_nor_loses_a_letter() {
    let Some(bootstrap) = broker::shared("kill_9_neither_repeats_nor_loses_a_letter") else { return };
    let log = log_on(&bootstrap);
    let source = new_topic(&log, "letters", PARTITIONS);
    let dead = format!("{source}-dead");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, config) = (folder.path().join("data"), folder.path().join("server.properties"));
    std::fs::write(&config, "ksql.service.id=letters_\nksql.streams.commit.interval.ms=100\n").expect("a configuration");
    let start = || ServerProcess::start(&data, &["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")]);
    let server = start();
    server.ksql(&format!("CREATE STREAM s (n BIGINT) WITH (KAFKA_TOPIC='{source}', VALUE_FORMAT='JSON');"));
    let exactly =
        |reset: &str| json!({"processing.guarantee": "exactly_once_v2", "auto.offset.reset": reset, "ksql.dead.letter.topic": dead});
    post(&server, &format!("CREATE STREAM good WITH (KAFKA_TOPIC='{source}-good') AS SELECT n FROM s;"), exactly("earliest"));
    let query = server.running_queries().into_iter().next().expect("a query");
    let stop = AtomicBool::new(false);
    let (mut server, count) = std::thread::scope(|scope| {
        let mut server = server;
        let producing = scope.spawn(|| produce(&log, &source, &stop));
        for ran_ms in KILLS {
            std::thread::sleep(Duration::from_millis(ran_ms));
            server.kill();
            server = start();
        }
        stop.store(true, Ordering::Release);
        (server, producing.join().expect("no panic"))
    });
    let bad: BTreeMap<String, usize> = (0..count).step_by(3).map(|n| (format!("bad {n}"), 1)).collect();
    let odd = |seen: &BTreeMap<String, usize>| {
        let all = seen.keys().chain(bad.keys()).filter(|value| seen.get(*value) != bad.get(*value));
        all.take(10).map(|value| (value.clone(), seen.get(value).copied())).collect::<Vec<_>>()
    };
    // All good ones are there, so all bad ones are behind them.
    let good = values(&log, &format!("{source}-good"), PARTITIONS.try_into().expect("small"), count as usize - bad.len());
    assert!(good.values().all(|times| *times == 1));
    let letters = values(&log, &dead, 1, bad.len());
    assert!(letters == bad, "{:?}", odd(&letters));

    server.ksql(&format!("CREATE STREAM raw (v STRING) WITH (KAFKA_TOPIC='{source}', VALUE_FORMAT='KAFKA');"));
    post(
        &server,
        &format!("CREATE STREAM mended WITH (KAFKA_TOPIC='{source}-mended', VALUE_FORMAT='KAFKA') AS SELECT v FROM raw;"),
        exactly("latest"),
    );
    let mended = server.running_queries().into_iter().find(|id| id.contains("MENDED")).expect("a query");
    let replay = json!({"ksql": format!("REPLAY DEAD LETTERS OF {query} INTO {mended};")});
    for ran_ms in KILLS_WHILE_REPLAYING {
        std::thread::scope(|scope| {
            let server = &server;
            // It may be answered, or not.
            let asking = scope.spawn(|| server.request("POST", "/ksql", Some(&replay)));
            std::thread::sleep(Duration::from_millis(ran_ms));
            server.signal(libc::SIGKILL);
            println!("killed after {ran_ms} ms of a replay: {:?}", asking.join().expect("no panic").map(|(_, text)| text));
        });
        server.kill();
        server = start();
    }
    for _ in 0..2 {
        let (status, text) = server.request("POST", "/ksql", Some(&replay)).expect("an answer");
        assert_eq!(status, 200, "{text}");
        println!("{text}");
    }
    let seen = values(&log, &format!("{source}-mended"), PARTITIONS.try_into().expect("small"), bad.len());
    assert!(seen == bad, "{:?}", odd(&seen));
    let (_, text) = server.request("POST", "/ksql", Some(&replay)).expect("an answer");
    assert!(text.contains(&format!("0 dead letters of {query} replayed")), "{text}");
    println!("{count} records, {} letters, each once", bad.len());
    assert_eq!(server.terminate(), Some(0));
}
