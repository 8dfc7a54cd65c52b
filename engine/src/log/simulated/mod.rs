//! The simulated log: topics in memory, with seeded faults, and no thread of its own.
//!
//! `tidemill test` makes thousands of them, so making one costs next to nothing. Everything happens in the calls
//! themselves: after `subscribe`, `poll` returns what is there. With the same seed and the same calls it does the same.

mod faults;
mod group;
mod reader;
#[cfg(test)]
mod tests;
mod topic;
mod transaction;
mod writer;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

pub use faults::{FaultCounts, FaultPlan, Planted};
pub use group::{SimulatedGroup, SimulatedMember};
pub use topic::StoredRecord;

use self::faults::Faults;
use self::reader::{ReaderState, SimulatedReader};
use self::topic::{Topic, TransactionNumber};
pub use self::transaction::OUTCOME_UNKNOWN;
use self::transaction::{TransactionalWriter, Transactions};
use self::writer::{Pending, SimulatedWriter};
use super::{
    GroupOffsets, Log, LogError, LogReader, LogWriter, Offset, OffsetSpec, OutRecord, Subscription, TopicHandle, TopicId, TopicIdentity,
    TopicInfo, TopicPartition, TopicSpec, TransactionalId,
};
use crate::state::{StateBatch, StateError};

/// Records that one poll returns at most.
const DEFAULT_POLL_RECORDS: usize = 4096;

/// How a simulated log behaves.
#[derive(Debug, Clone, Copy)]
pub struct SimulationOptions {
    /// Whether a commit takes records, state and offsets together (as the embedded log), or records become visible as
    /// they are sent and a failure may fall between the parts of a commit (as Kafka, at least once).
    pub atomic: bool,
    pub faults: FaultPlan,
}

impl Default for SimulationOptions {
    fn default() -> Self {
        SimulationOptions { atomic: true, faults: FaultPlan::default() }
    }
}

/// See the module. A cheap handle.
#[derive(Clone)]
pub struct SimulatedLog {
    shared: Arc<Shared>,
}

struct Shared {
    atomic: bool,
    state: Mutex<LogState>,
}

struct LogState {
    by_name: BTreeMap<String, TopicHandle>,
    /// By handle; `None`: deleted.
    topics: Vec<Option<Topic>>,
    groups: BTreeMap<Arc<str>, BTreeMap<TopicPartition, Offset>>,
    readers: Vec<Weak<ReaderState>>,
    faults: Faults,
    poll_records: usize,
    /// Takes the state of commits where the log is not atomic; without one it is written at once.
    state_sink: Option<StateSink>,
    transactions: Transactions,
    /// The process has died within a commit.
    is_dead: bool,
    /// It is about to die.
    is_dying: bool,
    /// What processes that died had on their way, and what will still arrive.
    late: Vec<Pending>,
    /// A send to this topic panics.
    panic_on: Option<String>,
    /// Nothing of this topic comes out of `poll`.
    held: Option<String>,
    /// A defect: what is published now of rows is lost, and the rest is not.
    loses_rows: bool,
}

/// What becomes of the state of a commit.
type StateSink = Box<dyn Fn(StateBatch) -> Result<(), StateError> + Send>;

impl Default for SimulatedLog {
    fn default() -> Self {
        SimulatedLog::new(SimulationOptions::default())
    }
}

impl SimulatedLog {
    pub fn new(options: SimulationOptions) -> Self {
        let state = LogState {
            by_name: BTreeMap::new(),
            topics: Vec::new(),
            groups: BTreeMap::new(),
            readers: Vec::new(),
            faults: Faults::new(options.faults),
            poll_records: DEFAULT_POLL_RECORDS,
            state_sink: None,
            transactions: Transactions::default(),
            is_dead: false,
            is_dying: false,
            late: Vec::new(),
            panic_on: None,
            held: None,
            loses_rows: false,
        };
        SimulatedLog { shared: Arc::new(Shared { atomic: options.atomic, state: Mutex::new(state) }) }
    }

    /// Appends a record as an outside producer would, without faults; its offset.
    ///
    /// # Errors
    /// `UnknownTopic`, also for a partition that the topic hasn't got.
    pub fn append(&self, topic: &str, partition: i32, record: StoredRecord) -> Result<Offset, LogError> {
        let mut state = self.shared.state.lock();
        let handle = state.handle(topic)?;
        let offset = state.append(handle, partition, record, None)?;
        let woken = state.arm_down(topic);
        drop(state);
        wake(woken);
        Ok(offset)
    }

    /// Gives a topic more partitions, as an administrator would.
    ///
    /// # Errors
    /// `UnknownTopic`.
    pub fn grow_topic(&self, topic: &str, partitions: u32) -> Result<(), LogError> {
        let mut state = self.shared.state.lock();
        let handle = state.handle(topic)?;
        let found = state.topics.get_mut(handle.0 as usize).and_then(Option::as_mut);
        found.ok_or_else(|| deleted(handle))?.grow(partitions);
        Ok(())
    }

    /// Compacts a topic whole, as brokers do by and by. Deletions from before this time are forgotten.
    ///
    /// # Errors
    /// `UnknownTopic`.
    pub fn compact(&self, topic: &str, deletions_before_ms: i64) -> Result<(), LogError> {
        let mut state = self.shared.state.lock();
        let handle = state.handle(topic)?;
        let found = state.topics.get_mut(handle.0 as usize).and_then(Option::as_mut).ok_or_else(|| deleted(handle))?;
        found.partitions.iter_mut().for_each(|partition| partition.compact(deletions_before_ms));
        Ok(())
    }

    /// Every record of a topic, by partition.
    pub fn records(&self, topic: &str) -> Result<Vec<Vec<Arc<StoredRecord>>>, LogError> {
        let state = self.shared.state.lock();
        let handle = state.handle(topic)?;
        Ok(state.topic(handle)?.partitions.iter().map(|partition| partition.behind(0)).collect())
    }

    /// The records of a topic behind the first `seen` of each partition.
    ///
    /// # Errors
    /// `UnknownTopic`.
    pub fn records_behind(&self, topic: &str, seen: &[usize]) -> Result<Vec<Vec<Arc<StoredRecord>>>, LogError> {
        let state = self.shared.state.lock();
        let handle = state.handle(topic)?;
        let counts = seen.iter().copied().chain(std::iter::repeat(0));
        let partitions = state.topic(handle)?.partitions.iter().zip(counts);
        Ok(partitions.map(|(partition, count)| partition.behind(count)).collect())
    }

    /// At most this many records come out of one `poll` (at least one).
    pub fn set_poll_records(&self, records: usize) {
        self.shared.state.lock().poll_records = records.max(1);
    }

    /// Where the log is not atomic: what becomes of the state of a commit whose records are there, as on Kafka.
    pub fn set_state_sink(&self, sink: impl Fn(StateBatch) -> Result<(), StateError> + Send + 'static) {
        self.shared.state.lock().state_sink = Some(Box::new(sink));
    }

    /// From now on, a topic's configuration says so; `max.message.bytes` is kept to.
    pub fn configure_topic(&self, topic: &str, name: &str, value: &str) -> Result<(), LogError> {
        let mut state = self.shared.state.lock();
        let handle = state.handle(topic)?;
        let found = state.topics.get_mut(handle.0 as usize).and_then(Option::as_mut).ok_or_else(|| deleted(handle))?;
        found.info.config.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// From now on, a send to this topic panics (`None`: to no topic).
    pub fn set_panic_on(&self, topic: Option<String>) {
        self.shared.state.lock().panic_on = topic;
    }

    /// From now on, nothing of this topic comes out of a `poll`, until it is let go of (`None`).
    pub fn hold(&self, topic: Option<String>) {
        let mut state = self.shared.state.lock();
        let held = std::mem::replace(&mut state.held, topic);
        let woken = held.map(|topic| state.arm_down(&topic)).unwrap_or_default();
        drop(state);
        wake(woken);
    }

    /// From now on, what is published of rows is lost, though who sent them hears nothing of it; changelogs and marks are there. A
    /// defect that must be found.
    pub fn lose_rows(&self, loses: bool) {
        self.shared.state.lock().loses_rows = loses;
    }

    /// Whether the process has died within a commit; every call fails then.
    pub fn is_dead(&self) -> bool {
        self.shared.state.lock().is_dead
    }

    /// What the process has on its way when its writers are dropped is that of one that dies.
    pub fn is_dying(&self) {
        self.shared.state.lock().is_dying = true;
    }

    /// A new process begins: what the old one knew only by heart is forgotten.
    pub fn revive(&self) {
        let mut state = self.shared.state.lock();
        (state.is_dead, state.is_dying) = (false, false);
    }

    /// How many faults have happened.
    pub fn fault_counts(&self) -> FaultCounts {
        self.shared.state.lock().faults.counts()
    }

    /// From now on, other faults (or none).
    pub fn set_faults(&self, plan: FaultPlan) {
        let mut state = self.shared.state.lock();
        state.faults.replace(plan);
        state.settle_all();
    }
}

impl LogState {
    fn handle(&self, name: &str) -> Result<TopicHandle, LogError> {
        self.by_name.get(name).copied().ok_or_else(|| LogError::UnknownTopic(name.to_owned()))
    }

    fn topic(&self, handle: TopicHandle) -> Result<&Topic, LogError> {
        self.topics.get(handle.0 as usize).and_then(Option::as_ref).ok_or_else(|| deleted(handle))
    }

    fn alive(&self) -> Result<(), LogError> {
        if self.is_dead { Err(dead()) } else { Ok(()) }
    }

    /// Whether a question is answered.
    fn ask(&mut self) -> Result<(), LogError> {
        self.alive()?;
        if self.faults.ask_fails() { Err(LogError::Retriable("simulated fault: no answer".into())) } else { Ok(()) }
    }

    fn take_state(&self, batch: StateBatch) -> Result<(), StateError> {
        match &self.state_sink {
            Some(sink) => sink(batch),
            None => batch.write(),
        }
    }

    fn append(
        &mut self,
        handle: TopicHandle,
        partition: i32,
        record: StoredRecord,
        transaction: Option<TransactionNumber>,
    ) -> Result<Offset, LogError> {
        let topic = self.topics.get_mut(handle.0 as usize).and_then(Option::as_mut).ok_or_else(|| deleted(handle))?;
        topic.append(partition, record, transaction)
    }

    /// Whether a record can be sent.
    fn accept(&mut self, topic: TopicHandle, record: &OutRecord<'_>) -> Result<(), LogError> {
        self.alive()?;
        if self.faults.send_fails() {
            return Err(LogError::Retriable("simulated fault: send".into()));
        }
        let info = &self.topic(topic)?.info;
        if u32::try_from(record.partition).map_or(true, |partition| partition >= info.partitions) {
            return Err(LogError::Fatal(format!("partition {} of {}", record.partition, info.partitions)));
        }
        assert!(self.panic_on.as_ref() != Some(&info.name), "simulated fault: a send panics");
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        if let Some(most) = info.config.get("max.message.bytes").and_then(|most| most.parse::<usize>().ok())
            && bytes > most
        {
            let reason = format!("a record of {bytes} bytes; the topic's max.message.bytes is {most}");
            return Err(LogError::Undeliverable { topic: info.name.clone(), reason });
        }
        Ok(())
    }

    /// The waiting readers of a topic; they are waked once and then have to poll until nothing is left.
    fn arm_down(&mut self, topic: &str) -> Vec<Arc<ReaderState>> {
        self.readers.retain(|reader| reader.strong_count() > 0);
        self.readers.iter().filter_map(Weak::upgrade).filter(|reader| reader.reads(topic) && reader.take_waiting()).collect()
    }
}

fn dead() -> LogError {
    LogError::Retriable("simulated fault: the process has died".into())
}

fn deleted(handle: TopicHandle) -> LogError {
    LogError::UnknownTopic(format!("(deleted, number {})", handle.0))
}

/// Outside of the lock: the callback may call the log.
fn wake(readers: Vec<Arc<ReaderState>>) {
    for reader in readers {
        reader.wake();
    }
}

impl Log for SimulatedLog {
    fn is_atomic(&self) -> bool {
        self.shared.atomic
    }

    fn kind(&self) -> &'static str {
        "simulated"
    }

    fn cluster_id(&self) -> String {
        "simulated".into()
    }

    fn create_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        let mut state = self.shared.state.lock();
        state.ask()?;
        if state.by_name.contains_key(&spec.name) {
            return Err(LogError::TopicExists(spec.name.clone()));
        }
        let handle = u32::try_from(state.topics.len()).map(TopicHandle).map_err(|_| LogError::Fatal("too many topics".into()))?;
        state.topics.push(Some(Topic::new(spec)?));
        state.by_name.insert(spec.name.clone(), handle);
        Ok(())
    }

    fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        let mut state = self.shared.state.lock();
        let handle = state.handle(name)?;
        state.by_name.remove(name);
        state.topics[handle.0 as usize] = None;
        for group in state.groups.values_mut() {
            group.retain(|partition, _| &*partition.topic != name);
        }
        let woken = state.arm_down(name);
        drop(state);
        wake(woken);
        Ok(())
    }

    fn describe_topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        let mut state = self.shared.state.lock();
        state.ask()?;
        match state.handle(name) {
            Ok(handle) => Ok(Some(state.topic(handle)?.info.clone())),
            Err(_) => Ok(None),
        }
    }

    fn identify(&self, names: &[&str]) -> Result<Vec<Option<TopicIdentity>>, LogError> {
        let state = self.shared.state.lock();
        state.alive()?;
        let identity = |name: &&str| {
            let handle = state.by_name.get(*name).copied()?;
            let partitions = state.topic(handle).ok()?.info.partitions;
            Some(TopicIdentity { id: Some(TopicId(u128::from(handle.0) + 1)), partitions })
        };
        Ok(names.iter().map(identity).collect())
    }

    fn list_topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        let state = self.shared.state.lock();
        state.by_name.values().map(|handle| Ok(state.topic(*handle)?.info.clone())).collect()
    }

    fn offsets(&self, partitions: &[TopicPartition], spec: OffsetSpec) -> Result<Vec<Offset>, LogError> {
        let mut state = self.shared.state.lock();
        state.ask()?;
        state.holds_back(partitions);
        let find = |tp: &TopicPartition| state.topic(state.handle(&tp.topic)?)?.offset(tp, spec);
        partitions.iter().map(find).collect()
    }

    fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, LogError> {
        let mut state = self.shared.state.lock();
        state.ask()?;
        let group = state.groups.get(group);
        Ok(partitions.iter().map(|partition| group.and_then(|group| group.get(partition)).copied()).collect())
    }

    fn delete_group(&self, group: &str) -> Result<(), LogError> {
        self.shared.state.lock().groups.remove(group);
        Ok(())
    }

    fn topic(&self, name: &str) -> Result<(TopicHandle, u32), LogError> {
        let mut state = self.shared.state.lock();
        state.ask()?;
        let handle = state.handle(name)?;
        Ok((handle, state.topic(handle)?.info.partitions))
    }

    fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn LogReader>, LogError> {
        let mut state = self.shared.state.lock();
        state.ask()?;
        for (partition, _) in &subscription.partitions {
            state.topic(state.handle(&partition.topic)?)?.partition(partition)?;
        }
        let reader = SimulatedReader::new(self.shared.clone(), subscription);
        state.readers.push(Arc::downgrade(&reader.state));
        Ok(Box::new(reader))
    }

    fn writer(&self) -> Result<Box<dyn LogWriter>, LogError> {
        self.shared.state.lock().ask()?;
        Ok(Box::new(SimulatedWriter::new(self.shared.clone())))
    }

    fn delete_before(&self, offsets: GroupOffsets) {
        let mut state = self.shared.state.lock();
        for (partition, before) in offsets {
            let Ok(handle) = state.handle(&partition.topic) else { continue };
            if let Some(topic) = state.topics.get_mut(handle.0 as usize).and_then(Option::as_mut) {
                topic.delete_before(&partition, before);
            }
        }
    }

    fn transactional_writer(&self, id: &TransactionalId) -> Result<Box<dyn LogWriter>, LogError> {
        let mut state = self.shared.state.lock();
        state.ask()?;
        state.check_holder(id)?;
        let (writer, woken) = TransactionalWriter::begin(&self.shared, &mut state, id);
        drop(state);
        wake(woken);
        Ok(Box::new(writer))
    }

    fn ping(&self, _timeout: Duration) -> Result<(), LogError> {
        Ok(())
    }
}
