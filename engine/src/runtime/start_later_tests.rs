//! Queries whose state takes long to restore, beside others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lab::{Lab, config, start};
use super::{QueryHandle, QueryState, Runtime, RuntimeParts};
use crate::log::Log;
use crate::operators::materialized;
use crate::plan::QueryPlan;
use crate::state::StateDb;

const STREAM: &str = "CREATE STREAM S (ID STRING KEY, V STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
const COUNT: &str = "CREATE TABLE C AS SELECT ID, COUNT(*) AS N FROM S GROUP BY ID;";
const SMALL: &str = "CREATE TABLE D AS SELECT V, COUNT(*) AS N FROM S GROUP BY V;";

fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How many rows a query's table has.
fn rows(runtime: &Runtime, plan: &QueryPlan) -> usize {
    let reader = materialized::reader(plan).unwrap();
    let mut rows = 0;
    for partition in runtime.partition_readers(&plan.query_id, reader.stores()).unwrap() {
        let count = &mut |_: &[u8], _| {
            rows += 1;
            true
        };
        reader.scan(0, &[], None, &partition, count).unwrap();
    }
    rows
}

/// A log with what two queries have left there: a large changelog, and a small one. And their plans.
fn left_behind() -> (Lab, [Arc<QueryPlan>; 2]) {
    let mut lab = Lab::new(false);
    ["s", "C", "D"].iter().for_each(|topic| lab.topic(topic));
    lab.world.run(STREAM).unwrap();
    let plans = [COUNT, SMALL].map(|query| lab.plan(query));
    let handles = plans.each_ref().map(|plan| lab.start(plan));
    for number in 0..1_000 {
        lab.append("s", &format!("k{number}"), r#"{"V": "one"}"#);
    }
    lab.work_until(|lab| handles.iter().all(|handle| lab.committed(&handle.id, "s") == Some(1_000)));
    lab.worker = None;
    (lab, plans)
}

/// A new process with threads, without the state.
fn new_process(lab: &Lab) -> (RuntimeParts, Arc<Runtime>) {
    let parts = RuntimeParts { state: StateDb::in_memory(), ..lab.parts() };
    (parts.clone(), Runtime::start(parts, config()).unwrap())
}

#[test]
fn a_large_state_is_restored_beside_queries_that_run() {
    let (lab, [large, small]) = left_behind();
    let (_, runtime) = new_process(&lab);
    // The large one's state does not come before the other is up.
    lab.log.hold(Some(lab.changelog(&large.query_id)));
    let restoring: Arc<QueryHandle> = runtime.start_query(start(&large, None)).unwrap();
    assert!(restoring.restoring().is_some() && restoring.state() == QueryState::Restoring);
    assert!(restoring.remarks().iter().any(|remark| remark.starts_with("its state is being restored: ")), "{:?}", restoring.remarks());
    let running = runtime.start_query(start(&small, None)).unwrap();
    assert_eq!(running.restoring(), None);
    assert_eq!(rows(&runtime, &small), 1);
    lab.log.hold(None);
    wait_for("it never runs", || restoring.state() == QueryState::Running);
    assert_eq!(restoring.restoring(), None);
    assert_eq!(rows(&runtime, &large), 1_000);
    lab.append("s", "k7", r#"{"V": "one"}"#);
    wait_for("it does not go on", || lab.values("C").last().is_some_and(|value| value == r#"{"N":2}"#));
    wait_for("the other does not go on", || lab.values("D").last().is_some_and(|value| value == r#"{"N":1001}"#));
    runtime.shutdown();
}

#[test]
fn a_restore_is_called_off_and_goes_on_where_it_was() {
    let (lab, [large, _]) = left_behind();
    let (parts, runtime) = new_process(&lab);
    lab.log.hold(Some(lab.changelog(&large.query_id)));
    let handle = runtime.start_query(start(&large, None)).unwrap();
    // Nobody reads what is not whole.
    assert_eq!(rows(&runtime, &large), 0);
    assert!(runtime.stop(&large.query_id), "its restore does not end");
    assert_eq!((handle.state(), handle.restoring()), (QueryState::Stopped, None));
    let again = runtime.start_query(start(&large, None)).unwrap();
    // The process ends in the middle.
    runtime.shutdown();
    assert_ne!(again.state(), QueryState::Running);
    drop(runtime);
    lab.log.hold(None);
    let runtime = Runtime::start(parts, config()).unwrap();
    let handle = runtime.start_query(start(&large, None)).unwrap();
    wait_for("it never runs", || handle.state() == QueryState::Running);
    assert_eq!(rows(&runtime, &large), 1_000);
    runtime.shutdown();
}

#[test]
fn a_restore_that_fails_says_why() {
    let (lab, [large, _]) = left_behind();
    let (_, runtime) = new_process(&lab);
    lab.log.hold(Some(lab.changelog(&large.query_id)));
    let handle = runtime.start_query(start(&large, None)).unwrap();
    lab.log.delete_topic(&lab.changelog(&large.query_id)).unwrap();
    lab.log.hold(None);
    wait_for("it does not fail", || matches!(handle.state(), QueryState::Failed(_)));
    assert_eq!(handle.restoring(), None);
    runtime.shutdown();
}
