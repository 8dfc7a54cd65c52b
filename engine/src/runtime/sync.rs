//! A query driven by hand, record by record, on the caller's thread: for tests of semantics, where order must not depend
//! on threads. The operators, stores and commits are those of the server; only the worker is missing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::clock::Clock;
use crate::log::{Batch, Commit, Log, LogError, LogReader, OffsetSpec, RecordRef, Subscription, TopicPartition, TopicSpec};
use crate::operators::{
    self, BuildEnv, Collector, FatalError, NotYet, TaskGraph, TaskSpec, Unread, advance, before_commit, end_chunk, process_from,
};
use crate::plan::QueryPlan;
use crate::processing_log::ProcessingLog;
use crate::registry::SchemaRegistry;
use crate::row::{Header, Headers};
use crate::state::{StateBatch, StateDb, StateError, Store, StoreKey, StoreReader};
use crate::task::TaskContext;

/// What a driven query stands on.
#[derive(Clone)]
pub struct SyncParts {
    pub log: Arc<dyn Log>,
    pub state: StateDb,
    pub clock: Arc<dyn Clock>,
    pub processing_log: Arc<dyn ProcessingLog>,
    pub collector: Option<Arc<dyn Collector>>,
    pub registry: Arc<dyn SchemaRegistry>,
}

/// A query whose records are fed one by one.
pub struct SyncQuery {
    plan: Arc<QueryPlan>,
    parts: SyncParts,
    specs: Vec<TaskSpec>,
    tasks: HashMap<(usize, i32), SyncTask>,
    /// Repartition topics with how far they were read: a reader for each partition and the sub-topology behind it.
    internal: Vec<Internal>,
    holds: bool,
}

struct SyncTask {
    graph: TaskGraph,
    cx: TaskContext,
    /// Whether the stores are taken.
    in_chunk: bool,
}

struct Internal {
    sub_topology: usize,
    topic: String,
    reader: Box<dyn LogReader>,
    /// Records that have arrived: partition, batch and index there.
    waiting: VecDeque<(i32, Arc<dyn Batch>, usize)>,
}

/// Why a driven query stopped.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    #[error("{0}")]
    Log(#[from] LogError),
    #[error("{0}")]
    State(#[from] StateError),
    #[error("{0}")]
    Fatal(#[from] FatalError),
    /// No reader of the record has processed it: it may be fed again.
    #[error("{0}")]
    NotYet(String),
}

impl From<Unread> for SyncError {
    fn from(why: Unread) -> Self {
        match why {
            Unread::NotYet(NotYet(why)) => SyncError::NotYet(why),
            Unread::Fatal(error) => SyncError::Fatal(error),
        }
    }
}

impl SyncQuery {
    /// Prepares a query; its external topics must exist.
    pub fn new(plan: Arc<QueryPlan>, parts: SyncParts) -> Result<Self, SyncError> {
        Self::starting_at(OffsetSpec::Earliest, plan, parts)
    }

    /// Prepares a query in place of one of the same id, which is gone and has processed all that it wrote for itself: the new
    /// one goes on with its state and its topics.
    pub fn in_place(plan: Arc<QueryPlan>, parts: SyncParts) -> Result<Self, SyncError> {
        Self::starting_at(OffsetSpec::Latest, plan, parts)
    }

    /// `start`: where it begins to read its own topics.
    fn starting_at(start: OffsetSpec, plan: Arc<QueryPlan>, parts: SyncParts) -> Result<Self, SyncError> {
        let specs = operators::split(&plan)?;
        let mut query = SyncQuery { plan, parts, specs, tasks: HashMap::new(), internal: Vec::new(), holds: false };
        for index in 0..query.specs.len() {
            query.prepare(index, start)?;
        }
        Ok(query)
    }

    /// Lets operators hold back until the chunk ends what waits for a commit. (Else each record is as if it had its own, so
    /// that what comes out does not depend on chunks.)
    pub fn hold(&mut self) {
        self.holds = true;
    }

    /// The topics that are fed from outside.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.specs.iter().flat_map(|spec| &spec.sources).filter(|s| !s.is_repartition).map(|s| s.topic.as_str())
    }

    /// Makes the repartition topics that a sub-topology writes.
    fn prepare(&mut self, index: usize, start: OffsetSpec) -> Result<(), SyncError> {
        let spec = &self.specs[index];
        let log = &self.parts.log;
        let mut partitions = 1;
        for source in &spec.sources {
            partitions = partitions.max(log.describe_topic(&source.topic)?.map_or(1, |t| t.partitions));
        }
        for sink in spec.sinks.iter().filter(|s| s.is_repartition) {
            if log.describe_topic(&sink.topic)?.is_none() {
                let count = sink.partitions.unwrap_or(partitions);
                log.create_topic(&TopicSpec { name: sink.topic.clone(), partitions: count, replicas: 1, config: Default::default() })?;
            }
        }
        for source in spec.sources.iter().filter(|s| s.is_repartition) {
            let count = log.describe_topic(&source.topic)?.map_or(1, |t| t.partitions);
            let partitions: Vec<TopicPartition> = (0..count)
                .map(|p| TopicPartition { topic: source.topic.as_str().into(), partition: i32::try_from(p).unwrap_or(0) })
                .collect();
            let offsets = log.offsets(&partitions, start)?;
            let reader = log.subscribe(Subscription {
                partitions: partitions.into_iter().zip(offsets).collect(),
                wake: Arc::new(|| {}),
                max_buffered_bytes: usize::MAX,
            })?;
            self.internal.push(Internal { sub_topology: index, topic: source.topic.clone(), reader, waiting: VecDeque::new() });
        }
        Ok(())
    }

    /// Runs one record of an external topic through the whole query, also through its repartition topics, so that the
    /// answer does not depend on the length of chunks. Nothing is visible outside before the chunk ends.
    pub fn feed(&mut self, topic: &str, partition: i32, record: RecordRef<'_>, headers: &[Header]) -> Result<(), SyncError> {
        self.hand_in(topic, partition, record, headers)?;
        while !self.internal.is_empty() {
            self.commit_internal()?;
            if !self.drain()? {
                break;
            }
        }
        Ok(())
    }

    /// Runs one record of an external topic through the sub-topologies that read it. What these write for the query itself
    /// waits.
    pub fn hand_in(&mut self, topic: &str, partition: i32, record: RecordRef<'_>, headers: &[Header]) -> Result<(), SyncError> {
        (0..self.specs.len()).try_for_each(|sub_topology| self.feed_to(sub_topology, topic, partition, record, headers))
    }

    /// Makes visible what was written to repartition topics.
    fn commit_internal(&mut self) -> Result<(), SyncError> {
        for ((sub_topology, _), task) in &mut self.tasks {
            if task.in_chunk && self.specs[*sub_topology].sinks.iter().any(|s| s.is_repartition) {
                task.end_chunk()?;
            }
        }
        Ok(())
    }

    fn feed_to(&mut self, sub: usize, topic: &str, partition: i32, record: RecordRef<'_>, headers: &[Header]) -> Result<(), SyncError> {
        let sources: Vec<usize> =
            self.specs[sub].sources.iter().enumerate().filter(|(_, s)| s.topic == topic).map(|(index, _)| index).collect();
        if let [_, _, ..] = sources.as_slice() {
            self.ensure_task(sub, partition)?;
            let task = self.tasks.get_mut(&(sub, partition));
            let mut readers = task.into_iter().flat_map(|task| &mut task.graph.sources).enumerate();
            readers
                .try_for_each(|(index, (reader, ..))| if sources.contains(&index) { reader.is_ready(record) } else { Ok(()) })
                .map_err(Unread::NotYet)?;
        }
        for index in sources {
            self.ensure_task(sub, partition)?;
            let wants_headers = self.specs[sub].sources[index].wants_headers;
            let Some(task) = self.tasks.get_mut(&(sub, partition)) else { continue };
            task.begin_chunk();
            task.cx.pace.begin();
            let (reader, node, port) = &mut task.graph.sources[index];
            let headers = if wants_headers && !headers.is_empty() { Headers::Own(headers.into()) } else { Headers::None };
            if let Some(row) = reader.read(record, headers, partition, &mut task.cx)? {
                process_from(&mut task.graph.nodes, 0, *node, *port, row, &mut task.cx)?;
                if task.graph.coalesces && !self.holds {
                    before_commit(&mut task.graph.nodes, &mut task.cx)?;
                }
            }
        }
        Ok(())
    }

    fn ensure_task(&mut self, sub: usize, partition: i32) -> Result<(), SyncError> {
        if self.tasks.contains_key(&(sub, partition)) {
            return Ok(());
        }
        let spec = &self.specs[sub];
        let mut topics = Vec::with_capacity(spec.sinks.len());
        for sink in &spec.sinks {
            topics.push(self.parts.log.topic(&sink.topic)?);
        }
        let query_id: Arc<str> = self.plan.query_id.as_str().into();
        let mut stores = Vec::with_capacity(spec.stores.len());
        for store in &spec.stores {
            let key = StoreKey { query: query_id.clone(), store: store.name.clone(), partition };
            stores.push(self.parts.state.open_store(&key, store)?);
        }
        let env =
            BuildEnv { query_id, topics, collector: self.parts.collector.clone(), registry: self.parts.registry.clone(), sharing: None };
        let graph = operators::build(&self.plan, spec, &env)?;
        let mut cx = TaskContext::new(stores, self.parts.clock.clone(), self.parts.processing_log.clone(), partition);
        cx.writer = Some(self.parts.log.writer()?);
        self.tasks.insert((sub, partition), SyncTask { graph, cx, in_chunk: false });
        Ok(())
    }

    /// Ends the chunk: what was held for it goes out, all is committed, and what the query wrote for itself is processed
    /// until nothing is left.
    pub fn end_chunk(&mut self) -> Result<(), SyncError> {
        loop {
            for task in self.tasks.values_mut().filter(|t| t.in_chunk) {
                task.end_chunk()?;
            }
            if !self.drain()? {
                return Ok(());
            }
        }
    }

    /// Feeds what arrived in the query's own topics; false: nothing.
    fn drain(&mut self) -> Result<bool, SyncError> {
        self.poll()?;
        let mut any = false;
        for index in 0..self.internal.len() {
            while let Some(first) = self.internal[index].waiting.pop_front() {
                self.take(index, first)?;
                any = true;
            }
        }
        Ok(any)
    }

    /// Feeds records of the query's own topics one by one, at most so many, each of a topic and partition that `choose`
    /// picks among so many: what lies in different ones overtakes each other, as it does between tasks.
    pub fn drain_some(&mut self, most: usize, mut choose: impl FnMut(usize) -> usize) -> Result<(), SyncError> {
        for _ in 0..most {
            self.commit_internal()?;
            self.poll()?;
            let mut places: Vec<(usize, i32)> = Vec::new();
            for (index, internal) in self.internal.iter().enumerate() {
                places.extend(internal.waiting.iter().map(|(partition, ..)| (index, *partition)));
            }
            places.sort_unstable();
            places.dedup();
            if places.is_empty() {
                return Ok(());
            }
            let (index, partition) = places[choose(places.len())];
            let waiting = &mut self.internal[index].waiting;
            let next = waiting.iter().position(|(of, ..)| *of == partition).and_then(|at| waiting.remove(at));
            if let Some(next) = next {
                self.take(index, next)?;
            }
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<(), SyncError> {
        for internal in &mut self.internal {
            while let Some(arrived) = internal.reader.poll()? {
                let partition = i32::try_from(arrived.source).unwrap_or(0);
                internal.waiting.extend((arrived.first..arrived.batch.len()).map(|at| (partition, arrived.batch.clone(), at)));
            }
        }
        Ok(())
    }

    fn take(&mut self, internal: usize, (partition, batch, at): (i32, Arc<dyn Batch>, usize)) -> Result<(), SyncError> {
        let (sub, topic) = (self.internal[internal].sub_topology, self.internal[internal].topic.clone());
        self.feed_to(sub, &topic, partition, batch.record(at), &batch.headers(at))
    }

    /// Lets stream time go on to `timestamp` in every task, also in those that have seen no record yet.
    ///
    /// # Errors
    /// The query can't go on.
    pub fn advance_stream_time(&mut self, timestamp: i64) -> Result<(), SyncError> {
        for sub in 0..self.specs.len() {
            for partition in 0..self.partitions_of(sub)? {
                self.ensure_task(sub, partition)?;
                if let Some(task) = self.tasks.get_mut(&(sub, partition)) {
                    task.begin_chunk();
                    task.cx.pace.begin();
                    advance(&mut task.graph.nodes, timestamp, &mut task.cx)?;
                }
            }
            // What goes out passes through the sub-topologies behind before their own time goes on.
            self.end_chunk()?;
        }
        Ok(())
    }

    /// How many partitions a sub-topology reads.
    fn partitions_of(&self, sub: usize) -> Result<i32, SyncError> {
        let mut most = 0;
        for source in self.specs.get(sub).into_iter().flat_map(|spec| &spec.sources) {
            most = most.max(self.parts.log.describe_topic(&source.topic)?.map_or(0, |info| info.partitions));
        }
        Ok(i32::try_from(most).unwrap_or(i32::MAX))
    }

    /// Throws the running operators away and builds them again over the committed state, as a restart would.
    pub fn restart(&mut self) -> Result<(), SyncError> {
        self.end_chunk()?;
        let tasks: Vec<(usize, i32)> = self.tasks.keys().copied().collect();
        self.tasks.clear();
        for (sub, partition) in tasks {
            self.ensure_task(sub, partition)?;
        }
        Ok(())
    }

    /// Readers of the tasks that have all of some stores: of each one reader a store, in the order of `stores`.
    pub fn partition_readers(&self, stores: &[String]) -> Vec<Vec<StoreReader>> {
        let reader = |task: &SyncTask, name: &str| task.cx.stores.iter().find(|store| *store.key().store == *name).map(Store::reader);
        self.tasks.values().filter_map(|task| stores.iter().map(|name| reader(task, name)).collect()).collect()
    }

    /// The context of a task, for looking into its stores.
    pub fn task(&mut self, sub_topology: usize, partition: i32) -> Option<&mut TaskContext> {
        self.tasks.get_mut(&(sub_topology, partition)).map(|t| &mut t.cx)
    }
}

impl SyncTask {
    fn begin_chunk(&mut self) {
        if !self.in_chunk {
            self.in_chunk = true;
            for store in &mut self.cx.stores {
                store.begin_chunk();
            }
        }
    }

    fn end_chunk(&mut self) -> Result<(), SyncError> {
        end_chunk(&mut self.graph.nodes, &mut self.cx)?;
        before_commit(&mut self.graph.nodes, &mut self.cx)?;
        self.in_chunk = false;
        let mut state = StateBatch::default();
        for store in &mut self.cx.stores {
            store.end_chunk();
            if let Some(frozen) = store.freeze() {
                frozen.append_to(&mut state);
            }
        }
        if let Some(writer) = &mut self.cx.writer {
            writer.commit(Commit { offsets: Vec::new(), state })?;
        }
        Ok(())
    }
}
