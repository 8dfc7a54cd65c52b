//! How far tasks that keep no state have read, and who writes: one compacted topic for the service.
//!
//! Where a task has a changelog, the marks in it say which input the state stands for. A task without state has none, so its
//! commits say it here: one record a task and commit, keyed by the task. What comes of the input and how far it was read thus
//! are records alike: they arrive together, or in this order, and a commit costs no request for each query. The groups'
//! offsets follow, for tools that show lag.
//!
//! Each worker writes to one partition, whatever its tasks. A task that another worker wrote for earlier has its newest mark by
//! the number of its commit. The topic is read once, when the first query starts, behind the end of all transactions that an
//! earlier process may have left open; from then on this process knows it by heart, for nobody else writes it.
//!
//! Where the topic is deleted under the process, what is known by heart is written to a new one: of each query when it starts
//! again, since nothing else writes its marks then. Where it went while no process ran, the groups' offsets are all there is.
//!
//! The topic also says which transactional ids were ever used (see [`TransactionalId`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::changelog::{CommitNumber, End, EndKind};
use super::restore::Positions;
use crate::log::{
    self, GroupOffsets, Log, LogError, LogWriter, OffsetSpec, OutRecord, PartitionId, TopicHandle, TopicIdentity, TopicPartition,
    TransactionalId, read_whole,
};

/// Partitions of the topic: workers beyond so many share them.
const PARTITIONS: u32 = 16;
/// How long reading the topic may take.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// What the topic is made with. It is small and rewritten all the time, so that its old part is compacted often.
const CONFIG: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("segment.bytes", "16777216"),
    ("min.cleanable.dirty.ratio", "0.1"),
    ("message.timestamp.type", "CreateTime"),
];
/// A worker's transactional ids: it uses them in turn.
pub(super) const HANDS: usize = 2;
/// Which of them.
pub(super) type Hand = usize;
/// Begins the keys of marks.
const MARK: &[u8] = b"mark\0";

/// A task of a query: which sub-topology, and which partition.
type Place = (usize, PartitionId);

/// What a task's last commit said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marked {
    pub number: CommitNumber,
    pub inputs: GroupOffsets,
}

impl Marked {
    fn encode(&self) -> Vec<u8> {
        End { kind: EndKind::Mark, number: self.number, stream_time: i64::MIN, inputs: self.inputs.clone() }.encode()
    }
}

/// See the module.
pub(super) struct Marks {
    topic: Arc<str>,
    /// Begins the transactional ids of the service.
    ids: String,
    replicas: u16,
    workers: usize,
    /// Tells this process from others.
    session: u64,
    /// Held while the topic is opened.
    opening: Mutex<Opening>,
    handle: Mutex<Option<TopicHandle>>,
    known: Mutex<Known>,
    /// By number, once they may be used.
    transactional: Mutex<Vec<TransactionalId>>,
}

/// By query and task.
type Known = HashMap<Arc<str>, BTreeMap<Place, Kept>>;

/// A task's newest mark, and in which partitions it has any: a bit for each.
struct Kept {
    marked: Marked,
    partitions: u16,
}

#[derive(Default)]
struct Opening {
    is_read: bool,
    /// The topic that was read and those that were made since, as long as this process knows by heart what they held; the last
    /// is the one that is written.
    held: Vec<TopicIdentity>,
    /// The one that was written has gone.
    is_lost: bool,
    /// Queries whose marks are in no topic.
    to_rewrite: BTreeSet<Arc<str>>,
    /// Workers of whose last transaction it is not known how it ended.
    uncertain: BTreeSet<usize>,
}

/// What reading the topic found.
#[derive(Default)]
struct Found {
    marks: Known,
    ids: BTreeSet<String>,
}

/// New writers, each for one hand of a worker.
pub(super) type Writers = Vec<(usize, Hand, Box<dyn LogWriter>)>;

impl Marks {
    /// `prefix` begins the names of the service's internal topics.
    pub fn new(prefix: &str, replicas: u16, workers: usize, session: u64) -> Self {
        Marks {
            topic: format!("{prefix}_positions").into(),
            ids: format!("{prefix}transaction-"),
            replicas,
            workers: workers.max(1),
            session,
            opening: Mutex::default(),
            handle: Mutex::default(),
            known: Mutex::default(),
            transactional: Mutex::default(),
        }
    }

    /// Makes ready for queries: the first time the topic is read. Writers are given for all workers where transactions are
    /// needed for the first time, or were needed in an earlier life: what that left open ends here.
    ///
    /// # Errors
    /// The log is away, or does not allow it.
    pub fn open(&self, log: &dyn Log, needs_transactions: bool) -> Result<Writers, LogError> {
        let mut opening = self.opening.lock();
        let mut writers = Writers::new();
        if !opening.is_read {
            log::ensure_topic(log, &self.topic, PARTITIONS, self.replicas, CONFIG)?;
            let (handle, partitions) = log.topic(&self.topic)?;
            let mut found = self.read(log, partitions)?;
            if !found.ids.is_empty() {
                // Those of more workers than there are now are ended as well, and nobody uses them.
                let own: BTreeSet<String> = (0..self.workers * HANDS).map(|number| self.id(number)).collect();
                for id in found.ids.difference(&own) {
                    drop(log.transactional_writer(&self.register(log, handle, partitions, id)?)?);
                }
                writers = self.begin(log, handle, partitions)?;
                found = self.read(log, partitions)?;
            }
            self.learn(found.marks);
            *self.handle.lock() = Some(handle);
            opening.held = log.identify(&[&self.topic])?.into_iter().flatten().collect();
            opening.is_read = true;
        }
        if opening.is_lost {
            tracing::warn!(topic = %self.topic, "the topic was deleted by somebody else; it is made again, and filled with what is known");
            log::ensure_topic(log, &self.topic, PARTITIONS, self.replicas, CONFIG)?;
            let (handle, partitions) = log.topic(&self.topic)?;
            *self.handle.lock() = Some(handle);
            if !self.transactional.lock().is_empty() {
                // Whoever takes an id over looks for its holder in the topic.
                writers = self.begin(log, handle, partitions)?;
            }
            opening.held.extend(log.identify(&[&self.topic])?.into_iter().flatten());
            opening.to_rewrite = self.known.lock().keys().cloned().collect();
            opening.is_lost = false;
        }
        if needs_transactions && self.transactional.lock().is_empty() {
            let (handle, partitions) = log.topic(&self.topic)?;
            writers = self.begin(log, handle, partitions)?;
        }
        if !opening.uncertain.is_empty() {
            // They end before anybody looks how they ended.
            for worker in &opening.uncertain {
                for hand in 0..HANDS {
                    writers.push((*worker, hand, self.transactional_writer(log, *worker, hand)?));
                }
            }
            self.learn(self.read(log, log.topic(&self.topic)?.1)?.marks);
            opening.uncertain.clear();
        }
        Ok(writers)
    }

    /// Nobody knows how a worker's last transaction ended: the next start of a query looks.
    pub fn is_uncertain(&self, worker: usize) {
        self.opening.lock().uncertain.insert(worker);
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The topic has gone, or is another: the next start of a query makes it anew.
    pub fn is_lost(&self) {
        let mut opening = self.opening.lock();
        opening.is_lost = opening.is_read;
    }

    /// The topic that has the marks now; and whether what another held is known here.
    pub fn identities(&self, other: Option<&TopicIdentity>) -> (Option<TopicIdentity>, bool) {
        let opening = self.opening.lock();
        (opening.held.last().copied(), other.is_some_and(|other| opening.held.iter().any(|held| other.may_be(held))))
    }

    /// Writes what is known of a query that does not run, where its marks have gone with their topic.
    ///
    /// # Errors
    /// The log is away.
    pub fn rewrite(&self, log: &dyn Log, query: &str, now_ms: i64) -> Result<(), LogError> {
        if !self.opening.lock().to_rewrite.contains(query) {
            return Ok(());
        }
        let Some(handle) = *self.handle.lock() else { return Ok(()) };
        let marks: Vec<(Place, Marked, u16)> = {
            let known = self.known.lock();
            let tasks = known.get(query).into_iter().flatten();
            tasks.map(|(place, kept)| (*place, kept.marked.clone(), kept.partitions)).collect()
        };
        for (place, marked, partitions) in marks {
            let partition = PartitionId::try_from(partitions.trailing_zeros() % PARTITIONS).unwrap_or_default();
            let (key, end) = (key(query, place), marked.encode());
            log.append(handle, OutRecord { partition, timestamp: now_ms, key: Some(&key), value: Some(&end), headers: &[] })?;
        }
        self.opening.lock().to_rewrite.remove(query);
        Ok(())
    }

    /// Takes what the topic says; what a commit has said meanwhile is newer.
    fn learn(&self, marks: Known) {
        let mut known = self.known.lock();
        for (query, tasks) in marks {
            let known = known.entry(query).or_default();
            for (place, mut kept) in tasks {
                if let Some(before) = known.get(&place) {
                    kept.partitions |= before.partitions;
                    if before.marked.number > kept.marked.number {
                        kept.marked = before.marked.clone();
                    }
                }
                known.insert(place, kept);
            }
        }
    }

    /// Another writer for a worker, after one was thrown away.
    ///
    /// # Errors
    /// See [`Log::transactional_writer`].
    pub fn transactional_writer(&self, log: &dyn Log, worker: usize, hand: Hand) -> Result<Box<dyn LogWriter>, LogError> {
        let id = self.transactional.lock().get(worker * HANDS + hand).cloned();
        log.transactional_writer(&id.ok_or_else(|| LogError::Fatal("no transactions were asked for".into()))?)
    }

    /// The number and the positions of a task's last commit.
    pub fn of(&self, query: &str, sub_topology: usize, partition: PartitionId) -> Option<Marked> {
        self.known.lock().get(query)?.get(&(sub_topology, partition)).map(|kept| kept.marked.clone())
    }

    /// The positions of all tasks of a sub-topology.
    pub fn of_all(&self, query: &str, sub_topology: usize) -> Positions {
        let known = self.known.lock();
        let tasks = known.get(query).into_iter().flatten().filter(|((sub, _), _)| *sub == sub_topology);
        tasks.flat_map(|(_, kept)| kept.marked.inputs.iter().cloned()).collect()
    }

    /// Sends what a task's commit includes of its input.
    pub fn send(
        &self,
        writer: &mut dyn LogWriter,
        worker: usize,
        task: (&str, usize, PartitionId),
        marked: &Marked,
        now_ms: i64,
    ) -> Result<(), LogError> {
        let Some(handle) = *self.handle.lock() else { return Err(LogError::Fatal("the topic of marks is not open".into())) };
        let end = marked.encode();
        let key = key(task.0, (task.1, task.2));
        let record = OutRecord { partition: self.partition(worker), timestamp: now_ms, key: Some(&key), value: Some(&end), headers: &[] };
        writer.send(handle, record).map_err(|error| match error {
            LogError::Retriable(_) | LogError::Fenced(_) | LogError::Undeliverable { .. } => error,
            other => LogError::Undeliverable { topic: self.topic.to_string(), reason: other.to_string() },
        })
    }

    /// Writes down where a task that does not run yet begins. It is durable once this returns.
    ///
    /// # Errors
    /// See [`Log::append`].
    pub fn declare(
        &self,
        log: &dyn Log,
        worker: usize,
        task: (&Arc<str>, usize, PartitionId),
        marked: Marked,
        now_ms: i64,
    ) -> Result<(), LogError> {
        let Some(handle) = *self.handle.lock() else { return Err(LogError::Fatal("the topic of marks is not open".into())) };
        let (key, end) = (key(task.0, (task.1, task.2)), marked.encode());
        let partition = self.partition(worker);
        log.append(handle, OutRecord { partition, timestamp: now_ms, key: Some(&key), value: Some(&end), headers: &[] })?;
        self.committed(worker, task, marked);
        Ok(())
    }

    /// A commit of a worker has succeeded.
    pub fn committed(&self, worker: usize, (query, sub_topology, partition): (&Arc<str>, usize, PartitionId), marked: Marked) {
        let bit = bit(self.partition(worker));
        let mut known = self.known.lock();
        let kept = known.entry(query.clone()).or_default().entry((sub_topology, partition));
        let kept = kept.or_insert_with(|| Kept { marked: Marked { number: 0, inputs: Vec::new() }, partitions: 0 });
        kept.marked = marked;
        kept.partitions |= bit;
    }

    /// A query is gone for good.
    pub fn forget(&self, log: &dyn Log, query: &str, now_ms: i64) {
        let Some(marked) = self.known.lock().remove(query) else { return };
        let Some(handle) = *self.handle.lock() else { return };
        for (place, kept) in &marked {
            let key = key(query, *place);
            for partition in (0..PARTITIONS).filter_map(|partition| PartitionId::try_from(partition).ok()) {
                if kept.partitions & bit(partition) == 0 {
                    continue;
                }
                let record = OutRecord { partition, timestamp: now_ms, key: Some(&key), value: None, headers: &[] };
                if let Err(error) = log.append(handle, record) {
                    tracing::debug!(query, %error, "a mark of a dropped query remains");
                    return;
                }
            }
        }
    }

    /// The id of a number; a worker has [`HANDS`] of them.
    fn id(&self, number: usize) -> String {
        format!("{}{number}", self.ids)
    }

    /// The number of an id. What is written down of it goes where every process looks, whatever the number of its workers.
    fn number(&self, id: &str) -> usize {
        id.strip_prefix(&self.ids).and_then(|number| number.parse().ok()).unwrap_or_default()
    }

    fn partition(&self, worker: usize) -> PartitionId {
        PartitionId::try_from(worker % PARTITIONS as usize).unwrap_or_default()
    }

    /// Takes the ids of all workers, and what their last holders left open ends.
    fn begin(&self, log: &dyn Log, handle: TopicHandle, partitions: u32) -> Result<Writers, LogError> {
        let all = 0..self.workers * HANDS;
        let ids = all.map(|number| self.register(log, handle, partitions, &self.id(number))).collect::<Result<Vec<_>, _>>()?;
        let made = log.transactional_writers(&ids)?.into_iter().enumerate();
        let writers = made.map(|(number, writer)| (number / HANDS, number % HANDS, writer)).collect();
        *self.transactional.lock() = ids;
        Ok(writers)
    }

    /// Says that this process uses an id from now on, before it fences who did so before.
    fn register(&self, log: &dyn Log, handle: TopicHandle, partitions: u32, name: &str) -> Result<TransactionalId, LogError> {
        let partition = self.partition(self.number(name) % partitions.max(1) as usize);
        let place = TopicPartition { topic: self.topic.clone(), partition };
        let (key, value) = (TransactionalId::holder_key(name), self.session.to_be_bytes());
        let since = log.offsets(std::slice::from_ref(&place), OffsetSpec::Latest)?.first().copied().unwrap_or_default();
        log.append(handle, OutRecord { partition, timestamp: 1, key: Some(&key), value: Some(&value), headers: &[] })?;
        Ok(TransactionalId { name: name.into(), topic: handle, place, session: self.session, since })
    }

    fn read(&self, log: &dyn Log, partitions: u32) -> Result<Found, LogError> {
        let mut found = Found::default();
        let places = log::partitions_of(&self.topic, partitions);
        // Most of them are empty.
        let (firsts, ends) = (log.offsets(&places, OffsetSpec::Earliest)?, log.offsets(&places, OffsetSpec::Latest)?);
        for ((place, first), end) in places.iter().zip(firsts).zip(ends) {
            if first >= end {
                continue;
            }
            read_whole(log, place, first, READ_TIMEOUT, &mut |record| {
                if let Some(key) = record.key {
                    found.take(place.partition, key, record.value);
                }
            })?;
        }
        Ok(found)
    }
}

impl Found {
    fn take(&mut self, from: PartitionId, key: &[u8], value: Option<&[u8]>) {
        if let Some(id) = TransactionalId::held(key) {
            self.ids.insert(id.to_owned());
        }
        let Some((query, place)) = task(key) else { return };
        let Some(End { number, inputs, .. }) = value.and_then(End::decode) else {
            // A dropped query: what lies in other partitions goes as well.
            if value.is_none()
                && let Some(marks) = self.marks.get_mut(query)
            {
                marks.remove(&place);
            }
            return;
        };
        let kept = self.marks.entry(query.into()).or_default().entry(place);
        let kept = kept.or_insert_with(|| Kept { marked: Marked { number, inputs: Vec::new() }, partitions: 0 });
        kept.partitions |= bit(from);
        if kept.marked.number <= number {
            kept.marked = Marked { number, inputs };
        }
    }
}

/// The partition's bit.
fn bit(partition: PartitionId) -> u16 {
    1 << (partition.unsigned_abs() % PARTITIONS)
}

/// The key of a task's marks: the query, the sub-topology, the partition.
fn key(query: &str, (sub_topology, partition): Place) -> Vec<u8> {
    [MARK, format!("{query}\0{sub_topology}\0{partition}").as_bytes()].concat()
}

/// The task of a key.
fn task(key: &[u8]) -> Option<(&str, Place)> {
    let mut parts = std::str::from_utf8(key.strip_prefix(MARK)?).ok()?.rsplitn(3, '\0');
    let (partition, sub_topology, query) = (parts.next()?, parts.next()?, parts.next()?);
    Some((query, (sub_topology.parse().ok()?, partition.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::simulated::{SimulatedLog, SimulationOptions};
    use crate::log::{Commit, Offset};
    use crate::state::StateBatch;

    fn log() -> SimulatedLog {
        SimulatedLog::new(SimulationOptions { atomic: false, ..SimulationOptions::default() })
    }

    fn marked(number: CommitNumber, next: i64) -> Marked {
        Marked { number, inputs: vec![(TopicPartition { topic: "in".into(), partition: 3 }, Offset(next))] }
    }

    fn commit(writer: &mut dyn LogWriter) {
        writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).unwrap();
    }

    #[test]
    fn keys_go_there_and_back() {
        assert_eq!(task(&key("CSAS_O_1", (2, 17))), Some(("CSAS_O_1", (2, 17))));
        for other in [&b"mark\0q"[..], b"mark\0q\0x\x001", b"holder\0q", b""] {
            assert_eq!(task(other), None);
        }
    }

    #[test]
    fn the_newest_commit_counts_whichever_worker_made_it() {
        let log = log();
        let marks = Marks::new("s", 1, 3, 1);
        assert!(marks.open(&log, false).unwrap().is_empty());
        let mut writer = log.writer().unwrap();
        marks.send(&mut *writer, 2, ("q", 0, 5), &marked(7, 70), 1).unwrap();
        marks.send(&mut *writer, 0, ("q", 0, 5), &marked(6, 60), 1).unwrap();
        marks.send(&mut *writer, 1, ("gone", 0, 0), &marked(1, 1), 1).unwrap();
        commit(&mut *writer);
        let later = Marks::new("s", 1, 3, 2);
        later.open(&log, false).unwrap();
        assert_eq!(later.of("q", 0, 5), Some(marked(7, 70)));
        assert_eq!(later.of_all("q", 0).len(), 1);
        assert_eq!(later.of("q", 1, 5), None);
        later.forget(&log, "gone", 1);
        let last = Marks::new("s", 1, 3, 3);
        last.open(&log, false).unwrap();
        assert_eq!((last.of("gone", 0, 0), last.of("q", 0, 5).is_some()), (None, true));
    }

    #[test]
    fn what_is_known_by_heart_goes_to_a_new_topic() {
        let log = log();
        let marks = Marks::new("s", 1, 2, 1);
        let (.., mut writer) = marks.open(&log, true).unwrap().pop().unwrap();
        marks.send(&mut *writer, 1, ("q", 0, 0), &marked(4, 40), 1).unwrap();
        commit(&mut *writer);
        marks.committed(1, (&"q".into(), 0, 0), marked(4, 40));
        let before = marks.identities(None).0;
        log.delete_topic("s_positions").unwrap();
        marks.is_lost();
        assert_eq!(marks.open(&log, true).unwrap().len(), 2 * HANDS, "writers that are known in the new topic");
        marks.rewrite(&log, "q", 1).unwrap();
        let (read, written) = (before, marks.identities(None).0);
        assert!(read != written && written.is_some(), "{read:?} {written:?}");
        assert!(marks.identities(read.as_ref()).1 && marks.identities(written.as_ref()).1, "it knows what both held");
        let next = Marks::new("s", 1, 2, 2);
        next.open(&log, false).unwrap();
        assert_eq!(next.of("q", 0, 0), Some(marked(4, 40)));
        assert_eq!(next.identities(written.as_ref()), (written, true));
        assert!(!next.identities(read.as_ref()).1);
    }

    #[test]
    fn what_an_earlier_life_left_open_ends_before_marks_are_read() {
        let log = log();
        let first = Marks::new("s", 1, 2, 1);
        let (.., mut writer) = first.open(&log, true).unwrap().pop().unwrap();
        first.send(&mut *writer, 1, ("q", 0, 0), &marked(1, 10), 1).unwrap();
        commit(&mut *writer);
        first.send(&mut *writer, 1, ("q", 0, 0), &marked(2, 20), 1).unwrap();
        writer.flush().unwrap();
        // The next life has fewer workers, and no query that needs transactions.
        let next = Marks::new("s", 1, 1, 2);
        assert_eq!(next.open(&log, false).unwrap().len(), HANDS);
        assert_eq!(next.of("q", 0, 0), Some(marked(1, 10)));
        let end = |log: &SimulatedLog| log.offsets(&[TopicPartition { topic: "s_positions".into(), partition: 1 }], OffsetSpec::Latest);
        let before = end(&log).unwrap();
        let stale = writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() });
        assert!(matches!(stale, Err(LogError::Fenced(_))), "{stale:?}");
        assert_eq!(end(&log).unwrap(), before, "nothing holds readers up, and nothing was added");
    }
}
