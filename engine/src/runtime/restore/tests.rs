//! Restores of stores whose commits reached the changelogs in part.

use std::sync::atomic::{AtomicBool, AtomicU64};

use super::super::changelog::Changelog;
use super::super::ends::EndKind;
use super::super::query_handle::QueryHandle;
use super::super::seat::Seat;
use super::*;
use crate::log::simulated::SimulatedLog;
use crate::log::{Commit, TopicHandle, TopicSpec};
use crate::state::{StoreKey, StoreKind, StoreSpec};

/// What of a commit reaches the topics.
#[derive(Clone, Copy, PartialEq)]
enum Reaches {
    Entries,
    Seals,
    /// The mark of the first store as well, and of no other.
    FirstMark,
    All,
}

/// A task with two stores.
struct Fixture {
    log: SimulatedLog,
    topics: Vec<(TopicHandle, TopicPartition)>,
    input: TopicPartition,
}

impl Fixture {
    fn new() -> Self {
        let log = SimulatedLog::default();
        let place = |topic: &str| TopicPartition { topic: topic.into(), partition: 0 };
        let topics = ["a", "b"].map(|name| {
            log.create_topic(&TopicSpec { name: name.into(), partitions: 1, replicas: 1, config: BTreeMap::new() }).unwrap();
            (log.topic(name).unwrap().0, place(name))
        });
        Fixture { log, topics: topics.into(), input: place("in") }
    }

    /// Sends the stores' changes as a commit of this number that includes the input up to `next`; what it then writes to
    /// the state.
    fn commit(&self, stores: &mut [Store], number: CommitNumber, next: i64, reaches: Reaches) -> StateBatch {
        let mut writer = self.log.writer().unwrap();
        let mut state = StateBatch::default();
        let inputs = vec![(self.input.clone(), Offset(next))];
        let mut changelogs = Vec::new();
        for ((handle, topic), store) in self.topics.iter().zip(stores.iter_mut()) {
            let mut changelog = Changelog::new(topic.clone(), *handle, 1, Offset(0), Vec::new(), Head::default());
            if let Some(frozen) = store.freeze() {
                changelog.append(&mut *writer, &frozen, 0).unwrap();
                frozen.append_to(&mut state);
            }
            if reaches != Reaches::Entries {
                changelog.end(&mut *writer, store, number, EndKind::Seal, &inputs, 0).unwrap();
            }
            changelogs.push(changelog);
        }
        let marks = match reaches {
            Reaches::Entries | Reaches::Seals => 0,
            Reaches::FirstMark => 1,
            Reaches::All => 2,
        };
        for (changelog, store) in changelogs.iter_mut().zip(stores.iter()).take(marks) {
            changelog.end(&mut *writer, store, number, EndKind::Mark, &inputs, 0).unwrap();
        }
        writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).unwrap();
        state
    }

    /// Restores as a start does: with the inputs' positions.
    fn restore(&self, db: &StateDb, stores: &mut [Store]) -> Restored {
        let mut batch = StateBatch::default();
        let topics: Vec<_> = self.topics.iter().map(|(_, topic)| Some(topic.clone())).collect();
        let positions = db.positions("q").unwrap();
        let restored = watched(|watch| {
            restore(&self.log, db, stores, subject(&topics, &positions, &CommitPlace::new(0, 0), &Begun::new(0, 0)), &mut batch, watch)
        })
        .unwrap();
        for (input, next) in &restored.inputs {
            batch.set_position(db, "q", input, *next);
        }
        batch.write().unwrap();
        restored
    }

    fn inputs(&self, next: i64) -> Positions {
        Positions::from([(self.input.clone(), Offset(next))])
    }
}

/// A task of whose owners nothing is known.
fn subject<'t>(
    changelogs: &'t [Option<TopicPartition>],
    positions: &'t Positions,
    place: &'t CommitPlace,
    begun: &'t Begun,
) -> Subject<'t> {
    Subject { changelogs, lives: Vec::new(), owner: None, positions, place, begun, now_ms: 0 }
}

/// Runs a restore that nobody calls off.
pub(super) fn watched<R>(restore: impl FnOnce(&Watch<'_>) -> R) -> R {
    let (seat, _taken) = Seat::new(None, &crossbeam_channel::bounded(0).0);
    let (progress, entries) = (Progress::default(), AtomicU64::new(0));
    let (handle, is_ending) = (&QueryHandle::new("q".into()), &AtomicBool::new(false));
    restore(&Watch { handle, is_ending, seat: &seat, progress: &progress, entries: &entries, places: Some(&Places::default()) })
}

fn open(db: &StateDb) -> [Store; 2] {
    ["s", "t"].map(|store| {
        let key = StoreKey { query: "q".into(), store: store.into(), partition: 0 };
        db.open_store(&key, &StoreSpec { name: store.into(), kind: StoreKind::KeyValue, changelog: true }).unwrap()
    })
}

fn value(store: &mut Store, key: &[u8]) -> Option<Vec<u8>> {
    store.get(key, |value| value.map(<[u8]>::to_vec)).unwrap()
}

fn owed(restored: &Restored) -> Vec<Vec<Vec<u8>>> {
    let sorted = |keys: &[Box<[u8]>]| {
        let mut keys: Vec<Vec<u8>> = keys.iter().map(|key| key.to_vec()).collect();
        keys.sort();
        keys
    };
    restored.changelogs.iter().flatten().map(|changelog| sorted(&changelog.owed)).collect()
}

#[test]
fn a_commit_that_did_not_end_is_left_out_and_owed() {
    for reaches in [Reaches::Entries, Reaches::Seals] {
        let fixture = Fixture::new();
        let mut stores = open(&StateDb::in_memory());
        stores[0].put(b"a", Some(b"1"));
        stores[1].put(b"b", Some(b"1"));
        stores[0].observe_time(70);
        fixture.commit(&mut stores, 1, 10, Reaches::All).write().unwrap();
        stores[0].put(b"a", Some(b"2"));
        stores[0].put(b"new", Some(b"2"));
        stores[1].put(b"b", Some(b"2"));
        fixture.commit(&mut stores, 2, 20, reaches);

        let db = StateDb::in_memory();
        // The second time is a restart before the next commit.
        for _ in 0..2 {
            let mut copies = open(&db);
            let restored = fixture.restore(&db, &mut copies);
            assert_eq!((restored.number(), restored.inputs.get(&fixture.input)), (1, Some(&Offset(10))));
            assert_eq!(owed(&restored), [vec![b"a".to_vec(), b"new".to_vec()], vec![b"b".to_vec()]]);
            assert_eq!(copies[0].stream_time(), 70);
            let [first, second] = &mut copies;
            assert_eq!((value(first, b"a"), value(first, b"new")), (Some(b"1".to_vec()), None));
            assert_eq!(value(second, b"b"), Some(b"1".to_vec()));
        }
    }
}

#[test]
fn one_mark_ends_the_commit_of_all_stores() {
    let fixture = Fixture::new();
    let mut stores = open(&StateDb::in_memory());
    stores[0].put(b"a", Some(b"1"));
    stores[1].put(b"b", Some(b"1"));
    fixture.commit(&mut stores, 1, 10, Reaches::All).write().unwrap();
    stores[0].put(b"a", Some(b"2"));
    stores[1].put(b"b", Some(b"2"));
    stores[1].observe_time(80);
    fixture.commit(&mut stores, 2, 20, Reaches::FirstMark);

    let db = StateDb::in_memory();
    let mut copies = open(&db);
    let restored = fixture.restore(&db, &mut copies);
    assert_eq!((restored.number(), &restored.inputs), (2, &fixture.inputs(20)));
    assert_eq!(owed(&restored), [Vec::<Vec<u8>>::new(), Vec::new()]);
    assert_eq!((copies[0].stream_time(), copies[1].stream_time()), (i64::MIN, 80));
    let [first, second] = &mut copies;
    assert_eq!((value(first, b"a"), value(second, b"b")), (Some(b"2".to_vec()), Some(b"2".to_vec())));
}

#[test]
fn only_what_is_new_is_read() {
    let fixture = Fixture::new();
    let db = StateDb::in_memory();
    let mut stores = open(&db);
    stores[0].put(b"a", Some(b"1"));
    fixture.commit(&mut stores, 1, 10, Reaches::All);
    stores.iter_mut().for_each(Store::rollback);
    assert_eq!(fixture.restore(&db, &mut stores).inputs, fixture.inputs(10));
    // The next commit reached the changelogs, but not the database.
    stores[0].put(b"a", Some(b"2"));
    fixture.commit(&mut stores, 2, 11, Reaches::All);
    stores.iter_mut().for_each(Store::rollback);
    assert_eq!(value(&mut stores[0], b"a"), Some(b"1".to_vec()));
    let ahead = fixture.restore(&db, &mut stores);
    assert_eq!((ahead.number(), &ahead.inputs), (2, &fixture.inputs(11)));
    assert_eq!(value(&mut stores[0], b"a"), Some(b"2".to_vec()));
    assert!(stores[0].freeze().is_none(), "nothing goes into the changelog again");
    // Nothing is new.
    let again = fixture.restore(&db, &mut stores);
    assert_eq!((again.number(), again.inputs.get(&fixture.input)), (2, Some(&Offset(11))));
}

#[test]
fn a_long_changelog_comes_in_slices_and_goes_on_where_it_was_cut() {
    let fixture = Fixture::new();
    let mut stores = open(&StateDb::in_memory());
    for number in 0..1_000_u32 {
        stores[0].put(&number.to_be_bytes(), Some(&[7; 100]));
    }
    fixture.commit(&mut stores, 1, 10, Reaches::All);
    let db = StateDb::in_memory();
    let mut copies = open(&db);
    // The process dies before the last slice is written.
    let topics: Vec<_> = fixture.topics.iter().map(|(_, topic)| Some(topic.clone())).collect();
    let mut batch = StateBatch::default();
    let (positions, place) = (Positions::new(), CommitPlace::new(0, 0));
    watched(|watch| {
        restore(&fixture.log, &db, &mut copies, subject(&topics, &positions, &place, &Begun::new(0, 0)), &mut batch, watch).map(drop)
    })
    .unwrap();
    drop((batch, copies));
    let positions = db.positions("q").unwrap();
    let known = positions.get(&fixture.topics[0].1).unwrap().0;
    assert!(known > 900 && known < 1_000, "{known}");
    assert!(!positions.contains_key(&fixture.input), "it stands for no input yet");
    let mut copies = open(&db);
    assert_eq!(fixture.restore(&db, &mut copies).inputs, fixture.inputs(10));
    assert!((0..1_000_u32).all(|number| value(&mut copies[0], &number.to_be_bytes()).is_some()));
}

#[test]
fn a_store_of_another_changelog_is_thrown_away() {
    let fixture = Fixture::new();
    let db = StateDb::in_memory();
    let mut stores = open(&db);
    stores[0].put(b"old", Some(b"1"));
    let mut state = StateBatch::default();
    stores[0].freeze().unwrap().append_to(&mut state);
    for (_, topic) in &fixture.topics {
        state.set_position(&db, "q", topic, Offset(1_000));
    }
    state.set_position(&db, "q", &fixture.input, Offset(50));
    state.write().unwrap();
    let restored = fixture.restore(&db, &mut stores);
    assert_eq!(restored.inputs, Positions::new());
    assert_eq!(value(&mut stores[0], b"old"), None);
}

/// A key of a window.
fn window_key(start: i64) -> Vec<u8> {
    let mut key = b"k".to_vec();
    crate::types::codec::encode_window(crate::row::Window { start, end: start + 10 }, &mut key);
    key
}

#[test]
fn windows_that_have_expired_are_read_past() {
    let fixture = Fixture::new();
    let spec = |name: &str| StoreSpec { name: name.into(), kind: StoreKind::Windowed { retention_ms: 100 }, changelog: true };
    let open = |db: &StateDb| {
        ["s", "t"].map(|store| {
            let key = StoreKey { query: "q".into(), store: store.into(), partition: 0 };
            db.open_store(&key, &spec(store)).unwrap()
        })
    };
    let mut stores = open(&StateDb::in_memory());
    for number in 0..100 {
        let start = number * 10;
        stores[0].observe_time(start);
        stores[0].put(&window_key(start), Some(&[7; 40]));
        fixture.commit(&mut stores, number + 1, number, Reaches::All).write().unwrap();
    }
    let db = StateDb::in_memory();
    let mut copies = open(&db);
    let mut restored = fixture.restore(&db, &mut copies);
    assert_eq!((restored.number(), copies[0].stream_time()), (100, 990));
    let mut starts = Vec::new();
    let count = |key: &[u8], _: &[u8]| {
        starts.extend(crate::state::window_start(key));
        true
    };
    copies[0].range(&[], None, &mut { count }).unwrap();
    assert_eq!(starts, (0..12).map(|index| 880 + index * 10).collect::<Vec<_>>(), "those that end at 890 or later");
    assert_eq!(db.written_of("q", "s"), 12 + 1, "nothing else was written, but the store's summary");
    // What is dead at the beginning of the changelog may go once a commit has succeeded.
    let head = &mut restored.changelogs[0].as_mut().unwrap().head;
    head.commit_succeeded(5_000, Offset(1_000));
    assert_eq!(head.take_dead(), Some(Offset(1_000)));
}
