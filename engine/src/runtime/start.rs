//! Starting a query: internal topics, stores, restoring, and a task for every partition of every sub-topology.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

use super::changelog::{Changelog, number_place};
use super::commit;
use super::growth::{self, Running};
use super::identity::{Identified, KnownTopics, Swapped};
use super::input::Input;
use super::marks::Marked;
use super::pen::Guarantee;
use super::query_handle::{FailureCause, QueryFailure, QueryHandle};
use super::refill;
use super::replayed;
use super::restore::{self, Positions, RestoredChangelog, Watch};
use super::task_runner::{FIRST_LOOK, SourceReads, Task, TaskId};
use super::worker::Message;
use super::{RunningQuery, Runtime};
use crate::letters::LetterBox;
use crate::log::{self, GroupOffsets, LogError, Offset, OffsetSpec, PartitionId, Subscription, TopicHandle, TopicPartition};
use crate::operators::{self, BuildEnv, Collector, Origins, Sharing, SourceSpec, TaskSpec};
use crate::pace::Pace;
use crate::plan::QueryPlan;
use crate::points::{self, Point};
use crate::state::{StateBatch, StateDb, StateError, StoreKey, StoreKind, StoreReader};
use crate::task::{RecordPolicy, TaskContext};

/// From here on (a thousand years) windows are kept for ever, milliseconds.
const MAX_CHANGELOG_RETENTION_MS: i64 = 1000 * 366 * 24 * 3600 * 1000;

/// Readers of stores, by the store's name: of each partition one.
pub(super) type Readers = HashMap<Arc<str>, Vec<StoreReader>>;

/// Records bear the event time of their rows, whatever the broker's default.
const REPARTITION_CONFIG: [(&str, &str); 3] =
    [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("message.timestamp.type", "CreateTime")];

/// The topic of the orders in which a sub-topology's tasks read, where they keep to one.
pub(super) fn order_topic(group: &str, sub_topology: usize) -> String {
    format!("{group}-{sub_topology}-order")
}

/// A query to start.
#[derive(Clone)]
pub struct StartQuery {
    pub plan: Arc<QueryPlan>,
    /// Where a partition without a committed offset begins.
    pub reset: OffsetSpec,
    /// Whether that holds for tables, too: whoever looks at one from now on asked for it. Else they are read from the beginning.
    pub resets_tables: bool,
    /// Partitions that begin at an offset of their own, whatever the others do.
    pub begin_at: BTreeMap<TopicPartition, Offset>,
    /// It ran before in this process: partitions that have no committed offset came since, and are read from their first
    /// record.
    pub ran_before: bool,
    /// Topics that went and came back since it ran: whatever is remembered of them was another topic's.
    pub made_anew: BTreeSet<String>,
    /// Topics of which it is known that they are others than those that it ran with.
    pub accepts: BTreeSet<String>,
    /// Its partitions came while it ran: all of them are read from their first record.
    pub reads_new_partitions: bool,
    /// What single bad records do to it.
    pub policy: RecordPolicy,
    /// Where the records go that it can't decode or process.
    pub letters: Option<LetterBox>,
    /// What is promised of its output. Nothing is promised of a push query's.
    pub guarantee: Guarantee,
    /// Push queries: rows go here, nothing is committed, nothing is kept.
    pub collector: Option<Arc<dyn Collector>>,
    /// Begin paused.
    pub paused: bool,
}

impl StartQuery {
    /// A query that runs for the first time.
    pub fn new(plan: Arc<QueryPlan>, reset: OffsetSpec) -> Self {
        StartQuery {
            plan,
            reset,
            resets_tables: false,
            begin_at: BTreeMap::new(),
            ran_before: false,
            made_anew: BTreeSet::new(),
            accepts: BTreeSet::new(),
            reads_new_partitions: false,
            policy: RecordPolicy::default(),
            letters: None,
            guarantee: Guarantee::default(),
            collector: None,
            paused: false,
        }
    }
}

/// Why a query can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Log(#[from] LogError),
    #[error("{0}")]
    State(#[from] crate::state::StateError),
    #[error("{0}")]
    Plan(#[from] operators::FatalError),
    /// The inputs of a join don't have the same number of partitions.
    #[error("{0}")]
    NotCopartitioned(String),
    /// One topic is read from two places at once.
    #[error("{0}")]
    ReadTwice(String),
    /// A topic is not the one that the query knows.
    #[error("{0}")]
    Swapped(Box<Swapped>),
    /// A query of this name has been told to end, and is still busy.
    #[error("query {0} was told to end and is still busy with a record or waits for the log: try again in a moment")]
    StillEnding(String),
    /// Somebody else runs the queries.
    #[error("nothing is started here any more: another server runs the queries")]
    Abandoned,
    /// It was told to end, or the process was.
    #[error("it was told to end before its state was restored")]
    CalledOff,
    #[error("its state can't be restored: there can be no thread for it ({0})")]
    NoThread(String),
}

impl From<StartError> for QueryFailure {
    fn from(error: StartError) -> Self {
        let cause = match &error {
            StartError::Log(LogError::Retriable(_)) | StartError::StillEnding(_) => FailureCause::LogAway,
            StartError::Abandoned
            | StartError::Swapped(_)
            | StartError::Plan(_)
            | StartError::ReadTwice(_)
            | StartError::State(StateError::Corrupt { .. } | StateError::Damaged { .. }) => FailureCause::Lasting,
            StartError::Log(_)
            | StartError::NotCopartitioned(_)
            | StartError::State(_)
            | StartError::CalledOff
            | StartError::NoThread(_) => FailureCause::Outside,
        };
        // A topic that is unknown now need not have gone: a broker that starts does not know its topics yet.
        let swapped = match &error {
            StartError::Swapped(swapped) => Some(swapped.topic.clone()),
            _ => None,
        };
        QueryFailure { reason: error.to_string(), cause, gone: None, swapped }
    }
}

/// A sub-topology with what the log says of its topics.
pub(super) struct Prepared {
    pub spec: TaskSpec,
    /// How many of the sources' partitions are read, from 0.
    pub partitions: u32,
    source_partitions: Vec<u32>,
    sinks: Vec<(TopicHandle, u32)>,
    /// Where its tasks write down in which order they read.
    order: Option<(String, TopicHandle)>,
    /// The topic of letters that go through the query again, with its partitions.
    replays: Option<(Arc<str>, u32)>,
    changelogs: Vec<Option<(String, TopicHandle)>>,
    /// Changelogs that were made anew and are filled from the state.
    refill: BTreeSet<String>,
    /// The topics of the sinks and changelogs.
    writes: Arc<[String]>,
    /// What the query's group has committed of the sources.
    committed: Positions,
    /// Partitions that are there and not read, and why.
    pub remark: Option<String>,
}

impl Prepared {
    pub(super) fn changelog_topics(&self) -> impl Iterator<Item = &str> {
        self.changelogs.iter().flatten().map(|(name, _)| name.as_str())
    }
}

impl Runtime {
    /// Starts a query. Returns once its stores are restored and its tasks run; where that takes long, they are restored in the
    /// background.
    ///
    /// # Errors
    /// Nothing runs then; internal topics that were made remain.
    pub fn start_query(self: &Arc<Self>, start: StartQuery) -> Result<Arc<QueryHandle>, StartError> {
        points::log(Point::QueryStartBefore)?;
        let query: Arc<str> = start.plan.query_id.as_str().into();
        if !self.await_end(&query) || self.forgetting.lock().iter().any(|id| **id == *query) {
            return Err(StartError::StillEnding(query.to_string()));
        }
        self.ready(&start)?;
        let (lease, gone) = bounded(0);
        let handle = QueryHandle::new(query.clone());
        handle.set_paused(start.paused);
        let replays = self.replays(&start, &handle)?;
        let mut specs = operators::split(&start.plan)?;
        for spec in &mut specs {
            spec.keeps_order |= replays.is_some() && replayed::needs_order(spec);
            // Nothing of a transaction that was aborted is ever met again.
            spec.keeps_order &= start.guarantee == Guarantee::AtLeastOnce;
        }
        let ephemeral = start.collector.is_some();
        let identified = if ephemeral { Identified::default() } else { self.identify(&start, &specs)? };
        let start = StartQuery { made_anew: identified.made_anew.clone(), ..start };
        let mut prepared = Vec::new();
        for spec in specs {
            let own = self.prepare(&query, spec, ephemeral, replays.as_ref())?;
            prepared.push(Prepared { refill: identified.refill.clone(), ..own });
        }
        if start.collector.is_none()
            && let Some(records) = self.backlog(&query, &prepared)?
        {
            return self.start_later(start, handle, (prepared, identified), (lease, gone), records);
        }
        let mut stores = Readers::default();
        let mut tasks = Vec::new();
        for sub_topology in &prepared {
            for partition in 0..sub_topology.partitions {
                let partition = PartitionId::try_from(partition).unwrap_or(PartitionId::MAX);
                let (key, task) = self.make_task(&start, &handle, sub_topology, partition, &lease, &mut stores)?;
                tasks.push((key, task));
            }
        }
        if self.is_abandoned.load(Ordering::Acquire) {
            return Err(StartError::Abandoned);
        }
        self.declare_beginnings(&start, tasks.iter_mut().map(|(key, task)| (*key, task)))?;
        let topics = if ephemeral { KnownTopics::new() } else { self.remember(&query, identified)? };
        let is_new = tasks.iter().any(|(_, task)| task.dirty);
        let offsets = tasks.iter().filter(|_| is_new).flat_map(|(_, task)| task.positions()).collect();
        self.parts.log.begin_group(&self.group(&query), offsets);
        handle.set_remarks(prepared.iter().filter_map(|sub_topology| sub_topology.remark.clone()).collect());
        let running = prepared.into_iter().map(|prepared| Running { partitions: prepared.partitions, spec: prepared.spec }).collect();
        let start = Arc::new(start);
        let mut queries = self.queries.lock();
        // From here on whoever abandons the queries finds it.
        if self.is_abandoned.load(Ordering::Acquire) {
            return Err(StartError::Abandoned);
        }
        queries.insert(
            query,
            RunningQuery {
                handle: handle.clone(),
                start,
                running,
                topics,
                missing_since_ms: None,
                lost_since_ms: None,
                stores,
                lease,
                gone,
            },
        );
        drop(queries);
        for (key, task) in tasks {
            let _ = self.worker_of(key).send(Message::Add(key, Box::new(task)));
        }
        points::reach(Point::QueryStartAfter);
        Ok(handle)
    }

    /// Makes ready what the query's guarantee needs, which must be before any state is restored.
    fn ready(&self, start: &StartQuery) -> Result<(), StartError> {
        if start.collector.is_some() || self.parts.log.is_atomic() {
            return Ok(());
        }
        let writers = self.marks.open(&*self.parts.log, start.guarantee == Guarantee::ExactlyOnce).inspect_err(|error| {
            if let LogError::Fenced(reason) = error {
                let _ = self.fence.set(reason.clone());
            }
        })?;
        for (index, hand, writer) in writers {
            if let Some(worker) = self.workers.get(index) {
                let _ = worker.send(Message::Transactions(hand, writer));
            }
        }
        Ok(self.marks.rewrite(&*self.parts.log, &start.plan.query_id, self.parts.clock.now_ms())?)
    }

    pub(super) fn worker_of(&self, key: u64) -> &crossbeam_channel::Sender<Message> {
        &self.workers[usize::try_from(key).unwrap_or(0) % self.workers.len()]
    }

    /// Makes the internal topics of a sub-topology and looks up what it reads and writes.
    pub(super) fn prepare(
        &self,
        query: &str,
        spec: TaskSpec,
        ephemeral: bool,
        replays: Option<&(Arc<str>, u32)>,
    ) -> Result<Prepared, StartError> {
        let log = &self.parts.log;
        let mut source_partitions = Vec::with_capacity(spec.sources.len());
        for source in &spec.sources {
            source_partitions.push(log.topic(&source.topic)?.1);
        }
        // Each store's changelog, and the topic where it is there.
        let mut found = Vec::with_capacity(spec.stores.len());
        for store in &spec.stores {
            let has_one = store.changelog && !ephemeral && !log.is_atomic();
            let name = has_one.then(|| self.changelog_name(query, &store.name));
            let topic = match name.as_deref().map(|name| log.topic(name)) {
                Some(Ok(topic)) => Some(topic),
                Some(Err(LogError::UnknownTopic(_))) | None => None,
                Some(Err(error)) => return Err(error.into()),
            };
            found.push((name, topic));
        }
        let kept = found.iter().filter_map(|(_, topic)| topic.map(|(_, partitions)| partitions)).max();
        let most = source_partitions.iter().copied().max().unwrap_or(1);
        // State that is there is kept by partition: a topic that has grown since is read as far as the state goes.
        let partitions = match kept {
            Some(kept) if source_partitions.iter().all(|count| *count >= kept) => kept,
            _ => most,
        };
        let grown = spec.sources.iter().zip(&source_partitions).filter(|(source, count)| !source.is_repartition && **count > partitions);
        let remark = grown.max_by_key(|(_, count)| **count).map(|(source, count)| growth::unread(&source.topic, *count, partitions));
        if let Some(odd) = source_partitions.iter().position(|p| *p < partitions) {
            let names: Vec<String> = spec.sources.iter().zip(&source_partitions).map(|(s, p)| format!("{} has {p}", s.topic)).collect();
            return Err(StartError::NotCopartitioned(format!(
                "topics that are joined must have the same number of partitions: {} (repartition {})",
                names.join(", "),
                spec.sources[odd].topic
            )));
        }
        let mut sinks = Vec::with_capacity(spec.sinks.len());
        for sink in &spec.sinks {
            if sink.is_repartition {
                self.ensure_topic(&sink.topic, sink.partitions.unwrap_or(partitions), &REPARTITION_CONFIG)?;
            }
            sinks.push(log.topic(&sink.topic)?);
        }
        let mut order = None;
        if spec.keeps_order && !ephemeral && !log.is_atomic() {
            let name = order_topic(&self.group(query), spec.id);
            self.ensure_topic(&name, partitions, &REPARTITION_CONFIG)?;
            let (handle, _) = log.topic(&name)?;
            order = Some((name, handle));
        }
        let mut changelogs = Vec::with_capacity(spec.stores.len());
        for (store, (name, topic)) in spec.stores.iter().zip(found) {
            changelogs.push(match name {
                Some(name) => {
                    let (handle, existing) = match topic {
                        Some(topic) => topic,
                        None => {
                            self.ensure_topic(&name, partitions, &changelog_config(store.kind))?;
                            log.topic(&name)?
                        }
                    };
                    if existing < partitions {
                        return Err(StartError::NotCopartitioned(format!(
                            "the topics that the query reads have {partitions} partitions, its state in {name} has {existing}: drop the \
                             query and create it again"
                        )));
                    }
                    Some((name, handle))
                }
                None => None,
            });
        }
        let changelog_topics = changelogs.iter().flatten().map(|(name, _)| name.clone());
        let writes = spec.sinks.iter().map(|sink| sink.topic.clone()).chain(changelog_topics).collect();
        let topics = spec.sources.iter().map(|source| source.topic.as_str()).zip(source_partitions.iter().copied());
        let topics = topics.chain(order.as_ref().map(|(name, _)| (name.as_str(), partitions)));
        let topics = topics.chain(replays.map(|(name, partitions)| (&**name, *partitions)));
        let marked = if spec.stores.is_empty() { self.marks.of_all(query, spec.id) } else { Positions::new() };
        let committed = if ephemeral { Positions::new() } else { self.committed(query, marked, topics)? };
        let refill = BTreeSet::new();
        Ok(Prepared {
            writes,
            spec,
            partitions,
            source_partitions,
            sinks,
            order,
            changelogs,
            refill,
            committed,
            remark,
            replays: replays.cloned(),
        })
    }

    /// How far a query has read topics, whether it reads all of their partitions or not: by its marks where these are not in
    /// changelogs, else by what its group has committed.
    fn committed<'t>(&self, query: &str, marked: Positions, topics: impl Iterator<Item = (&'t str, u32)>) -> Result<Positions, StartError> {
        let partitions: Vec<TopicPartition> = topics.flat_map(|(topic, count)| log::partitions_of(topic, count)).collect();
        if partitions.iter().all(|partition| marked.contains_key(partition)) {
            return Ok(marked);
        }
        let committed = self.parts.log.committed(&self.group(query), &partitions)?;
        let committed = partitions.into_iter().zip(committed).filter_map(|(partition, offset)| Some((partition, offset?)));
        Ok(committed.chain(marked).collect())
    }

    /// Makes an internal topic unless it is there.
    pub(super) fn ensure_topic(&self, name: &str, partitions: u32, config: &[(&str, impl AsRef<str>)]) -> Result<(), StartError> {
        Ok(log::ensure_topic(&*self.parts.log, name, partitions, self.config.replicas, config)?)
    }

    pub(super) fn make_task(
        &self,
        start: &StartQuery,
        handle: &Arc<QueryHandle>,
        sub: &Prepared,
        partition: PartitionId,
        lease: &Sender<Infallible>,
        readers: &mut Readers,
    ) -> Result<(u64, Task), StartError> {
        let ephemeral = start.collector.is_some();
        let mut stores = Vec::with_capacity(sub.spec.stores.len());
        let mut topics = Vec::with_capacity(stores.capacity());
        // What a push query keeps is gone with it.
        let state = if ephemeral { StateDb::in_memory() } else { self.parts.state.clone() };
        for (spec, changelog) in sub.spec.stores.iter().zip(&sub.changelogs) {
            let key = StoreKey { query: handle.id.clone(), store: spec.name.clone(), partition };
            stores.push(state.open_store(&key, spec)?);
            topics.push(changelog.as_ref().map(|(topic, _)| TopicPartition { topic: topic.as_str().into(), partition }));
        }
        let mut positions = state.positions(&handle.id)?;
        let mut batch = StateBatch::default();
        let place = number_place(sub.spec.id, partition);
        // Of a task that has committed, the state is whole without a changelog that was made anew.
        let is_refilled = positions.contains_key(&place) && topics.iter().flatten().any(|topic| sub.refill.contains(&*topic.topic));
        if is_refilled {
            positions.extend(topics.iter().flatten().map(|topic| (topic.clone(), Offset(0))));
        }
        let watch = Watch { handle, is_ending: &self.is_ending };
        let restored = restore::restore(&*self.parts.log, &state, &mut stores, &topics, &positions, &place, &mut batch, &watch)?;
        let has_changelogs = topics.iter().any(Option::is_some);
        let mut changelogs = Vec::with_capacity(stores.len());
        for (((store, topic), changelog), restored) in stores.iter_mut().zip(topics).zip(&sub.changelogs).zip(restored.changelogs) {
            readers.entry(store.key().store.clone()).or_default().push(store.reader());
            changelogs.push(match (topic, changelog, restored) {
                (Some(topic), Some((_, topic_handle)), Some(RestoredChangelog { end, owed, head })) => {
                    let changelog = Changelog::new(topic, *topic_handle, end, owed, head);
                    changelog.settle_debts(store)?;
                    Some(changelog)
                }
                _ => None,
            });
        }
        let env = BuildEnv {
            query_id: handle.id.clone(),
            topics: sub.sinks.clone(),
            collector: start.collector.clone(),
            registry: self.parts.registry.clone(),
            sharing: start.collector.is_some().then(|| Sharing { readings: self.readings.clone(), partition }),
        };
        let mut graph = operators::build(&start.plan, &sub.spec, &env)?;
        let lanes = lanes(sub, partition);
        let group: Option<Arc<str>> = (!ephemeral).then(|| self.group(&handle.id).into());
        // Without a changelog the marks stand in the service's topic; without marks, its group says how far it was.
        let marked = if has_changelogs || ephemeral { None } else { self.marks.of(&handle.id, sub.spec.id, partition) };
        let (included, number) = match marked {
            Some(marked) => (marked.inputs.into_iter().collect(), marked.number),
            None if has_changelogs => (restored.inputs, restored.number),
            None => (Positions::new(), 0),
        };
        let (offsets, is_new) = self.start_offsets(sub, &lanes, start, &included, number > 0)?;
        let is_new = is_new && group.is_some();
        let key = self.next_task_key();
        let mut origins = Origins::default();
        if !ephemeral && !self.parts.log.is_atomic() {
            origins = Origins::new(partition, self.session(key), included.iter());
            origins.keep_topics(|topic| lanes.iter().any(|(lane, _)| *lane.topic == *topic));
            if start.guarantee == Guarantee::ExactlyOnce {
                origins = origins.reads_only();
            }
            origins.begin_again(number, included.iter());
            let anew = lanes.iter().enumerate().filter(|(_, (lane, _))| start.made_anew.contains(&*lane.topic));
            anew.for_each(|(lane, _)| origins.begin_anew(lane));
            if self.parts.log.gaps() > 0 {
                origins.begin_all_anew(lanes.len());
            }
        }
        if is_refilled {
            let lanes = lanes.iter().map(|(lane, _)| lane.clone()).zip(offsets.iter().copied());
            let inputs: GroupOffsets = lanes.chain(origins.positions()).chain(origins.beginnings(number)).collect();
            refill::refill(&*self.parts.log, &mut stores, &mut changelogs, restored.number, &inputs, self.parts.clock.now_ms())?;
            for changelog in changelogs.iter().flatten() {
                batch.set_position(&state, &handle.id, &changelog.partition, changelog.position);
            }
        }
        if has_changelogs {
            let lanes = lanes.iter().map(|(lane, _)| lane.clone()).zip(offsets.iter().copied());
            for (input, next) in lanes.chain(origins.positions()).chain(origins.beginnings(number)) {
                batch.set_position(&state, &handle.id, &input, next);
            }
            batch.write()?;
            points::log(Point::RestoreEnd)?;
        }
        let scheduled = Arc::new(AtomicBool::new(true));
        let reader = self.parts.log.subscribe(Subscription {
            partitions: lanes.iter().map(|(tp, _)| tp.clone()).zip(offsets.iter().copied()).collect(),
            wake: self.waker(key, scheduled.clone()),
            max_buffered_bytes: self.config.max_buffered_bytes,
        })?;
        let order = sub.order.as_ref().and_then(|_| lanes.iter().position(|(_, sources)| sources.is_empty()));
        // A topic that is read twice has the time of the first source that names one.
        let mut clock_of = |sources: &[usize]| sources.iter().find_map(|source| graph.clocks.get_mut(*source).and_then(Option::take));
        let begin = offsets.iter().copied().zip(&lanes).map(|(offset, (_, sources))| (offset, clock_of(sources))).collect();
        let mut cx = TaskContext::new(stores, self.parts.clock.clone(), self.parts.processing_log.clone(), partition);
        cx.pace = Pace::new(handle.interruption(), self.config.max_rows_per_record);
        (cx.policy, cx.query) = (start.policy, handle.id.clone());
        cx.origins = origins;
        cx.pouch = self.pouch(start, sub, &lanes)?;
        let mut input = Input::new(reader, begin, Duration::from_millis(self.config.max_task_idle_ms), self.parts.clock.clone());
        if let Some(lane) = order {
            input.keep_order(lane);
        }
        let task = Task {
            id: TaskId { query: handle.id.clone(), sub_topology: sub.spec.id, partition },
            handle: handle.clone(),
            graph,
            cx,
            input,
            order: sub.order.as_ref().map(|(_, handle)| *handle),
            replays: sub.replays.as_ref().and_then(|(topic, _)| lanes.iter().position(|(lane, _)| lane.topic == *topic)),
            lanes,
            wants_headers: sub.spec.sources.iter().map(|s| s.wants_headers).collect(),
            is_repartition: sub.spec.sources.iter().map(|s| s.is_repartition).collect(),
            reads: sub.spec.sources.iter().map(|s| (!s.is_repartition).then(|| SourceReads::of(handle.metrics.reads(&s.topic)))).collect(),
            changelogs,
            writes: sub.writes.iter().cloned().chain(start.letters.iter().map(|letters| letters.topic.clone())).collect(),
            group,
            guarantee: if ephemeral || self.parts.log.is_atomic() { Guarantee::AtLeastOnce } else { start.guarantee },
            marks_positions: !ephemeral && !self.parts.log.is_atomic(),
            scheduled,
            committed: offsets,
            pending: None,
            commit_number: number,
            // A restart before the first commit begins at the same place.
            dirty: is_new,
            must_commit: false,
            look_after: FIRST_LOOK,
            registry: self.parts.registry.clone(),
            waiting: None,
            _lease: lease.clone(),
        };
        Ok((key, task))
    }

    /// Writes down where tasks without state begin in topics that were made anew, which those with state have written into it: to be
    /// called before these topics are known. Who dies before the first commit would else read on in them from a place in the old ones.
    pub(super) fn declare_beginnings<'t>(
        &self,
        start: &StartQuery,
        tasks: impl Iterator<Item = (u64, &'t mut Task)>,
    ) -> Result<(), StartError> {
        for (key, task) in tasks {
            let begins_anew = task.lanes.iter().any(|(lane, _)| start.made_anew.contains(&*lane.topic));
            if begins_anew && commit::keeps_marks(task) {
                let number = task.commit_number + 1;
                let mut inputs = task.marked_positions();
                inputs.extend(task.cx.origins.beginnings(number));
                let worker = usize::try_from(key).unwrap_or(0) % self.workers.len();
                let place = (&task.id.query, task.id.sub_topology, task.id.partition);
                self.marks.declare(&*self.parts.log, worker, place, Marked { number, inputs }, self.parts.clock.now_ms())?;
                task.commit_number = number;
            }
        }
        Ok(())
    }

    /// Tells the life of a task from earlier ones.
    fn session(&self, key: u64) -> u32 {
        let now_ms = u64::try_from(self.parts.clock.now_ms()).unwrap_or_default();
        u32::try_from((now_ms ^ key << 24) & u64::from(u32::MAX)).unwrap_or(1)
    }

    /// Tells the task's worker once, however often the reader calls, until the task had its turn.
    fn waker(&self, key: u64, scheduled: Arc<AtomicBool>) -> Arc<dyn Fn() + Send + Sync> {
        let worker = self.worker_of(key).clone();
        Arc::new(move || {
            if !scheduled.swap(true, Ordering::AcqRel) {
                let _ = worker.send(Message::Wake(key));
            }
        })
    }

    /// Where each lane begins: behind what the stores include, as their marks say, whatever others have made of the group's
    /// offsets; without such, at the committed offset. (Version 0.1.0 did not mark each commit: `is_authoritative` is false
    /// for its state, and the further of the two holds.) Else see [`beginning`]. And whether any of it has to be committed yet.
    fn start_offsets(
        &self,
        sub: &Prepared,
        lanes: &[(TopicPartition, Vec<usize>)],
        start: &StartQuery,
        included: &Positions,
        is_authoritative: bool,
    ) -> Result<(Vec<Offset>, bool), StartError> {
        let is_new = lanes.iter().any(|(tp, _)| !sub.committed.contains_key(tp) || start.made_anew.contains(&*tp.topic));
        let mut offsets = Vec::with_capacity(lanes.len());
        for (tp, sources) in lanes {
            let known = match included.get(tp).filter(|_| is_authoritative) {
                Some(included) => Some(*included),
                None => sub.committed.get(tp).max(included.get(tp)).copied(),
            };
            if let Some(offset) = known.filter(|_| !start.made_anew.contains(&*tp.topic)) {
                offsets.push(offset);
                continue;
            }
            if let Some(offset) = start.begin_at.get(tp) {
                offsets.push(*offset);
                continue;
            }
            let knows_topic = sub.committed.keys().any(|known| known.topic == tp.topic);
            let mut begins = Vec::with_capacity(sources.len());
            let specs =
                sources.iter().filter_map(|source| sub.spec.sources.get(*source)).map(|source| beginning(source, start, knows_topic));
            // The order's own topic has no source.
            for spec in specs.chain(sources.is_empty().then_some(OffsetSpec::Earliest)) {
                begins.push(self.parts.log.offsets(std::slice::from_ref(tp), spec)?.first().copied().unwrap_or_default());
            }
            if begins.iter().any(|offset| Some(offset) != begins.first()) {
                return Err(StartError::ReadTwice(read_twice(&tp.topic)));
            }
            offsets.push(begins.first().copied().unwrap_or_default());
        }
        Ok((offsets, is_new))
    }
}

/// What a partition of a sub-topology reads. A topic that is read as two streams or tables is read once, and each record goes
/// to both: one topic has one position.
fn lanes(sub: &Prepared, partition: PartitionId) -> Vec<(TopicPartition, Vec<usize>)> {
    let mut lanes: Vec<(TopicPartition, Vec<usize>)> = Vec::with_capacity(sub.spec.sources.len());
    for (index, (source, partitions)) in sub.spec.sources.iter().zip(&sub.source_partitions).enumerate() {
        if partition >= PartitionId::try_from(*partitions).unwrap_or(PartitionId::MAX) {
            continue;
        }
        match lanes.iter_mut().find(|(lane, _)| *lane.topic == *source.topic) {
            Some((_, sources)) => sources.push(index),
            None => lanes.push((TopicPartition { topic: source.topic.as_str().into(), partition }, vec![index])),
        }
    }
    if let Some((topic, _)) = &sub.order {
        lanes.push((TopicPartition { topic: topic.as_str().into(), partition }, Vec::new()));
    }
    if let Some((topic, _)) = sub.replays.as_ref().filter(|(_, count)| u32::try_from(partition).is_ok_and(|number| number < *count)) {
        lanes.push((TopicPartition { topic: topic.clone(), partition }, Vec::new()));
    }
    lanes
}

/// Refuses a query that would have to read a topic from two places at once, before it is started.
///
/// # Errors
/// `ReadTwice`, with what to do.
pub fn check_start(plan: &QueryPlan, reset: OffsetSpec) -> Result<(), StartError> {
    for spec in operators::split(plan)? {
        for (index, source) in spec.sources.iter().enumerate() {
            let others = spec.sources.iter().take(index);
            if reset != OffsetSpec::Earliest
                && others.into_iter().any(|other| other.topic == source.topic && other.from_beginning != source.from_beginning)
            {
                return Err(StartError::ReadTwice(read_twice(&source.topic)));
            }
        }
    }
    Ok(())
}

fn read_twice(topic: &str) -> String {
    format!(
        "The query reads topic '{topic}' twice: as a table from its first record, and as a stream from a later one, where \
         auto.offset.reset says. A query has one position in a topic. SET 'auto.offset.reset'='earliest', or give the table a topic \
         of its own first (CREATE TABLE ... AS SELECT)."
    )
}

/// Where a partition without a committed offset begins: tables, repartition topics, and what came since the query first
/// ran, with the first record; else where the query was told to. `knows_topic`: offsets of other partitions are committed.
fn beginning(source: &SourceSpec, start: &StartQuery, knows_topic: bool) -> OffsetSpec {
    let came_since = start.ran_before || start.reads_new_partitions || knows_topic;
    let whole = source.is_repartition || source.from_beginning && !start.resets_tables;
    if came_since || whole { OffsetSpec::Earliest } else { start.reset }
}

/// A changelog keeps the last value of each key. Where windows expire, its beginning is deleted as they do
/// ([`super::changelog_head`]), which topics that are only compacted refuse; not by the wall clock, for windows stay open where no
/// input comes.
fn changelog_config(kind: StoreKind) -> Vec<(&'static str, &'static str)> {
    match kind {
        StoreKind::Windowed { retention_ms } if retention_ms < MAX_CHANGELOG_RETENTION_MS => {
            vec![("cleanup.policy", "compact,delete"), ("retention.ms", "-1")]
        }
        _ => vec![("cleanup.policy", "compact")],
    }
}
