//! How long rows wait where a server of several ends in order, starts again in its place, or dies: the longest that any row of any
//! partition took from its writing to a committed reader of what a query makes of it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_engine::log::{Commit, Log, Offset, OutRecord};
use tidemill_engine::state::StateBatch;
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::support::{PATIENCE, Waiting, handle, log_on, new_topic, partition};

const PARTITIONS: i32 = 6;
/// Between two rows of a partition.
const PAUSE: Duration = Duration::from_millis(20);
/// What a group takes to miss a server that has died.
const SESSION: Duration = Duration::from_secs(6);

/// The longest that a row took since this was last asked, and when the newest row of each partition (which has one key) was written.
#[derive(Default)]
struct Longest(Mutex<(Duration, BTreeMap<Vec<u8>, Instant>)>);

impl Longest {
    fn note(&self, key: Vec<u8>, written: Instant) {
        let mut noted = self.0.lock().expect("no panic");
        noted.0 = written.elapsed().max(noted.0);
        noted.1.insert(key, written);
    }

    /// Whether rows of every partition were read that were written since.
    fn reached(&self, since: Instant) -> bool {
        let noted = self.0.lock().expect("no panic");
        noted.1.len() == PARTITIONS.unsigned_abs() as usize && noted.1.values().all(|written| *written > since)
    }

    fn take(&self) -> Duration {
        std::mem::take(&mut self.0.lock().expect("no panic").0)
    }
}

/// Writes rows that say when they were written, to each partition.
fn write(log: &dyn Log, topic: &str, began: Instant, stop: &AtomicBool) {
    let topic = handle(log, topic);
    let mut writer = log.writer().expect("a writer");
    while !stop.load(Ordering::Acquire) {
        for partition in 0..PARTITIONS {
            let ms = u64::try_from(began.elapsed().as_millis()).expect("not so long");
            let (key, value) = (format!("k{partition}"), json!({"ms": ms}).to_string());
            let record = OutRecord { partition, timestamp: 1, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
            writer.send(topic, record).expect("a send");
        }
        writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).expect("a commit");
        std::thread::sleep(PAUSE);
    }
}

/// Reads what a query makes of them.
fn read(log: &dyn Log, topic: &str, began: Instant, longest: &Longest, stop: &AtomicBool) {
    let from = (0..PARTITIONS).map(|at| (partition(topic, at), Offset(0))).collect();
    let mut reader = Waiting::new(log, from);
    while !stop.load(Ordering::Acquire) {
        for row in reader.next(Duration::from_millis(200)).unwrap_or_default() {
            let value: Json = serde_json::from_slice(&row.value.expect("a value")).expect("JSON");
            let written = began + Duration::from_millis(value["MS"].as_u64().expect("milliseconds"));
            longest.note(row.key.expect("a key"), written);
        }
    }
}

/// How many slots each server that answers has, as one of them lists them.
fn slots(server: &ServerProcess) -> Vec<u64> {
    let Ok((200, text)) = server.request("POST", "/ksql", Some(&json!({"ksql": "SHOW SERVERS;"}))) else { return Vec::new() };
    let listed: Json = serde_json::from_str(&text).expect("JSON");
    let servers = listed[0]["servers"].as_array().cloned().unwrap_or_default();
    servers.iter().filter(|server| server["state"] == "RUNNING").filter_map(|server| server["slots"].as_u64()).collect()
}

fn wait(what: &str, server: &ServerProcess, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}\n{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn who_leaves_in_order_is_not_waited_for() {
    let Some(bootstrap) = broker::shared("who_leaves_in_order_is_not_waited_for") else { return };
    let log = log_on(&bootstrap);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut lines = vec!["| | gives up its place | keeps it |".to_owned(), "|---|---|---|".to_owned()];
    let mut by_place = Vec::new();
    for gives_up in [true, false] {
        let topic = new_topic(&log, "leaving", PARTITIONS.unsigned_abs());
        let config = folder.path().join(format!("{gives_up}.properties"));
        let text = format!(
            "ksql.service.id={topic}_\nksql.streams.commit.interval.ms=100\ntidemill.cluster.enabled=true\n\
             tidemill.cluster.leave.on.close={gives_up}\n"
        );
        std::fs::write(&config, text).expect("a configuration");
        let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")];
        let start = |name: &str| ServerProcess::start(&folder.path().join(format!("{gives_up}-{name}")), &arguments);
        let one = start("one");
        let sink = format!("{topic}-out");
        let properties = json!({"auto.offset.reset": "earliest", "processing.guarantee": "exactly_once_v2"});
        let sql = format!(
            "CREATE STREAM s (id STRING KEY, ms BIGINT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
             CREATE STREAM o WITH (KAFKA_TOPIC='{sink}') AS SELECT id, ms FROM s EMIT CHANGES;"
        );
        let (status, text) = one.request("POST", "/ksql", Some(&json!({"ksql": sql, "streamsProperties": properties}))).expect("an answer");
        assert_eq!(status, 200, "{text}");
        let (began, stop, longest) = (Instant::now(), AtomicBool::new(false), Longest::default());
        let took = std::thread::scope(|scope| {
            let _stop = StopAtTheEnd(&stop);
            scope.spawn(|| write(&log, &topic, began, &stop));
            scope.spawn(|| read(&log, &sink, began, &longest, &stop));
            let mut two = start("two");
            // What waited meanwhile is read as well.
            let read_all = || {
                let now = Instant::now();
                wait("what was written is read", &one, || longest.reached(now));
            };
            let both = |two: &ServerProcess| {
                wait("each has half", two, || slots(&one) == [32, 32]);
                read_all();
            };
            let all_by_one = || {
                wait("the first has everything", &one, || slots(&one) == [64]);
                read_all();
            };
            both(&two);
            let usual = {
                longest.take();
                std::thread::sleep(Duration::from_secs(2));
                longest.take()
            };
            // It ends, and comes again much later.
            assert_eq!(two.terminate(), Some(0));
            all_by_one();
            let left = longest.take();
            two = start("two");
            both(&two);
            let came = longest.take();
            // It ends, and comes again at once.
            assert_eq!(two.terminate(), Some(0));
            two = start("two");
            std::thread::sleep(Duration::from_secs(1));
            both(&two);
            let again = longest.take();
            two.kill();
            all_by_one();
            let died = longest.take();
            stop.store(true, Ordering::Release);
            [usual, left, came, again, died]
        });
        println!("gives up its place: {gives_up}; usual, ends, comes, ends and starts again, dies: {took:?}");
        assert_eq!(one.terminate(), Some(0));
        by_place.push(took);
    }
    let [gives_up, keeps] = by_place[..] else { unreachable!("both were measured") };
    let events = ["all is well", "a server ends in order", "a server comes", "a server ends and starts again at once", "a server dies"];
    for (event, (given, kept)) in events.into_iter().zip(gives_up.into_iter().zip(keeps)) {
        lines.push(format!("| {event} | {:.1} s | {:.1} s |", given.as_secs_f64(), kept.as_secs_f64()));
    }
    println!("{}", lines.join("\n"));
    assert!(keeps[1] >= SESSION / 2, "a place that is kept is waited for, or nothing was measured: {keeps:?}");
    assert!(gives_up[1] < SESSION, "{gives_up:?}");
    assert!(gives_up[4] >= SESSION / 2 && keeps[4] >= SESSION / 2, "who dies is missed first: {gives_up:?} {keeps:?}");
}

/// Ends the load where the test fails as well.
struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
