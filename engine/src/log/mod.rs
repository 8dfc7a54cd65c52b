//! The log: topics of partitioned, ordered records. Three implementations behind one trait: Apache Kafka, the embedded
//! log in RocksDB, and a simulated one in memory with seeded faults.
//!
//! I/O is paid by the batch: a [`Batch`] is whatever has arrived in one partition, shared by every reader of it.

mod claim;
mod delivery;
pub mod embedded;
mod identity;
pub mod kafka;
pub mod simulated;
pub mod testing;
mod topics;
mod transaction;
mod whole;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::row::Header;
use crate::state::StateBatch;

pub use claim::{AlwaysHeld, Claim, ClaimRequest, SharedClaim, Shift, Standing};
pub use delivery::Delivery;
pub use identity::{TopicId, TopicIdentity};
pub use topics::{ensure_topic, partitions_of};
pub use transaction::TransactionalId;
pub use whole::{read_batches, read_whole};

/// Index of a partition within its topic.
pub type PartitionId = i32;

/// A record's place in its partition. The first is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Offset(pub i64);

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: PartitionId,
}

/// What went wrong with the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    #[error("topic '{0}' does not exist")]
    UnknownTopic(String),
    #[error("topic '{0}' exists already")]
    TopicExists(String),
    /// Records of this topic can't be written, and trying again will not help; those of other topics may be sent again.
    #[error("topic '{topic}' can't be written: {reason}")]
    Undeliverable { topic: String, reason: String },
    /// The brokers' ACLs do not let this server do that.
    #[error("Authorization denied to {operation} on {resource}. The user that this server logs in to Kafka with lacks that right (an ACL)")]
    Denied {
        /// As ACLs name it: `Create`.
        operation: &'static str,
        /// `topic(s): [orders]`
        resource: String,
    },
    /// Worth trying again: the broker is away, a request timed out.
    #[error("{0}")]
    Retriable(String),
    /// Trying again will not help.
    #[error("{0}")]
    Fatal(String),
    /// Another process has taken this one's place: it must not write any more.
    #[error("{0}")]
    Fenced(String),
}

/// What is done with a topic, as far as rights to it can be asked for beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Read,
    Write,
}

impl Operation {
    /// As ACLs name it.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Read => "Read",
            Operation::Write => "Write",
        }
    }
}

/// A topic to create.
#[derive(Debug, Clone)]
pub struct TopicSpec {
    pub name: String,
    pub partitions: u32,
    /// 0: as many as the log makes by itself.
    pub replicas: u16,
    /// Kafka's topic configuration (`retention.ms`, `cleanup.policy`).
    pub config: BTreeMap<String, String>,
}

/// A topic that exists.
#[derive(Debug, Clone)]
pub struct TopicInfo {
    pub name: String,
    pub partitions: u32,
    pub replicas: u16,
    /// Kafka's topic configuration, as far as it was asked for.
    pub config: BTreeMap<String, String>,
}

impl TopicInfo {
    /// Every partition of the topic, from 0.
    pub fn all_partitions(&self) -> Vec<TopicPartition> {
        partitions_of(&self.name, self.partitions)
    }
}

/// A record as it lies in a batch.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    pub offset: Offset,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

/// Records of one partition in offset order. Offsets may have gaps (compaction, transaction markers).
pub trait Batch: Send + Sync {
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The record at an index below `len`.
    fn record(&self, index: usize) -> RecordRef<'_>;
    /// The headers of the record at an index below `len`; costly, so apart.
    fn headers(&self, index: usize) -> Vec<Header>;
    /// Whether the timestamp of the record at an index below `len` is the one that its writer gave it, and not the log's own.
    fn keeps_time(&self, _index: usize) -> bool {
        true
    }
}

/// A batch and the partition that it comes from.
#[derive(Clone)]
pub struct ArrivedBatch {
    /// Index into [`Subscription::partitions`].
    pub source: usize,
    pub batch: Arc<dyn Batch>,
    /// The index of the first record that the subscriber has not seen: earlier ones are to be skipped.
    pub first: usize,
}

/// What a task wants to read, and how it is told that something is there.
pub struct Subscription {
    /// Each partition with the offset to begin at (already resolved; see [`Log::offsets`]).
    pub partitions: Vec<(TopicPartition, Offset)>,
    /// Called from any thread when a batch, or an error, waits in an empty reader. Must be quick.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// Back-pressure: reading pauses while more than this waits unread in one partition.
    pub max_buffered_bytes: usize,
}

/// Records that were deleted (by the topic's retention, or by hand) before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Index into [`Subscription::partitions`].
    pub source: usize,
    /// The first that is missing, and the first that is there.
    pub from: Offset,
    pub to: Offset,
}

/// One task's reader. Batches are shared with other readers of the same partition.
pub trait LogReader: Send {
    /// The next batch that has arrived in one of the sources that `wanted` names, without waiting. What has arrived in
    /// others stays where it is, under the subscription's limit. `None`: those sources have nothing, and the reader will wake
    /// its task when one of them has.
    ///
    /// # Errors
    /// `Retriable` while the broker is away (call again later); `Fatal` where a topic has gone.
    fn poll_from(&mut self, wanted: &dyn Fn(usize) -> bool) -> Result<Option<ArrivedBatch>, LogError>;
    /// The next batch of any source.
    ///
    /// # Errors
    /// As for [`Self::poll_from`].
    fn poll(&mut self) -> Result<Option<ArrivedBatch>, LogError> {
        self.poll_from(&|_| true)
    }
    /// Whether everything that a partition held when it was last looked at has come out of `poll`. A task that merges
    /// partitions by timestamp waits for one that is empty but not caught up.
    fn caught_up(&self, source: usize) -> bool;
    /// The lowest offset that can still come out of `poll`, as far as that is known: what lies before it has come out, or never
    /// will (compaction, control records, transactions that were aborted).
    fn passed(&self, _source: usize) -> Option<Offset> {
        None
    }
    /// What was lost since the last call, each gap once. Records that compaction took away are no loss.
    fn take_losses(&mut self) -> Vec<Loss> {
        Vec::new()
    }
    /// Begins again at other offsets (same order as in the subscription) and forgets what was buffered.
    fn seek(&mut self, offsets: &[Offset]) -> Result<(), LogError>;
}

/// A record to write.
#[derive(Debug, Clone, Copy)]
pub struct OutRecord<'a> {
    pub partition: PartitionId,
    /// Milliseconds since the epoch. Kafka's client takes 0 for "now"; 1 is sent instead.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [Header],
}

/// Not all records of several are there.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{error}")]
pub struct AppendError {
    /// How many are, from the first on. The next is not; where the error is `Retriable`, it may be.
    pub written: usize,
    /// How many of those behind that one are there, or may be.
    pub beyond: usize,
    pub error: LogError,
}

/// A topic looked up once, so that sends cost no look-up; good for every writer of the same log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicHandle(pub u32);

/// The next offset to read of each partition.
pub type GroupOffsets = Vec<(TopicPartition, Offset)>;

/// What one commit makes durable, together where the log can (embedded), else in the order records, state, offsets.
pub struct Commit {
    /// Consumer groups with the next offset to read of each partition.
    pub offsets: Vec<(Arc<str>, GroupOffsets)>,
    pub state: StateBatch,
}

/// A worker's writer. Records become visible to readers at the latest with `commit`.
pub trait LogWriter: Send {
    /// Queues a record. Blocks while the queue is full (back-pressure).
    fn send(&mut self, topic: TopicHandle, record: OutRecord<'_>) -> Result<(), LogError>;
    /// Whether some hundred records can be queued now without waiting. Where not, a task ends its chunk, so that nobody waits
    /// for its stores while it waits for the log.
    fn has_room(&mut self) -> bool {
        true
    }
    /// The worker has nothing more at hand: let what was sent go now rather than linger.
    fn hint_idle(&mut self);
    /// Waits until everything sent so far is delivered, where that may come before the commit.
    ///
    /// # Errors
    /// As for [`Self::commit`].
    fn flush(&mut self) -> Result<(), LogError> {
        Ok(())
    }
    /// Something else remembers the positions up to which the input is included, as the next commit says of the group, too: a
    /// restart does not go back to the group's offsets, and they may lag.
    fn remembers(&mut self, _group: &Arc<str>, _inputs: &[(TopicPartition, Offset)]) {}
    /// Makes everything sent so far, the state and the offsets durable.
    ///
    /// # Errors
    /// Nothing of the commit may be relied on: the caller goes back to the last one.
    fn commit(&mut self, commit: Commit) -> Result<(), LogError>;
    /// Commits as [`Self::commit`] does, but does not wait for it. Until [`Self::commit_ended`] says how it ended nothing else may
    /// be asked of this writer; another one that goes on meanwhile is told to [`Self::follow`] what this one has on its way. A log
    /// that can't do that commits at once.
    ///
    /// # Errors
    /// As for [`Self::commit`].
    fn begin_commit(&mut self, commit: Commit) -> Result<Delivery, LogError> {
        self.commit(commit).map(|()| Delivery::done())
    }
    /// What this writer sends from now on comes behind what another has on its way, in each partition.
    fn follow(&mut self, _delivery: Delivery) {}
    /// How the commit ended that has begun, as [`Self::commit`] says it; told once. `None`: it has not yet. That is not said to
    /// who `waits`.
    fn commit_ended(&mut self, _waits: bool) -> Option<Result<(), LogError>> {
        Some(Ok(()))
    }
    /// Why what was sent since the last commit can't be committed, where a send has failed of an earlier one: to be asked before a
    /// writer is thrown away, for that may be the matter of another task.
    fn verdict(&mut self) -> Option<LogError> {
        None
    }
    /// The worker ends in order: waits, for a while, for what goes on behind its commits. Not called where something failed.
    fn close(&mut self) {}
}

/// First, one past the last, or by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    Earliest,
    Latest,
    /// The first offset whose timestamp is at least this (milliseconds).
    AtTimestamp(i64),
}

/// A log. All calls may block for network or disk; none is made per record.
pub trait Log: Send + Sync {
    /// Whether `commit` is atomic over records, state and offsets (exactly once).
    fn is_atomic(&self) -> bool;
    /// `kafka` or `embedded` or `simulated`, for messages.
    fn kind(&self) -> &'static str;
    /// An id of the cluster, for GET /info.
    fn cluster_id(&self) -> String;
    fn create_topic(&self, spec: &TopicSpec) -> Result<(), LogError>;
    fn delete_topic(&self, name: &str) -> Result<(), LogError>;
    fn describe_topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError>;
    /// Which topics have these names now; `None`: none has. One question, whatever their number.
    fn identify(&self, names: &[&str]) -> Result<Vec<Option<TopicIdentity>>, LogError> {
        let identity = |name: &&str| Ok(self.describe_topic(name)?.map(|info| TopicIdentity { id: None, partitions: info.partitions }));
        names.iter().map(identity).collect()
    }
    /// Which of these operations the server is known not to be allowed to carry out on a topic. What is not known counts as
    /// allowed: it will be refused when it is tried.
    fn denied(&self, _topic: &str, _wanted: &[Operation]) -> Vec<Operation> {
        Vec::new()
    }
    /// Every topic, internal ones too, by name.
    fn list_topics(&self) -> Result<Vec<TopicInfo>, LogError>;
    fn offsets(&self, partitions: &[TopicPartition], spec: OffsetSpec) -> Result<Vec<Offset>, LogError>;
    /// The committed offsets of a group; `None` where nothing was ever committed (never a transient failure).
    fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, LogError>;
    /// A run of a group begins: what was refused of an earlier one is forgotten. The group begins at these offsets, where there
    /// are any, all of them or none, some time soon: what has no offset later on came since. Nothing to do on a log whose
    /// topics can't grow and whose offsets are part of the commit.
    fn begin_group(&self, _group: &str, _offsets: GroupOffsets) {}
    fn delete_group(&self, group: &str) -> Result<(), LogError>;
    /// Looks a topic up for writing: its handle and how many partitions it has.
    fn topic(&self, name: &str) -> Result<(TopicHandle, u32), LogError>;
    /// As [`Self::topic`], by what was found before where there is such: what has changed since shows within some seconds, or
    /// by the error of an [`Self::append`], after which the topic is looked up anew.
    fn known_topic(&self, name: &str) -> Result<(TopicHandle, u32), LogError> {
        self.topic(name)
    }
    /// Writes one record, beside all writers; it is durable once this returns. Many threads may call at once.
    ///
    /// # Errors
    /// The record is not there, but for `Retriable`: it may be.
    fn append(&self, topic: TopicHandle, record: OutRecord<'_>) -> Result<(), LogError> {
        let mut writer = self.writer()?;
        writer.send(topic, record)?;
        writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() })
    }
    /// Writes records as [`Self::append`] does one after the other, but waits once for all of them.
    ///
    /// # Errors
    /// Says which are there all the same.
    fn append_all(&self, topic: TopicHandle, records: &[OutRecord<'_>]) -> Result<(), AppendError> {
        let nothing = |error| AppendError { written: 0, beyond: 0, error };
        let mut writer = self.writer().map_err(nothing)?;
        let commit = |writer: &mut dyn LogWriter| writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() });
        for (written, record) in records.iter().enumerate() {
            if let Err(error) = writer.send(topic, *record) {
                // Those before it are none the worse for it.
                commit(&mut *writer).map_err(nothing)?;
                return Err(AppendError { written, beyond: 0, error });
            }
        }
        commit(&mut *writer).map_err(nothing)
    }
    fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn LogReader>, LogError>;
    fn writer(&self) -> Result<Box<dyn LogWriter>, LogError>;
    /// A writer all of whose records since its last commit become visible with the next one, or never. What an earlier writer
    /// of this id left open is aborted first, and that writer can't commit any more. Dropped without a commit, what it sent is
    /// never seen. On a log that is atomic every writer is like that, and this one is asked for by nobody.
    ///
    /// Its commits fail with `Retriable` or `Undeliverable` where the transaction was certainly aborted, and with `Fatal` where
    /// its end is not known: then only a look at what was committed tells where to go on. Either way another writer has to be
    /// made.
    ///
    /// # Errors
    /// `Retriable` while the log is away; `Fenced` where another process uses the id; `Fatal` where the log can't do it, or
    /// does not allow it.
    fn transactional_writer(&self, id: &TransactionalId) -> Result<Box<dyn LogWriter>, LogError> {
        Err(LogError::Fatal(format!("the {} log has no transactions ({})", self.kind(), id.name)))
    }
    /// As [`Self::transactional_writer`], several at once.
    ///
    /// # Errors
    /// As there; then there is none.
    fn transactional_writers(&self, ids: &[TransactionalId]) -> Result<Vec<Box<dyn LogWriter>>, LogError> {
        ids.iter().map(|id| self.transactional_writer(id)).collect()
    }
    /// Claims a service for one server. `waiting` is told why that takes a while, as long as it does.
    ///
    /// # Errors
    /// `Fatal` where another server has it.
    fn claim(&self, _request: &ClaimRequest<'_>, _waiting: &mut dyn FnMut(&str)) -> Result<Box<dyn Claim>, LogError> {
        Ok(Box::new(AlwaysHeld))
    }
    /// How often, in this process, records of a writer may have been lost while later ones of the same partition arrived. Else
    /// what arrives of what was sent is always its beginning.
    fn gaps(&self) -> u64 {
        0
    }
    /// Nobody will read the records before these offsets again: they may go, some time soon.
    fn delete_before(&self, _offsets: GroupOffsets) {}
    /// The process is about to end: from now on nothing waits for a log that is away.
    fn closing(&self) {}
    /// Why nothing can be read or written now, as far as it is known without asking; `None` while the log answers.
    fn outage(&self) -> Option<String> {
        None
    }
    /// Whether the log answers; for GET /healthcheck.
    fn ping(&self, timeout: Duration) -> Result<(), LogError>;
}

/// The partition of a key, as Java's default partitioner chooses it: murmur2 over the serialized key, sign bit cleared.
/// `null_key_counter` spreads records without a key.
pub fn partition_for(key: Option<&[u8]>, partitions: u32, null_key_counter: &mut u32) -> PartitionId {
    let partitions = partitions.max(1);
    let hash = match key {
        Some(key) => murmur2(key) & 0x7fff_ffff,
        None => {
            *null_key_counter = null_key_counter.wrapping_add(1);
            *null_key_counter & 0x7fff_ffff
        }
    };
    (hash % partitions) as PartitionId
}

/// Java Kafka's murmur2 (seed 0x9747b28c).
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h: u32 = 0x9747_b28c ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        k = k.wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    for (i, byte) in rest.iter().enumerate().rev() {
        h ^= u32::from(*byte) << (8 * i);
    }
    if !rest.is_empty() {
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_agrees_with_kafka() {
        // Values of the Java client's own UtilsTest.
        for (text, hash) in [("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536)] {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }
}
