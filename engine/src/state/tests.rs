//! Stores against a model, over each backing.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::log::{Offset, TopicPartition};
use crate::types::codec::to_ordered;

pub(super) fn open(db: &StateDb, query: &str, kind: StoreKind) -> Store {
    let key = StoreKey { query: query.into(), store: "s".into(), partition: 3 };
    db.open_store(&key, &StoreSpec { name: "s".into(), kind, changelog: true }).unwrap()
}

pub(super) fn get(store: &mut Store, key: &[u8]) -> Option<Vec<u8>> {
    store.get(key, |value| value.map(<[u8]>::to_vec)).unwrap()
}

pub(super) fn all(store: &mut Store) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut entries = Vec::new();
    store
        .range(&[], None, &mut |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
            true
        })
        .unwrap();
    assert!(entries.is_sorted_by(|a, b| a.0 < b.0), "out of order, or twice");
    entries.into_iter().collect()
}

fn commit(store: &mut Store) {
    let mut batch = StateBatch::default();
    if let Some(frozen) = store.freeze() {
        frozen.append_to(&mut batch);
    }
    batch.write().unwrap();
}

fn windowed_key(key: &[u8], start: i64, end: i64) -> Vec<u8> {
    [key, &to_ordered(start), &to_ordered(end)].concat()
}

/// Random reads, writes, ranges, commits, rollbacks and re-openings agree with a `BTreeMap`.
pub(super) fn agrees_with_a_model(db: &StateDb, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let kind = if seed.is_multiple_of(2) { StoreKind::KeyValue } else { StoreKind::Ordered };
    let mut store = open(db, &format!("model{seed}"), kind);
    let (mut model, mut committed) = (BTreeMap::new(), BTreeMap::new());
    let (mut pending, mut submitted): (Vec<StateBatch>, Vec<StateBatch>) = Default::default();
    for step in 0..3000 {
        // Keys of an ordered store begin with a time, which goes on.
        let prefix = |rng: &mut StdRng| match kind {
            StoreKind::Ordered => to_ordered(step / 50 - 30 + rng.random_range(0..60)).to_vec(),
            _ => vec![b'k', rng.random_range(0..60)],
        };
        let key = [prefix(&mut rng), vec![rng.random_range(0..3)]].concat();
        match rng.random_range(0..100) {
            0..40 => {
                let value: Vec<u8> = (0..rng.random_range(0..80)).map(|_| rng.random()).collect();
                store.put(&key, Some(&value));
                model.insert(key, value);
            }
            40..50 => {
                store.put(&key, None);
                model.remove(&key);
            }
            50..60 => {
                let mut buffer = Vec::new();
                store
                    .update(&key, &mut buffer, |old, new| {
                        new.extend_from_slice(old.unwrap_or(b"new"));
                        new.push(b'+');
                        new.len() < 200
                    })
                    .unwrap();
                let mut value = model.get(&key).cloned().unwrap_or(b"new".to_vec());
                value.push(b'+');
                if value.len() < 200 {
                    model.insert(key, value)
                } else {
                    model.remove(&key)
                };
            }
            60..85 => {
                assert_eq!(get(&mut store, &key), model.get(&key).cloned());
                assert_eq!(store.reader().get(&key, |value| value.map(<[u8]>::to_vec)).unwrap(), model.get(&key).cloned());
            }
            85..90 => {
                let mut other = prefix(&mut rng);
                let mut from = key;
                if other < from {
                    std::mem::swap(&mut from, &mut other);
                }
                let mut found = Vec::new();
                let reader = store.reader();
                let collect = &mut |key: &[u8], value: &[u8]| {
                    found.push((key.to_vec(), value.to_vec()));
                    found.len() < 20
                };
                if rng.random() {
                    store.range(&from, Some(&other), collect).unwrap();
                } else {
                    reader.range(&from, Some(&other), collect).unwrap();
                }
                let expected: Vec<_> = model.range(from..other).take(20).map(|(k, v)| (k.clone(), v.clone())).collect();
                assert_eq!(found, expected);
            }
            90..94 => {
                if let Some(frozen) = store.freeze() {
                    let mut batch = StateBatch::default();
                    frozen.append_to(&mut batch);
                    pending.push(batch);
                }
                if rng.random() {
                    // The commit succeeds, whenever its state gets written.
                    pending.iter().for_each(StateBatch::mark_submitted);
                    submitted.append(&mut pending);
                    committed = model.clone();
                }
            }
            94..96 => submitted.drain(..).for_each(|batch| batch.write().unwrap()),
            96..98 => {
                store.rollback();
                if rng.random() {
                    submitted.drain(..).for_each(|batch| batch.write().unwrap());
                    assert!(pending.drain(..).all(|batch| batch.write().is_err()), "what was thrown away must not be written");
                }
                pending.clear();
                model = committed.clone();
            }
            _ => {
                submitted.drain(..).for_each(|batch| batch.write().unwrap());
                drop(store);
                pending.clear();
                store = open(db, &format!("model{seed}"), kind);
                model = committed.clone();
            }
        }
    }
    assert_eq!(all(&mut store), model);
}

/// Windows leave when stream time passes their end by more than the retention, whatever layer they lie in.
pub(super) fn windows_expire(db: &StateDb) {
    let mut store = open(db, "expire", StoreKind::Windowed { retention_ms: 100 });
    for start in 0..50 {
        store.observe_time(start * 10);
        store.put(&windowed_key(b"a", start * 10, start * 10 + 10), Some(b"x"));
        if start % 7 == 0 {
            commit(&mut store);
        }
    }
    assert_eq!(store.stream_time(), 490);
    let ends: Vec<i64> = all(&mut store).keys().map(|key| expiry::window_end(key).unwrap()).collect();
    assert_eq!(ends, (39..=50).map(|i| i * 10).collect::<Vec<_>>());
    assert_eq!(get(&mut store, &windowed_key(b"a", 370, 380)), None);
    assert_eq!(get(&mut store, &windowed_key(b"a", 380, 390)), Some(b"x".to_vec()));
    assert!(!store.reader().get(&windowed_key(b"a", 370, 380), |v| v.is_some()).unwrap());
    commit(&mut store);
    drop(store);
    let mut store = open(db, "expire", StoreKind::Windowed { retention_ms: 100 });
    assert_eq!(store.stream_time(), 490);
    assert_eq!(all(&mut store).len(), 12);
}

/// What the changelog got makes the same store elsewhere.
pub(super) fn a_changelog_restores(db: &StateDb) {
    let mut store = open(db, "origin", StoreKind::KeyValue);
    let mut copy = open(db, "copy", StoreKind::KeyValue);
    for round in 0..3u8 {
        for i in round * 10..round * 20 + 10 {
            store.put(&[b'k', i], (i % 3 != round).then_some(&[i, round]));
        }
        store.observe_time(i64::from(round));
        let frozen = store.freeze().unwrap();
        let mut seen = 0;
        frozen.for_each_change(|key, value| {
            seen += 1;
            copy.put(key, value);
        });
        assert_eq!(seen, frozen.len());
    }
    assert_eq!(all(&mut copy), all(&mut store));
}

/// Positions are kept by query; dropping a query takes its stores and positions, and no others.
pub(super) fn queries_are_apart(db: &StateDb) {
    let partition = |topic: &str, partition| TopicPartition { topic: topic.into(), partition };
    for query in ["q", "q2"] {
        let mut store = open(db, query, StoreKind::KeyValue);
        store.put(b"key", Some(query.as_bytes()));
        let mut batch = StateBatch::default();
        store.freeze().unwrap().append_to(&mut batch);
        batch.set_position(db, query, &partition("t", 0), Offset(7));
        batch.set_position(db, query, &partition("t", 1), Offset(8));
        batch.write().unwrap();
    }
    assert!(db.queries().contains(&"q".to_owned()));
    db.drop_query("q").unwrap();
    assert_eq!(db.positions("q").unwrap().len(), 0);
    let positions: Vec<_> = db.positions("q2").unwrap().into_iter().collect();
    assert_eq!(positions, vec![(partition("t", 0), Offset(7)), (partition("t", 1), Offset(8))]);
    assert_eq!(get(&mut open(db, "q", StoreKind::KeyValue), b"key"), None);
    assert_eq!(get(&mut open(db, "q2", StoreKind::KeyValue), b"key"), Some(b"q2".to_vec()));
}

/// As [`agrees_with_a_model`], for windows around an advancing stream time.
pub(super) fn windows_agree_with_a_model(db: &StateDb, seed: u64) {
    const RETENTION: i64 = 300;
    let mut rng = StdRng::seed_from_u64(seed);
    let kind = StoreKind::Windowed { retention_ms: RETENTION };
    let mut store = open(db, &format!("windows{seed}"), kind);
    let (mut model, mut time) = (BTreeMap::<(u8, i64), u8>::new(), i64::MIN);
    let mut committed = (model.clone(), time);
    for _ in 0..4000 {
        let key = rng.random_range(0..5);
        let now = time.max(0);
        let start = rng.random_range(now - 400..=now) / 10 * 10;
        let visible = |start: i64, time: i64| time == i64::MIN || start + 10 >= time - RETENTION;
        let full_key = windowed_key(&[key], start, start + 10);
        match rng.random_range(0..100) {
            0..40 => {
                time = store.observe_time(now + rng.random_range(-20..10));
                let value = rng.random();
                store.put(&full_key, Some(&[value]));
                model.insert((key, start), value);
            }
            40..45 => {
                store.put(&full_key, None);
                model.remove(&(key, start));
            }
            45..65 => {
                let expected = model.get(&(key, start)).filter(|_| visible(start, time)).map(|value| vec![*value]);
                assert_eq!(store.reader().get(&full_key, |value| value.map(<[u8]>::to_vec)).unwrap(), expected);
                assert_eq!(get(&mut store, &full_key), expected);
            }
            65..85 => {
                let last = start + rng.random_range(0..100);
                let mut found = Vec::new();
                store
                    .windows(&[key], start, last, &mut |key, value| {
                        found.push((expiry::window_start(key).unwrap(), value[0]));
                        true
                    })
                    .unwrap();
                let range = model.range((key, start)..=(key, last)).filter(|((_, start), _)| visible(*start, time));
                assert_eq!(found, range.map(|((_, start), value)| (*start, *value)).collect::<Vec<_>>());
                let (mut found, most) = (Vec::new(), rng.random_range(1..40));
                store
                    .windows_back(&[key], last, &mut |key, value| {
                        let start = expiry::window_start(key).unwrap();
                        if visible(start, time) {
                            found.push((start, value[0]));
                        }
                        found.len() < most
                    })
                    .unwrap();
                let range = model.range((key, i64::MIN)..=(key, last)).rev().filter(|((_, start), _)| visible(*start, time));
                assert_eq!(found, range.take(most).map(|((_, start), value)| (*start, *value)).collect::<Vec<_>>());
            }
            85..96 => {
                commit(&mut store);
                committed = (model.clone(), time);
            }
            96..98 => {
                store.rollback();
                (model, time) = committed.clone();
            }
            _ => {
                drop(store);
                store = open(db, &format!("windows{seed}"), kind);
                (model, time) = committed.clone();
            }
        }
        assert_eq!(store.stream_time(), time);
    }
}

/// Limits under which stores behave differently: nothing is kept in memory, little is, all is.
fn limits() -> [StateLimits; 4] {
    [0, 40_000, 150_000, 128 << 20].map(|overlay_bytes| StateLimits { overlay_bytes, ..StateLimits::default() })
}

#[test]
fn in_memory() {
    for limits in limits() {
        let db = StateDb::in_memory_within(limits);
        for seed in 0..12 {
            agrees_with_a_model(&db, seed);
            windows_agree_with_a_model(&db, seed);
        }
        windows_expire(&db);
        a_changelog_restores(&db);
        queries_are_apart(&db);
        assert_eq!(db.overlay_bytes(), 0, "budget not given back");
    }
}

#[test]
fn a_smaller_overlay_still_hides_what_was_deleted() {
    let limits = StateLimits { overlay_bytes: 8 << 20, ..StateLimits::default() };
    let mut store = open(&StateDb::in_memory_within(limits), "q", StoreKind::KeyValue);
    for key in 0..12_000u32 {
        store.put(&key.to_be_bytes(), Some(&[1; 20]));
    }
    commit(&mut store);
    for key in 0..50u32 {
        store.put(&key.to_be_bytes(), None);
    }
    for key in 20_000..20_150u32 {
        for size in 1..30 {
            store.put(&key.to_be_bytes(), Some(&vec![1; size * 100]));
        }
        store.put(&key.to_be_bytes(), None);
    }
    commit(&mut store);
    let bytes = store.overlay_bytes();
    commit(&mut store);
    store.put(b"more", Some(b"x"));
    commit(&mut store);
    assert!(bytes < 500_000, "the overlay is as large as before: {bytes}");
    assert!((0..50u32).all(|key| get(&mut store, &key.to_be_bytes()).is_none()));
    assert_eq!(all(&mut store).len(), 12_000 - 50 + 1);
}

#[test]
fn what_came_and_went_between_two_commits_is_not_written() {
    let mut store = open(&StateDb::in_memory(), "q", StoreKind::Ordered);
    let key = |time: i64| [&to_ordered(time)[..], b"k"].concat();
    let changes = |store: &mut Store| {
        let mut batch = StateBatch::default();
        let mut changes = Vec::new();
        if let Some(frozen) = store.freeze() {
            frozen.for_each_change(|key, value| changes.push((key.to_vec(), value.is_some())));
            assert_eq!(frozen.len(), changes.len());
            frozen.append_to(&mut batch);
        }
        batch.write().unwrap();
        changes
    };
    let (put, delete) =
        (|store: &mut Store, time| store.put(&key(time), Some(b"x")), |store: &mut Store, time| store.put(&key(time), None));
    put(&mut store, 1);
    put(&mut store, 2);
    delete(&mut store, 1);
    delete(&mut store, 3);
    assert_eq!(changes(&mut store), [(key(2), true), (key(3), false)], "a delete of what may be elsewhere is written");
    delete(&mut store, 2);
    put(&mut store, 1);
    delete(&mut store, 1);
    assert_eq!(changes(&mut store), [(key(2), false)]);
    put(&mut store, 2);
    delete(&mut store, 2);
    assert_eq!(changes(&mut store), []);
    assert_eq!(get(&mut store, &key(2)), None);
}

#[test]
fn a_rollback_leaves_no_older_value_in_sight() {
    let limits = StateLimits { overlay_bytes: 8 * 100_000, ..StateLimits::default() };
    let mut store = open(&StateDb::in_memory_within(limits), "q", StoreKind::KeyValue);
    let submit = |store: &mut Store| {
        let mut batch = StateBatch::default();
        store.freeze().unwrap().append_to(&mut batch);
        batch.mark_submitted();
        batch
    };
    for key in 0..2000u32 {
        store.put(&key.to_be_bytes(), Some(b"old"));
    }
    let all = submit(&mut store);
    store.put(&7u32.to_be_bytes(), Some(b"new"));
    let one = submit(&mut store);
    store.put(b"lost", Some(b"x"));
    store.rollback();
    all.write().unwrap();
    one.write().unwrap();
    for _ in 0..3 {
        store.put(b"more", Some(b"x"));
        commit(&mut store);
    }
    assert_eq!(get(&mut store, &7u32.to_be_bytes()), Some(b"new".to_vec()));
}

#[test]
fn a_commit_is_not_written_before_its_predecessor() {
    let mut store = Store::default();
    let batches: Vec<StateBatch> = (0..2u8)
        .map(|i| {
            let mut batch = StateBatch::default();
            store.put(&[i], Some(b"x"));
            store.freeze().unwrap().append_to(&mut batch);
            batch
        })
        .collect();
    assert!(batches[1].write().is_err());
    batches[0].write().unwrap();
    batches[1].write().unwrap();
    assert!(batches[1].write().is_err(), "written twice");
}

#[test]
fn a_reader_waits_for_the_chunk() {
    let mut store = Store::default();
    let reader = store.reader();
    store.begin_chunk();
    store.put(b"a", Some(b"1"));
    let thread = std::thread::spawn(move || reader.get(b"a", |value| value.map(<[u8]>::to_vec)).unwrap());
    std::thread::sleep(std::time::Duration::from_millis(20));
    store.put(b"a", Some(b"2"));
    store.end_chunk();
    assert_eq!(thread.join().unwrap(), Some(b"2".to_vec()));
}

#[test]
fn a_reader_that_cannot_wait_is_told() {
    let mut store = Store::default();
    let reader = store.reader().without_waiting();
    store.put(b"a", Some(b"1"));
    let read = || reader.get(b"a", |value| value.map(<[u8]>::to_vec));
    let scan = || reader.range(b"", None, &mut |_, _| true);
    assert_eq!(read().unwrap(), Some(b"1".to_vec()));
    scan().unwrap();
    store.begin_chunk();
    assert!(matches!(read(), Err(StateError::Busy)) && matches!(scan(), Err(StateError::Busy)));
    store.end_chunk();
    assert_eq!(read().unwrap(), Some(b"1".to_vec()));
    scan().unwrap();
}

#[test]
fn in_rocksdb() {
    let folder = tempfile::tempdir().unwrap();
    for (round, limits) in (0..).zip(limits()) {
        let db = StateDb::open(folder.path(), limits).unwrap();
        for seed in 0..4 {
            agrees_with_a_model(&db, seed + round * 4);
            windows_agree_with_a_model(&db, seed + round * 4);
        }
        if round == 0 {
            windows_expire(&db);
            a_changelog_restores(&db);
        }
        queries_are_apart(&db);
        db.drop_query("q2").unwrap();
        assert_eq!(db.overlay_bytes(), 0, "budget not given back");
    }
}

#[test]
fn expired_windows_leave_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let limits = StateLimits { overlay_bytes: 0, ..StateLimits::default() };
    let db = StateDb::open(folder.path(), limits).unwrap();
    let stored = |db: &StateDb| {
        let mut entries = 0;
        db.0.backing
            .scan(&[0, 0, 0, 1], &[0, 0, 0, 9], &mut |_, _| {
                entries += 1;
                true
            })
            .unwrap();
        entries
    };
    let mut windowed = open(&db, "w", StoreKind::Windowed { retention_ms: 100 });
    let mut plain = open(&db, "p", StoreKind::KeyValue);
    for start in 0..1000 {
        windowed.observe_time(start);
        windowed.put(&windowed_key(b"a", start, start + 1), Some(b"x"));
        plain.put(&windowed_key(b"a", start, start + 1), Some(b"x"));
        if start % 100 == 0 {
            commit(&mut windowed);
        }
    }
    commit(&mut plain);
    commit(&mut windowed);
    db.rocks().unwrap().compact(rocks::Family::State).unwrap();
    // Two summaries, all of the plain store, and the windows that end at 899 or later.
    assert_eq!(stored(&db), 2 + 1000 + 102);
    windowed.observe_time(2000);
    db.rocks().unwrap().compact(rocks::Family::State).unwrap();
    assert_eq!(stored(&db), 2 + 1000 + 102, "a stream time that isn't committed must not drop anything");
    commit(&mut windowed);
    db.rocks().unwrap().compact(rocks::Family::State).unwrap();
    assert_eq!(stored(&db), 2 + 1000);
}

#[test]
fn state_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3u8 {
        let db = StateDb::open(folder.path(), StateLimits::default()).unwrap();
        let mut store = open(&db, "q", StoreKind::KeyValue);
        assert_eq!(all(&mut store).len(), usize::from(round));
        assert_eq!(store.stream_time(), if round == 0 { i64::MIN } else { i64::from(round) - 1 });
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        assert_eq!(db.positions("q").unwrap().get(&partition), (round > 0).then_some(&Offset(i64::from(round))));
        store.put(&[round], Some(b"committed"));
        store.observe_time(i64::from(round));
        let mut batch = StateBatch::default();
        store.freeze().unwrap().append_to(&mut batch);
        batch.set_position(&db, "q", &partition, Offset(i64::from(round) + 1));
        batch.write().unwrap();
        store.put(b"never committed", Some(b"x"));
        store.observe_time(1000);
        let _ = store.freeze();
    }
}

#[test]
fn a_folder_has_one_owner_and_must_be_usable() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(folder.path(), StateLimits::default()).unwrap();
    let path = folder.path().display();
    let error = StateDb::open(folder.path(), StateLimits::default()).err().unwrap();
    assert_eq!(
        error.to_string(),
        format!("data folder '{path}' is in use by another process: end that one, or give this one a folder of its own (--data-dir)")
    );
    drop(db);
    StateDb::open(folder.path(), StateLimits::default()).unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error = StateDb::open(&file, StateLimits::default()).err().unwrap();
    assert!(matches!(&error, StateError::Unusable { reason, .. } if reason.contains("Not a directory")), "{error}");
}
