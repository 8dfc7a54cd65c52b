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
//! The topic also says which transactional ids were ever used (see [`TransactionalId`]), which epochs processes have had, and from
//! where on the changelogs of tasks are this one's ([`epochs`], [`owners`]). A mark of an earlier process is no task's newest one,
//! whatever its number, where a later one has written down where it began.

mod epochs;
mod found;
mod ids;
mod owners;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use self::found::{bit, key};
pub(super) use self::owners::{Begin, Declared};
use super::ends::{CommitId, End, EndKind};
use super::epoch::{Life, Owner};
use super::restore::Positions;
use crate::log::{
    self, GroupOffsets, Log, LogError, LogWriter, Offset, OutRecord, PartitionId, TopicHandle, TopicIdentity, TransactionalId,
};

/// Partitions of the topic: workers beyond so many share them.
const PARTITIONS: u32 = 16;
/// How long reading the topic may take.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks for what was written there.
const RETRY_PAUSE: Duration = Duration::from_millis(2);
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
/// A task of a query: which sub-topology, and which partition.
pub(super) type Place = (usize, PartitionId);

/// What a task's last commit said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marked {
    pub commit: CommitId,
    pub inputs: GroupOffsets,
}

impl Marked {
    fn encode(&self) -> Vec<u8> {
        let CommitId { epoch, number } = self.commit;
        let life = (epoch > 0).then_some(Life { epoch, since: Offset(0) });
        End { kind: EndKind::Mark, life, number, stream_time: i64::MIN, inputs: self.inputs.clone() }.encode()
    }
}

/// See the module.
pub(super) struct Marks {
    topic: Arc<str>,
    /// Begins the transactional ids of the service.
    ids: String,
    /// This server's name among those of the service.
    server: String,
    /// The servers that run now: their transactions are not ended.
    peers: Mutex<BTreeSet<String>>,
    /// Another server has ended this one's transactions: its ids are to be taken again.
    has_lost_ids: AtomicBool,
    replicas: u16,
    workers: usize,
    /// Tells this process from others.
    session: u64,
    /// Held while the topic is opened.
    opening: Mutex<Opening>,
    handle: Mutex<Option<TopicHandle>>,
    known: Mutex<Known>,
    owners: Mutex<Owners>,
    epoch: AtomicU32,
    /// By number, once they may be used.
    transactional: Mutex<Vec<TransactionalId>>,
}

/// By query and task.
type Known = HashMap<Arc<str>, BTreeMap<Place, Kept>>;
type Owners = HashMap<Arc<str>, BTreeMap<Place, Owner>>;

/// A task's newest mark, and in which partitions it has any: a bit for each.
struct Kept {
    marked: Marked,
    partitions: u16,
}

impl Kept {
    /// A task that has no mark yet.
    fn nothing() -> Self {
        Kept { marked: Marked { commit: CommitId { epoch: 0, number: 0 }, inputs: Vec::new() }, partitions: 0 }
    }
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
    /// All epochs that were taken before this place are known.
    epochs_known: Offset,
}

/// New writers, each for one hand of a worker.
pub(super) type Writers = Vec<(usize, Hand, Box<dyn LogWriter>)>;

impl Marks {
    /// `prefix` begins the names of the service's internal topics; `server` is this one's name among those of the service.
    pub fn new(prefix: &str, replicas: u16, workers: usize, session: u64, server: &str) -> Self {
        Marks {
            topic: format!("{prefix}_positions").into(),
            ids: format!("{prefix}transaction-"),
            server: server.to_owned(),
            peers: Mutex::default(),
            has_lost_ids: AtomicBool::new(false),
            replicas,
            workers: workers.max(1),
            session,
            opening: Mutex::default(),
            handle: Mutex::default(),
            known: Mutex::default(),
            owners: Mutex::default(),
            epoch: AtomicU32::new(0),
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
            opening.epochs_known = self.epochs_end(log)?;
            let mut found = self.read(log, partitions)?;
            if !found.ids.is_empty() {
                self.end_others(log, handle, partitions, &found.ids)?;
                writers = self.begin(log, handle, partitions)?;
                found = self.read(log, partitions)?;
            }
            self.learn(found.marks);
            *self.owners.lock() = found.owners;
            self.take_epoch(log, handle, &mut opening, found.epoch)?;
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
            opening.epochs_known = Offset(0);
            self.take_epoch(log, handle, &mut opening, self.epoch())?;
            opening.held.extend(log.identify(&[&self.topic])?.into_iter().flatten());
            opening.to_rewrite = self.known.lock().keys().chain(self.owners.lock().keys()).cloned().collect();
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

    /// Learns what other processes have written since the topic was read, and takes an epoch above all of theirs: so this one may go
    /// on with what was theirs. Tasks that run keep the epoch that they began with. Nothing to do before the first query starts.
    ///
    /// What servers left open that do not run any more ends. `begins_again`: that was done to this one's, and there are new writers.
    ///
    /// # Errors
    /// The log is away: nothing of theirs may be taken over.
    pub fn succeed(&self, log: &dyn Log, begins_again: bool) -> Result<Writers, LogError> {
        let mut opening = self.opening.lock();
        let handle = *self.handle.lock();
        let Some(handle) = handle.filter(|_| opening.is_read && !opening.is_lost) else { return Ok(Writers::new()) };
        let partitions = log.topic(&self.topic)?.1;
        let mut writers = Writers::new();
        opening.epochs_known = self.epochs_end(log)?;
        let mut found = self.read(log, partitions)?;
        if self.end_others(log, handle, partitions, &found.ids)? {
            found = self.read(log, partitions)?;
        }
        if begins_again {
            if !self.transactional.lock().is_empty() {
                writers = self.begin(log, handle, partitions)?;
            }
            self.has_lost_ids.store(false, Ordering::Release);
        }
        self.learn(found.marks);
        self.learn_owners(found.owners);
        self.take_epoch(log, handle, &mut opening, found.epoch.max(self.epoch()))?;
        Ok(writers)
    }

    /// These servers run now, beside this one.
    pub fn set_peers(&self, servers: BTreeSet<String>) {
        *self.peers.lock() = servers;
    }

    /// Another server has ended this one's transactions, for it had seen it go.
    pub fn lose_ids(&self) {
        self.has_lost_ids.store(true, Ordering::Release);
    }

    pub fn has_lost_ids(&self) -> bool {
        self.has_lost_ids.load(Ordering::Acquire)
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
        self.write_owners(log, handle, query, false, now_ms)?;
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
                    if before.marked.commit > kept.marked.commit {
                        kept.marked = before.marked.clone();
                    }
                }
                known.insert(place, kept);
            }
        }
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

    /// A commit of a worker has succeeded.
    pub fn committed(&self, worker: usize, (query, sub_topology, partition): (&Arc<str>, usize, PartitionId), marked: Marked) {
        let bit = bit(self.partition(worker));
        let mut known = self.known.lock();
        let kept = known.entry(query.clone()).or_default().entry((sub_topology, partition));
        let kept = kept.or_insert_with(Kept::nothing);
        kept.marked = marked;
        kept.partitions |= bit;
    }

    /// A query is gone for good.
    pub fn forget(&self, log: &dyn Log, query: &str, now_ms: i64) {
        let Some(handle) = *self.handle.lock() else { return };
        if let Err(error) = self.write_owners(log, handle, query, true, now_ms) {
            tracing::debug!(query, %error, "who had the changelogs of a dropped query remains");
        }
        let Some(marked) = self.known.lock().remove(query) else { return };
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

    fn partition(&self, worker: usize) -> PartitionId {
        PartitionId::try_from(worker % PARTITIONS as usize).unwrap_or_default()
    }
}
