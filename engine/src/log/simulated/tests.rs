//! The simulated log: the suite of all logs, its faults, and that it repeats itself.

use std::sync::Arc;

use super::*;
use crate::log::{Commit, OutRecord, testing};
use crate::state::{StateBatch, StateDb, Store, StoreKey, StoreKind, StoreSpec};

#[test]
fn the_suite_of_all_logs() {
    for atomic in [true, false] {
        testing::run(&SimulatedLog::new(SimulationOptions { atomic, ..SimulationOptions::default() }), "t-");
    }
}

fn topic(log: &SimulatedLog, name: &str, partitions: u32) -> TopicHandle {
    log.create_topic(&TopicSpec { name: name.into(), partitions, replicas: 1, config: BTreeMap::new() }).unwrap();
    log.topic(name).unwrap().0
}

fn subscribe(log: &SimulatedLog, name: &str, partitions: i32) -> Box<dyn LogReader> {
    let partitions = (0..partitions).map(|partition| (TopicPartition { topic: name.into(), partition }, Offset(0))).collect();
    log.subscribe(Subscription { partitions, wake: Arc::new(|| {}), max_buffered_bytes: usize::MAX }).unwrap()
}

#[test]
fn a_poll_brings_as_many_records_as_it_may() {
    let log = SimulatedLog::default();
    topic(&log, "t", 1);
    for timestamp in 0..10 {
        let offset = log.append("t", 0, StoredRecord { timestamp, ..StoredRecord::default() }).unwrap();
        assert_eq!(offset, Offset(timestamp));
    }
    assert!(log.append("t", 1, StoredRecord::default()).is_err());
    for (limit, expected) in [(1000, vec![10]), (4, vec![4, 4, 2]), (0, vec![1; 10])] {
        log.set_poll_records(limit);
        let mut reader = subscribe(&log, "t", 1);
        let lengths: Vec<usize> = std::iter::from_fn(|| reader.poll().unwrap()).map(|arrived| arrived.batch.len()).collect();
        assert_eq!(lengths, expected);
    }
}

/// Copies a topic of three partitions into another one and counts in a store, going back to the last commit after each
/// failure. Returns what came out, what the store counted, and the faults that happened.
fn copy(plan: FaultPlan, atomic: bool) -> (Vec<i64>, u64, FaultCounts) {
    const RECORDS: i64 = 300;
    let log = SimulatedLog::new(SimulationOptions { atomic, faults: plan });
    topic(&log, "in", 3);
    let out = topic(&log, "out", 1);
    log.set_poll_records(8);
    for number in 0..RECORDS {
        let partition = i32::try_from(number % 3).unwrap();
        log.append("in", partition, StoredRecord { timestamp: number, ..StoredRecord::default() }).unwrap();
    }
    let db = StateDb::in_memory();
    let key = StoreKey { query: "q".into(), store: "s".into(), partition: 0 };
    let mut store = db.open_store(&key, &StoreSpec { name: "s".into(), kind: StoreKind::KeyValue, changelog: false }).unwrap();
    let partitions: Vec<TopicPartition> = (0..3).map(|partition| TopicPartition { topic: "in".into(), partition }).collect();
    for _attempt in 0..100_000 {
        let start: Vec<Offset> = log.committed("g", &partitions).unwrap().into_iter().map(Option::unwrap_or_default).collect();
        if start.iter().map(|offset| offset.0).sum::<i64>() == RECORDS {
            break;
        }
        if attempt(&log, out, &mut store, &partitions, start).is_err() {
            store.rollback();
        }
    }
    let out = log.records("out").unwrap()[0].iter().map(|record| record.timestamp).collect();
    (out, count(&mut store), log.fault_counts())
}

fn count(store: &mut Store) -> u64 {
    store.get(b"n", |value| value.map_or(0, |value| u64::from_be_bytes(value.try_into().unwrap()))).unwrap()
}

fn attempt(
    log: &SimulatedLog,
    out: TopicHandle,
    store: &mut Store,
    partitions: &[TopicPartition],
    start: Vec<Offset>,
) -> Result<(), LogError> {
    let mut writer = log.writer()?;
    let mut positions = start.clone();
    let partitions: Vec<_> = partitions.iter().cloned().zip(start).collect();
    let subscription = Subscription { partitions: partitions.clone(), wake: Arc::new(|| {}), max_buffered_bytes: usize::MAX };
    let mut reader = log.subscribe(subscription)?;
    loop {
        let mut some = false;
        for _ in 0..4 {
            let Some(arrived) = reader.poll()? else { continue };
            some = true;
            for index in arrived.first..arrived.batch.len() {
                let record = arrived.batch.record(index);
                let timestamp = record.timestamp;
                writer.send(out, OutRecord { partition: 0, timestamp, key: None, value: None, headers: &[] })?;
                let counted = count(store) + 1;
                store.put(b"n", Some(&counted.to_be_bytes()));
                positions[arrived.source] = Offset(record.offset.0 + 1);
            }
        }
        let mut state = StateBatch::default();
        if let Some(frozen) = store.freeze() {
            frozen.append_to(&mut state);
        }
        let offsets = partitions.iter().map(|(partition, _)| partition.clone()).zip(positions.iter().copied()).collect();
        writer.commit(Commit { offsets: vec![("g".into(), offsets)], state })?;
        if !some {
            return Ok(());
        }
    }
}

#[test]
fn an_atomic_log_gives_exactly_once_under_all_faults() {
    let (mut happened, mut reordered) = (FaultCounts::default(), 0);
    for seed in 0..200 {
        let plan = FaultPlan { seed, poll: 0.1, send: 0.002, commit: 0.1, commit_unknown: 0.1, reorder: 0.5, ..FaultPlan::default() };
        let (mut out, counted, counts) = copy(plan, true);
        reordered += usize::from(!out.is_sorted());
        out.sort_unstable();
        assert!(out.into_iter().eq(0..300), "seed {seed}");
        assert_eq!(counted, 300, "seed {seed}");
        happened += counts;
    }
    let FaultCounts { poll, send, commit, commit_unknown, reorder, .. } = happened;
    assert!([poll, send, commit, commit_unknown, reorder].into_iter().min() > Some(50), "{happened:?}");
    assert!(reordered > 100);
}

#[test]
fn other_logs_give_at_least_once() {
    let mut repeated = 0;
    for seed in 0..100 {
        let (mut out, _, _) = copy(FaultPlan { seed, commit: 0.1, commit_unknown: 0.2, reorder: 0.5, ..FaultPlan::default() }, false);
        let sent = out.len();
        out.sort_unstable();
        out.dedup();
        assert!(out.into_iter().eq(0..300), "seed {seed}");
        repeated += usize::from(sent > 300);
    }
    assert!(repeated > 20, "no record was repeated, so no fault was seen");
}

#[test]
fn a_seed_repeats_itself() {
    for seed in 0..20 {
        let plan = FaultPlan { seed, poll: 0.2, send: 0.01, commit: 0.2, commit_unknown: 0.2, reorder: 0.5, ..FaultPlan::default() };
        assert_eq!(copy(plan, true), copy(plan, true));
    }
    let plan = |seed| FaultPlan { seed, reorder: 1.0, ..FaultPlan::default() };
    assert_ne!(copy(plan(1), true).0, copy(plan(2), true).0);
}
