//! A worker thread: owns tasks, gives each a turn when something has arrived for it, and commits.
//!
//! There are as many workers as cores, however many queries run. Nothing else touches a task, so tasks need no locks of
//! their own; everything that the outside wants of a task comes as a message.
//!
//! A failure ends the query that it belongs to, and no other. Where the log is atomic, what every task of the worker sent
//! since the last commit lies in one writer: when one of them can't go on, the writer is thrown away and all go back.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::RuntimeParts;
use super::commit::{self, CommitPolicy};
use super::query_handle::{QueryFailure, QueryState};
use super::schedule::Schedule;
pub(super) use super::schedule::TaskKey;
use super::task_runner::{Task, TaskError, Turn};
use crate::clock::Clock;
use crate::log::{Log, LogError, LogWriter};
use crate::points::{self, Point};
use crate::state::StateDb;

/// How long a task rests after its log was away, at first; doubled up to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(10);
/// How often the log is told which records of repartition topics are done with.
const PURGE_INTERVAL: Duration = Duration::from_secs(10);
/// How long an idle worker sleeps at the most.
const MAX_SLEEP: Duration = Duration::from_secs(3600);
/// How long a worker waits for the state of earlier commits to be written before it looks again.
const STATE_PAUSE: Duration = Duration::from_millis(20);

/// What a worker is told.
pub(super) enum Message {
    Add(TaskKey, Box<Task>),
    /// Something has arrived for a task.
    Wake(TaskKey),
    /// Drops a query's tasks after a last commit. Whoever wants to know when it is done holds the other end of their
    /// leases.
    Remove {
        query: Arc<str>,
    },
    /// Drops all tasks without a commit; the runtime says the same to those that come later.
    Abandon,
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

/// How a step of a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There may be more to do.
    Worked,
    /// Nothing is to be done before this moment, or a message.
    Idle(Instant),
    /// The worker was told to end.
    Ended,
}

pub(super) struct Worker {
    inbox: Receiver<Message>,
    /// Taken from the inbox, not handled yet.
    mail: VecDeque<Message>,
    log: Arc<dyn Log>,
    state: StateDb,
    clock: Arc<dyn Clock>,
    policy: CommitPolicy,
    tasks: BTreeMap<TaskKey, Task>,
    schedule: Schedule,
    writer: Option<Box<dyn LogWriter>>,
    last_commit: Instant,
    last_purge: Instant,
    /// The log's gaps that its tasks know of.
    gaps: u64,
    dirty: bool,
    backoff: Duration,
    /// When tasks that found the log away are tried again.
    rest_until: Instant,
    is_ending: bool,
    /// Nothing is committed any more.
    is_abandoned: Arc<AtomicBool>,
}

impl Worker {
    pub(super) fn new(inbox: Receiver<Message>, parts: &RuntimeParts, policy: CommitPolicy, is_abandoned: Arc<AtomicBool>) -> Self {
        let now = parts.clock.instant();
        Worker {
            inbox,
            mail: VecDeque::new(),
            log: parts.log.clone(),
            state: parts.state.clone(),
            clock: parts.clock.clone(),
            policy,
            tasks: BTreeMap::new(),
            schedule: Schedule::default(),
            writer: None,
            last_commit: now,
            last_purge: now,
            gaps: parts.log.gaps(),
            dirty: false,
            backoff: MIN_BACKOFF,
            rest_until: now,
            is_ending: false,
            is_abandoned,
        }
    }

    /// Works until told to shut down.
    pub(super) fn run(mut self) {
        loop {
            match self.step() {
                Step::Worked => {}
                Step::Ended => return,
                Step::Idle(until) => match self.inbox.recv_timeout(until.saturating_duration_since(self.clock.instant())) {
                    Ok(message) => self.mail.push_back(message),
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {}
                },
            }
        }
    }

    /// Handles what the worker was told, and gives one task a turn or commits. Never panics: what goes wrong within a task
    /// ends its query, and what goes wrong beside the tasks ends the queries of this worker.
    pub(super) fn step(&mut self) -> Step {
        match catch_unwind(AssertUnwindSafe(|| self.try_step())) {
            Ok(step) => step,
            Err(panic) => {
                let failure = QueryFailure::lasting(format!("internal error in a worker: {}", panic_text(&*panic)));
                tracing::error!(reason = failure.reason, "the worker's queries end");
                self.writer = None;
                self.dirty = false;
                self.schedule = Schedule::default();
                for task in std::mem::take(&mut self.tasks).into_values() {
                    task.handle.set_state(QueryState::Failed(failure.clone()));
                    let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
                }
                if self.is_ending { Step::Ended } else { Step::Worked }
            }
        }
    }

    fn try_step(&mut self) -> Step {
        self.mail.extend(self.inbox.try_iter());
        while let Some(message) = self.mail.pop_front() {
            if self.handle(message) {
                return Step::Ended;
            }
        }
        let now = self.clock.instant();
        if self.state.is_behind() {
            return Step::Idle(now + STATE_PAUSE);
        }
        if let Some(key) = self.schedule.next(now) {
            self.give_turn(key);
            let is_idle = !self.schedule.has_ready();
            if is_idle && let Some(writer) = &mut self.writer {
                writer.hint_idle();
            }
            let since_last = self.clock.instant().saturating_duration_since(self.last_commit);
            if self.dirty && (self.policy.is_due(since_last, is_idle) || self.state.wants_commit()) {
                self.commit();
            }
            return Step::Worked;
        }
        if self.dirty && self.policy.is_due(now.saturating_duration_since(self.last_commit), true) {
            self.commit();
            return Step::Worked;
        }
        let commit_at = self.dirty.then(|| self.last_commit + self.policy.interval);
        let appointments = [Some(now + MAX_SLEEP), self.schedule.first_appointment(), commit_at];
        Step::Idle(appointments.into_iter().flatten().min().unwrap_or(now))
    }

    /// Handles a message; true: the worker ends.
    fn handle(&mut self, message: Message) -> bool {
        match message {
            // It ended while the task was being made.
            Message::Add(_, task) if task.handle.has_ended() || self.is_abandoned.load(Ordering::Acquire) => drop(task),
            Message::Add(key, task) => {
                task.handle.set_state(QueryState::Running);
                task.scheduled.store(true, Ordering::Release);
                self.dirty |= task.dirty;
                self.tasks.insert(key, *task);
                self.schedule.wake(key);
            }
            Message::Wake(key) => {
                if self.tasks.get(&key).is_some_and(|t| !t.handle.is_paused()) {
                    self.schedule.wake(key);
                }
            }
            Message::Remove { query } => {
                if self.dirty && self.tasks.values().any(|t| t.id.query == query && t.dirty) {
                    self.commit();
                }
                self.drop_query(&query);
            }
            Message::Abandon => self.abandon(),
            Message::Resume { query } => {
                for (key, _) in self.tasks.iter().filter(|(_, task)| task.id.query == query) {
                    self.schedule.wake(*key);
                }
            }
            Message::Commit { done } => {
                if self.dirty {
                    self.commit();
                }
                let _ = done.send(());
            }
            Message::Shutdown { done } => {
                self.is_ending = true;
                if self.dirty {
                    self.commit();
                }
                points::reach(Point::CloseCommitted);
                self.tasks.clear();
                if let Some(mut writer) = self.writer.take() {
                    writer.close();
                }
                let _ = done.send(());
                return true;
            }
        }
        false
    }

    fn give_turn(&mut self, key: TaskKey) {
        let Some(task) = self.tasks.get_mut(&key) else { return };
        if task.handle.is_paused() || task.handle.has_ended() {
            return;
        }
        if task.must_commit {
            // Where that fails, it has gone back once more, and is tried again after a pause.
            task.dirty = true;
            self.commit();
            if self.tasks.get(&key).is_some_and(|task| !task.must_commit) {
                self.schedule.wake(key);
            }
            return;
        }
        let writer = match self.writer.take().map_or_else(|| self.log.writer(), Ok) {
            Ok(writer) => writer,
            Err(error) => {
                tracing::warn!(%error, "the log is away");
                self.rest(key);
                return;
            }
        };
        let turn = catch_unwind(AssertUnwindSafe(|| {
            points::reach(Point::ProduceBefore);
            let done = task.turn(writer);
            points::reach(Point::ProduceAfter);
            done
        }));
        self.dirty |= task.dirty;
        let result = match turn {
            Ok((writer, result)) => {
                self.writer = Some(writer);
                result
            }
            Err(panic) => {
                self.panicked(Some(key), &*panic);
                return;
            }
        };
        match result {
            Ok(Turn::More) => {
                self.backoff = MIN_BACKOFF;
                task.scheduled.store(true, Ordering::Release);
                self.schedule.wake(key);
            }
            Ok(Turn::Idle) => self.backoff = MIN_BACKOFF,
            Ok(Turn::Later(at)) => self.schedule.wake_at(key, at),
            Err(TaskError::Retriable(reason)) => {
                // The log itself says once that it is away; a line for each task would drown it.
                tracing::debug!(query = %task.id.query, reason, "the log is away; trying again");
                self.rest(key);
            }
            Err(TaskError::Interrupted(reason)) => {
                tracing::warn!(query = %task.id.query, reason, "the log went away; going back to the last commit");
                self.go_back(key);
            }
            Err(TaskError::Stopped) => self.go_back(key),
            Err(TaskError::Fatal(reason)) => self.fail(key, reason),
        }
    }

    /// Tries a task again after a pause, the same for all tasks that fail within it. The pause grows from one to the next.
    fn rest(&mut self, key: TaskKey) {
        let now = self.clock.instant();
        if now >= self.rest_until {
            self.rest_until = now + self.backoff;
            self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        }
        self.schedule.wake_at(key, self.rest_until);
    }

    /// Ends a query because of one of its tasks. Its tasks on other workers see the state and stop.
    fn fail(&mut self, key: TaskKey, failure: impl Into<QueryFailure>) {
        let Some(task) = self.tasks.get(&key) else { return };
        let failure = failure.into();
        tracing::error!(query = %task.id.query, partition = task.id.partition, reason = failure.reason, "query failed");
        let query = task.id.query.clone();
        task.handle.set_state(QueryState::Failed(failure));
        self.drop_query(&query);
        self.take_back();
    }

    /// Takes one task back to its last commit, in the middle of a record; where the log is atomic, all that share the
    /// writer with it.
    fn go_back(&mut self, key: TaskKey) {
        self.roll_back_task(key);
        self.take_back();
    }

    /// Where the log is atomic, throws away what was sent since the last commit and takes everybody back to it: what a
    /// task has sent must not become visible without the input that it came from. Elsewhere it is on its way already.
    fn take_back(&mut self) {
        if self.log.is_atomic() {
            self.writer = None;
            self.roll_back_all(&LogError::Retriable("another query of the worker could not go on".into()));
        }
    }

    /// Something panicked, and the writer went down with it, with all that others had written since the last commit: they
    /// go back to it, and a new writer is made for the next turn. `None`: no task was at hand.
    fn panicked(&mut self, key: Option<TaskKey>, panic: &(dyn Any + Send)) {
        let failure = QueryFailure::lasting(format!("internal error: {}", panic_text(panic)));
        self.writer = None;
        match key {
            Some(key) => self.fail(key, failure),
            None => {
                let moved: Vec<TaskKey> = self.tasks.iter().filter(|(_, task)| task.dirty).map(|(key, _)| *key).collect();
                for key in moved {
                    self.fail(key, failure.clone());
                }
            }
        }
        self.roll_back_all(&LogError::Retriable("the writer was lost with a query that failed".into()));
    }

    /// Drops all tasks, with what they have not committed.
    fn abandon(&mut self) {
        self.dirty = false;
        self.schedule = Schedule::default();
        self.tasks.clear();
        self.writer = None;
    }

    fn drop_query(&mut self, query: &Arc<str>) {
        let keys: Vec<TaskKey> = self.tasks.iter().filter(|(_, task)| task.id.query == *query).map(|(key, _)| *key).collect();
        for key in keys {
            self.schedule.forget(key);
            self.tasks.remove(&key);
        }
    }

    /// Commits every task that has moved. Where it fails, all of them go back to their last commit.
    fn commit(&mut self) {
        self.dirty = false;
        if self.is_abandoned.load(Ordering::Acquire) {
            return self.abandon();
        }
        if !self.before_commit() {
            return;
        }
        let writer = match self.writer.take().map_or_else(|| self.log.writer(), Ok) {
            Ok(writer) => writer,
            Err(error) => return self.roll_back_all(&error),
        };
        let mut at_hand = None;
        let mut moved: Vec<(TaskKey, &mut Task)> =
            self.tasks.iter_mut().filter(|(_, task)| task.dirty).map(|(key, task)| (*key, task)).collect();
        match catch_unwind(AssertUnwindSafe(|| commit::commit(writer, &self.state, &mut moved, &mut at_hand))) {
            Ok(Ok(committed)) => {
                self.writer = Some(committed.writer);
                for (key, reason) in committed.refused {
                    self.fail(key, reason);
                }
            }
            Ok(Err(error)) => self.roll_back_all(&error),
            Err(panic) => self.panicked(at_hand, &*panic),
        }
        self.last_commit = self.clock.instant();
        if self.last_commit.saturating_duration_since(self.last_purge) >= PURGE_INTERVAL {
            self.last_purge = self.last_commit;
            let dead: Vec<_> = self.tasks.values_mut().flat_map(Task::take_dead).collect();
            self.log.delete_before(self.tasks.values().flat_map(Task::done_with).chain(dead).collect());
        }
    }

    /// Lets go what operators hold back until a commit. False: there is nothing to commit any more.
    fn before_commit(&mut self) -> bool {
        let holding: Vec<TaskKey> = self.tasks.iter().filter(|(_, task)| task.dirty && task.graph.coalesces).map(|(key, _)| *key).collect();
        // They send it with their stores taken: there should be room for it.
        if !holding.is_empty()
            && let Some(writer) = &mut self.writer
            && !writer.has_room()
            && let Err(error) = writer.flush()
        {
            self.roll_back_all(&error);
            return false;
        }
        for key in holding {
            let writer = match self.writer.take().map_or_else(|| self.log.writer(), Ok) {
                Ok(writer) => writer,
                Err(error) => {
                    self.roll_back_all(&error);
                    return false;
                }
            };
            let Some(task) = self.tasks.get_mut(&key) else {
                self.writer = Some(writer);
                continue;
            };
            match catch_unwind(AssertUnwindSafe(|| task.before_commit(writer))) {
                Ok((writer, result)) => {
                    self.writer = Some(writer);
                    match result {
                        Ok(()) => {}
                        // Some of it is not sent: what it stands for is read again.
                        Err(TaskError::Stopped) => self.go_back(key),
                        Err(TaskError::Retriable(reason) | TaskError::Interrupted(reason)) => {
                            self.roll_back_all(&LogError::Retriable(reason));
                            return false;
                        }
                        Err(TaskError::Fatal(reason)) => self.fail(key, reason),
                    }
                }
                Err(panic) => self.panicked(Some(key), &*panic),
            }
        }
        true
    }

    /// Takes every task that has moved back to its last commit. Queries that write what can't be written end.
    fn roll_back_all(&mut self, error: &LogError) {
        let keys: Vec<TaskKey> = self.tasks.iter().filter(|(_, t)| t.dirty && t.is_bound_to_commits()).map(|(key, _)| *key).collect();
        let gaps = std::mem::replace(&mut self.gaps, self.log.gaps());
        if self.gaps != gaps {
            // What comes again now may be missing in the middle of what arrived: better twice than not at all.
            self.tasks.values_mut().for_each(|task| task.cx.origins.begin_all_anew(task.lanes.len()));
        }
        if keys.is_empty() {
            return;
        }
        tracing::warn!(%error, "going back to the last commit");
        for key in keys {
            let ends = match (error, self.tasks.get(&key)) {
                (LogError::Undeliverable { topic, .. }, Some(task)) => task.writes.contains(topic),
                _ => false,
            };
            if ends {
                self.fail(key, error.to_string());
            } else {
                self.roll_back_task(key);
            }
        }
    }

    /// Takes a task back to its last commit, and tries it again after a pause. One that can't go back ends its query.
    fn roll_back_task(&mut self, key: TaskKey) {
        let Some(task) = self.tasks.get_mut(&key) else { return };
        match catch_unwind(AssertUnwindSafe(|| commit::roll_back(task))) {
            Ok(Ok(())) => self.rest(key),
            Ok(Err(reason)) => self.fail(key, reason),
            Err(panic) => self.fail(key, QueryFailure::lasting(format!("internal error: {}", panic_text(&*panic)))),
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic")
}
