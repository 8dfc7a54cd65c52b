//! State that is written behind a commit: in order, again where it fails, and waited for.

use std::collections::BTreeMap;

use super::simulated::SimulatedDisk;
use super::tests::{all, get, open};
use super::*;

#[test]
fn the_background_writer_keeps_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(folder.path(), StateLimits::default()).unwrap();
    let mut store = open(&db, "q", StoreKind::KeyValue);
    let writer = StateWriter::start().unwrap();
    for round in 0..200u32 {
        for key in 0..500u32 {
            store.put(&(key * 7 % 1000).to_be_bytes(), Some(&round.to_be_bytes()));
        }
        let mut batch = StateBatch::default();
        store.freeze().unwrap().append_to(&mut batch);
        writer.submit(batch);
        if round % 10 == 0 {
            store.put(b"lost", Some(b"x"));
            store.rollback();
            let value = get(&mut store, &0u32.to_be_bytes());
            assert_eq!(value, Some(round.to_be_bytes().to_vec()), "a rollback must keep what was submitted");
        }
    }
    writer.settle().unwrap();
    drop(store);
    let entries = all(&mut open(&db, "q", StoreKind::KeyValue));
    assert_eq!(entries.len(), 500);
    assert!(entries.values().all(|value| value == &199u32.to_be_bytes()));
}

#[test]
fn what_is_written_later_is_there_when_a_store_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(folder.path(), StateLimits::default()).unwrap();
    for round in 0..20u32 {
        let mut store = open(&db, "q", StoreKind::KeyValue);
        assert_eq!(all(&mut store).len(), round as usize * 1_000);
        for key in round * 1_000..(round + 1) * 1_000 {
            store.put(&key.to_be_bytes(), Some(b"x"));
        }
        let mut batch = StateBatch::default();
        store.freeze().unwrap().append_to(&mut batch);
        db.write_later(batch).unwrap();
    }
    db.drop_query("q").unwrap();
    assert!(all(&mut open(&db, "q", StoreKind::KeyValue)).is_empty());
}

/// A store's changes as a batch, one key to one value.
fn change(store: &mut Store, key: &[u8], value: &[u8]) -> StateBatch {
    store.put(key, Some(value));
    let mut batch = StateBatch::default();
    store.freeze().unwrap().append_to(&mut batch);
    batch
}

#[test]
fn a_write_that_fails_is_tried_again_before_what_comes_behind_it() {
    let disk = SimulatedDisk::new(1, 1.0);
    let db = disk.open();
    let mut store = open(&db, "q", StoreKind::KeyValue);
    let mut other = open(&db, "other", StoreKind::KeyValue);
    db.write_later(change(&mut store, b"a", b"1")).unwrap();
    db.write_later(change(&mut other, b"b", b"1")).unwrap();
    db.write_later(change(&mut store, b"a", b"2")).unwrap();
    assert!(!db.is_behind());
    for _ in 0..3 {
        assert!(matches!(db.write_next(), Some(Err(StateError::Storage(_)))));
        assert!(db.is_behind());
    }
    assert!(db.settle().is_err(), "what can't be written is not waited for");
    assert_eq!(get(&mut store, b"a"), Some(b"2".to_vec()));
    disk.set_faults(0.0);
    db.settle().unwrap();
    assert!(!db.is_behind());
    // Nothing is wedged: later commits go on, and a new process finds them.
    db.write_later(change(&mut store, b"c", b"3")).unwrap();
    db.settle().unwrap();
    drop((store, other));
    disk.crash();
    let db = disk.open();
    let entries = |query| all(&mut open(&db, query, StoreKind::KeyValue));
    assert_eq!(entries("q"), BTreeMap::from([(b"a".to_vec(), b"2".to_vec()), (b"c".to_vec(), b"3".to_vec())]));
    assert_eq!(entries("other"), BTreeMap::from([(b"b".to_vec(), b"1".to_vec())]));
}

#[test]
fn the_background_writer_goes_on_when_there_is_room_again() {
    let disk = SimulatedDisk::new(1, 1.0);
    let db = disk.open();
    let mut store = open(&db, "q", StoreKind::KeyValue);
    let writer = StateWriter::start().unwrap();
    writer.submit(change(&mut store, b"a", b"1"));
    assert!(writer.settle().is_err());
    disk.set_faults(0.0);
    while writer.is_behind() {
        std::thread::yield_now();
    }
    writer.settle().unwrap();
    assert!(disk.faults() > 0);
}

#[test]
fn waiting_for_what_is_written_does_not_wait_for_what_comes_later() {
    let db = StateDb::in_memory();
    let mut store = open(&db, "busy", StoreKind::KeyValue);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Far more than can be written meanwhile.
            let mut number = 0u32;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                number += 1;
                db.write_later(change(&mut store, &(number % 64).to_be_bytes(), &number.to_be_bytes())).unwrap();
                while db.is_behind() {
                    std::thread::yield_now();
                }
            }
        });
        for round in 0..100u32 {
            drop(db.open_store(&StoreKey { query: "q".into(), store: round.to_string().into(), partition: 0 }, &spec()).unwrap());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

fn spec() -> StoreSpec {
    StoreSpec { name: "s".into(), kind: StoreKind::KeyValue, changelog: false }
}

#[test]
fn a_store_has_one_owner() {
    let db = StateDb::in_memory();
    let key = StoreKey { query: "q".into(), store: "s".into(), partition: 0 };
    let first = db.open_store(&key, &spec()).unwrap();
    assert!(matches!(db.open_store(&key, &spec()), Err(StateError::StillOpen(_))));
    db.open_store(&StoreKey { partition: 1, ..key.clone() }, &spec()).unwrap();
    drop(first);
    db.open_store(&key, &spec()).unwrap();
}
