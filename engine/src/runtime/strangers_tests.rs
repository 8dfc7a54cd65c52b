//! What a server that was replaced still had on its way arrives behind its successor's records.

use std::sync::Arc;

use super::lab::{Lab, config, start};
use super::{Runtime, RuntimeParts, StartQuery};
use crate::log::simulated::StoredRecord;
use crate::plan::QueryPlan;

/// A lab that has counted `a` three times and `b` once, and has committed that.
fn counted() -> (Lab, Arc<QueryPlan>) {
    let mut lab = Lab::new(false);
    lab.topic("s");
    lab.topic("C");
    let plan = lab.plan(
        "CREATE STREAM S (K STRING KEY, V STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
         CREATE TABLE C WITH (KAFKA_TOPIC='C') AS SELECT K, COUNT(*) AS N FROM S GROUP BY K;",
    );
    lab.start(&plan);
    for (number, key) in ["a", "a", "a", "b"].into_iter().enumerate() {
        count(&mut lab, &plan, key, i64::try_from(number).unwrap() + 1);
    }
    (lab, plan)
}

/// One more, which is committed.
fn count(lab: &mut Lab, plan: &QueryPlan, key: &str, number: i64) {
    lab.append("s", key, "{}");
    lab.work_until(|lab| lab.committed(&plan.query_id, "s") == Some(number));
    lab.work();
}

/// What a server that has lost its folder counts for `a` next.
fn restored(lab: &Lab, plan: &Arc<QueryPlan>) -> String {
    let mut other = Lab::new(false);
    other.log = lab.log.clone();
    let parts = RuntimeParts { log: Arc::new(lab.log.clone()), ..other.parts() };
    let (runtime, mut workers) = Runtime::by_hand(parts, config());
    (other.runtime, other.worker) = (runtime, workers.pop());
    let rows = other.values("C").len();
    other.runtime.start_query(StartQuery { ran_before: true, ..start(plan, None) }).unwrap();
    other.append("s", "a", "{}");
    other.work_until(|lab| lab.values("C").len() > rows);
    other.values("C").pop().unwrap()
}

/// The first entry of a changelog: `a` counted once.
fn first(lab: &Lab, changelog: &str) -> StoredRecord {
    let records = lab.log.records(changelog).unwrap().concat();
    records.iter().find(|record| record.key.as_deref().is_some_and(|key| !key.is_empty())).map(|record| (**record).clone()).unwrap()
}

/// The last value of a key.
fn last(lab: &Lab, changelog: &str, key: Option<&[u8]>) -> Option<Vec<u8>> {
    let records = lab.log.records(changelog).unwrap().concat();
    records.iter().rfind(|record| record.key.as_deref() == key).unwrap().value.clone()
}

#[test]
fn what_others_have_written_is_written_over() {
    let (mut lab, plan) = counted();
    let changelog = lab.changelog(&plan.query_id);
    let late = first(&lab, &changelog);
    let key = late.key.clone();
    let right = last(&lab, &changelog, key.as_deref());
    lab.log.append(&changelog, 0, late).unwrap();
    assert_ne!(last(&lab, &changelog, key.as_deref()), right, "it came behind");
    // The next commit is of another key.
    count(&mut lab, &plan, "b", 5);
    assert_eq!(last(&lab, &changelog, key.as_deref()), right);
    assert_eq!(restored(&lab, &plan), r#"{"N":4}"#);
}

#[test]
fn a_key_that_others_have_made_is_taken_away() {
    let (mut lab, plan) = counted();
    let changelog = lab.changelog(&plan.query_id);
    let mut late = first(&lab, &changelog);
    let key = late.key.as_mut().unwrap();
    key.iter_mut().filter(|byte| **byte == b'a').for_each(|byte| *byte = b'x');
    let key = key.clone();
    lab.log.append(&changelog, 0, late).unwrap();
    count(&mut lab, &plan, "b", 5);
    assert_eq!(last(&lab, &changelog, Some(&key)), None);
}

#[test]
fn a_mark_that_comes_late_is_not_the_last_one() {
    let (mut lab, plan) = counted();
    let changelog = lab.changelog(&plan.query_id);
    let marks = |lab: &Lab| {
        let records = lab.log.records(&changelog).unwrap().concat();
        records.into_iter().filter(|record| record.key.as_deref() == Some(b"")).collect::<Vec<_>>()
    };
    let early = marks(&lab).first().map(|mark| (**mark).clone()).unwrap();
    lab.log.append(&changelog, 0, early.clone()).unwrap();
    count(&mut lab, &plan, "b", 5);
    let after = marks(&lab);
    assert!(after.iter().rposition(|mark| mark.value == early.value).unwrap() + 3 <= after.len(), "two commits came behind it");
    assert_eq!(restored(&lab, &plan), r#"{"N":4}"#);
}

#[test]
fn who_is_alone_writes_nothing_again() {
    let (mut lab, plan) = counted();
    let changelog = lab.changelog(&plan.query_id);
    let before = lab.log.records(&changelog).unwrap().concat().len();
    for number in 5..10 {
        count(&mut lab, &plan, "b", number);
    }
    assert_eq!(lab.log.records(&changelog).unwrap().concat().len(), before + 10, "an entry and a mark each");
}
