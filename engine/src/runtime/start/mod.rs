//! Starting a query: internal topics, stores, restoring, and a task for every partition of every sub-topology.

mod beginning;
mod prepare;
mod task;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::bounded;

pub use self::beginning::check_start;
pub(super) use self::prepare::{Prepared, order_topic};
use super::growth::Running;
use super::identity::{Identified, KnownTopics, Swapped};
use super::marks::Writers;
use super::pen::Guarantee;
use super::query_handle::{FailureCause, QueryFailure, QueryHandle, QueryState};
use super::worker::Message;
use super::{RunningQuery, Runtime, replayed};
use crate::letters::LetterBox;
use crate::log::{LogError, Offset, OffsetSpec, PartitionId, TopicPartition};
use crate::operators::{self, Collector, TaskSpec};
use crate::plan::QueryPlan;
use crate::points::{self, Point};
use crate::state::{StateError, StoreReader};
use crate::task::RecordPolicy;

/// Readers of stores, by the store's name: one for each partition that is here.
pub(super) type Readers = HashMap<Arc<str>, BTreeMap<PartitionId, StoreReader>>;

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
    /// How many other servers follow its state.
    pub standbys: usize,
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
            standbys: 0,
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

/// A query's sub-topologies as they are to run.
pub(super) fn specs(start: &StartQuery, replays: Option<&(Arc<str>, u32)>) -> Result<Vec<TaskSpec>, StartError> {
    let mut specs = operators::split(&start.plan)?;
    for spec in &mut specs {
        spec.keeps_order |= replays.is_some() && replayed::needs_order(spec);
        // Nothing of a transaction that was aborted is ever met again.
        spec.keeps_order &= start.guarantee == Guarantee::AtLeastOnce;
    }
    Ok(specs)
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
        let specs = specs(&start, replays.as_ref())?;
        let ephemeral = start.collector.is_some();
        // No slot comes or goes while a query starts.
        let held = (!ephemeral).then(|| self.held.read());
        let identified = if ephemeral { Identified::default() } else { self.identify(&start, &specs)? };
        let start = StartQuery { made_anew: identified.made_anew.clone(), ..start };
        let mut prepared = Vec::new();
        for spec in specs {
            let own = self.prepare(&query, spec, ephemeral, replays.as_ref())?;
            prepared.push(Prepared { refill: identified.refill.clone(), ids: identified.ids(), ..own });
        }
        let (seats, taken) = self.seats(&query, prepared.iter().map(|sub| sub.partitions), held.as_deref(), &lease);
        if !ephemeral {
            self.disown(&query, &prepared, &seats)?;
        }
        if start.collector.is_none()
            && let Some(records) =
                self.backlog(&query, seats.iter().filter_map(|((sub, partition), _)| Some((prepared.get(*sub)?, *partition))))?
        {
            return self.start_later(start, handle, (prepared, identified), (seats, taken), (lease, gone), records);
        }
        let mut stores = Readers::default();
        let mut tasks = Vec::new();
        for ((index, partition), seat) in &seats {
            let Some(sub_topology) = prepared.get(*index) else { continue };
            tasks.push(self.make_task(&start, &handle, sub_topology, *partition, seat, &mut stores)?);
        }
        if self.is_abandoned.load(Ordering::Acquire) {
            return Err(StartError::Abandoned);
        }
        self.declare_beginnings(&start, tasks.iter_mut().map(|(key, task)| (*key, task)))?;
        let ids = identified.ids();
        let topics = if ephemeral { KnownTopics::new() } else { self.remember(&query, identified)? };
        if tasks.is_empty() {
            // All of them run elsewhere.
            handle.set_state(QueryState::Running);
        }
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
                seats: taken,
                leaving: BTreeMap::new(),
                ids,
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
        let writers = self.marks.open(&*self.parts.log, start.guarantee == Guarantee::ExactlyOnce).inspect_err(|error| match error {
            LogError::Fenced(_) if self.config.is_shared => self.marks.lose_ids(),
            LogError::Fenced(reason) => drop(self.fence.set(reason.clone())),
            _ => {}
        })?;
        self.hand_out(writers);
        Ok(self.marks.rewrite(&*self.parts.log, &start.plan.query_id, self.parts.clock.now_ms())?)
    }

    /// Gives workers the writers of their transactions.
    pub(super) fn hand_out(&self, writers: Writers) {
        for (index, hand, writer) in writers {
            if let Some(worker) = self.workers.get(index) {
                let _ = worker.send(Message::Transactions(hand, writer));
            }
        }
    }

    pub(super) fn worker_of(&self, key: u64) -> &crossbeam_channel::Sender<Message> {
        &self.workers[usize::try_from(key).unwrap_or(0) % self.workers.len()]
    }
}
