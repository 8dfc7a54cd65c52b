//! Bringing a store up to date from its changelog topic before its task runs.
//!
//! The store remembers which changelog offset its content stands for; only what lies behind it is read. A store that is
//! ahead of its changelog belongs to another cluster or topic: it is thrown away and read from the first record.
//!
//! Only whole commits are taken over, up to the last mark. What lies behind it was sent by a commit that did not come to
//! its end, and stands in the topic all the same: its keys get their old values again with the next commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::changelog::Mark;
use super::start::StartError;
use crate::log::{GroupOffsets, Log, LogError, LogReader, Offset, OffsetSpec, RecordRef, Subscription, TopicPartition};
use crate::state::{StateBatch, StateDb, StateError, Store};

/// Bytes of a changelog that may wait unread.
const MAX_BUFFERED_BYTES: usize = 16 << 20;
/// Without a record for so long, restoring gives up: the log is away.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// An end that can't be read (compaction, transaction markers) is taken as reached after so long.
const END_PATIENCE: Duration = Duration::from_millis(500);
/// One step of waiting.
const STEP: Duration = Duration::from_millis(20);

/// A store that stands where its changelog ends.
pub(super) struct Restored {
    pub end: Offset,
    /// The next offset of each input partition that the store does not include yet; what is not known is left out.
    pub inputs: Positions,
}

/// The next offset of each partition.
pub(super) type Positions = BTreeMap<TopicPartition, Offset>;

/// A changed entry of a changelog; `None`: deleted.
type Change = (Vec<u8>, Option<Vec<u8>>);

/// Reads a store's changelog from where the store stands to its end. `positions` is what the query's state remembers. What was
/// read goes into the batch, to be written in one piece with the task's other stores and the input that they include: what is
/// written alone would be taken for more, or less, than it is after a crash in between.
pub(super) fn restore(
    log: &dyn Log,
    state: &StateDb,
    store: &mut Store,
    changelog: &TopicPartition,
    positions: &Positions,
    batch: &mut StateBatch,
) -> Result<Restored, StartError> {
    let end = log.offsets(std::slice::from_ref(changelog), OffsetSpec::Latest)?.first().copied().unwrap_or_default();
    let first = log.offsets(std::slice::from_ref(changelog), OffsetSpec::Earliest)?.first().copied().unwrap_or_default();
    let query = store.key().query.clone();
    let (mut position, mut inputs) = match positions.get(changelog) {
        Some(known) => (first.max(*known), positions.clone()),
        None => (first, Positions::new()),
    };
    if position > end {
        clear(store)?;
        (position, inputs) = (first, Positions::new());
    }
    if position == end {
        return Ok(Restored { end, inputs });
    }
    let started = Instant::now();
    let mut commits = Commits { complete: position, ..Commits::default() };
    read(log, changelog, position, end, &mut |record| commits.take(store, record))?;
    if let Some(mark) = commits.last.take() {
        inputs = mark.into_iter().collect();
    }
    // Frozen here, so that what came out of the changelog does not go into it again.
    if let Some(frozen) = store.freeze() {
        frozen.append_to(batch);
    }
    batch.set_position(state, &query, changelog, commits.complete);
    for (key, _) in &commits.unfinished {
        let value = store.get(key, |value| value.map(<[u8]>::to_vec))?;
        store.put(key, value.as_deref());
    }
    let (restored, unfinished, elapsed_ms) = (commits.restored, commits.unfinished.len(), started.elapsed().as_millis() as u64);
    tracing::info!(topic = %changelog.topic, partition = changelog.partition, restored, unfinished, elapsed_ms, "restored");
    Ok(Restored { end, inputs })
}

/// What has been read, in commits.
#[derive(Default)]
struct Commits {
    /// Entries of whole commits.
    restored: u64,
    /// Entries of a commit whose mark has not come yet.
    unfinished: Vec<Change>,
    /// The input positions of the last mark, and the offset behind it.
    last: Option<GroupOffsets>,
    complete: Offset,
}

impl Commits {
    fn take(&mut self, store: &mut Store, record: RecordRef<'_>) -> Result<(), StartError> {
        let Some(key) = record.key else { return Ok(()) };
        if !key.is_empty() {
            self.unfinished.push((key.to_vec(), record.value.map(<[u8]>::to_vec)));
            return Ok(());
        }
        let mark = record.value.and_then(Mark::decode).ok_or_else(|| {
            let key = store.key();
            let store = format!("{}/{}/{}", key.query, key.store, key.partition);
            StateError::Corrupt { store, reason: "its changelog has a commit without a readable end".to_owned() }
        })?;
        store.begin_chunk();
        for (key, value) in self.unfinished.drain(..) {
            store.put(&key, value.as_deref());
            self.restored += 1;
        }
        store.observe_time(mark.stream_time);
        store.end_chunk();
        self.last = Some(mark.inputs);
        self.complete = Offset(record.offset.0 + 1);
        Ok(())
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
    use super::super::changelog::Changelog;
    use super::*;
    use crate::log::simulated::SimulatedLog;
    use crate::log::{Commit, OutRecord, TopicHandle, TopicSpec};
    use crate::state::{StoreKey, StoreKind, StoreSpec};

    struct Fixture {
        log: SimulatedLog,
        topic: TopicHandle,
        changelog: TopicPartition,
        input: TopicPartition,
    }

    impl Fixture {
        fn new() -> Self {
            let log = SimulatedLog::default();
            log.create_topic(&TopicSpec { name: "c".into(), partitions: 1, replicas: 1, config: BTreeMap::new() }).unwrap();
            let topic = log.topic("c").unwrap().0;
            let place = |topic: &str| TopicPartition { topic: topic.into(), partition: 0 };
            Fixture { log, topic, changelog: place("c"), input: place("in") }
        }

        /// Sends the store's changes as a commit that includes the input up to `next`; without a mark, it never ended.
        fn commit(&self, store: &mut Store, next: i64, is_whole: bool) -> StateBatch {
            let mut writer = self.log.writer().unwrap();
            let mut state = StateBatch::default();
            let frozen = store.freeze().unwrap();
            if is_whole {
                let mut changelog = Changelog::new(self.changelog.clone(), self.topic, Offset(0));
                changelog.append(&mut *writer, &frozen, 0).unwrap();
                changelog.mark(&mut *writer, store, &vec![(self.input.clone(), Offset(next))], 0).unwrap();
            } else {
                frozen.for_each_change(|key, value| {
                    let record = OutRecord { partition: 0, timestamp: 0, key: Some(key), value, headers: &[] };
                    writer.send(self.topic, record).unwrap();
                });
            }
            frozen.append_to(&mut state);
            writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).unwrap();
            state
        }

        fn restore(&self, db: &StateDb, store: &mut Store) -> Restored {
            let mut batch = StateBatch::default();
            let restored = restore(&self.log, db, store, &self.changelog, &db.positions("q").unwrap(), &mut batch).unwrap();
            for (input, next) in &restored.inputs {
                batch.set_position(db, "q", input, *next);
            }
            batch.write().unwrap();
            restored
        }
    }

    fn open(db: &StateDb) -> Store {
        let key = StoreKey { query: "q".into(), store: "s".into(), partition: 0 };
        db.open_store(&key, &StoreSpec { name: "s".into(), kind: StoreKind::KeyValue, changelog: true }).unwrap()
    }

    fn value(store: &mut Store, key: &[u8]) -> Option<Vec<u8>> {
        store.get(key, |value| value.map(<[u8]>::to_vec)).unwrap()
    }

    #[test]
    fn a_commit_that_did_not_end_is_left_out_and_undone_in_the_changelog() {
        let fixture = Fixture::new();
        let mut store = open(&StateDb::in_memory());
        store.put(b"a", Some(b"1"));
        store.put(b"b", Some(b"1"));
        store.observe_time(70);
        fixture.commit(&mut store, 10, true).write().unwrap();
        store.put(b"a", Some(b"2"));
        store.put(b"new", Some(b"2"));
        fixture.commit(&mut store, 20, false);

        let db = StateDb::in_memory();
        let mut copy = open(&db);
        let restored = fixture.restore(&db, &mut copy);
        assert_eq!(restored.end, Offset(5));
        assert_eq!(restored.inputs, Positions::from([(fixture.input.clone(), Offset(10))]));
        assert_eq!(copy.stream_time(), 70);
        assert_eq!((value(&mut copy, b"a"), value(&mut copy, b"new")), (Some(b"1".to_vec()), None));
        // A restart before the next commit finds the same.
        drop(copy);
        let mut copy = open(&db);
        assert_eq!(fixture.restore(&db, &mut copy).end, Offset(5));
        let mut undone = Vec::new();
        let frozen = copy.freeze().unwrap();
        frozen.for_each_change(|key, value| undone.push((key.to_vec(), value.map(<[u8]>::to_vec))));
        undone.sort();
        assert_eq!(undone, [(b"a".to_vec(), Some(b"1".to_vec())), (b"new".to_vec(), None)]);
    }

    #[test]
    fn only_what_is_new_is_read() {
        let fixture = Fixture::new();
        let db = StateDb::in_memory();
        let mut store = open(&db);
        store.put(b"a", Some(b"1"));
        let mut state = fixture.commit(&mut store, 10, true);
        state.set_position(&db, "q", &fixture.changelog, Offset(2));
        state.set_position(&db, "q", &fixture.input, Offset(10));
        state.write().unwrap();
        let at_end = fixture.restore(&db, &mut store);
        assert_eq!((at_end.end, at_end.inputs.get(&fixture.input)), (Offset(2), Some(&Offset(10))));

        // The next commit reached the changelog, but not the database.
        store.put(b"a", Some(b"2"));
        fixture.commit(&mut store, 11, true);
        store.rollback();
        let ahead = fixture.restore(&db, &mut store);
        assert_eq!((ahead.end, ahead.inputs.get(&fixture.input)), (Offset(4), Some(&Offset(11))));
        assert_eq!(value(&mut store, b"a"), Some(b"2".to_vec()));
        assert!(store.freeze().is_none(), "nothing goes into the changelog again");
    }

    #[test]
    fn a_store_of_another_changelog_is_thrown_away() {
        let fixture = Fixture::new();
        let db = StateDb::in_memory();
        let mut store = open(&db);
        store.put(b"old", Some(b"1"));
        let mut state = StateBatch::default();
        store.freeze().unwrap().append_to(&mut state);
        state.set_position(&db, "q", &fixture.changelog, Offset(1_000));
        state.set_position(&db, "q", &fixture.input, Offset(50));
        state.write().unwrap();
        let restored = fixture.restore(&db, &mut store);
        assert_eq!((restored.end, restored.inputs), (Offset(0), Positions::new()));
        assert_eq!(value(&mut store, b"old"), None);
    }
}
