//! A worker thread: owns tasks, gives each a turn when something has arrived for it, and commits.
//!
//! There are as many workers as cores, however many queries run. Nothing else touches a task, so tasks need no locks of
//! their own; everything that the outside wants of a task comes as a message.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::commit::{self, CommitPolicy};
use super::query_handle::QueryState;
use super::task_runner::{Task, TaskError, Turn};
use crate::log::{Log, LogError, LogWriter};
use crate::state::StateDb;

/// How long a task rests after its log was away, at first; doubled up to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(10);
/// How often the log is told which records of repartition topics are done with.
const PURGE_INTERVAL: Duration = Duration::from_secs(10);
/// How long an idle worker sleeps at the most.
const MAX_SLEEP: Duration = Duration::from_secs(3600);

/// Identifies a task on its worker.
pub(super) type TaskKey = u64;

/// What a worker is told.
pub(super) enum Message {
    Add(TaskKey, Box<Task>),
    /// Something has arrived for a task.
    Wake(TaskKey),
    /// Drops a query's tasks after a last commit; then answers.
    Remove {
        query: Arc<str>,
        done: Sender<()>,
    },
    /// A paused query goes on.
    Resume {
        query: Arc<str>,
    },
    /// Commits now; then answers.
    Commit {
        done: Sender<()>,
    },
    /// Commits, drops everything and ends the thread.
    Shutdown {
        done: Sender<()>,
    },
}

pub(super) struct Worker {
    inbox: Receiver<Message>,
    log: Arc<dyn Log>,
    state: StateDb,
    policy: CommitPolicy,
    tasks: HashMap<TaskKey, Task>,
    ready: VecDeque<TaskKey>,
    later: Vec<(Instant, TaskKey)>,
    writer: Option<Box<dyn LogWriter>>,
    last_commit: Instant,
    last_purge: Instant,
    dirty: bool,
    backoff: Duration,
    /// When tasks that found the log away are tried again.
    rest_until: Instant,
}

impl Worker {
    pub(super) fn new(inbox: Receiver<Message>, log: Arc<dyn Log>, state: StateDb, policy: CommitPolicy) -> Self {
        Worker {
            inbox,
            log,
            state,
            policy,
            tasks: HashMap::new(),
            ready: VecDeque::new(),
            later: Vec::new(),
            writer: None,
            last_commit: Instant::now(),
            last_purge: Instant::now(),
            dirty: false,
            backoff: MIN_BACKOFF,
            rest_until: Instant::now(),
        }
    }

    /// Works until told to shut down.
    pub(super) fn run(mut self) {
        loop {
            while let Ok(message) = self.inbox.try_recv() {
                if self.handle(message) {
                    return;
                }
            }
            self.wake_due();
            if let Some(key) = self.ready.pop_front() {
                self.give_turn(key);
                if self.ready.is_empty()
                    && let Some(writer) = &mut self.writer
                {
                    writer.hint_idle();
                }
                let due = self.policy.is_due(self.last_commit.elapsed(), self.ready.is_empty()) || self.state.wants_commit();
                if self.dirty && due {
                    self.commit();
                }
                continue;
            }
            match self.inbox.recv_timeout(self.sleep_time()) {
                Ok(message) => {
                    if self.handle(message) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.dirty && self.policy.is_due(self.last_commit.elapsed(), true) {
                self.commit();
            }
        }
    }

    /// Handles a message; true: the worker ends.
    fn handle(&mut self, message: Message) -> bool {
        match message {
            Message::Add(key, task) => {
                task.handle.set_state(QueryState::Running);
                task.scheduled.store(true, Ordering::Release);
                self.dirty |= task.dirty;
                self.tasks.insert(key, *task);
                self.ready.push_back(key);
            }
            Message::Wake(key) => {
                if self.tasks.get(&key).is_some_and(|t| !t.handle.is_paused()) {
                    self.ready.push_back(key);
                }
            }
            Message::Remove { query, done } => {
                if self.dirty && self.tasks.values().any(|t| t.id.query == query && t.dirty) {
                    self.commit();
                }
                self.drop_query(&query);
                let _ = done.send(());
            }
            Message::Resume { query } => {
                let keys = self.tasks.iter().filter(|(_, t)| t.id.query == query).map(|(key, _)| *key);
                self.ready.extend(keys);
            }
            Message::Commit { done } => {
                if self.dirty {
                    self.commit();
                }
                let _ = done.send(());
            }
            Message::Shutdown { done } => {
                if self.dirty {
                    self.commit();
                }
                self.tasks.clear();
                self.writer = None;
                let _ = done.send(());
                return true;
            }
        }
        false
    }

    fn wake_due(&mut self) {
        if self.later.is_empty() {
            return;
        }
        let now = Instant::now();
        let ready = &mut self.ready;
        self.later.retain(|(at, key)| {
            let due = *at <= now;
            if due {
                ready.push_back(*key);
            }
            !due
        });
    }

    fn sleep_time(&self) -> Duration {
        let now = Instant::now();
        let mut until = now + MAX_SLEEP;
        for (at, _) in &self.later {
            until = until.min(*at);
        }
        if self.dirty {
            until = until.min(self.last_commit + self.policy.interval);
        }
        until.saturating_duration_since(now)
    }

    fn give_turn(&mut self, key: TaskKey) {
        let writer = match self.writer.take().map_or_else(|| self.log.writer(), Ok) {
            Ok(writer) => writer,
            Err(error) => {
                tracing::warn!(%error, "the log is away");
                self.rest(key);
                return;
            }
        };
        let Some(task) = self.tasks.get_mut(&key) else {
            self.writer = Some(writer);
            return;
        };
        if task.handle.is_paused() || task.handle.has_ended() {
            self.writer = Some(writer);
            return;
        }
        let turn = catch_unwind(AssertUnwindSafe(|| task.turn(writer)));
        self.dirty |= task.dirty;
        let result = match turn {
            Ok((writer, result)) => {
                self.writer = Some(writer);
                result
            }
            Err(panic) => {
                self.lost_writer(key, &*panic);
                return;
            }
        };
        match result {
            Ok(Turn::More) => {
                self.backoff = MIN_BACKOFF;
                task.scheduled.store(true, Ordering::Release);
                self.ready.push_back(key);
            }
            Ok(Turn::Idle) => self.backoff = MIN_BACKOFF,
            Ok(Turn::Later(at)) => self.later.push((at, key)),
            Err(TaskError::Retriable(reason)) => {
                // The log itself says once that it is away; a line for each task would drown it.
                tracing::debug!(query = %task.id.query, reason, "the log is away; trying again");
                self.rest(key);
            }
            Err(TaskError::Interrupted(reason)) => {
                tracing::warn!(query = %task.id.query, reason, "the log went away; going back to the last commit");
                match commit::roll_back(task) {
                    Ok(()) => self.rest(key),
                    Err(error) => self.fail(key, error),
                }
            }
            Err(TaskError::Fatal(reason)) => self.fail(key, reason),
        }
    }

    /// Tries a task again after a pause, the same for all tasks that fail within it. The pause grows from one to the next.
    fn rest(&mut self, key: TaskKey) {
        let now = Instant::now();
        if now >= self.rest_until {
            self.rest_until = now + self.backoff;
            self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        }
        self.later.push((self.rest_until, key));
    }

    /// Ends a query because of one of its tasks. Its tasks on other workers see the state and stop.
    fn fail(&mut self, key: TaskKey, reason: String) {
        let Some(task) = self.tasks.get(&key) else { return };
        tracing::error!(query = %task.id.query, partition = task.id.partition, reason, "query failed");
        let query = task.id.query.clone();
        task.handle.set_state(QueryState::Failed(reason));
        self.drop_query(&query);
    }

    /// A task panicked, and the writer went down with it, with all that others had written since the last commit: they go
    /// back to it, and a new writer is made for the next turn.
    fn lost_writer(&mut self, key: TaskKey, panic: &(dyn std::any::Any + Send)) {
        self.fail(key, format!("internal error: {}", panic_text(panic)));
        self.dirty = false;
        self.roll_back(&LogError::Retriable("the writer was lost with a query that failed".into()));
    }

    fn drop_query(&mut self, query: &Arc<str>) {
        self.tasks.retain(|_, task| task.id.query != *query);
    }

    /// Commits every task that has moved. Where it fails, all of them go back to their last commit.
    fn commit(&mut self) {
        self.last_commit = Instant::now();
        self.dirty = false;
        let mut writer = match self.writer.take().map_or_else(|| self.log.writer(), Ok) {
            Ok(writer) => writer,
            Err(error) => {
                self.roll_back(&error);
                return;
            }
        };
        // What tasks held back until now they send with their stores taken: there should be room for it.
        if self.tasks.values().any(|task| task.dirty && task.graph.coalesces)
            && !writer.has_room()
            && let Err(error) = writer.flush()
        {
            self.writer = Some(writer);
            return self.roll_back(&error);
        }
        let mut failed = Vec::new();
        for (key, task) in self.tasks.iter_mut().filter(|(_, task)| task.dirty && task.graph.coalesces) {
            let result = match catch_unwind(AssertUnwindSafe(|| task.before_commit(writer))) {
                Ok((lent, result)) => {
                    writer = lent;
                    result
                }
                Err(panic) => {
                    let key = *key;
                    self.lost_writer(key, &*panic);
                    return;
                }
            };
            match result {
                Ok(()) => {}
                Err(TaskError::Retriable(reason) | TaskError::Interrupted(reason)) => {
                    self.writer = Some(writer);
                    self.roll_back(&LogError::Retriable(reason));
                    return;
                }
                Err(TaskError::Fatal(reason)) => failed.push((*key, reason)),
            }
        }
        for (key, reason) in failed {
            self.fail(key, reason);
        }
        let mut moved: Vec<&mut Task> = self.tasks.values_mut().filter(|t| t.dirty).collect();
        match commit::commit(writer, &self.state, &mut moved) {
            Ok(writer) => self.writer = Some(writer),
            Err(error) => return self.roll_back(&error),
        }
        if self.last_purge.elapsed() >= PURGE_INTERVAL {
            self.last_purge = Instant::now();
            self.log.delete_before(self.tasks.values().flat_map(Task::done_with).collect());
        }
    }

    /// Takes every task that has moved back to its last commit. Queries that write what can't be written end.
    fn roll_back(&mut self, error: &LogError) {
        tracing::warn!(%error, "commit failed; going back to the last one");
        let keys: Vec<TaskKey> = self.tasks.iter().filter(|(_, t)| t.dirty).map(|(key, _)| *key).collect();
        for key in keys {
            let Some(task) = self.tasks.get_mut(&key) else { continue };
            let ended = match error {
                LogError::Undeliverable { topic, .. } if task.writes.contains(topic) => Err(error.to_string()),
                _ => commit::roll_back(task),
            };
            match ended {
                Ok(()) => self.rest(key),
                Err(reason) => self.fail(key, reason),
            }
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic")
}
