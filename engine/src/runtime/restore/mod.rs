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
//! What a process that had been replaced has written late is read past, and owed (see [`history`], [`super::epoch`]). A state that
//! includes a commit of such a process is thrown away as well.
//!
//! A windowed store reads past windows that have expired by the end of that commit. A state that is so old that the changelog may
//! have forgotten what was deleted behind it is thrown away, too (see [`tombstones`]).

mod history;
#[cfg(test)]
mod late_tests;
mod places;
mod read;
#[cfg(test)]
mod tests;
pub(super) mod tombstones;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use self::history::{History, choose, is_enough};
pub(super) use self::places::Places;
use self::read::{Entry, Record, read, tail};
use self::tombstones::{Begun, outlived};
pub(super) use self::watch::Watch;
pub use self::watch::{Progress, RestoreState};
use super::changelog_head::Head;
use super::ends::{CommitId, CommitNumber, CommitPlace};
use super::epoch::{Epoch, Lives, Owner};
use super::start::StartError;
use crate::log::{Log, Offset, OffsetSpec, TopicPartition};
use crate::points::{self, Point};
use crate::state::{StateBatch, StateDb, Store};

/// Bytes of restored entries that go to the database together.
const SLICE_BYTES: usize = if cfg!(test) { 256 } else { 16 << 20 };
/// Records that are looked at as one where it is told which of a changelog's windows have expired.
const STRETCH_RECORDS: u64 = 4096;

/// The place in its changelog of a store that is being emptied.
pub(super) const CLEARING: Offset = Offset(-1);

/// What the state includes and a changelog has not got is believed to be gone after so long; how often it is asked for.
const SETTLE_PATIENCE: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(3) };
const SETTLE_STEP: Duration = Duration::from_millis(20);

/// The next offset of each partition.
pub(super) type Positions = BTreeMap<TopicPartition, Offset>;

/// What is to be restored.
pub(super) struct Subject<'t> {
    /// For each store.
    pub changelogs: &'t [Option<TopicPartition>],
    /// For each store: who has had its changelog.
    pub lives: Vec<Lives>,
    /// Who had the task last.
    pub owner: Option<&'t Owner>,
    /// What the query's state remembers.
    pub positions: &'t Positions,
    /// Under what it remembers the task's last commit.
    pub place: &'t CommitPlace,
    /// And when a restore began.
    pub begun: &'t Begun,
    pub now_ms: i64,
}

/// Where a task's stores stand.
pub(super) struct Restored {
    /// For each store that has a changelog.
    pub changelogs: Vec<Option<RestoredChangelog>>,
    /// The next offset of each input partition that the stores do not include yet; what is not known is left out.
    pub inputs: Positions,
    /// The newest commit; `None`: there was none.
    pub commit: Option<CommitId>,
    /// The highest epoch that was met.
    pub epoch: Epoch,
}

impl Restored {
    pub(super) fn number(&self) -> CommitNumber {
        self.commit.map_or(0, |commit| commit.number)
    }
}

/// What a restored store's changelog holds besides.
#[derive(Debug)]
pub(super) struct RestoredChangelog {
    pub end: Offset,
    /// The keys that it is owed.
    pub owed: Vec<Box<[u8]>>,
    /// Whoever reads on from here, for the state as it is now, finds these again where they are still owed.
    pub included: Offset,
    /// Which of its windows are where.
    pub head: Head,
    /// Who has had it.
    pub lives: Lives,
}

/// A changelog that may have to be read.
struct Source<'t> {
    changelog: &'t TopicPartition,
    first: Offset,
    /// What the store includes of it.
    position: Offset,
    end: Offset,
    /// All entries behind `position`, where they are few and were read already.
    entries: Option<Vec<Entry>>,
}

/// Brings a task's stores to the newest commit that is whole. The last of what was read goes into the batch, with the changelogs'
/// positions; the caller adds the inputs' and writes it in one piece.
///
/// # Errors
/// The log is away; a changelog is not what it should be; the state can't be written.
pub(super) fn restore(
    log: &dyn Log,
    state: &StateDb,
    stores: &mut [Store],
    subject: Subject<'_>,
    batch: &mut StateBatch,
    watch: &Watch<'_>,
) -> Result<Restored, StartError> {
    let Subject { changelogs, lives, owner, positions, place, begun, now_ms } = subject;
    let topics: Vec<TopicPartition> = changelogs.iter().flatten().cloned().collect();
    let mut known = place.read(positions);
    let mut restored = Restored { changelogs: Vec::with_capacity(changelogs.len()), inputs: positions.clone(), commit: known, epoch: 0 };
    if topics.is_empty() {
        restored.changelogs.extend(changelogs.iter().map(|_| None));
        return Ok(restored);
    }
    points::log(Point::RestoreBegin)?;
    let ends = settled_ends(log, &topics, positions)?;
    let firsts = log.offsets(&topics, OffsetSpec::Earliest)?;
    let is_outdated = owner.zip(known).is_some_and(|(owner, known)| owner.has_not_seen(known));
    if is_outdated {
        let query = stores.first().map(|store| store.key().query.clone()).unwrap_or_default();
        tracing::warn!(%query, "the state is of a server that had been replaced when it made it; it is read anew from the changelogs");
    }
    let began_ms = begun.read(positions, now_ms);
    let outlived = match began_ms {
        Some(_) => BTreeSet::new(),
        None => outlived(log, &tails(&topics, positions, &firsts, &ends), now_ms)?,
    };
    let begun = begun.at(began_ms.unwrap_or(now_ms));
    let (mut ends, mut firsts) = (ends.into_iter(), firsts.into_iter());
    let mut sources: Vec<Option<Source<'_>>> = Vec::with_capacity(stores.len());
    let mut is_foreign = is_outdated;
    for (store, changelog) in stores.iter_mut().zip(changelogs) {
        let Some(changelog) = changelog else {
            sources.push(None);
            continue;
        };
        let (end, first) = (ends.next().unwrap_or_default(), firsts.next().unwrap_or_default());
        let known = positions.get(changelog).copied();
        let mut position = known.map_or(first, |known| first.max(known));
        let is_too_old = outlived.contains(changelog);
        if is_too_old {
            tracing::warn!(topic = %changelog.topic, partition = changelog.partition, "the state is so old that the changelog may have \
                forgotten what was deleted since; it is read anew from there");
        }
        if position > end || known == Some(CLEARING) || is_outdated || is_too_old {
            clear(state, store, changelog)?;
            (position, is_foreign) = (first, true);
        }
        is_foreign |= !positions.contains_key(changelog);
        sources.push(Some(Source { changelog, first, position, end, entries: None }));
    }
    let _reading = watch.reading(sources.iter().flatten().map(|source| (source.changelog.clone(), source.position)).collect());
    if is_foreign {
        // What is remembered of the input does not stand for all stores.
        (restored.inputs, restored.commit, known) = (Positions::new(), None, None);
    }
    let mut histories: Vec<History> = lives.into_iter().map(|lives| History { lives, ends: Vec::new() }).collect();
    histories.resize_with(stores.len(), History::default);
    if sources.iter().flatten().any(|source| source.position < source.end) {
        for (source, history) in sources.iter_mut().zip(&mut histories) {
            let Some(source) = source else { continue };
            let is_enough = |from: Offset, ends: &[_]| is_enough(&history.lives, owner, from, ends);
            let tail = tail(log, source.changelog, source.position, source.end, watch, &is_enough)?;
            (source.entries, history.ends) = (tail.entries, tail.ends);
        }
    }
    if let Some(newest) = choose(&mut histories, owner, known) {
        restored.commit = Some(newest);
        // Marks of one commit say the same; the first version's have no numbers.
        let marks = histories.iter().filter_map(|history| history.mark_of(newest));
        let inputs = marks.map(|mark| mark.inputs.iter().cloned().collect());
        restored.inputs = inputs.reduce(|all: Positions, one| both(&all, &one)).unwrap_or_default();
    }
    restored.epoch = histories.iter().filter_map(|history| history.lives.last()).map(|life| life.epoch).max().unwrap_or_default();
    restored.epoch = restored.epoch.max(known.map_or(0, |known| known.epoch));
    points::log(Point::RestoreChosen)?;
    for ((store, source), history) in stores.iter_mut().zip(sources).zip(histories) {
        restored.changelogs.push(match source {
            Some(mut source) => Some(apply(log, state, store, &mut source, history, restored.commit, begun, batch, watch)?),
            None => None,
        });
    }
    let query = stores.first().map(|store| store.key().query.clone()).unwrap_or_default();
    place.write(state, &query, restored.commit.unwrap_or_default(), batch);
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
#[expect(clippy::too_many_arguments, reason = "called from one place")]
fn apply(
    log: &dyn Log,
    state: &StateDb,
    store: &mut Store,
    source: &mut Source<'_>,
    history: History,
    commit: Option<CommitId>,
    begun: (&TopicPartition, Offset),
    batch: &mut StateBatch,
    watch: &Watch<'_>,
) -> Result<RestoredChangelog, StartError> {
    let query = store.key().query.clone();
    // Where the commit has no end here, the store includes it already, or this changelog had no part in it.
    let (until, stream_time) = match commit.and_then(|commit| history.end_of(commit)) {
        Some((offset, end)) => (Offset(offset.0 + 1), end.stream_time),
        None => (source.position, i64::MIN),
    };
    let ends_follow = history.ends.iter().any(|(offset, _)| *offset >= until);
    let started = Instant::now();
    let mut taken = Taken::new(store, source, history.lives, until, stream_time, begun);
    store.begin_chunk();
    let read = match source.entries.take() {
        Some(entries) => entries.iter().try_for_each(|entry| taken.take(state, store, source.changelog, entry.borrowed(), watch)),
        None => read(log, source.changelog, source.position, source.end, watch, &mut |record| match record.key {
            Some([]) | None => Ok(()),
            Some(_) => taken.take(state, store, source.changelog, record, watch),
        }),
    };
    store.end_chunk();
    read?;
    points::log(Point::RestoreRead)?;
    watch.advance(taken.untold, source.changelog, source.end);
    store.observe_time(stream_time);
    // Frozen here, so that what came out of the changelog does not go into it again.
    if let Some(frozen) = store.freeze() {
        frozen.append_to(batch);
    }
    batch.set_position(state, &query, source.changelog, until);
    if source.position < source.end {
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (topic, partition) = (&source.changelog.topic, source.changelog.partition);
        let (entries, expired, owed, late) = (taken.entries, taken.expired, taken.owed.len(), taken.late);
        if watch.places.is_none() {
            tracing::debug!(%topic, partition, entries, expired, owed, late, elapsed_ms, "followed");
        } else {
            tracing::info!(%topic, partition, entries, expired, owed, late, elapsed_ms, "restored");
        }
    }
    let behind = if taken.entries_follow || ends_follow { until } else { until.max(source.end) };
    let included = taken.debts.values().fold(behind, |included, debt| included.min(*debt));
    let (owed, head) = (taken.owed.into_iter().collect(), Head::new(taken.stretches));
    Ok(RestoredChangelog { end: source.end, owed, included, head, lives: taken.lives })
}

/// What was taken of a changelog.
struct Taken<'t> {
    lives: Lives,
    /// When the restore began, as slices of it say it.
    begun: (&'t TopicPartition, Offset),
    /// Entries from here on belong to no commit that is whole.
    until: Offset,
    /// Windows that end before this have expired.
    bound: i64,
    entries: u64,
    expired: u64,
    /// Entries of processes that had been replaced.
    late: u64,
    /// Records that the watch does not know of yet.
    untold: u64,
    /// Bytes since the last slice.
    bytes: usize,
    owed: BTreeSet<Box<[u8]>>,
    /// Of those, the ones whose last entry up to there is another's, and where the first such is.
    debts: BTreeMap<Box<[u8]>, Offset>,
    /// There are entries behind that commit.
    entries_follow: bool,
    /// Where stretches of windows begin, and the latest end of a window in each.
    stretches: Vec<(Offset, i64)>,
    in_stretch: u64,
}

impl<'t> Taken<'t> {
    fn new(store: &Store, source: &Source<'_>, lives: Lives, until: Offset, stream_time: i64, begun: (&'t TopicPartition, Offset)) -> Self {
        let stream_time = stream_time.max(store.stream_time());
        let mut taken = Taken {
            lives,
            begun,
            until,
            bound: store.expiry_bound_at(stream_time),
            entries: 0,
            expired: 0,
            late: 0,
            untold: 0,
            bytes: 0,
            owed: BTreeSet::new(),
            debts: BTreeMap::new(),
            entries_follow: false,
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

    fn take(
        &mut self,
        state: &StateDb,
        store: &mut Store,
        changelog: &TopicPartition,
        entry: Record<'_>,
        watch: &Watch<'_>,
    ) -> Result<(), StartError> {
        let Record { offset, key: Some(key), value, .. } = entry else { return Ok(()) };
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
        let is_late = self.lives.is_foreign(offset, entry.timestamp);
        self.late += u64::from(is_late);
        if offset >= self.until || is_late {
            if offset >= self.until {
                self.entries_follow = true;
            } else {
                self.debts.entry(key.into()).or_insert(offset);
            }
            self.owed.insert(key.into());
            return Ok(());
        }
        if !self.debts.is_empty() {
            self.debts.remove(key);
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
            write_slice(state, store, &[(changelog, Offset(offset.0 + 1)), self.begun])?;
        }
        if self.untold >= STRETCH_RECORDS {
            watch.advance(std::mem::take(&mut self.untold), changelog, Offset(offset.0 + 1));
        }
        Ok(())
    }
}

/// Writes what was restored so far, and where that is. It stands for no input yet.
fn write_slice(state: &StateDb, store: &mut Store, positions: &[(&TopicPartition, Offset)]) -> Result<(), StartError> {
    let mut slice = StateBatch::default();
    if let Some(frozen) = store.freeze() {
        frozen.append_to(&mut slice);
    }
    for (partition, next) in positions {
        slice.set_position(state, &store.key().query.clone(), partition, *next);
    }
    slice.write()?;
    Ok(())
}

/// Deletes every entry of a store, in slices. Whoever finds it in the middle of that begins anew.
fn clear(state: &StateDb, store: &mut Store, changelog: &TopicPartition) -> Result<(), StartError> {
    let mut from = Vec::new();
    loop {
        let (mut keys, mut bytes) = (Vec::new(), 0);
        store.range(&from, None, &mut |key, _| {
            bytes += key.len();
            keys.push(key.to_vec());
            bytes < SLICE_BYTES
        })?;
        let Some(last) = keys.last() else { return Ok(()) };
        // The first key behind it.
        from = [last, &[0][..]].concat();
        for key in keys {
            store.put(&key, None);
        }
        write_slice(state, store, &[(changelog, CLEARING)])?;
    }
}

/// The changelogs that a state includes in part, and up to where.
fn tails<'t>(
    changelogs: &'t [TopicPartition],
    positions: &Positions,
    firsts: &[Offset],
    ends: &[Offset],
) -> Vec<(&'t TopicPartition, Offset)> {
    let known = changelogs.iter().zip(firsts).zip(ends).filter_map(|((changelog, first), end)| {
        let position = positions.get(changelog).filter(|position| *position > first && *position < end)?;
        Some((changelog, *position))
    });
    known.collect()
}
