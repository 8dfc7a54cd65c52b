//! The runtime: worker threads, the tasks on them, and the start and end of queries.
//!
//! Invariant: no thread belongs to a query. A thousand idle queries cost memory, not threads.

mod changelog;
mod commit;
#[cfg(test)]
mod cost_tests;
mod input;
#[cfg(test)]
mod join_tests;
mod query_handle;
mod restore;
#[cfg(test)]
mod room_tests;
mod start;
mod sync;
mod task_runner;
#[cfg(test)]
mod time_tests;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, unbounded};
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::log::Log;
use crate::operators;
use crate::plan::QueryPlan;
use crate::processing_log::ProcessingLog;
use crate::state::{StateDb, StoreReader};

use commit::CommitPolicy;
pub use query_handle::{QueryHandle, QueryMetrics, QueryState, TopicReads};
pub use start::{StartError, StartQuery};
pub use sync::{SyncError, SyncParts, SyncQuery};
pub use task_runner::TaskId;
use worker::{Message, Worker};

/// How long a caller waits for a worker to take note of a message.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What the runtime stands on.
#[derive(Clone)]
pub struct RuntimeParts {
    pub log: Arc<dyn Log>,
    pub state: StateDb,
    pub clock: Arc<dyn Clock>,
    pub processing_log: Arc<dyn ProcessingLog>,
}

/// How the runtime behaves.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// Threads that process; one a core is right.
    pub workers: usize,
    /// On a log without atomic commits: milliseconds between commits.
    pub commit_interval_ms: u64,
    /// How long a task waits for an empty partition that may still bring older records, milliseconds.
    pub max_task_idle_ms: u64,
    /// Bytes that may wait unread in one partition of one task.
    pub max_buffered_bytes: usize,
    /// Begins the names of internal topics and consumer groups (`_confluent-ksql-<service id>`).
    pub internal_prefix: String,
    /// Copies of internal topics.
    pub replicas: u16,
}

/// Runs queries.
pub struct Runtime {
    parts: RuntimeParts,
    config: RuntimeConfig,
    workers: Vec<Sender<Message>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    next_task: AtomicU64,
    queries: Mutex<HashMap<Arc<str>, RunningQuery>>,
}

/// What the runtime remembers of a query that was started.
struct RunningQuery {
    handle: Arc<QueryHandle>,
    /// Readers of the query's stores, by store name, one for each partition.
    stores: HashMap<Arc<str>, Vec<StoreReader>>,
}

impl Runtime {
    /// Starts the worker threads.
    pub fn start(parts: RuntimeParts, config: RuntimeConfig) -> std::io::Result<Arc<Self>> {
        let policy = CommitPolicy::new(parts.log.is_atomic(), Duration::from_millis(config.commit_interval_ms));
        let mut workers = Vec::with_capacity(config.workers);
        let mut threads = Vec::with_capacity(config.workers);
        for index in 0..config.workers.max(1) {
            let (sender, inbox) = unbounded();
            let worker = Worker::new(inbox, parts.log.clone(), parts.state.clone(), policy);
            threads.push(std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || worker.run())?);
            workers.push(sender);
        }
        let threads = Mutex::new(threads);
        Ok(Arc::new(Runtime { parts, config, workers, threads, next_task: AtomicU64::new(0), queries: Mutex::new(HashMap::new()) }))
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
    pub fn partition_readers(&self, query: &str, stores: &[String]) -> Vec<Vec<StoreReader>> {
        let queries = self.queries.lock();
        let Some(running) = queries.get(query) else { return Vec::new() };
        let found: Vec<&Vec<StoreReader>> = stores.iter().filter_map(|name| running.stores.get(name.as_str())).collect();
        if found.len() < stores.len() {
            return Vec::new();
        }
        let partitions = found.iter().map(|readers| readers.len()).min().unwrap_or(0);
        (0..partitions).map(|partition| found.iter().filter_map(|readers| readers.get(partition)).cloned().collect()).collect()
    }

    pub fn pause(&self, query: &str) {
        if let Some(handle) = self.handle(query) {
            handle.set_paused(true);
        }
    }

    pub fn resume(&self, query: &str) {
        if let Some(handle) = self.handle(query) {
            handle.set_paused(false);
            self.broadcast(|_| Message::Resume { query: handle.id.clone() });
        }
    }

    /// Ends a query after a last commit. Its state, topics and group are untouched; see [`Runtime::forget`].
    pub fn stop(&self, query: &str) {
        let Some(running) = self.queries.lock().remove(query) else { return };
        running.handle.set_state(QueryState::Stopped);
        let query = running.handle.id.clone();
        self.ask_all(|done| Message::Remove { query: query.clone(), done });
    }

    /// Deletes what a stopped query leaves behind: state, internal topics, consumer group.
    pub fn forget(&self, query: &str, internal_topics: &[String]) {
        if let Err(error) = self.parts.state.drop_query(query) {
            tracing::warn!(query, %error, "state of a dropped query remains");
        }
        for topic in internal_topics {
            if let Err(error) = self.parts.log.delete_topic(topic) {
                tracing::warn!(query, topic, %error, "internal topic of a dropped query remains");
            }
        }
        if let Err(error) = self.parts.log.delete_group(&self.group(query)) {
            tracing::debug!(query, %error, "consumer group of a dropped query remains");
        }
    }

    /// Names of the topics that a query keeps to itself: repartition topics and changelogs.
    pub fn internal_topics(&self, plan: &QueryPlan) -> Vec<String> {
        let Ok(specs) = operators::split(plan) else { return Vec::new() };
        let group = self.group(&plan.query_id);
        let mut topics = Vec::new();
        for spec in specs {
            topics.extend(spec.sinks.iter().filter(|s| s.is_repartition).map(|s| s.topic.clone()));
            if !self.parts.log.is_atomic() {
                topics.extend(spec.stores.iter().filter(|s| s.changelog).map(|s| format!("{group}-{}-changelog", s.name)));
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

    /// Commits everything now; returns when it is done.
    pub fn commit(&self) {
        self.ask_all(|done| Message::Commit { done });
    }

    /// Commits everything and ends the threads; returns when they are gone, and with them their hold on the state.
    pub fn shutdown(&self) {
        self.ask_all(|done| Message::Shutdown { done });
        for thread in self.threads.lock().drain(..) {
            // A worker that panicked has said so already.
            let _ = thread.join();
        }
        self.parts.state.settle();
        for (_, query) in self.queries.lock().drain() {
            query.handle.set_state(QueryState::Stopped);
        }
    }

    fn broadcast(&self, message: impl Fn(usize) -> Message) {
        for (index, worker) in self.workers.iter().enumerate() {
            let _ = worker.send(message(index));
        }
    }

    /// Sends a message to every worker and waits until all have answered or are gone.
    fn ask_all(&self, message: impl Fn(Sender<()>) -> Message) {
        let (done, answers) = bounded(self.workers.len());
        for worker in &self.workers {
            let _ = worker.send(message(done.clone()));
        }
        drop(done);
        for _ in 0..self.workers.len() {
            if answers.recv_timeout(ANSWER_TIMEOUT).is_err() {
                return;
            }
        }
    }

    fn next_task_key(&self) -> u64 {
        self.next_task.fetch_add(1, Ordering::Relaxed)
    }
}
