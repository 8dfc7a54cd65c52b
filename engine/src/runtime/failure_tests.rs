//! What fails ends the query that it belongs to, soon and with a reason, and no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::lab::{Lab, config, start};
use super::worker::Message;
use super::{QueryHandle, QueryState, Runtime, StartError};
use crate::log::simulated::FaultPlan;
use crate::log::{Commit, Log, Offset, TopicPartition};
use crate::operators::Collector;
use crate::row::Row;
use crate::state::StateBatch;

const STREAM: &str = "CREATE STREAM S (ID STRING KEY, V STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
const COUNT: &str = "CREATE TABLE C AS SELECT ID, COUNT(*) AS N FROM S GROUP BY ID;";
const LIST: &str = "CREATE TABLE L AS SELECT ID, COLLECT_LIST(V) AS A FROM S GROUP BY ID;";
const COPY: &str = "CREATE STREAM O AS SELECT * FROM S;";

fn reason(handle: &QueryHandle) -> String {
    match handle.state() {
        QueryState::Failed(failure) => failure.reason,
        other => panic!("{other:?}"),
    }
}

/// Two queries over topic s: one that will fail, and one beside it.
fn two_queries(atomic: bool, failing: &str, beside: &str) -> (Lab, [Arc<QueryHandle>; 2]) {
    let mut lab = Lab::new(atomic);
    for topic in ["s", "L", "C", "O"] {
        lab.topic(topic);
    }
    lab.world.run(STREAM).unwrap();
    let handles = [failing, beside].map(|query| {
        let plan = lab.plan(query);
        lab.start(&plan)
    });
    (lab, handles)
}

#[test]
fn a_changelog_that_takes_no_more_ends_its_query_alone() {
    let (mut lab, [list, count]) = two_queries(false, LIST, COUNT);
    let changelog = lab.changelog(&list.id);
    lab.log.configure_topic(&changelog, "max.message.bytes", "200").unwrap();
    for number in 0..20 {
        lab.append("s", "a", r#"{"V": "0123456789012345678901234567890123456789"}"#);
        lab.work_until(|lab| lab.committed(&count.id, "s") == Some(number + 1));
    }
    let reason = reason(&list);
    assert!(reason.contains(&changelog) && reason.contains("max.message.bytes is 200"), "{reason}");
    assert_eq!(count.state(), QueryState::Running);
    assert_eq!(lab.values("C").last().map(String::as_str), Some(r#"{"N":20}"#));
}

#[test]
fn a_changelog_that_is_deleted_ends_its_query_alone() {
    let (mut lab, [list, count]) = two_queries(false, LIST, COUNT);
    lab.append("s", "a", r#"{"V": "1"}"#);
    lab.work_until(|lab| lab.committed(&count.id, "s") == Some(1));
    let changelog = lab.changelog(&list.id);
    lab.log.delete_topic(&changelog).unwrap();
    lab.append("s", "a", r#"{"V": "2"}"#);
    lab.work_until(|lab| lab.committed(&count.id, "s") == Some(2));
    assert!(reason(&list).contains(&changelog), "{}", reason(&list));
    assert_eq!(count.state(), QueryState::Running);
}

#[test]
fn refused_offsets_of_groups_end_nobody_and_take_nobody_back() {
    let (mut lab, [copy, count]) = two_queries(false, COPY, COUNT);
    lab.log.set_faults(FaultPlan { refuse_offsets: 1.0, ..FaultPlan::default() });
    for number in 1..=3 {
        lab.append("s", "a", r#"{"V": "1"}"#);
        lab.work_until(|lab| lab.values("C").len() == number);
    }
    assert_eq!((lab.committed(&copy.id, "s"), lab.committed(&count.id, "s")), (None, None));
    lab.log.set_faults(FaultPlan::default());
    // They go on from their marks, whatever the groups have.
    lab.restart();
    lab.world = crate::analyze::tests::world::World::new();
    let [copy, count] = [lab.plan(&format!("{STREAM}{COPY}")), lab.plan(COUNT)].map(|plan| lab.start(&plan));
    lab.append("s", "a", r#"{"V": "1"}"#);
    lab.work_until(|lab| lab.committed(&count.id, "s") == Some(4));
    assert_eq!([copy.state(), count.state()], [QueryState::Running, QueryState::Running]);
    assert_eq!(lab.values("C"), [1, 2, 3, 4].map(|n| format!(r#"{{"N":{n}}}"#)));
    assert_eq!(lab.values("O").len(), 4);
}

#[test]
fn what_a_failed_query_sent_is_not_committed_without_its_input() {
    let (mut lab, [copy, count]) = two_queries(true, COPY, COUNT);
    lab.log.configure_topic("O", "max.message.bytes", "60").unwrap();
    lab.append("s", "a", r#"{"V": "short"}"#);
    lab.append("s", "a", &format!(r#"{{"V": "{}"}}"#, "long".repeat(20)));
    lab.work_until(|lab| lab.committed(&count.id, "s") == Some(2));
    assert!(reason(&copy).contains("'O'"), "{}", reason(&copy));
    assert_eq!((lab.values("O"), lab.committed(&copy.id, "s")), (Vec::new(), None));
    // Made right, it goes on where it was: each record once, in the other query as well.
    lab.log.configure_topic("O", "max.message.bytes", "1000").unwrap();
    let plan = copy.id.to_string();
    lab.runtime.stop(&plan);
    lab.world = crate::analyze::tests::world::World::new();
    let plan = lab.plan(&format!("{STREAM}{COPY}"));
    let copy = lab.start(&plan);
    lab.work_until(|lab| lab.committed(&copy.id, "s") == Some(2));
    assert_eq!(lab.values("O").len(), 2);
    assert_eq!(lab.values("C"), [r#"{"N":1}"#, r#"{"N":2}"#]);
}

#[test]
fn a_panic_within_a_commit_ends_the_query_that_it_belongs_to() {
    let (mut lab, [list, count]) = two_queries(false, LIST, COUNT);
    lab.log.set_panic_on(Some(lab.changelog(&list.id)));
    lab.append("s", "a", r#"{"V": "1"}"#);
    lab.work_until(|lab| lab.committed(&count.id, "s") == Some(1));
    assert!(reason(&list).contains("internal error: simulated fault: a send panics"), "{}", reason(&list));
    assert_eq!(count.state(), QueryState::Running);
    lab.append("s", "a", r#"{"V": "2"}"#);
    lab.work_until(|lab| lab.committed(&count.id, "s") == Some(2));
}

#[test]
fn a_panic_that_belongs_to_nobody_is_told_by_every_query_that_it_hit() {
    let (mut lab, handles) = two_queries(false, LIST, COUNT);
    lab.log.set_state_sink(|_| panic!("planted"));
    lab.append("s", "a", r#"{"V": "1"}"#);
    lab.work();
    for handle in &handles {
        assert!(reason(handle).contains("planted"), "{}", reason(handle));
    }
    // The worker lives on.
    lab.log.set_state_sink(|batch| batch.write());
    for handle in &handles {
        lab.runtime.stop_soon(&handle.id);
    }
    lab.work();
    let plan = lab.plan("CREATE STREAM O AS SELECT * FROM S;");
    let copy = lab.start(&plan);
    lab.work_until(|lab| lab.committed(&copy.id, "s") == Some(1));
}

#[test]
fn a_topic_that_is_read_twice_has_one_position() {
    let mut lab = Lab::new(true);
    lab.topic("s");
    lab.topic("O");
    let plan = lab.plan(
        "CREATE STREAM A (ID STRING KEY, N INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
         CREATE TABLE B (ID STRING PRIMARY KEY, N INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
         CREATE STREAM O AS SELECT A.ID, A.N AS N, B.N AS M FROM A LEFT JOIN B ON A.ID = B.ID;",
    );
    lab.log.set_poll_records(1);
    lab.start(&plan);
    for number in 0..6 {
        lab.append("s", "a", &format!(r#"{{"N": {number}}}"#));
        for _ in 0..number {
            lab.worker.as_mut().unwrap().step();
        }
        lab.restart();
        lab.start(&plan);
    }
    lab.work();
    let numbers: Vec<i64> =
        lab.values("O").iter().map(|value| serde_json::from_str::<serde_json::Value>(value).unwrap()["N"].as_i64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    // A stream from where the topic ends and a table from where it begins would be two.
    let latest = super::check_start(&plan, crate::log::OffsetSpec::Latest);
    assert!(latest.unwrap_err().to_string().contains("reads topic 's' twice"));
    super::check_start(&plan, crate::log::OffsetSpec::Earliest).unwrap();
}

const SERIES: &str = "CREATE STREAM L AS SELECT ID, EXPLODE(GENERATE_SERIES(1, CAST(V AS INT))) AS N FROM S;";

#[test]
fn a_record_that_becomes_too_much_ends_its_query() {
    let (mut lab, [series, count]) = two_queries(true, SERIES, COUNT);
    lab.append("s", "a", r#"{"V": "10"}"#);
    lab.append("s", "a", r#"{"V": "20000"}"#);
    lab.work_until(|lab| lab.committed(&count.id, "s") == Some(2));
    let reason = reason(&series);
    assert!(reason.contains("more than 10000 rows") && reason.contains("(topic s, partition 0, offset 1)"), "{reason}");
    assert_eq!(count.state(), QueryState::Running);
}

/// Counts rows, and takes as many as come.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Collector for Counter {
    fn collect(&self, _row: &Row) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        true
    }
}

#[test]
fn a_query_that_is_busy_with_one_record_can_be_stopped() {
    let mut lab = Lab::new(true);
    lab.topic("s");
    lab.world.run(STREAM).unwrap();
    let plan = lab.plan("SELECT ID, EXPLODE(GENERATE_SERIES(1, 5000000)) AS N FROM S EMIT CHANGES;");
    for _ in 0..100 {
        lab.append("s", "a", "{}");
    }
    let config = super::RuntimeConfig { max_rows_per_record: u64::MAX, ..config() };
    for shut_down in [false, true] {
        let runtime = Runtime::start(lab.parts(), config.clone()).unwrap();
        let counter = Arc::new(Counter::default());
        let handle = runtime.start_query(start(&plan, Some(counter.clone()))).unwrap();
        while counter.0.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        let began = Instant::now();
        if shut_down {
            runtime.shutdown();
        } else {
            assert!(runtime.stop(&handle.id));
        }
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        assert!(counter.0.load(Ordering::Relaxed) < 5_000_000, "the first record was done already");
        runtime.shutdown();
    }
}

/// A query with input that it has not committed, and the runtime that a server with a rare commit has.
fn uncommitted() -> (Lab, Arc<QueryHandle>) {
    let mut lab = Lab::new(false);
    for topic in ["s", "C"] {
        lab.topic(topic);
    }
    lab.world.run(STREAM).unwrap();
    let config = super::RuntimeConfig { commit_interval_ms: 60_000, ..config() };
    let (runtime, mut workers) = Runtime::by_hand(lab.parts(), config);
    (lab.runtime, lab.worker) = (runtime, workers.pop());
    let plan = lab.plan(COUNT);
    let handle = lab.start(&plan);
    lab.append("s", "a", r#"{"V": "1"}"#);
    lab.work();
    (lab, handle)
}

#[test]
fn what_is_abandoned_commits_no_more_and_does_not_come_back() {
    let (mut lab, count) = uncommitted();
    lab.runtime.stop_soon(&count.id);
    lab.work();
    assert_eq!(lab.committed(&count.id, "s"), Some(1), "a query that is stopped commits");
    let (mut lab, count) = uncommitted();
    let before = lab.committed(&count.id, "s");
    assert_ne!(before, Some(1));
    lab.runtime.abandon();
    lab.runtime.broadcast(|_| Message::Remove { query: count.id.clone() });
    lab.work();
    assert_eq!(count.state(), QueryState::Stopped);
    assert_eq!((lab.committed(&count.id, "s"), lab.values(&lab.changelog(&count.id))), (before, Vec::new()));
    lab.world = crate::analyze::tests::world::World::new();
    let plan = lab.plan(&format!("{STREAM}{COUNT}"));
    assert!(matches!(lab.runtime.start_query(start(&plan, None)), Err(StartError::Abandoned)));
}

#[test]
fn a_query_does_not_start_while_what_another_of_its_name_left_is_being_deleted() {
    let mut lab = Lab::new(false);
    for topic in ["s", "C"] {
        lab.topic(topic);
    }
    lab.world.run(STREAM).unwrap();
    let plan = lab.plan(COUNT);
    let first = lab.start(&plan);
    lab.work();
    lab.runtime.stop_soon(&first.id);
    lab.runtime.forget(&first.id, &[]);
    lab.work();
    // The thread that waits for the last task comes to it at some time.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !lab.runtime.forgetting.lock().is_empty() {
        assert!(Instant::now() < deadline, "it is never deleted");
        std::thread::yield_now();
    }
    lab.runtime.forgetting.lock().push(first.id.to_string());
    let refused = lab.runtime.start_query(start(&plan, None));
    assert!(matches!(refused, Err(StartError::StillEnding(_))));
    lab.runtime.forgetting.lock().clear();
    let second = lab.start(&plan);
    // Whoever clears up after the first does not touch it.
    assert!(lab.runtime.stop_this(&first));
    lab.work();
    assert_eq!(second.state(), QueryState::Running);
}

#[test]
fn a_commit_that_fails_is_nothing_to_a_push_query() {
    for atomic in [false, true] {
        let mut lab = Lab::new(atomic);
        lab.topic("s");
        lab.topic("O");
        lab.world.run(STREAM).unwrap();
        let counter = Arc::new(Counter::default());
        let push = lab.plan("SELECT ID, COUNT(*) AS N FROM S GROUP BY ID EMIT CHANGES;");
        let push = lab.runtime.start_query(start(&push, Some(counter.clone()))).unwrap();
        let copy = lab.plan(COPY);
        let copy = lab.start(&copy);
        for number in 0..4 {
            lab.log.set_faults(FaultPlan { commit: 1.0, ..FaultPlan::default() });
            lab.append("s", "a", "{}");
            lab.work_until(|lab| lab.log.fault_counts().commit > number);
            lab.log.set_faults(FaultPlan::default());
            let next = i64::try_from(number + 1).unwrap();
            lab.work_until(|lab| lab.committed(&copy.id, "s") == Some(next));
            assert_eq!((push.state(), copy.state()), (QueryState::Running, QueryState::Running));
        }
        assert_eq!(counter.0.load(Ordering::Relaxed), 4);
    }
}

#[test]
fn state_without_its_mark_is_not_kept() {
    let mut lab = Lab::new(false);
    // The mark names it, which makes it longer than a change.
    let topic = "t".repeat(100);
    lab.topic(&topic);
    lab.topic("C");
    lab.world.run(&STREAM.replace("'s'", &format!("'{topic}'"))).unwrap();
    let plan = lab.plan(COUNT);
    let count = lab.start(&plan);
    lab.log.configure_topic(&lab.changelog(&count.id), "max.message.bytes", "100").unwrap();
    let kept = Arc::new(AtomicUsize::new(0));
    let seen = kept.clone();
    lab.log.set_state_sink(move |batch| {
        seen.fetch_add(batch.len(), Ordering::Relaxed);
        batch.write()
    });
    lab.append(&topic, "a", "{}");
    lab.work_until(|_| count.has_ended());
    assert!(reason(&count).contains("a record of 144 bytes"), "{}", reason(&count));
    assert_eq!(kept.load(Ordering::Relaxed), 0);
}

#[test]
fn offsets_that_others_commit_in_a_querys_group_move_nothing() {
    for foreign in [0, 1, 50] {
        let mut lab = Lab::new(false);
        lab.topic("s");
        lab.topic("C");
        lab.world.run(STREAM).unwrap();
        let plan = lab.plan(COUNT);
        let count = lab.start(&plan);
        for _ in 0..3 {
            lab.append("s", "a", "{}");
        }
        lab.work_until(|lab| lab.committed(&count.id, "s") == Some(3));
        let group = lab.runtime.group(&count.id).into();
        let partition = TopicPartition { topic: "s".into(), partition: 0 };
        let commit = Commit { offsets: vec![(group, vec![(partition, Offset(foreign))])], state: StateBatch::default() };
        lab.log.writer().unwrap().commit(commit).unwrap();
        lab.restart();
        lab.start(&plan);
        lab.append("s", "a", "{}");
        lab.work_until(|lab| lab.values("C").len() > 3);
        assert_eq!(lab.values("C").last().map(String::as_str), Some(r#"{"N":4}"#), "the group stood at {foreign}");
        assert_eq!(lab.values("C").len(), 4);
    }
}
