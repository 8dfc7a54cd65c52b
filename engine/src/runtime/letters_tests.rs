//! Letters of bad records: each as it was, once, with what else the task commits.

use std::sync::Arc;

use super::lab::{Lab, start};
use super::{Guarantee, QueryHandle, QueryState, StartError, StartQuery};
use crate::letters::{At, Kinds, Letter, LetterBox, LetterKind, copy_headers};
use crate::log::Log;
use crate::log::simulated::{FaultPlan, StoredRecord};
use crate::plan::QueryPlan;
use crate::row::Header;

const STREAM: &str = "CREATE STREAM S (ID STRING KEY, N INT, G STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
const TABLE: &str = "CREATE TABLE T (ID STRING PRIMARY KEY, N INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
const SHARE: &str = "CREATE STREAM O AS SELECT ID, 100 / N AS SHARE, 10 / N AS PART FROM S;";
const GROUPED: &str = "CREATE TABLE O AS SELECT G, COUNT(*) AS C FROM S GROUP BY G;";
const WINDOWS: &str = "CREATE TABLE O AS SELECT G, COUNT(*) AS C FROM S
    WINDOW HOPPING (SIZE 20 MILLISECONDS, ADVANCE BY 10 MILLISECONDS, GRACE PERIOD 0 SECONDS) GROUP BY G;";
const COPY: &str = "CREATE TABLE O AS SELECT * FROM T;";

fn lab(atomic: bool, script: &str, kinds: &str, guarantee: Guarantee) -> (Lab, Arc<QueryHandle>) {
    let mut lab = Lab::new(atomic);
    lab.topic("s");
    lab.topic("O");
    let plan = lab.plan(script);
    let letters = Some(LetterBox { topic: "dead".into(), kinds: Kinds::parse(kinds).unwrap() });
    let handle = lab.runtime.start_query(StartQuery { letters, guarantee, ..start(&plan, None) }).unwrap();
    (lab, handle)
}

fn append(lab: &Lab, key: Option<&str>, value: &str, timestamp: i64) {
    let headers = vec![Header { key: "own".into(), value: Some(b"h".to_vec()) }];
    let record = StoredRecord { timestamp, key: key.map(Into::into), value: Some(value.into()), headers, ..Default::default() };
    lab.log.append("s", 0, record).unwrap();
}

/// The letters with the records that they are.
fn letters(lab: &Lab) -> Vec<(Letter, Arc<StoredRecord>)> {
    let records = lab.log.records("dead").unwrap().concat();
    records.into_iter().map(|record| (Letter::read(&record.headers).expect("a letter").1, record)).collect()
}

#[test]
fn a_bad_record_is_a_letter_with_its_bytes_and_headers() {
    for (atomic, guarantee) in [(true, Guarantee::AtLeastOnce), (false, Guarantee::AtLeastOnce), (false, Guarantee::ExactlyOnce)] {
        let (mut lab, handle) = lab(atomic, &format!("{STREAM}{SHARE}"), Kinds::DEFAULT, guarantee);
        append(&lab, Some("a"), r#"{"N":5}"#, 7);
        append(&lab, None, "no JSON \u{0}", 8);
        append(&lab, Some("b"), r#"{"N":0}"#, 9);
        lab.work_until(|lab| lab.values("O").len() == 2 && letters(lab).len() == 2);
        let found = letters(&lab);
        let (bad, record) = &found[0];
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (None, Some("no JSON \u{0}".as_bytes())));
        assert_eq!(record.headers[0], Header { key: "own".into(), value: Some(b"h".to_vec()) });
        assert_eq!((bad.kind, bad.part.as_deref(), &*bad.query, bad.attempt), (LetterKind::Undecodable, Some("value"), &*handle.id, 0));
        assert_eq!((&*bad.place.topic, bad.place.partition, bad.place.offset, bad.place.timestamp), ("s", 0, 1, 8));
        // Two columns fail of it: that is one letter, and two errors.
        let (failed, record) = &found[1];
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"b"[..]), Some(&br#"{"N":0}"#[..])));
        assert!(failed.kind == LetterKind::Failed && failed.reason.contains("SHARE"), "{failed:?}");
        assert_eq!((handle.metrics.left_out(LetterKind::Undecodable), handle.metrics.left_out(LetterKind::Failed)), (1, 2));
        assert_eq!(handle.metrics.letters.load(std::sync::atomic::Ordering::Relaxed), 2);
    }
}

#[test]
fn kinds_that_are_not_asked_for_are_counted_only() {
    for (script, kind, key, value) in [
        (format!("{STREAM}{SHARE}"), LetterKind::Failed, Some("b"), r#"{"N":0}"#),
        (format!("{STREAM}{GROUPED}"), LetterKind::NullKey, Some("b"), r#"{"N":1}"#),
        (format!("{TABLE}{COPY}"), LetterKind::NullKey, None, r#"{"N":1}"#),
    ] {
        for is_asked in [false, true] {
            let kinds = if is_asked { kind.name() } else { "late" };
            let (mut lab, handle) = lab(false, &script, kinds, Guarantee::AtLeastOnce);
            append(&lab, key, value, 1);
            lab.work_until(|lab| lab.committed(&handle.id, "s") == Some(1));
            assert!(handle.metrics.left_out(kind) >= 1, "{script}");
            let found = letters(&lab);
            assert_eq!(found.len(), usize::from(is_asked), "{script}");
            assert!(found.iter().all(|(letter, record)| letter.kind == kind && record.value.as_deref() == Some(value.as_bytes())));
        }
    }
}

#[test]
fn a_late_record_behind_a_repartition_is_the_query_s_own_without_its_origin() {
    let (mut lab, handle) = lab(false, &format!("{STREAM}{WINDOWS}"), "late", Guarantee::AtLeastOnce);
    append(&lab, Some("a"), r#"{"G":"x"}"#, 1_000);
    // Of its two windows one is open still.
    append(&lab, Some("b"), r#"{"G":"x"}"#, 991);
    append(&lab, Some("c"), r#"{"G":"x"}"#, 10);
    lab.work_until(|lab| letters(lab).len() == 1);
    let (letter, record) = &letters(&lab)[0];
    assert!(letter.kind == LetterKind::Late && letter.place.topic.contains("repartition"), "{letter:?}");
    assert_eq!(letter.place.timestamp, 10);
    let value = record.value.as_deref().unwrap();
    assert!(std::str::from_utf8(value).is_ok(), "an origin is left behind the value: {value:?}");
    assert!(handle.metrics.late() >= 2);
}

#[test]
fn letters_that_go_back_with_a_commit_come_once_with_exactly_once() {
    let (mut lab, handle) = lab(false, &format!("{STREAM}{SHARE}"), Kinds::DEFAULT, Guarantee::ExactlyOnce);
    for number in 0..40 {
        append(&lab, Some("a"), if number % 2 == 0 { "bad" } else { r#"{"N":1}"# }, number);
    }
    lab.log.set_faults(FaultPlan { seed: 5, commit: 0.6, send: 0.02, commit_unknown: 0.2, ..FaultPlan::default() });
    for _ in 0..200 {
        lab.work();
    }
    let faults = lab.log.fault_counts();
    assert!(faults.commit + faults.send > 0, "{faults:?}");
    lab.log.set_faults(FaultPlan::default());
    if let QueryState::Failed(_) = handle.state() {
        return;
    }
    lab.work_until(|lab| lab.values("O").len() >= 20);
    let mut offsets: Vec<i64> = letters(&lab).iter().map(|(letter, _)| letter.place.offset).collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (0..40).step_by(2).collect::<Vec<i64>>());
}

#[test]
fn a_letter_that_is_too_large_leaves_its_bytes_out() {
    let (mut lab, _) = lab(true, &format!("{STREAM}{SHARE}"), Kinds::DEFAULT, Guarantee::AtLeastOnce);
    lab.log.configure_topic("dead", "max.message.bytes", "100").unwrap();
    append(&lab, Some("a"), &"x".repeat(200), 1);
    append(&lab, Some("a"), r#"{"N":1}"#, 2);
    lab.work_until(|lab| letters(lab).len() == 1 && lab.values("O").len() == 1);
    let (letter, record) = &letters(&lab)[0];
    assert_eq!((letter.omitted, record.key.as_ref(), record.value.as_ref()), (Some(201), None, None));
}

#[test]
fn a_deleted_topic_ends_the_query_and_a_start_makes_it_again() {
    let (mut lab, handle) = lab(true, &format!("{STREAM}{SHARE}"), Kinds::DEFAULT, Guarantee::AtLeastOnce);
    lab.log.delete_topic("dead").unwrap();
    append(&lab, Some("a"), "bad", 1);
    lab.work_until(|_| matches!(handle.state(), QueryState::Failed(_)));
    lab.runtime.stop_soon(&handle.id);
    lab.work();
    let plan = lab.plan("CREATE STREAM O2 AS SELECT * FROM S;");
    let letters_box = Some(LetterBox { topic: "dead".into(), kinds: Kinds::default() });
    lab.topic("O2");
    lab.runtime.start_query(StartQuery { letters: letters_box, ..start(&plan, None) }).unwrap();
    lab.work_until(|lab| letters(lab).len() == 1);
}

/// Puts all letters of a query into its topic of letters, and starts it again.
fn replay(lab: &mut Lab, plan: &Arc<QueryPlan>, guarantee: Guarantee) -> Arc<QueryHandle> {
    let topic = lab.runtime.replay_topic(&plan.query_id);
    if lab.log.describe_topic(&topic).unwrap().is_none() {
        lab.topic(&topic);
    }
    let sent = lab.log.records(&topic).unwrap().concat().len();
    for (letter, record) in letters(lab).into_iter().skip(sent) {
        let mut headers = record.headers.clone();
        headers.extend(copy_headers(&At { topic: "dead".into(), partition: 0, offset: record.offset.0 }, Some(letter.task)));
        lab.log.append(&topic, 0, StoredRecord { headers, ..(*record).clone() }).unwrap();
    }
    lab.runtime.stop_soon(&plan.query_id);
    lab.work();
    let letters = Some(LetterBox { topic: "dead".into(), kinds: Kinds::parse("undecodable,failed,late").unwrap() });
    lab.runtime.start_query(StartQuery { letters, guarantee, ..start(plan, None) }).unwrap()
}

#[test]
fn letters_go_through_the_query_again_as_the_records_that_they_were() {
    const GROUPED: &str = "CREATE TABLE O AS SELECT G, COUNT(*) AS C, MAX(ROWTIME) AS T FROM S WHERE 10 / N > 1 GROUP BY G;";
    for guarantee in [Guarantee::AtLeastOnce, Guarantee::ExactlyOnce] {
        let mut lab = Lab::new(false);
        lab.topic("s");
        lab.topic("O");
        let plan = lab.plan(&format!("{STREAM}{GROUPED}"));
        let letters_box = Some(LetterBox { topic: "dead".into(), kinds: Kinds::default() });
        lab.runtime.start_query(StartQuery { letters: letters_box, guarantee, ..start(&plan, None) }).unwrap();
        append(&lab, Some("a"), r#"{"N":1,"G":"x"}"#, 1);
        append(&lab, Some("b"), r#"{"N":0,"G":"x"}"#, 7);
        lab.work_until(|lab| letters(lab).len() == 1 && lab.values("O").len() == 1);
        // It fails again, and is a letter again, of the same record.
        let handle = replay(&mut lab, &plan, guarantee);
        assert!(handle.reads_replays());
        lab.work_until(|lab| letters(lab).len() == 2);
        let found = letters(&lab);
        let ((first, one), (again, other)) = (&found[0], &found[1]);
        assert_eq!(*again, Letter { attempt: 1, ..first.clone() });
        assert_eq!((&one.key, &one.value, &one.headers[0]), (&other.key, &other.value, &other.headers[0]));
        assert_eq!(other.headers.iter().filter(|header| header.key == "tidemill.letter.query").count(), 1);
        // What is read again after a failure counts once; the record mended by hand, as a fixed query would take it.
        let topic = lab.runtime.replay_topic(&plan.query_id);
        let mut headers = other.headers.clone();
        headers.extend(copy_headers(&At { topic: "dead".into(), partition: 0, offset: 1 }, Some(0)));
        let mended = StoredRecord { headers, value: Some(br#"{"N":2,"G":"x"}"#.to_vec()), ..(**other).clone() };
        lab.log.append(&topic, 0, mended).unwrap();
        lab.work_until(|lab| lab.values("O").last().is_some_and(|last| last == r#"{"C":2,"T":7}"#));
        lab.runtime.stop_soon(&plan.query_id);
        lab.work();
        replay(&mut lab, &plan, guarantee);
        append(&lab, Some("c"), r#"{"N":1,"G":"x"}"#, 3);
        lab.work_until(|lab| lab.values("O").last().is_some_and(|last| last == r#"{"C":3,"T":7}"#));
        assert_eq!(letters(&lab).len(), 2, "nothing is taken twice");
    }
}

#[test]
fn a_replay_topic_that_has_gone_stops_the_query_until_somebody_says_so() {
    for is_made_anew in [false, true] {
        let mut lab = Lab::new(false);
        lab.topic("s");
        lab.topic("O");
        let plan = lab.plan(&format!("{STREAM}{SHARE}"));
        let letters_box = Some(LetterBox { topic: "dead".into(), kinds: Kinds::default() });
        let begin = StartQuery { letters: letters_box, ..start(&plan, None) };
        lab.runtime.start_query(begin.clone()).unwrap();
        append(&lab, Some("a"), "bad", 1);
        lab.work_until(|lab| letters(lab).len() == 1);
        replay(&mut lab, &plan, Guarantee::AtLeastOnce);
        lab.work_until(|lab| letters(lab).len() == 2);
        lab.runtime.stop_soon(&plan.query_id);
        lab.work();
        let topic = lab.runtime.replay_topic(&plan.query_id);
        lab.log.delete_topic(&topic).unwrap();
        if is_made_anew {
            lab.topic(&topic);
        }
        let Err(StartError::Swapped(swapped)) = lab.runtime.start_query(begin.clone()).map(|_| ()) else { panic!("it starts") };
        let said = swapped.to_string();
        assert!(said.contains(&topic) && said.contains("REPLAY DEAD LETTERS") && said.contains("RESUME"), "{said}");
        lab.runtime.start_query(StartQuery { accepts: [topic.clone()].into(), ..begin.clone() }).unwrap();
        // What comes by the new one is read from its first record.
        if is_made_anew {
            let (letter, record) = letters(&lab).swap_remove(0);
            let mut headers = record.headers.clone();
            headers.extend(copy_headers(&At { topic: "dead".into(), partition: 0, offset: record.offset.0 }, Some(letter.task)));
            lab.log.append(&topic, 0, StoredRecord { headers, ..(*record).clone() }).unwrap();
            lab.work_until(|lab| letters(lab).len() == 3);
            continue;
        }
        // And it need not be said again.
        lab.runtime.stop_soon(&plan.query_id);
        lab.work();
        lab.runtime.start_query(begin).unwrap();
        replay(&mut lab, &plan, Guarantee::AtLeastOnce);
        lab.work_until(|lab| letters(lab).len() == 4);
    }
}
