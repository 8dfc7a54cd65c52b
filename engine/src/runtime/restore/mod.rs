//! Bringing the stores of a task up to date from their changelog topics before it runs.
//!
//! The state remembers which offset of each changelog its content stands for; only what lies behind it is read. A store that
//! is ahead of its changelog belongs to another cluster or topic: it is thrown away and read from the first record.
//!
//! First the ends of the changelogs are looked at, from the back: which is the newest commit that is whole? All stores are
//! brought to that one (see [`super::changelog`]), entry by entry, in slices that go to the database as they come: a changelog
//! never has to fit into memory. The database learns only with the last slice which input the stores then include; where the
//! process dies before, the next start reads on from the slices that are there.

//!
//! A windowed store reads past windows that have expired by the end of that commit.

mod read;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use self::read::{Entry, Tail, read, tail};
pub(super) use self::watch::Watch;
pub use self::watch::{Progress, RestoreState};
use super::changelog::{CommitNumber, End, EndKind};
use super::changelog_head::Head;
use super::start::StartError;
use crate::log::{Log, Offset, OffsetSpec, TopicPartition};
use crate::points::{self, Point};
use crate::state::{StateBatch, StateDb, StateError, Store};

/// Bytes of restored entries that go to the database together.
const SLICE_BYTES: usize = if cfg!(test) { 256 } else { 16 << 20 };
/// Records that are looked at as one where it is told which of a changelog's windows have expired.
const STRETCH_RECORDS: u64 = 4096;

/// What the state includes and a changelog has not got is believed to be gone after so long; how often it is asked for.
const SETTLE_PATIENCE: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(3) };
const SETTLE_STEP: Duration = Duration::from_millis(20);

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
#[derive(Debug)]
pub(super) struct RestoredChangelog {
    pub end: Offset,
    /// The keys that it is owed.
    pub owed: Vec<Box<[u8]>>,
    /// Which of its windows are where.
    pub head: Head,
}

/// A changelog that may have to be read.
struct Source<'t> {
    changelog: &'t TopicPartition,
    first: Offset,
    /// What the store includes of it.
    position: Offset,
    end: Offset,
    /// What was looked at behind `position`.
    tail: Tail,
}

impl Source<'_> {
    fn newest_mark(&self) -> Option<&End> {
        // Of one number, the last was said last; one of a lower number has only come late.
        let marks = self.tail.ends.iter().rev().map(|(_, end)| end).filter(|end| end.kind == EndKind::Mark);
        marks.max_by_key(|mark| mark.number)
    }

    /// The end of a commit that is whole, in this changelog.
    fn end_of(&self, number: CommitNumber) -> Option<&(Offset, End)> {
        self.tail.ends.iter().find(|(_, end)| end.number == number)
    }
}

/// Brings a task's stores to the newest commit that is whole. `positions` is what the query's state remembers, `place` under
/// what it remembers the commit's number. The last of what was read goes into the batch, with the changelogs' positions; the
/// caller adds the inputs' and writes it in one piece.
///
/// # Errors
/// The log is away; a changelog is not what it should be; the state can't be written.
#[expect(clippy::too_many_arguments, reason = "what a task has when it starts; called from one place")]
pub(super) fn restore(
    log: &dyn Log,
    state: &StateDb,
    stores: &mut [Store],
    changelogs: &[Option<TopicPartition>],
    positions: &Positions,
    place: &TopicPartition,
    batch: &mut StateBatch,
    watch: &Watch<'_>,
) -> Result<Restored, StartError> {
    let topics: Vec<TopicPartition> = changelogs.iter().flatten().cloned().collect();
    let known_number = positions.get(place).map_or(0, |number| number.0);
    let mut restored = Restored { changelogs: Vec::with_capacity(changelogs.len()), inputs: positions.clone(), number: known_number };
    if topics.is_empty() {
        restored.changelogs.extend(changelogs.iter().map(|_| None));
        return Ok(restored);
    }
    points::log(Point::RestoreBegin)?;
    let mut ends = settled_ends(log, &topics, positions)?.into_iter();
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
        sources.push(Some(Source { changelog, first, position, end, tail: Tail::default() }));
    }
    if is_foreign {
        // What is remembered of the input does not stand for all stores.
        (restored.inputs, restored.number) = (Positions::new(), 0);
    }
    if sources.iter().flatten().any(|source| source.position < source.end) {
        for source in sources.iter_mut().flatten() {
            source.tail = tail(log, source.changelog, source.position, source.end, watch)?;
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
    for (store, source) in stores.iter_mut().zip(sources) {
        restored.changelogs.push(match source {
            Some(mut source) => Some(apply(log, state, store, &mut source, restored.number, batch, watch)?),
            None => None,
        });
    }
    let query = stores.first().map(|store| store.key().query.clone()).unwrap_or_default();
    batch.set_position(state, &query, place, Offset(restored.number));
    Ok(restored)
}

/// The ends of changelogs. A transaction of this process that was just committed may not have ended everywhere: what the state
/// includes of it is waited for, for a while.
fn settled_ends(log: &dyn Log, changelogs: &[TopicPartition], positions: &Positions) -> Result<Vec<Offset>, StartError> {
    let began = Instant::now();
    loop {
        let ends = log.offsets(changelogs, OffsetSpec::Latest)?;
        let lacks_some = changelogs.iter().zip(&ends).any(|(changelog, end)| positions.get(changelog).is_some_and(|known| known > end));
        if !lacks_some || began.elapsed() > SETTLE_PATIENCE {
            return Ok(ends);
        }
        std::thread::sleep(SETTLE_STEP);
    }
}

/// What both include of the partitions that both know.
fn both(a: &Positions, b: &Positions) -> Positions {
    a.iter().filter_map(|(input, next)| b.get(input).map(|other| (input.clone(), *next.min(other)))).collect()
}

/// Brings one store to a commit.
fn apply(
    log: &dyn Log,
    state: &StateDb,
    store: &mut Store,
    source: &mut Source<'_>,
    number: CommitNumber,
    batch: &mut StateBatch,
    watch: &Watch<'_>,
) -> Result<RestoredChangelog, StartError> {
    let query = store.key().query.clone();
    // Where the commit has no end here, the store includes it already, or this changelog had no part in it.
    let (until, stream_time) = match source.end_of(number) {
        Some((offset, end)) => (Offset(offset.0 + 1), end.stream_time),
        None => (source.position, i64::MIN),
    };
    let started = Instant::now();
    let mut taken = Taken::new(store, source, until, stream_time);
    store.begin_chunk();
    let read = match source.tail.entries.take() {
        Some(entries) => entries
            .into_iter()
            .try_for_each(|Entry { offset, key, value }| taken.take(state, store, source.changelog, offset, &key, value.as_deref(), watch)),
        None => read(log, source.changelog, source.position, source.end, watch, &mut |record| match record.key {
            Some(key) if !key.is_empty() => taken.take(state, store, source.changelog, record.offset, key, record.value, watch),
            _ => Ok(()),
        }),
    };
    store.end_chunk();
    read?;
    points::log(Point::RestoreRead)?;
    watch.advance(taken.untold);
    store.observe_time(stream_time);
    // Frozen here, so that what came out of the changelog does not go into it again.
    if let Some(frozen) = store.freeze() {
        frozen.append_to(batch);
    }
    batch.set_position(state, &query, source.changelog, until);
    if source.position < source.end {
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (topic, partition) = (&source.changelog.topic, source.changelog.partition);
        let (entries, expired, owed) = (taken.entries, taken.expired, taken.owed.len());
        tracing::info!(%topic, partition, entries, expired, owed, elapsed_ms, "restored");
    }
    Ok(RestoredChangelog { end: source.end, owed: taken.owed.into_iter().collect(), head: Head::new(taken.stretches) })
}

/// What was taken of a changelog.
struct Taken {
    /// Entries from here on belong to no commit that is whole.
    until: Offset,
    /// Windows that end before this have expired.
    bound: i64,
    entries: u64,
    expired: u64,
    /// Records that the watch does not know of yet.
    untold: u64,
    /// Bytes since the last slice.
    bytes: usize,
    owed: BTreeSet<Box<[u8]>>,
    /// Where stretches of windows begin, and the latest end of a window in each.
    stretches: Vec<(Offset, i64)>,
    in_stretch: u64,
}

impl Taken {
    fn new(store: &Store, source: &Source<'_>, until: Offset, stream_time: i64) -> Self {
        let stream_time = stream_time.max(store.stream_time());
        let mut taken = Taken {
            until,
            bound: store.expiry_bound_at(stream_time),
            entries: 0,
            expired: 0,
            untold: 0,
            bytes: 0,
            owed: BTreeSet::new(),
            stretches: Vec::new(),
            in_stretch: STRETCH_RECORDS,
        };
        // What is not read now holds no window that ends later than this: none begins behind the stream time, or is longer than
        // it is kept.
        if source.first < source.position && taken.bound > i64::MIN {
            taken.stretches.push((source.first, stream_time.saturating_add(stream_time.saturating_sub(taken.bound))));
        }
        taken
    }

    #[expect(clippy::too_many_arguments, reason = "called for each record, from two places")]
    fn take(
        &mut self,
        state: &StateDb,
        store: &mut Store,
        changelog: &TopicPartition,
        offset: Offset,
        key: &[u8],
        value: Option<&[u8]>,
        watch: &Watch<'_>,
    ) -> Result<(), StartError> {
        self.untold += 1;
        let window_end = store.window_end(key);
        if let Some(latest) = window_end {
            match self.stretches.last_mut().filter(|_| self.in_stretch < STRETCH_RECORDS) {
                Some((_, end)) => *end = latest.max(*end),
                None => {
                    self.stretches.push((offset, latest));
                    self.in_stretch = 0;
                }
            }
            self.in_stretch += 1;
        }
        if offset >= self.until {
            self.owed.insert(key.into());
            return Ok(());
        }
        if window_end.is_some_and(|end| end < self.bound) {
            self.expired += 1;
        } else {
            store.put(key, value);
            self.entries += 1;
            self.bytes += key.len() + value.map_or(0, <[u8]>::len);
        }
        if self.bytes >= SLICE_BYTES {
            self.bytes = 0;
            write_slice(state, store, changelog, Offset(offset.0 + 1))?;
        }
        if self.untold >= STRETCH_RECORDS {
            watch.advance(std::mem::take(&mut self.untold));
        }
        Ok(())
    }
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
