//! Bringing the stores of a task up to date from their changelog topics before it runs.
//!
//! The state remembers which offset of each changelog its content stands for; only what lies behind it is read. A store that
//! is ahead of its changelog belongs to another cluster or topic: it is thrown away and read from the first record.
//!
//! First the ends of the changelogs are looked at, from the back: which is the newest commit that is whole? All stores are
//! brought to that one (see [`super::changelog`]), entry by entry, in slices that go to the database as they come: a changelog
//! never has to fit into memory. The database learns only with the last slice which input the stores then include; where the
//! process dies before, the next start reads on from the slices that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::changelog::{CommitNumber, End, EndKind};
use super::start::StartError;
use crate::log::{Log, LogError, LogReader, Offset, OffsetSpec, RecordRef, Subscription, TopicPartition};
use crate::points::{self, Point};
use crate::state::{StateBatch, StateDb, StateError, Store};

/// Bytes of a changelog that may wait unread.
const MAX_BUFFERED_BYTES: usize = 16 << 20;
/// Without a record for so long, restoring gives up: the log is away.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// An end that can't be read (compaction, transaction markers) is taken as reached after so long.
const END_PATIENCE: Duration = Duration::from_millis(500);
/// One step of waiting.
const STEP: Duration = Duration::from_millis(20);
/// How many records from the end are looked at first for the end of a commit; then eight times as many, and so on.
const FIRST_LOOK_RECORDS: i64 = 64;
/// Bytes of restored entries that go to the database together.
const SLICE_BYTES: usize = if cfg!(test) { 256 } else { 16 << 20 };

/// The next offset of each partition.
pub(super) type Positions = BTreeMap<TopicPartition, Offset>;

/// Where a task's stores stand.
pub(super) struct Restored {
    /// For each store that has a changelog.
    pub changelogs: Vec<Option<RestoredChangelog>>,
    /// The next offset of each input partition that the stores do not include yet; what is not known is left out.
    pub inputs: Positions,
    /// The number of the newest commit.
    pub number: CommitNumber,
}

/// What a restored store's changelog holds besides.
#[derive(Debug, Clone)]
pub(super) struct RestoredChangelog {
    pub end: Offset,
    /// The keys that it is owed.
    pub owed: Vec<Box<[u8]>>,
}

/// A changelog that may have to be read.
struct Source<'t> {
    changelog: &'t TopicPartition,
    /// What the store includes of it.
    position: Offset,
    end: Offset,
    /// The ends of commits behind `position`, the last first, back to a mark at least.
    ends: Vec<(Offset, End)>,
}

impl Source<'_> {
    fn newest_mark(&self) -> Option<&End> {
        // Of one number, the last was said last; one of a lower number has only come late.
        let marks = self.ends.iter().rev().map(|(_, end)| end).filter(|end| end.kind == EndKind::Mark);
        marks.max_by_key(|mark| mark.number)
    }

    /// The end of a commit that is whole, in this changelog.
    fn end_of(&self, number: CommitNumber) -> Option<&(Offset, End)> {
        self.ends.iter().find(|(_, end)| end.number == number)
    }
}

/// Brings a task's stores to the newest commit that is whole. `positions` is what the query's state remembers, `place` under
/// what it remembers the commit's number. The last of what was read goes into the batch, with the changelogs' positions; the
/// caller adds the inputs' and writes it in one piece.
///
/// # Errors
/// The log is away; a changelog is not what it should be; the state can't be written.
pub(super) fn restore(
    log: &dyn Log,
    state: &StateDb,
    stores: &mut [Store],
    changelogs: &[Option<TopicPartition>],
    positions: &Positions,
    place: &TopicPartition,
    batch: &mut StateBatch,
) -> Result<Restored, StartError> {
    let topics: Vec<TopicPartition> = changelogs.iter().flatten().cloned().collect();
    let known_number = positions.get(place).map_or(0, |number| number.0);
    let mut restored = Restored { changelogs: vec![None; changelogs.len()], inputs: positions.clone(), number: known_number };
    if topics.is_empty() {
        return Ok(restored);
    }
    points::log(Point::RestoreBegin)?;
    let mut ends = log.offsets(&topics, OffsetSpec::Latest)?.into_iter();
    let mut firsts = log.offsets(&topics, OffsetSpec::Earliest)?.into_iter();
    let mut sources: Vec<Option<Source<'_>>> = Vec::with_capacity(stores.len());
    let mut is_foreign = false;
    for (store, changelog) in stores.iter_mut().zip(changelogs) {
        let Some(changelog) = changelog else {
            sources.push(None);
            continue;
        };
        let (end, first) = (ends.next().unwrap_or_default(), firsts.next().unwrap_or_default());
        let mut position = positions.get(changelog).map_or(first, |known| first.max(*known));
        if position > end {
            clear(store)?;
            (position, is_foreign) = (first, true);
        }
        is_foreign |= !positions.contains_key(changelog);
        sources.push(Some(Source { changelog, position, end, ends: Vec::new() }));
    }
    if is_foreign {
        // What is remembered of the input does not stand for all stores.
        (restored.inputs, restored.number) = (Positions::new(), 0);
    }
    if sources.iter().flatten().any(|source| source.position < source.end) {
        for source in sources.iter_mut().flatten() {
            source.ends = newest_ends(log, source.changelog, source.position, source.end)?;
        }
        let marks = || sources.iter().flatten().filter_map(Source::newest_mark);
        if let Some(newest) = marks().map(|mark| mark.number).max().filter(|newest| *newest >= restored.number) {
            restored.number = newest;
            // Marks of one commit say the same; the first version's have no numbers.
            let inputs = marks().filter(|mark| mark.number == newest).map(|mark| mark.inputs.iter().cloned().collect());
            restored.inputs = inputs.reduce(|all: Positions, one| both(&all, &one)).unwrap_or_default();
        }
    }
    points::log(Point::RestoreChosen)?;
    for ((store, source), restored_one) in stores.iter_mut().zip(&sources).zip(&mut restored.changelogs) {
        let Some(source) = source else { continue };
        let owed = apply(log, state, store, source, restored.number, batch)?;
        *restored_one = Some(RestoredChangelog { end: source.end, owed });
    }
    let query = stores.first().map(|store| store.key().query.clone()).unwrap_or_default();
    batch.set_position(state, &query, place, Offset(restored.number));
    Ok(restored)
}

/// What both include of the partitions that both know.
fn both(a: &Positions, b: &Positions) -> Positions {
    a.iter().filter_map(|(input, next)| b.get(input).map(|other| (input.clone(), *next.min(other)))).collect()
}

/// Brings one store to a commit; the keys that are owed behind it.
fn apply(
    log: &dyn Log,
    state: &StateDb,
    store: &mut Store,
    source: &Source<'_>,
    number: CommitNumber,
    batch: &mut StateBatch,
) -> Result<Vec<Box<[u8]>>, StartError> {
    let query = store.key().query.clone();
    // Where the commit has no end here, the store includes it already, or this changelog had no part in it.
    let (until, stream_time) = match source.end_of(number) {
        Some((offset, end)) => (Offset(offset.0 + 1), Some(end.stream_time)),
        None => (source.position, None),
    };
    let started = Instant::now();
    let (mut entries, mut bytes) = (0_u64, 0_usize);
    let mut owed: BTreeSet<Box<[u8]>> = BTreeSet::new();
    store.begin_chunk();
    let read = read(log, source.changelog, source.position, source.end, &mut |record| {
        let Some(key) = record.key.filter(|key| !key.is_empty()) else { return Ok(()) };
        if record.offset >= until {
            owed.insert(key.into());
            return Ok(());
        }
        store.put(key, record.value);
        entries += 1;
        bytes += key.len() + record.value.map_or(0, <[u8]>::len);
        if bytes >= SLICE_BYTES {
            bytes = 0;
            write_slice(state, store, source.changelog, Offset(record.offset.0 + 1))?;
        }
        Ok(())
    });
    store.end_chunk();
    read?;
    points::log(Point::RestoreRead)?;
    if let Some(stream_time) = stream_time {
        store.observe_time(stream_time);
    }
    // Frozen here, so that what came out of the changelog does not go into it again.
    if let Some(frozen) = store.freeze() {
        frozen.append_to(batch);
    }
    batch.set_position(state, &query, source.changelog, until);
    if source.position < source.end {
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (topic, partition) = (&source.changelog.topic, source.changelog.partition);
        tracing::info!(%topic, partition, entries, owed = owed.len(), elapsed_ms, "restored");
    }
    Ok(owed.into_iter().collect())
}

/// Writes what was restored so far. It stands for no input yet.
fn write_slice(state: &StateDb, store: &mut Store, changelog: &TopicPartition, next: Offset) -> Result<(), StartError> {
    let mut slice = StateBatch::default();
    if let Some(frozen) = store.freeze() {
        frozen.append_to(&mut slice);
    }
    slice.set_position(state, &store.key().query.clone(), changelog, next);
    slice.write()?;
    Ok(())
}

/// The ends of commits between two offsets, the last first, back to a mark at least. Looks from the back, for the mark stands
/// within a commit's length of the end.
fn newest_ends(log: &dyn Log, changelog: &TopicPartition, first: Offset, end: Offset) -> Result<Vec<(Offset, End)>, StartError> {
    let mut length = FIRST_LOOK_RECORDS;
    loop {
        let from = first.max(Offset(end.0.saturating_sub(length)));
        let mut ends = Vec::new();
        read(log, changelog, from, end, &mut |record| {
            if record.key.is_some_and(<[u8]>::is_empty) {
                let found = record.value.and_then(End::decode).ok_or_else(|| StateError::Corrupt {
                    store: format!("{}/{}", changelog.topic, changelog.partition),
                    reason: format!("the changelog has a commit without a readable end (offset {})", record.offset.0),
                })?;
                ends.push((record.offset, found));
            }
            Ok(())
        })?;
        if from <= first || ends.iter().any(|(_, end)| end.kind == EndKind::Mark) {
            ends.reverse();
            return Ok(ends);
        }
        length = length.saturating_mul(8);
    }
}

/// Reads a partition from an offset to an end.
fn read(
    log: &dyn Log,
    changelog: &TopicPartition,
    mut position: Offset,
    end: Offset,
    f: &mut dyn FnMut(RecordRef<'_>) -> Result<(), StartError>,
) -> Result<(), StartError> {
    let signal = Arc::new((Mutex::new(()), Condvar::new()));
    let wake = signal.clone();
    let mut reader: Box<dyn LogReader> = log.subscribe(Subscription {
        partitions: vec![(changelog.clone(), position)],
        wake: Arc::new(move || {
            wake.1.notify_all();
        }),
        max_buffered_bytes: MAX_BUFFERED_BYTES,
    })?;
    let mut last_arrival = Instant::now();
    while position < end {
        match reader.poll() {
            Ok(Some(arrived)) => {
                for index in arrived.first..arrived.batch.len() {
                    let record = arrived.batch.record(index);
                    if record.offset >= end {
                        return Ok(());
                    }
                    f(record)?;
                    position = Offset(record.offset.0 + 1);
                }
                last_arrival = Instant::now();
            }
            Ok(None) | Err(LogError::Retriable(_)) => {
                if reader.caught_up(0) && last_arrival.elapsed() > END_PATIENCE {
                    return Ok(());
                }
                if last_arrival.elapsed() > STALL_TIMEOUT {
                    return Err(LogError::Retriable(format!("changelog {} can't be read: the log is away", changelog.topic)).into());
                }
                signal.1.wait_for(&mut signal.0.lock(), STEP);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Deletes every entry of a store.
fn clear(store: &mut Store) -> Result<(), StateError> {
    let mut keys = Vec::new();
    store.range(&[], None, &mut |key, _| {
        keys.push(key.to_vec());
        true
    })?;
    for key in keys {
        store.put(&key, None);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::changelog::{Changelog, number_place};
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
                let mut changelog = Changelog::new(topic.clone(), *handle, Offset(0), Vec::new());
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
            let restored = restore(&self.log, db, stores, &topics, &db.positions("q").unwrap(), &number_place(0, 0), &mut batch).unwrap();
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
                assert_eq!((restored.number, restored.inputs.get(&fixture.input)), (1, Some(&Offset(10))));
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
        assert_eq!((restored.number, &restored.inputs), (2, &fixture.inputs(20)));
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
        assert_eq!((ahead.number, &ahead.inputs), (2, &fixture.inputs(11)));
        assert_eq!(value(&mut stores[0], b"a"), Some(b"2".to_vec()));
        assert!(stores[0].freeze().is_none(), "nothing goes into the changelog again");
        // Nothing is new.
        let again = fixture.restore(&db, &mut stores);
        assert_eq!((again.number, again.inputs.get(&fixture.input)), (2, Some(&Offset(11))));
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
        restore(&fixture.log, &db, &mut copies, &topics, &Positions::new(), &number_place(0, 0), &mut batch).unwrap();
        drop((batch, copies));
        let positions = db.positions("q").unwrap();
        let known = positions.get(&fixture.topics[0].1).unwrap().0;
        assert!(known > 900 && known < 1_000, "{known}");
        assert_eq!(positions.len(), 1, "it stands for no input yet");
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
}
