//! A server that stands still in the middle of a commit, is replaced, and then goes on (at least once): what it had on its way
//! arrives behind its successor's records. The successor dies at once, with its folder, so nobody has written that over; what the
//! changelogs then hold must give the right counts all the same, and so must the folder of the one that stood still.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tidemill_engine::log::{Log, Offset, OffsetSpec, OutRecord};
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::support::{PATIENCE, Read, Waiting, commit, fill_json, handle, log_on, new_topic, partition};

/// What a server says that has found another in its place.
const REPLACED: &str = "All queries are stopped here";
/// The bits of a changelog record's timestamp that tell who wrote it.
const TAG: i64 = 1_023;

/// Waits until something holds.
fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The records of a topic with one partition.
fn records(log: &dyn Log, topic: &str) -> Vec<Read> {
    let place = partition(topic, 0);
    let end = log.offsets(std::slice::from_ref(&place), OffsetSpec::Latest).expect("the end")[0];
    Waiting::new(log, vec![(place, Offset(0))]).take(usize::try_from(end.0).expect("a count"))
}

/// What of its records is on its way when a server stands still is a matter of moments. So the first entry that it has written comes
/// once more, as it was, and its mark as that of a commit far ahead.
fn come_late(log: &dyn Log, changelog: &str, written: &[Read]) {
    let is_mark = |record: &&Read| record.key.as_deref() == Some(b"");
    let entry = written.iter().find(|record| !is_mark(record)).expect("an entry");
    let mut mark = written.iter().find(|record| is_mark(record)).expect("a mark").clone();
    // Behind the shape, the kind, the epoch and where it begins stands the commit's number.
    mark.value.as_mut().expect("a value")[14..22].copy_from_slice(&1_000_i64.to_be_bytes());
    let (topic, mut writer) = (handle(log, changelog), log.writer().expect("a writer"));
    for Read { timestamp, key, value, .. } in [entry, &mark] {
        let record = OutRecord { partition: 0, timestamp: *timestamp, key: key.as_deref(), value: value.as_deref(), headers: &[] };
        writer.send(topic, record).expect("a send");
    }
    commit(&mut *writer);
}

/// Stops a server at a point of one of its first commits, before it sends what comes then, and lets it haunt its successor.
fn haunt(test: &str, point: &str) {
    let Some(bootstrap) = broker::shared(test) else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "haunted", 1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (config, data) = (folder.path().join("server.properties"), |name: &str| folder.path().join(name));
    std::fs::write(&config, format!("ksql.service.id={topic}_\nksql.streams.commit.interval.ms=100\n")).expect("a configuration");
    let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")];
    let start = |data: &Path| ServerProcess::start(data, &arguments);

    // It stands still in its fourth commit, or thereabouts.
    let mut zombie = ServerProcess::begin_faulty(&data("zombie"), &arguments, &format!("{point}=3*off->1*return(stop)->off"));
    assert!(zombie.is_up(PATIENCE));
    zombie.ksql(&format!(
        "CREATE STREAM haunted (id STRING KEY, n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE TABLE counts WITH (KAFKA_TOPIC='{topic}-counts') AS SELECT id, COUNT(*) AS c FROM haunted GROUP BY id;"
    ));
    let topics = log.list_topics().expect("the topics");
    let changelog = topics.into_iter().map(|info| info.name).find(|name| name.contains(&topic) && name.ends_with("-changelog"));
    let changelog = changelog.expect("a changelog");
    let place = [partition(&changelog, 0)];
    let end = || log.offsets(&place, OffsetSpec::Latest).expect("the end")[0];
    let fault = format!("FAULT at {point}: stop");
    let count = std::cell::Cell::new(0);
    let click = || {
        fill_json(&log, &topic, 0, [json!({"n": count.get()})].into_iter());
        count.set(count.get() + 1);
    };
    while !zombie.log().contains(&fault) {
        let before = end();
        click();
        // An entry and a mark each.
        wait("a commit", || end().0 >= before.0 + 2 || zombie.log().contains(&fault));
    }
    let committed = end();

    let counted = |server: &ServerProcess| {
        server.pull_until("SELECT id, c FROM counts;", PATIENCE, |rows| rows == [json!(["k", count.get()])]);
    };
    let successor = start(&data("successor"));
    for _ in 0..3 {
        let before = end();
        click();
        counted(&successor);
        wait("the successor's commit", || end().0 >= before.0 + 2);
    }
    let before = end();
    assert!(before > committed);
    zombie.signal(libc::SIGCONT);
    wait("the zombie notices", || zombie.log().contains(REPLACED));
    assert!(!zombie.has_ended(), "{}", zombie.log());
    successor.kill();
    zombie.kill();
    std::fs::remove_dir_all(data("successor")).expect("the folder can be removed");
    let all = records(&log, &changelog);
    come_late(&log, &changelog, &all);
    let tags: Vec<i64> = records(&log, &changelog).iter().map(|record| record.timestamp & TAG).collect();
    let own = usize::try_from(before.0).expect("a count");
    assert!(tags[0] != tags[own - 1] && tags[own..].iter().filter(|tag| **tag == tags[0]).count() >= 2, "nothing came late: {tags:?}");

    // A new folder, and that of the one that stood still.
    for folder in ["other", "zombie"] {
        let server = start(&data(folder));
        counted(&server);
        click();
        counted(&server);
        assert_eq!(server.terminate(), Some(0));
    }
}

#[test]
fn entries_that_come_late_do_not_count() {
    haunt("entries_that_come_late_do_not_count", "freeze.after");
}

#[test]
fn marks_that_come_late_do_not_count() {
    haunt("marks_that_come_late_do_not_count", "mark.before");
}
