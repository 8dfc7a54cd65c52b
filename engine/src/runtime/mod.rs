//! The runtime: worker threads, the tasks on them, and the start and end of queries.
//!
//! Invariant: no thread belongs to a query. A thousand idle queries cost memory, not threads.

mod changelog;
mod changelog_head;
#[cfg(test)]
mod coalesce_tests;
mod commit;
#[cfg(test)]
mod cost_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod end_tests;
mod ends;
mod epoch;
#[cfg(test)]
mod failure_tests;
mod growth;
#[cfg(test)]
mod hostile_tests;
mod identity;
#[cfg(test)]
mod identity_tests;
mod input;
#[cfg(test)]
mod input_tests;
#[cfg(test)]
mod join_tests;
#[cfg(test)]
mod lab;
mod letters;
#[cfg(test)]
mod letters_tests;
mod marks;
mod moves;
#[cfg(test)]
mod moves_tests;
#[cfg(test)]
mod not_yet_tests;
mod order;
mod pen;
#[cfg(test)]
mod planted;
mod query_handle;
mod reached;
mod record;
mod refill;
mod replayed;
mod restore;
mod restorers;
#[cfg(test)]
mod room_tests;
mod schedule;
mod seat;
#[cfg(test)]
mod session_tests;
mod share;
#[cfg(test)]
mod simulation;
mod slots;
mod standby;
mod start;
mod start_later;
#[cfg(test)]
mod start_later_tests;
mod store_places;
mod strangers;
#[cfg(test)]
mod strangers_tests;
mod sync;
mod task_runner;
mod tenure;
#[cfg(test)]
mod time_tests;
mod work;
mod worker;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded, unbounded};
use parking_lot::{Mutex, RwLock};

use crate::clock::Clock;
use crate::log::{Log, LogError, PartitionId, murmur2};
use crate::operators::{self, SharedReadings};
use crate::plan::QueryPlan;
use crate::processing_log::ProcessingLog;
use crate::registry::SchemaRegistry;
use crate::state::{StateDb, StoreReader};

pub use identity::{KnownTopic, KnownTopics, Role, all_known_topics, examine_topic};
use marks::Marks;
pub use moves::LetGo;
use pen::Fence;
pub use pen::Guarantee;
pub use query_handle::{FailureCause, QueryFailure, QueryHandle, QueryMetrics, QueryState, TopicReads};
pub use reached::Reached;
pub use restore::RestoreState;
use restorers::Restorers;
pub(crate) use share::Share;
pub use slots::{Slot, SlotSet, Slots};
pub use standby::StandbyLag;
use standby::Standbys;
pub use start::{StartError, StartQuery, check_start};
pub use store_places::StorePlace;
pub use sync::{SyncError, SyncParts, SyncQuery};
pub use task_runner::TaskId;
pub(crate) use tenure::Tenure;
pub use work::OperatorWork;
pub(crate) use worker::panic_text;
use worker::{Message, Place, Worker};

/// How long a caller waits for the workers to commit.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a query that was told to end is waited for; afterwards it ends by itself.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Threads that restore large state, fewer than the first and more than the second where the machine has as many cores.
const MIN_RESTORERS: usize = 2;
const MAX_RESTORERS: usize = 8;

/// What the runtime stands on.
#[derive(Clone)]
pub struct RuntimeParts {
    pub log: Arc<dyn Log>,
    pub state: StateDb,
    pub clock: Arc<dyn Clock>,
    pub processing_log: Arc<dyn ProcessingLog>,
    pub registry: Arc<dyn SchemaRegistry>,
}

/// How the runtime behaves.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// Threads that process; one a core is right.
    pub workers: usize,
    /// On a log without atomic commits: milliseconds between commits.
    pub commit_interval_ms: u64,
    /// With exactly once an idle worker commits at once, but not sooner after its last commit; milliseconds. `None`: a tenth of
    /// the interval, and longer behind commits of many tasks.
    pub min_commit_interval_ms: Option<u64>,
    /// How long a task waits for an empty partition that may still bring older records, milliseconds.
    pub max_task_idle_ms: u64,
    /// Bytes that may wait unread in one partition of one task.
    pub max_buffered_bytes: usize,
    /// Begins the names of internal topics and consumer groups (`_confluent-ksql-<service id>`).
    pub internal_prefix: String,
    /// Copies of internal topics.
    pub replicas: u16,
    /// Rows that one record may set off, all operators of a task together; beyond it the query ends.
    pub max_rows_per_record: u64,
    /// How often it is looked whether others have written to changelogs.
    pub look_interval_ms: u64,
    /// How the tasks of the service are spread.
    pub slots: Slots,
    /// This server's name among those that run the service; it keeps it from one start to the next.
    pub server: String,
    /// Others run the service as well, each some of its slots.
    pub is_shared: bool,
}

/// Runs queries.
pub struct Runtime {
    parts: RuntimeParts,
    config: RuntimeConfig,
    workers: Vec<Sender<Message>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    next_task: AtomicU64,
    /// The slots whose tasks run here; at first all. Held for reading while tasks are made.
    held: RwLock<SlotSet>,
    /// Tasks could not be made that are to run here.
    has_empty_seats: AtomicBool,
    queries: Mutex<HashMap<Arc<str>, RunningQuery>>,
    /// Queries that were told to end, until their last task is gone.
    ending: Mutex<HashMap<Arc<str>, Gone>>,
    /// Queries whose state and internal topics are still to be deleted; one entry for each time.
    forgetting: Mutex<Vec<String>>,
    /// Nothing is committed or started any more.
    is_abandoned: Arc<AtomicBool>,
    /// The process ends, or its queries do: what is being restored is left.
    is_ending: AtomicBool,
    restorers: Restorers,
    /// Entries of changelogs that were read for tasks that were to run here.
    restored_entries: AtomicU64,
    /// Up to where changelogs are read for them.
    restore_places: restore::Places,
    /// What is followed of tasks that run elsewhere.
    standbys: Standbys,
    /// Another process has taken this one's transactions over, and why that is known.
    fence: Fence,
    tenure: Tenure,
    marks: Arc<Marks>,
    /// What push queries decode together.
    readings: Arc<SharedReadings>,
}

/// Disconnected once the last task of a query is gone: each holds the other end.
type Gone = Receiver<Infallible>;

/// Partitions of a table whose state another server has, or that is about to move.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its state in partition {} is not on this server", list(.0))]
pub struct Elsewhere(pub Vec<PartitionId>);

fn list(partitions: &[PartitionId]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What the runtime remembers of a query that was started.
struct RunningQuery {
    handle: Arc<QueryHandle>,
    /// How it was started, for the tasks that come later.
    start: Arc<StartQuery>,
    /// Its sub-topologies, in the order of the plan.
    running: Vec<growth::Running>,
    /// The tasks that run here or are being made.
    seats: BTreeMap<moves::Place, seat::Taken>,
    /// Those that were given up, until they are gone.
    leaving: BTreeMap<moves::Place, Gone>,
    /// The ids of its changelogs.
    ids: moves::TopicIds,
    /// The topics that it runs with.
    topics: KnownTopics,
    /// Since when another of its topics has been missing, milliseconds since the epoch.
    lost_since_ms: Option<i64>,
    /// Since when a topic that it reads has been missing, milliseconds since the epoch.
    missing_since_ms: Option<i64>,
    /// Readers of the query's stores.
    stores: start::Readers,
    /// For the tasks that come later; goes with this.
    lease: Sender<Infallible>,
    gone: Gone,
}

/// Tells this process from others that ran or run the service. In containers all of them have the same number, and those that are started
/// together may begin in the same millisecond: so it is of the server, too.
fn session(clock: &dyn Clock, server: &str) -> u64 {
    let process = std::process::id() ^ murmur2(server.as_bytes());
    u64::try_from(clock.now_ms()).unwrap_or_default() << 20 ^ u64::from(process & 0xf_ffff)
}

impl Runtime {
    /// Starts the worker threads.
    pub fn start(parts: RuntimeParts, config: RuntimeConfig) -> std::io::Result<Arc<Self>> {
        let restorers = Restorers::new(config.workers.clamp(MIN_RESTORERS, MAX_RESTORERS));
        let (runtime, workers) = Runtime::build(parts, config, restorers);
        for (index, worker) in workers.into_iter().enumerate() {
            let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || worker.run())?;
            runtime.threads.lock().push(thread);
        }
        Ok(runtime)
    }

    /// A runtime without threads, and its workers for somebody else to drive.
    #[cfg(test)]
    fn by_hand(parts: RuntimeParts, config: RuntimeConfig) -> (Arc<Self>, Vec<Worker>) {
        Runtime::build(parts, config, Restorers::new(0))
    }

    fn build(parts: RuntimeParts, config: RuntimeConfig, restorers: Restorers) -> (Arc<Self>, Vec<Worker>) {
        let (is_abandoned, fence) = (Arc::<AtomicBool>::default(), Fence::default());
        let tenure = Tenure::new(parts.clock.instant());
        let count = config.workers.max(1);
        let marks =
            Arc::new(Marks::new(&config.internal_prefix, config.replicas, count, session(&*parts.clock, &config.server), &config.server));
        let (senders, workers) = (0..count)
            .map(|index| {
                let (sender, inbox) = unbounded();
                let (marks, is_abandoned) = (marks.clone(), is_abandoned.clone());
                let (fence, tenure, is_shared) = (fence.clone(), tenure.clone(), config.is_shared);
                let place = Place { index, marks, is_abandoned, fence, tenure, is_shared };
                (sender, Worker::new(inbox, &parts, &config, place))
            })
            .unzip();
        let (next_task, threads, queries, ending) = (AtomicU64::new(0), Mutex::default(), Mutex::default(), Mutex::default());
        let forgetting = Mutex::default();
        let held = RwLock::new(config.slots.all());
        let is_ending = AtomicBool::new(false);
        let runtime = Runtime {
            parts,
            config,
            workers: senders,
            threads,
            next_task,
            held,
            has_empty_seats: AtomicBool::new(false),
            queries,
            ending,
            forgetting,
            is_abandoned,
            is_ending,
            standbys: Standbys::new(restorers.is_on()),
            restorers,
            restored_entries: AtomicU64::new(0),
            restore_places: restore::Places::default(),
            fence,
            tenure,
            marks,
            readings: Arc::default(),
        };
        (Arc::new(runtime), workers)
    }

    pub fn parts(&self) -> &RuntimeParts {
        &self.parts
    }

    pub fn config(&self) -> &RuntimeConfig {
        &self.config
    }

    /// The handle of a query that was started and not removed.
    pub fn handle(&self, query: &str) -> Option<Arc<QueryHandle>> {
        self.queries.lock().get(query).map(|q| q.handle.clone())
    }

    /// Readers of some of a query's stores: of each partition one reader a store, in the order of `stores`. Empty where
    /// the query does not run, or lacks one of them.
    ///
    /// # Errors
    /// Some partitions are not here.
    pub fn partition_readers(&self, query: &str, stores: &[String]) -> Result<Vec<Vec<StoreReader>>, Elsewhere> {
        let queries = self.queries.lock();
        let Some(running) = queries.get(query).filter(|running| !running.is_without_state()) else { return Ok(Vec::new()) };
        let here = running.readers(stores);
        let is_elsewhere = |(partition, readers): (usize, &Vec<_>)| readers.is_empty().then(|| PartitionId::try_from(partition).ok())?;
        let elsewhere: Vec<PartitionId> = here.iter().enumerate().filter_map(is_elsewhere).collect();
        if elsewhere.is_empty() { Ok(here) } else { Err(Elsewhere(elsewhere)) }
    }

    /// As [`Self::partition_readers`], with nothing for a partition that is not here, or not yet.
    pub fn readers_here(&self, query: &str, stores: &[String]) -> Vec<Vec<StoreReader>> {
        let queries = self.queries.lock();
        let running = queries.get(query).filter(|running| !(running.stores.is_empty() && running.handle.has_ended()));
        running.map(|running| running.readers(stores)).unwrap_or_default()
    }

    /// How many tasks of persistent queries run here or are being made.
    pub fn tasks(&self) -> usize {
        let queries = self.queries.lock();
        queries.values().flat_map(|query| query.seats.values()).filter(|taken| taken.slot().is_some()).count()
    }

    /// Readers of all of a query's stores, one for each partition that is here, by name.
    pub fn store_readers(&self, query: &str) -> Vec<(Arc<str>, Vec<StoreReader>)> {
        let queries = self.queries.lock();
        let stores = queries.get(query).into_iter().flat_map(|running| &running.stores);
        let mut stores: Vec<_> = stores.map(|(name, readers)| (name.clone(), readers.values().cloned().collect::<Vec<_>>())).collect();
        stores.sort_by(|(a, _), (b, _)| a.cmp(b));
        stores
    }

    /// Somebody wants to read a query's state: where it is still being restored, it goes first.
    pub fn ask_for(&self, query: &str) {
        self.restorers.ask_for(query);
    }

    pub fn pause(&self, query: &str) {
        if let Some(handle) = self.handle(query) {
            self.set_paused(&handle, true);
        }
    }

    pub fn resume(&self, query: &str) {
        if let Some(handle) = self.handle(query) {
            self.set_paused(&handle, false);
        }
    }

    /// Pauses a query, or lets it go on.
    pub fn set_paused(&self, handle: &QueryHandle, paused: bool) {
        handle.set_paused(paused);
        if !paused {
            self.broadcast(|_| Message::Resume { query: handle.id.clone() });
        }
    }

    /// Ends a query after a last commit; a record that it is busy with for long is left, to be read again. Its state, topics
    /// and group are untouched; see [`Runtime::forget`]. False: a worker is busy with something else meanwhile, and will see
    /// to it when it can.
    pub fn stop(&self, query: &str) -> bool {
        self.stop_soon(query);
        self.await_end(query)
    }

    /// As [`Self::stop`], where this very start of the query is what runs: another of the same name may have followed it.
    pub fn stop_this(&self, handle: &Arc<QueryHandle>) -> bool {
        let running = {
            let mut queries = self.queries.lock();
            let is_this = queries.get(&handle.id).is_some_and(|running| Arc::ptr_eq(&running.handle, handle));
            if is_this { queries.remove(&handle.id) } else { None }
        };
        let Some(running) = running else { return true };
        self.end(running);
        self.await_end(&handle.id)
    }

    /// As [`Self::stop`], without waiting.
    pub fn stop_soon(&self, query: &str) {
        if let Some(running) = self.queries.lock().remove(query) {
            self.end(running);
        }
    }

    fn end(&self, running: RunningQuery) {
        running.handle.set_state(QueryState::Stopped);
        let query = running.handle.id.clone();
        self.restorers.forget(&query);
        self.standbys.give_up(|(of, _)| *of == query);
        let mut ending = self.ending.lock();
        ending.retain(|_, gone| !matches!(gone.try_recv(), Err(TryRecvError::Disconnected)));
        ending.insert(query.clone(), running.gone);
        drop(ending);
        self.broadcast(|_| Message::Remove { query: query.clone() });
    }

    /// Waits until a query that was told to end is gone; false: that takes longer than anybody should wait.
    fn await_end(&self, query: &str) -> bool {
        let Some(gone) = self.ending.lock().get(query).cloned() else { return true };
        if matches!(gone.recv_timeout(END_TIMEOUT), Err(RecvTimeoutError::Timeout)) {
            return false;
        }
        self.ending.lock().remove(query);
        true
    }

    /// Ends everything at once, without a commit: somebody else goes on from the last one, and what is committed here from
    /// now on would come in between. Nothing can be started afterwards.
    pub fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Release);
        self.is_ending.store(true, Ordering::Release);
        self.standbys.stop();
        self.broadcast(|_| Message::Abandon);
        let abandoned: Vec<RunningQuery> = self.queries.lock().drain().map(|(_, running)| running).collect();
        for running in abandoned {
            running.handle.set_state(QueryState::Stopped);
        }
    }

    /// Nothing is written while it does not last.
    pub(crate) fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    /// Why another process has taken this one's place in transactions, if so: nothing is written here any more.
    pub fn fenced(&self) -> Option<String> {
        self.fence.get().cloned()
    }

    /// Deletes what a stopped query leaves behind: state, internal topics, consumer group; as soon as it is gone. Until then
    /// no query of that name starts.
    pub fn forget(self: &Arc<Self>, query: &str, internal_topics: &[String]) {
        self.forgetting.lock().push(query.to_owned());
        let gone = self.ending.lock().get(query).cloned();
        let Some(gone) = gone.filter(|gone| !matches!(gone.try_recv(), Err(TryRecvError::Disconnected))) else {
            self.forget_now(query, internal_topics);
            return;
        };
        tracing::warn!(query, "the query is still busy; what it leaves behind is deleted when it ends");
        let (runtime, id, topics) = (Arc::downgrade(self), query.to_owned(), internal_topics.to_vec());
        let waiter = move || {
            let _ = gone.recv();
            if let Some(runtime) = runtime.upgrade() {
                runtime.forget_now(&id, &topics);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("forget".into()).spawn(waiter) {
            tracing::warn!(query, %error, "what a dropped query leaves behind remains");
            self.is_forgotten(query);
        }
    }

    /// What a query left behind has been dealt with.
    fn is_forgotten(&self, query: &str) {
        let mut forgetting = self.forgetting.lock();
        if let Some(index) = forgetting.iter().position(|id| id == query) {
            forgetting.swap_remove(index);
        }
    }

    fn forget_now(&self, query: &str, internal_topics: &[String]) {
        if let Err(error) = self.parts.state.drop_query(query) {
            tracing::warn!(query, %error, "state of a dropped query remains");
        }
        let mut remains = false;
        for topic in internal_topics {
            match self.parts.log.delete_topic(topic) {
                Ok(()) | Err(LogError::UnknownTopic(_)) => {}
                Err(error) => {
                    remains = true;
                    tracing::warn!(query, topic, %error, "internal topic of a dropped query remains; the next start deletes it");
                }
            }
        }
        self.forget_replays(query);
        self.marks.forget(&*self.parts.log, query, self.parts.clock.now_ms());
        // What is remembered of them is how the next start finds them.
        if !remains && let Err(error) = identity::forget_topics(&self.parts.state, query) {
            tracing::warn!(query, %error, "the topics of a dropped query stay in mind");
        }
        if let Err(error) = self.parts.log.delete_group(&self.group(query)) {
            tracing::debug!(query, %error, "consumer group of a dropped query remains");
        }
        self.is_forgotten(query);
    }

    /// Names of the topics that a query keeps to itself: repartition topics and changelogs.
    pub fn internal_topics(&self, plan: &QueryPlan) -> Vec<String> {
        let Ok(specs) = operators::split(plan) else { return Vec::new() };
        let mut topics = Vec::new();
        for spec in specs {
            topics.extend(spec.sinks.iter().filter(|s| s.is_repartition).map(|s| s.topic.clone()));
            if !self.parts.log.is_atomic() {
                topics.extend(spec.keeps_order.then(|| start::order_topic(&self.group(&plan.query_id), spec.id)));
                topics.extend(spec.stores.iter().filter(|s| s.changelog).map(|s| self.changelog_name(&plan.query_id, &s.name)));
            }
        }
        topics
    }

    /// Deletes the repartition topics of a push query that has ended.
    pub fn forget_temporary(&self, topics: &[String]) {
        for topic in topics {
            if let Err(error) = self.parts.log.delete_topic(topic) {
                tracing::debug!(topic, %error, "internal topic of a push query remains");
            }
        }
    }

    /// The consumer group of a query.
    pub fn group(&self, query: &str) -> String {
        format!("{}query_{query}", self.config.internal_prefix)
    }

    /// The topic by which dead letters go through a query again.
    pub fn replay_topic(&self, query: &str) -> String {
        replayed::replay_topic(&self.group(query))
    }

    /// Commits everything now; returns when it is done. False: a worker is busy with something else for so long that nobody
    /// should wait for it.
    pub fn commit(&self) -> bool {
        self.ask_all(|done| Message::Commit { done }, Some(COMMIT_TIMEOUT))
    }

    /// Commits everything and ends the threads; returns when they are gone, and with them their hold on the state.
    pub fn shutdown(&self) {
        self.is_ending.store(true, Ordering::Release);
        self.restorers.end();
        self.standbys.end();
        for query in self.queries.lock().values() {
            query.handle.interrupt();
        }
        self.ask_all(|done| Message::Shutdown { done }, None);
        for thread in self.threads.lock().drain(..) {
            // A worker that panicked has said so already.
            let _ = thread.join();
        }
        if let Err(error) = self.parts.state.settle() {
            tracing::warn!(%error, "the last state is not written; the next start reads it from the changelogs");
        }
        for (_, query) in self.queries.lock().drain() {
            query.handle.set_state(QueryState::Stopped);
        }
    }

    fn broadcast(&self, message: impl Fn(usize) -> Message) {
        for (index, worker) in self.workers.iter().enumerate() {
            let _ = worker.send(message(index));
        }
    }

    /// Sends a message to every worker and waits until all have answered or are gone, for so long at most. False: that was
    /// too long.
    fn ask_all(&self, message: impl Fn(Sender<()>) -> Message, patience: Option<Duration>) -> bool {
        let (done, answers) = bounded(self.workers.len());
        for worker in &self.workers {
            let _ = worker.send(message(done.clone()));
        }
        drop(done);
        let deadline = patience.map(|patience| Instant::now() + patience);
        for _ in 0..self.workers.len() {
            let answer = match deadline {
                Some(deadline) => answers.recv_deadline(deadline),
                None => answers.recv().map_err(RecvTimeoutError::from),
            };
            match answer {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
        true
    }

    fn next_task_key(&self) -> u64 {
        self.next_task.fetch_add(1, Ordering::Relaxed)
    }
}
