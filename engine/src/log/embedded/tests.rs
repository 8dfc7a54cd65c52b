//! The embedded log: the suite of all logs, and what only it promises.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::clock::{ManualClock, SystemClock};
use crate::log::embedded::EmbeddedLog;
use crate::log::{Commit, Log, LogError, LogWriter, Offset, OffsetSpec, OutRecord, Subscription, TopicPartition, TopicSpec, testing};
use crate::state::{StateBatch, StateDb, StateLimits, Store, StoreKey, StoreKind, StoreSpec};

pub(super) fn open(folder: &Path) -> (StateDb, EmbeddedLog) {
    let db = StateDb::open(folder, StateLimits::default()).unwrap();
    let log = EmbeddedLog::open(db.clone(), Arc::new(SystemClock)).unwrap();
    (db, log)
}

pub(super) fn create(log: &EmbeddedLog, name: &str, partitions: u32, config: &[(&str, &str)]) {
    let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<BTreeMap<_, _>>();
    log.create_topic(&TopicSpec { name: name.into(), partitions, replicas: 1, config }).unwrap();
}

fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition }
}

fn send(log: &EmbeddedLog, writer: &mut dyn LogWriter, topic: &str, key: &[u8], value: Option<&[u8]>, timestamp: i64) {
    let (handle, _) = log.topic(topic).unwrap();
    writer.send(handle, OutRecord { partition: 0, timestamp, key: Some(key), value, headers: &[] }).unwrap();
}

fn commit(writer: &mut dyn LogWriter, state: StateBatch) -> Result<(), LogError> {
    writer.commit(Commit { offsets: Vec::new(), state })
}

/// Offset, key and value of everything in partition 0.
fn read(log: &EmbeddedLog, topic: &str) -> Vec<(i64, Vec<u8>, Option<Vec<u8>>)> {
    let partitions = vec![(partition(topic, 0), Offset(0))];
    let mut reader = log.subscribe(Subscription { partitions, wake: Arc::new(|| {}), max_buffered_bytes: 1 << 20 }).unwrap();
    let mut all = Vec::new();
    while let Some(arrived) = reader.poll().unwrap() {
        for index in arrived.first..arrived.batch.len() {
            let record = arrived.batch.record(index);
            all.push((record.offset.0, record.key.unwrap_or_default().to_vec(), record.value.map(<[u8]>::to_vec)));
        }
    }
    assert!(reader.caught_up(0));
    all
}

fn store_key() -> StoreKey {
    StoreKey { query: "q".into(), store: "s".into(), partition: 0 }
}

pub(super) fn store(db: &StateDb) -> Store {
    db.open_store(&store_key(), &StoreSpec { name: "s".into(), kind: StoreKind::KeyValue, changelog: false }).unwrap()
}

#[test]
fn the_suite_of_all_logs() {
    let folder = tempfile::tempdir().unwrap();
    testing::run(&open(folder.path()).1, "first-");
    // Once more over what is there, none of it in memory.
    testing::run(&open(folder.path()).1, "second-");
}

/// One commit: a record, the state and the offset all hold the same number.
pub(super) fn commit_number(
    db: &StateDb,
    log: &EmbeddedLog,
    store: &mut Store,
    writer: &mut dyn LogWriter,
    number: i64,
) -> Result<(), LogError> {
    send(log, writer, "out", b"n", Some(&number.to_be_bytes()), number);
    store.put(b"n", Some(&number.to_be_bytes()));
    let mut state = StateBatch::default();
    if let Some(frozen) = store.freeze() {
        frozen.append_to(&mut state);
    }
    state.set_position(db, "q", &partition("in", 0), Offset(number));
    writer.commit(Commit { offsets: vec![("group".into(), vec![(partition("in", 0), Offset(number))])], state })
}

/// The number of the last commit, the same in all four places.
pub(super) fn committed_number(db: &StateDb, log: &EmbeddedLog) -> i64 {
    let records = read(log, "out");
    let number = i64::try_from(records.len()).unwrap() - 1;
    for (index, (offset, _, value)) in records.iter().enumerate() {
        assert_eq!((*offset, value.as_deref()), (index as i64, Some(&(index as i64).to_be_bytes()[..])));
    }
    let state = db.written(&store_key(), b"n").map(|value| i64::from_be_bytes(value.try_into().unwrap()));
    let expected = (number >= 0).then_some(number);
    assert_eq!(state, expected, "state");
    assert_eq!(log.committed("group", &[partition("in", 0)]).unwrap(), [expected.map(Offset)], "group");
    assert_eq!(db.positions("q").unwrap().get(&partition("in", 0)), expected.map(Offset).as_ref(), "position");
    number
}

#[test]
fn records_state_and_offsets_are_committed_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = -1;
    for _ in 0..5 {
        let (db, log) = open(folder.path());
        if expected < 0 {
            create(&log, "out", 1, &[]);
        }
        assert_eq!(committed_number(&db, &log), expected);
        let mut store = store(&db);
        let mut writer = log.writer().unwrap();
        for _ in 0..10 {
            expected += 1;
            commit_number(&db, &log, &mut store, &mut *writer, expected).unwrap();
        }
        // Sent and put, but not committed: gone with the process.
        send(&log, &mut *writer, "out", b"lost", None, 0);
        store.put(b"n", Some(b"lost"));
        let _ = store.freeze();
    }
}

#[test]
fn a_copy_of_the_folder_at_any_moment_holds_whole_commits() {
    let folder = tempfile::tempdir().unwrap();
    let (db, log) = open(folder.path());
    create(&log, "out", 1, &[]);
    let mut store = store(&db);
    let mut writer = log.writer().unwrap();
    let mut seen = Vec::new();
    for round in 0..8 {
        let stop = std::sync::atomic::AtomicBool::new(false);
        let copy = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                copy_folder(folder.path(), copy.path());
                stop.store(true, std::sync::atomic::Ordering::Release);
            });
            while !stop.load(std::sync::atomic::Ordering::Acquire) || read(&log, "out").len() < (round + 1) * 20 {
                let number = log.offsets(&[partition("out", 0)], OffsetSpec::Latest).unwrap()[0].0;
                commit_number(&db, &log, &mut store, &mut *writer, number).unwrap();
            }
        });
        let (db, log) = open(copy.path());
        if log.topic("out").is_ok() {
            seen.push(committed_number(&db, &log));
        }
    }
    assert!(seen.len() > 4 && seen.is_sorted() && seen.last() > seen.first(), "{seen:?}");
}

/// As a crash would leave it: whatever the files hold while they are written.
fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else if let Ok(bytes) = std::fs::read(entry.path()) {
            std::fs::write(target, bytes).unwrap();
        }
    }
}

#[test]
fn a_failed_commit_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (db, log) = open(folder.path());
    create(&log, "out", 1, &[]);
    create(&log, "gone", 1, &[]);
    let mut store = store(&db);
    let mut writer = log.writer().unwrap();
    commit_number(&db, &log, &mut store, &mut *writer, 0).unwrap();
    send(&log, &mut *writer, "gone", b"k", None, 0);
    log.delete_topic("gone").unwrap();
    assert!(commit_number(&db, &log, &mut store, &mut *writer, 1).is_err());
    store.rollback();
    assert_eq!(committed_number(&db, &log), 0);
    commit_number(&db, &log, &mut store, &mut *writer, 1).unwrap();
    assert_eq!(committed_number(&db, &log), 1);
}

#[test]
fn topics_groups_and_ids_survive() {
    let folder = tempfile::tempdir().unwrap();
    let id = {
        let (_, log) = open(folder.path());
        create(&log, "kept", 2, &[("retention.ms", "5")]);
        create(&log, "deleted", 1, &[]);
        let mut writer = log.writer().unwrap();
        send(&log, &mut *writer, "deleted", b"old", None, 0);
        let offsets = vec![("g".into(), vec![(partition("deleted", 0), Offset(1)), (partition("kept", 1), Offset(9))])];
        writer.commit(Commit { offsets, state: StateBatch::default() }).unwrap();
        log.delete_topic("deleted").unwrap();
        log.cluster_id()
    };
    let (_, log) = open(folder.path());
    assert_eq!(log.cluster_id(), id);
    let topics: Vec<_> = log.list_topics().unwrap().into_iter().map(|topic| (topic.name, topic.partitions)).collect();
    assert_eq!(topics, [("kept".to_owned(), 2)]);
    create(&log, "deleted", 1, &[]);
    assert_eq!(read(&log, "deleted"), []);
    assert_eq!(log.committed("g", &[partition("deleted", 0), partition("kept", 1)]).unwrap(), [None, Some(Offset(9))]);
}

#[test]
fn bad_topics_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, log) = open(folder.path());
    let spec = |name: &str, partitions, config: &[(&str, &str)]| TopicSpec {
        name: name.into(),
        partitions,
        replicas: 1,
        config: config.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
    };
    for (spec, expected) in [
        (spec("", 1, &[]), "1 to 249"),
        (spec("a/b", 1, &[]), "'a/b'"),
        (spec("t", 0, &[]), "1 to 10000"),
        (spec("t", 10_001, &[]), "1 to 10000"),
        (spec("t", 1, &[("retention.ms", "soon")]), "retention.ms is 'soon'"),
        (spec("t", 1, &[("cleanup.policy", "burn")]), "cleanup.policy is 'burn'"),
    ] {
        let error = log.create_topic(&spec).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(log.list_topics().unwrap().len(), 0);
}

#[test]
fn old_records_expire() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let open = || {
        let db = StateDb::open(folder.path(), StateLimits::default()).unwrap();
        EmbeddedLog::open(db, clock.clone()).unwrap()
    };
    let log = open();
    create(&log, "t", 1, &[("retention.ms", "100")]);
    create(&log, "kept", 1, &[]);
    let mut writer = log.writer().unwrap();
    // Old by its timestamp, but written just now; and the other way round.
    for (now, timestamp) in [(1000, 10), (1000, 2000), (1050, 20)] {
        clock.set_ms(now);
        send(&log, &mut *writer, "t", b"k", None, timestamp);
        send(&log, &mut *writer, "kept", b"k", None, timestamp);
        commit(&mut *writer, StateBatch::default()).unwrap();
    }
    let mut earliest = Vec::new();
    for now in [1099, 1101, 1999, 2101] {
        clock.set_ms(now);
        log.sweep().unwrap();
        earliest.push(log.offsets(&[partition("t", 0)], OffsetSpec::Earliest).unwrap()[0].0);
        assert_eq!(read(&log, "t").first().map(|record| record.0), [Some(0), Some(1), Some(1), None][earliest.len() - 1]);
    }
    assert_eq!(earliest, [0, 1, 1, 3]);
    drop((writer, log));
    let log = open();
    assert_eq!(log.offsets(&[partition("t", 0)], OffsetSpec::Earliest).unwrap(), [Offset(3)]);
    assert_eq!(log.offsets(&[partition("t", 0)], OffsetSpec::Latest).unwrap(), [Offset(3)], "offsets never start again");
    assert_eq!(read(&log, "kept").len(), 3);
}

#[test]
fn what_was_processed_goes() {
    let folder = tempfile::tempdir().unwrap();
    let db = StateDb::open(folder.path(), StateLimits::default()).unwrap();
    let log = EmbeddedLog::open(db, Arc::new(ManualClock::default())).unwrap();
    create(&log, "t", 2, &[]);
    let mut writer = log.writer().unwrap();
    for _ in 0..4 {
        send(&log, &mut *writer, "t", b"k", None, 0);
        commit(&mut *writer, StateBatch::default()).unwrap();
    }
    let earliest = || log.offsets(&[partition("t", 0)], OffsetSpec::Earliest).unwrap()[0].0;
    for (before, expected) in [(0, 0), (3, 3), (1, 3), (4, 4)] {
        log.delete_before(vec![(partition("t", 0), Offset(before))]);
        log.sweep().unwrap();
        assert_eq!(earliest(), expected);
    }
    assert_eq!(log.offsets(&[partition("t", 0)], OffsetSpec::Latest).unwrap(), [Offset(4)]);
}

#[test]
fn compaction_keeps_the_last_of_each_key() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let db = StateDb::open(folder.path(), StateLimits::default()).unwrap();
    let log = EmbeddedLog::open(db, clock.clone()).unwrap();
    create(&log, "t", 1, &[("cleanup.policy", "compact"), ("delete.retention.ms", "1000")]);
    let mut writer = log.writer().unwrap();
    let mut last = BTreeMap::new();
    let mut next = 0;
    for round in 0..6i64 {
        clock.set_ms(round * 800);
        for i in 0..3000i64 {
            let key = (i * 7 % (100 * (round + 1))).to_be_bytes().to_vec();
            let value = (i % 50 != 49).then(|| vec![b'v'; usize::try_from(i % 90).unwrap()]);
            send(&log, &mut *writer, "t", &key, value.as_deref(), 0);
            last.insert(key, (next, value));
            next += 1;
            if i % 13 == 0 {
                commit(&mut *writer, StateBatch::default()).unwrap();
            }
        }
        commit(&mut *writer, StateBatch::default()).unwrap();
        log.sweep().unwrap();
        let records = read_from_disk(&log, "t");
        assert!(records.len() < 3000 + 2 * last.len(), "nothing was compacted: {}", records.len());
        assert!(records.is_sorted_by(|a, b| a.0 < b.0));
        let found: BTreeMap<_, _> = records.into_iter().map(|(offset, key, value)| (key, (offset, value))).collect();
        for (key, (offset, value)) in &last {
            match found.get(key) {
                Some(record) => assert_eq!(record, &(*offset, value.clone())),
                None => assert!(value.is_none(), "a key was lost"),
            }
        }
    }
    let tombstones = last.values().filter(|(_, value)| value.is_none()).count();
    clock.set_ms(1_000_000);
    for _ in 0..20_000 {
        send(&log, &mut *writer, "t", b"filler", Some(b"x"), 0);
    }
    commit(&mut *writer, StateBatch::default()).unwrap();
    log.sweep().unwrap();
    let records = read_from_disk(&log, "t");
    assert!(tombstones > 5);
    assert_eq!(records.iter().filter(|(_, _, value)| value.is_none()).count(), 0, "tombstones stay for ever");
    assert_eq!(records.len(), last.len() - tombstones + 1);
    assert_eq!(log.offsets(&[partition("t", 0)], OffsetSpec::Latest).unwrap(), [Offset(next + 20_000)]);
}

fn read_from_disk(log: &EmbeddedLog, topic: &str) -> Vec<(i64, Vec<u8>, Option<Vec<u8>>)> {
    log.inner.topic_by_name(topic).unwrap().partitions[0].cached.lock().clear();
    read(log, topic)
}

#[test]
fn readers_of_a_deleted_topic_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (_, log) = open(folder.path());
    create(&log, "t", 1, &[]);
    let woken = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counter = woken.clone();
    let wake = Arc::new(move || {
        counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    });
    let partitions = vec![(partition("t", 0), Offset(0))];
    let mut reader = log.subscribe(Subscription { partitions, wake, max_buffered_bytes: 1 << 20 }).unwrap();
    assert!(reader.poll().unwrap().is_none());
    log.delete_topic("t").unwrap();
    assert_eq!(woken.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert!(matches!(reader.poll(), Err(LogError::Fatal(text)) if text.contains("'t' has gone")));
}

#[test]
fn many_writers_give_every_record_one_place() {
    let folder = tempfile::tempdir().unwrap();
    let (_, log) = open(folder.path());
    create(&log, "t", 1, &[]);
    std::thread::scope(|scope| {
        for writer_id in 0..4u8 {
            let log = log.clone();
            scope.spawn(move || {
                let mut writer = log.writer().unwrap();
                for number in 0..500u16 {
                    send(&log, &mut *writer, "t", &[writer_id], Some(&number.to_be_bytes()), 0);
                    if number % 7 == 0 {
                        commit(&mut *writer, StateBatch::default()).unwrap();
                    }
                }
                commit(&mut *writer, StateBatch::default()).unwrap();
            });
        }
    });
    for records in [read(&log, "t"), read_from_disk(&log, "t")] {
        assert_eq!(records.iter().map(|record| record.0).collect::<Vec<_>>(), (0..2000).collect::<Vec<_>>());
        for writer_id in 0..4u8 {
            let own = records.iter().filter(|record| record.1 == [writer_id]).map(|record| record.2.clone().unwrap());
            assert!(own.eq((0..500u16).map(|number| number.to_be_bytes().to_vec())));
        }
    }
}

#[test]
fn a_deleted_topic_gives_its_space_back() {
    /// All but the write-ahead log.
    fn bytes(folder: &Path) -> u64 {
        let files = std::fs::read_dir(folder.join("store")).unwrap().flatten();
        let files = files.filter(|file| file.path().extension().is_none_or(|extension| extension != "log"));
        files.map(|file| file.metadata().map_or(0, |file| file.len())).sum()
    }
    let folder = tempfile::tempdir().unwrap();
    let (_, log) = open(folder.path());
    create(&log, "large", 1, &[]);
    create(&log, "small", 1, &[]);
    let mut writer = log.writer().unwrap();
    // Nothing that compresses.
    let mut random = 1u64;
    let mut value = vec![0; 100_000];
    for round in 0..1000 {
        for byte in &mut value {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (random >> 56) as u8;
        }
        send(&log, &mut *writer, "large", b"k", Some(&value), 0);
        send(&log, &mut *writer, "small", b"k", Some(b"v"), 0);
        if round % 10 == 9 {
            commit(&mut *writer, StateBatch::default()).unwrap();
        }
    }
    let before = bytes(folder.path());
    log.delete_topic("large").unwrap();
    log.sweep().unwrap();
    let after = bytes(folder.path());
    assert!(before > 50 << 20 && after < 10 << 20, "{before} {after}");
    assert_eq!(read(&log, "small").len(), 1000);
}

#[test]
fn readers_share_batches() {
    let folder = tempfile::tempdir().unwrap();
    let subscribe = |log: &EmbeddedLog| {
        let partitions = vec![(partition("t", 0), Offset(0))];
        log.subscribe(Subscription { partitions, wake: Arc::new(|| {}), max_buffered_bytes: 1 << 20 }).unwrap()
    };
    let shared = |log: &EmbeddedLog| {
        let (mut one, mut other) = (subscribe(log), subscribe(log));
        let mut batches = 0;
        while let Some(first) = one.poll().unwrap() {
            let second = other.poll().unwrap().unwrap();
            assert!(Arc::ptr_eq(&first.batch, &second.batch), "read twice");
            batches += 1;
        }
        batches
    };
    {
        let (_, log) = open(folder.path());
        create(&log, "t", 1, &[]);
        let mut writer = log.writer().unwrap();
        for _ in 0..20 {
            for _ in 0..100 {
                send(&log, &mut *writer, "t", b"k", Some(&[b'v'; 1000]), 0);
            }
            commit(&mut *writer, StateBatch::default()).unwrap();
        }
        assert_eq!(shared(&log), 20, "from memory");
    }
    let (_, log) = open(folder.path());
    assert_eq!(shared(&log), 7, "from disk, small blocks put together");
}
