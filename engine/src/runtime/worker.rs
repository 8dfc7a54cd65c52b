//! A worker thread: owns tasks, gives each a turn when something has arrived for it, and commits.
//!
//! There are as many workers as cores, however many queries run. Nothing else touches a task, so tasks need no locks of
//! their own; everything that the outside wants of a task comes as a message.
//!
//! Tasks of one guarantee share a writer and its commits (see [`super::pen`]).
//!
//! A failure ends the query that it belongs to, and no other. Where the log is atomic, or commits are transactions, what tasks
//! sent since the last commit lies in one writer: when one of them can't go on, the writer is thrown away and all go back.

mod committing;

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::commit;
use super::marks::{Hand, Marks};
use super::pen::{Fence, Guarantee, Pen, Pens};
use super::query_handle::{QueryFailure, QueryState};
use super::schedule::Schedule;
pub(super) use super::schedule::TaskKey;
use super::task_runner::{Task, TaskError, Turn};
use super::{LetGo, Reached, RuntimeConfig, RuntimeParts, SlotSet, Tenure};
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
/// How long a worker waits for the state of earlier commits to be written, or until it is known whether the service is still this
/// server's, before it looks again.
const PAUSE: Duration = Duration::from_millis(20);

/// What a worker is told.
pub(super) enum Message {
    Add(TaskKey, Box<Task>),
    /// Transactions may be made, by this writer.
    Transactions(Hand, Box<dyn LogWriter>),
    /// Something has arrived for a task.
    Wake(TaskKey),
    /// Drops a query's tasks after a last commit. Whoever wants to know when it is done holds the other end of their
    /// leases.
    Remove {
        query: Arc<str>,
    },
    /// Drops the tasks of these slots.
    Release {
        slots: Arc<SlotSet>,
        how: LetGo,
    },
    /// Drops all tasks without a commit; the runtime says the same to those that come later.
    Abandon,
    /// A paused query goes on.
    Resume {
        query: Arc<str>,
    },
    /// Says how far the tasks of a query are.
    Reached {
        query: Arc<str>,
        said: Sender<Vec<Reached>>,
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

/// Where a worker stands among the others.
pub(super) struct Place {
    /// From 0.
    pub index: usize,
    pub marks: Arc<Marks>,
    /// Nothing is committed any more.
    pub is_abandoned: Arc<AtomicBool>,
    pub fence: Fence,
    pub tenure: Tenure,
    /// Others run the service as well.
    pub is_shared: bool,
}

pub(super) struct Worker {
    inbox: Receiver<Message>,
    /// Taken from the inbox, not handled yet.
    mail: VecDeque<Message>,
    log: Arc<dyn Log>,
    state: StateDb,
    clock: Arc<dyn Clock>,
    tasks: BTreeMap<TaskKey, Task>,
    schedule: Schedule,
    pens: Pens,
    last_purge: Instant,
    /// When the changelogs were last looked through for others' records.
    last_look: Instant,
    look_interval: Duration,
    /// The log's gaps that its tasks know of.
    gaps: u64,
    backoff: Duration,
    /// When tasks that found the log away are tried again.
    rest_until: Instant,
    is_ending: bool,
    /// Slots that can't be let go of before the log is back.
    releases: Vec<(Arc<SlotSet>, LetGo)>,
    place: Place,
}

impl Worker {
    pub(super) fn new(inbox: Receiver<Message>, parts: &RuntimeParts, config: &RuntimeConfig, place: Place) -> Self {
        let now = parts.clock.instant();
        let (interval, min) = (Duration::from_millis(config.commit_interval_ms), config.min_commit_interval_ms.map(Duration::from_millis));
        let pens = Pens::new(|guarantee| Pen::new(guarantee, parts.log.is_atomic(), interval, min, now));
        Worker {
            inbox,
            mail: VecDeque::new(),
            log: parts.log.clone(),
            state: parts.state.clone(),
            clock: parts.clock.clone(),
            tasks: BTreeMap::new(),
            schedule: Schedule::default(),
            pens,
            last_purge: now,
            last_look: now,
            look_interval: Duration::from_millis(config.look_interval_ms),
            gaps: parts.log.gaps(),
            backoff: MIN_BACKOFF,
            rest_until: now,
            is_ending: false,
            releases: Vec::new(),
            place,
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
                self.put_down();
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
        for (slots, how) in std::mem::take(&mut self.releases) {
            self.release(&slots, how);
        }
        self.look_at_commits();
        let now = self.clock.instant();
        if self.state.is_behind() || !self.place.tenure.lasts(now) {
            return Step::Idle(now + PAUSE);
        }
        if let Some(key) = self.schedule.next(now) {
            self.give_turn(key);
            let is_idle = !self.schedule.has_ready();
            if is_idle {
                self.pens.each().into_iter().filter_map(|pen| pen.writer.as_mut()).for_each(|writer| writer.hint_idle());
            }
            self.commit_what_is_due(is_idle, self.state.wants_commit());
            return Step::Worked;
        }
        if self.commit_what_is_due(true, false) {
            return Step::Worked;
        }
        self.renew(now);
        // What follows a commit that is under way may be sent by now.
        let following = self.pens.each().into_iter().filter(|pen| pen.is_ending()).filter_map(|pen| pen.writer.as_mut());
        following.for_each(|writer| writer.hint_idle());
        let appointments = self.pens.each().map(|pen| pen.appointment(now));
        let release = (!self.releases.is_empty()).then(|| now + PAUSE);
        let appointments = appointments.into_iter().chain([Some(now + MAX_SLEEP), release, self.schedule.first_appointment()]);
        Step::Idle(appointments.flatten().min().unwrap_or(now))
    }

    /// Ends what a writer that was thrown away may have left open, though nobody needs another.
    fn renew(&mut self, now: Instant) {
        let (log, place, backoff) = (self.log.clone(), &self.place, self.backoff);
        let pen = self.pens.of(Guarantee::ExactlyOnce);
        if !pen.is_to_renew(now) {
            return;
        }
        match pen.renew(&*log, &place.marks, place.index) {
            Ok(()) => {}
            Err(LogError::Fenced(reason)) => self.is_fenced(&reason),
            Err(error) => {
                tracing::debug!(%error, "a transaction that was given up is still open");
                pen.renew_later(now + backoff.max(MIN_BACKOFF));
            }
        }
    }

    /// Handles a message; true: the worker ends.
    fn handle(&mut self, message: Message) -> bool {
        match message {
            // It ended while the task was being made.
            Message::Add(_, task)
                if task.handle.has_ended() || task.seat.is_given_up() || self.place.is_abandoned.load(Ordering::Acquire) =>
            {
                drop(task)
            }
            Message::Add(key, task) => {
                task.handle.set_state(QueryState::Running);
                task.scheduled.store(true, Ordering::Release);
                self.pens.of(task.guarantee).dirty |= task.dirty;
                self.tasks.insert(key, *task);
                self.schedule.wake(key);
            }
            Message::Transactions(hand, writer) => {
                self.settle(Guarantee::ExactlyOnce);
                if self.pens.of(Guarantee::ExactlyOnce).take_over(hand, writer) {
                    // What was sent by the one before will never be seen.
                    self.roll_back_all(Guarantee::ExactlyOnce, &LogError::Retriable("transactions begin anew".into()));
                }
            }
            Message::Wake(key) => {
                if self.tasks.get(&key).is_some_and(|t| !t.handle.is_paused()) {
                    self.schedule.wake(key);
                }
            }
            Message::Remove { query } => {
                for guarantee in Guarantee::ALL {
                    let is_one = |task: &Task| task.id.query == query && task.guarantee == guarantee;
                    if self.tasks.values().any(|task| is_one(task) && task.dirty) {
                        self.commit(guarantee);
                    }
                    if self.tasks.values().any(|task| is_one(task) && task.has_moved()) {
                        self.settle(guarantee);
                    }
                }
                self.drop_query(&query);
            }
            Message::Release { slots, how } => self.release(&slots, how),
            Message::Abandon => self.abandon(),
            Message::Resume { query } => {
                for (key, _) in self.tasks.iter().filter(|(_, task)| task.id.query == query) {
                    self.schedule.wake(*key);
                }
            }
            Message::Reached { query, said } => {
                let _ = said.send(self.tasks.values().filter(|task| task.id.query == query).map(Task::reached).collect());
            }
            Message::Commit { done } => {
                self.commit_what_is_due(true, true);
                self.settle_all();
                let _ = done.send(());
            }
            Message::Shutdown { done } => {
                self.is_ending = true;
                self.commit_what_is_due(true, true);
                self.settle_all();
                self.note_rest();
                points::reach(Point::CloseCommitted);
                self.tasks.clear();
                self.pens.each().into_iter().flat_map(Pen::take_all).for_each(|mut writer| writer.close());
                let _ = done.send(());
                return true;
            }
        }
        false
    }

    /// Drops the tasks of some slots. Where nothing of theirs is to be committed, what was sent in one transaction with theirs goes
    /// back as well. Whoever has them next reads what was committed: by transactions, it can be read before they go.
    fn release(&mut self, slots: &Arc<SlotSet>, how: LetGo) {
        let goes = |task: &Task| task.seat.slot.is_some_and(|slot| slots.contains(&slot));
        for guarantee in Guarantee::ALL {
            let is_one = |task: &Task| goes(task) && task.guarantee == guarantee;
            if how == LetGo::Committed && self.tasks.values().any(|task| is_one(task) && task.dirty) {
                self.commit(guarantee);
            }
            if self.tasks.values().any(|task| is_one(task) && task.has_moved()) {
                self.settle(guarantee);
                if self.tasks.values().any(|task| is_one(task) && task.has_moved()) {
                    self.take_back(guarantee);
                }
            }
        }
        if self.tasks.values().any(|task| goes(task) && task.guarantee == Guarantee::ExactlyOnce) && !self.make_readable() {
            self.releases.push((slots.clone(), how));
            return;
        }
        let keys: Vec<TaskKey> = self.tasks.iter().filter(|(_, task)| goes(task)).map(|(key, _)| *key).collect();
        for key in keys {
            self.schedule.forget(key);
            self.tasks.remove(&key);
        }
    }

    /// Sees to it that all that was committed by transactions can be read. False: the log is away.
    fn make_readable(&mut self) -> bool {
        let guarantee = Guarantee::ExactlyOnce;
        if self.tasks.values().any(|task| task.dirty && task.guarantee == guarantee) {
            // Of tasks that stay: it is in the writer that goes.
            self.commit(guarantee);
        }
        self.settle(guarantee);
        if self.tasks.values().any(|task| task.has_moved() && task.guarantee == guarantee) {
            self.take_back(guarantee);
        }
        let (log, worker) = (self.log.clone(), self.place.index);
        match self.pens.of(guarantee).take_anew(&*log, &self.place.marks, worker) {
            Ok(()) => true,
            Err(LogError::Fenced(reason)) => {
                self.is_fenced(&reason);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "slots that go to another server wait for the log");
                false
            }
        }
    }

    fn give_turn(&mut self, key: TaskKey) {
        let Some(task) = self.tasks.get_mut(&key) else { return };
        if task.handle.is_paused() || task.handle.has_ended() || task.seat.is_given_up() {
            return;
        }
        if task.must_commit {
            // Where that fails, it has gone back once more, and is tried again after a pause.
            task.dirty = true;
            let guarantee = task.guarantee;
            self.commit(guarantee);
            if self.tasks.get(&key).is_some_and(|task| !task.must_commit) {
                self.schedule.wake(key);
            }
            return;
        }
        let pen = self.pens.of(task.guarantee);
        let writer = match pen.take(&*self.log, &self.place.marks, self.place.index) {
            Ok(writer) => writer,
            Err(LogError::Fenced(reason)) => return self.is_fenced(&reason),
            Err(error @ LogError::Retriable(_)) => {
                tracing::warn!(%error, "the log is away");
                self.rest(key);
                return;
            }
            Err(error) => return self.fail(key, error.to_string()),
        };
        let turn = catch_unwind(AssertUnwindSafe(|| {
            points::reach(Point::ProduceBefore);
            let done = task.turn(writer);
            points::reach(Point::ProduceAfter);
            done
        }));
        pen.dirty |= task.dirty;
        let result = match turn {
            Ok((writer, result)) => {
                pen.give_back(writer);
                result
            }
            Err(panic) => {
                let guarantee = task.guarantee;
                self.panicked(guarantee, Some(key), &*panic);
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
            Err(TaskError::Fenced(reason)) => self.is_fenced(&reason),
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
        let Some(guarantee) = self.tasks.get(&key).map(|task| task.guarantee) else { return };
        self.settle(guarantee);
        let Some(task) = self.tasks.get(&key) else { return };
        let failure = failure.into();
        tracing::error!(query = %task.id.query, partition = task.id.partition, reason = failure.reason, "query failed");
        let query = task.id.query.clone();
        task.handle.set_state(QueryState::Failed(failure));
        self.drop_query(&query);
        self.take_back(guarantee);
    }

    /// Takes one task back to its last commit, in the middle of a record; where the writer is whole, all that share it.
    fn go_back(&mut self, key: TaskKey) {
        let Some(guarantee) = self.tasks.get(&key).map(|task| task.guarantee) else { return };
        self.settle(guarantee);
        let Some(task) = self.tasks.get_mut(&key) else { return };
        // Something of the record at hand may have been sent, and kept.
        task.dirty = true;
        let is_bound = task.is_bound_to_commits();
        if !self.pens.of(guarantee).is_whole || !is_bound {
            self.roll_back_task(key);
        }
        self.take_back(guarantee);
    }

    /// Where the writer is whole, throws away what was sent since the last commit and takes everybody back to it: what a
    /// task has sent must not become visible without the input that it came from. Elsewhere it is on its way already.
    fn take_back(&mut self, guarantee: Guarantee) {
        let now = self.clock.instant();
        let pen = self.pens.of(guarantee);
        if pen.is_whole {
            let verdict = pen.writer.as_mut().and_then(|writer| writer.verdict());
            pen.discard(now);
            let error = verdict.unwrap_or_else(|| LogError::Retriable("another query of the worker could not go on".into()));
            self.roll_back_or_end(guarantee, error);
        }
    }

    /// Something panicked, and the writer went down with it, with all that others had written since the last commit: they
    /// go back to it, and a new writer is made for the next turn. `None`: no task was at hand.
    fn panicked(&mut self, guarantee: Guarantee, key: Option<TaskKey>, panic: &(dyn Any + Send)) {
        let failure = QueryFailure::lasting(format!("internal error: {}", panic_text(panic)));
        self.settle(guarantee);
        self.pens.of(guarantee).discard(self.clock.instant());
        match key {
            Some(key) => self.fail(key, failure),
            None => self.fail_all(guarantee, &failure),
        }
        self.roll_back_all(guarantee, &LogError::Retriable("the writer was lost with a query that failed".into()));
    }

    /// Ends every query that has moved since the last commit that succeeded.
    fn fail_all(&mut self, guarantee: Guarantee, failure: &QueryFailure) {
        let moved: Vec<TaskKey> =
            self.tasks.iter().filter(|(_, task)| task.has_moved() && task.guarantee == guarantee).map(|(key, _)| *key).collect();
        for key in moved {
            self.fail(key, failure.clone());
        }
    }

    /// Another process does the service's work now: nothing is written here any more.
    fn is_fenced(&mut self, reason: &str) {
        if self.place.is_shared {
            return self.lose_tasks(reason);
        }
        if self.place.fence.set(reason.to_owned()).is_ok() {
            tracing::error!(reason, "another server has taken over: all queries are stopped here");
        }
        self.place.is_abandoned.store(true, Ordering::Release);
        self.abandon();
    }

    /// Another server has ended this one's transactions, for it had seen it go: what it runs exactly once may be the other's. Who
    /// looks after the slots finds out.
    fn lose_tasks(&mut self, reason: &str) {
        tracing::warn!(reason, "other servers have taken this one for gone: its tasks begin anew");
        self.place.marks.lose_ids();
        self.pens.of(Guarantee::ExactlyOnce).put_down();
        let is_lost = |task: &Task| task.guarantee == Guarantee::ExactlyOnce && task.seat.slot.is_some();
        let keys: Vec<TaskKey> = self.tasks.iter().filter(|(_, task)| is_lost(task)).map(|(key, _)| *key).collect();
        for key in keys {
            self.schedule.forget(key);
            self.tasks.remove(&key);
        }
    }

    /// Drops all tasks, with what they have not committed.
    fn abandon(&mut self) {
        self.put_down();
        self.tasks.clear();
    }

    /// Forgets what is to be done and what was written.
    fn put_down(&mut self) {
        self.schedule = Schedule::default();
        self.pens.each().into_iter().for_each(Pen::put_down);
    }

    fn drop_query(&mut self, query: &Arc<str>) {
        let keys: Vec<TaskKey> = self.tasks.iter().filter(|(_, task)| task.id.query == *query).map(|(key, _)| *key).collect();
        for key in keys {
            self.schedule.forget(key);
            self.tasks.remove(&key);
        }
    }

    /// Takes every task that has moved back to its last commit. Queries that write what can't be written end.
    fn roll_back_all(&mut self, guarantee: Guarantee, error: &LogError) {
        let moved = |task: &Task| task.has_moved() && task.guarantee == guarantee && task.is_bound_to_commits();
        let keys: Vec<TaskKey> = self.tasks.iter().filter(|(_, task)| moved(task)).map(|(key, _)| *key).collect();
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
