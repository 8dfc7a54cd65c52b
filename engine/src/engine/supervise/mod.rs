//! Watches over the queries, from one thread for the whole engine: what failed and may run again is tried again, and what
//! changed outside (a topic with more partitions) is followed. A second thread only looks whether the service is still this
//! server's; where servers share it, a third sees to standbys. Stands above the runtime, which only knows of tasks that run or have ended. Decisions are pure functions
//! ([`retry`], [`missing`]).

mod care;
mod missing;
mod reservation;
pub(super) mod retry;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

pub(super) use care::{Care, Ending};
use reservation::{Reservation, Reserved};
pub use retry::Backoff;
use retry::{Decision, decide};

use super::{Engine, PersistentQuery, SessionProperties};
use crate::log::{LogError, Standing};
use crate::runtime::{FailureCause, QueryFailure, QueryHandle, QueryState, StartError, StartQuery, panic_text};

/// How often the queries are looked at.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long a start waits for another of the same name before it leaves the query to the next look.
const RESERVE_PATIENCE: Duration = Duration::from_secs(1);

/// The threads, and how they are told to look at once or to end.
#[derive(Default)]
pub(super) struct Supervisor {
    signal: Arc<Signal>,
    /// When topics were last looked at, milliseconds since the epoch.
    topics_seen_ms: Mutex<Option<i64>>,
    /// Queries that are being started, or cleared up after a start.
    reserved: Arc<Reserved>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

/// What a thread does each time.
type Look = fn(&Arc<Engine>);

#[derive(Default)]
struct SignalState {
    kicks: u64,
    is_over: bool,
}

impl Supervisor {
    /// `is_shared`: others share the service, whose tasks may have standbys.
    pub(super) fn start(&self, engine: Weak<Engine>, is_shared: bool) -> std::io::Result<()> {
        // Whether the service is still this server's does not wait for queries that restore; nor does what is followed.
        let looks: [(&str, Look); 2] = [("supervisor", Engine::supervise), ("claim", Engine::check_claim)];
        let following: Option<(&str, Look)> = is_shared.then_some(("standbys", Engine::follow_others));
        for (name, look) in looks.into_iter().chain(following) {
            let (signal, engine) = (self.signal.clone(), engine.clone());
            let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
                let mut seen = 0;
                while signal.wait(&mut seen) {
                    let Some(engine) = engine.upgrade() else { return };
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| look(&engine))) {
                        tracing::error!(reason = panic_text(&*panic), "internal error while the queries were looked at; going on");
                    }
                }
            })?;
            self.threads.lock().push(thread);
        }
        Ok(())
    }

    /// Keeps a query from being started beside another start of the same name; `None`: that one takes long.
    pub(super) fn reserve(&self, query: &str) -> Option<Reservation> {
        self.reserved.reserve(query, RESERVE_PATIENCE)
    }

    /// Does not wait for the next look.
    pub(super) fn kick(&self) {
        self.signal.state.lock().kicks += 1;
        self.signal.changed.notify_all();
    }

    /// Whether topics were last looked at so long ago, which counts from the first call on.
    fn topics_are_due(&self, now_ms: i64, max_age_ms: u64) -> bool {
        let mut seen = self.topics_seen_ms.lock();
        let age_ms = seen.map_or(0, |seen| now_ms.saturating_sub(seen));
        let is_due = u64::try_from(age_ms).is_ok_and(|age_ms| age_ms >= max_age_ms);
        if is_due || seen.is_none() || age_ms < 0 {
            *seen = Some(now_ms);
        }
        is_due
    }

    /// Tells the threads to end after what they are at, which may be a question to a broker that does not answer.
    pub(super) fn end_soon(&self) {
        self.signal.state.lock().is_over = true;
        self.signal.changed.notify_all();
    }

    /// Waits until they have ended.
    pub(super) fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // One that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Signal {
    /// Waits until it is time for the next look; false: it is over. `seen`: the kicks that the caller has followed.
    fn wait(&self, seen: &mut u64) -> bool {
        let mut state = self.state.lock();
        if state.kicks == *seen && !state.is_over {
            self.changed.wait_for(&mut state, INTERVAL);
        }
        *seen = state.kicks;
        !state.is_over
    }
}

impl Engine {
    /// Looks at every query once. The engine's own thread does so all the time; tests need not wait for it.
    pub fn supervise(self: &Arc<Self>) {
        if self.deposed.get().is_some() {
            return;
        }
        for id in self.queries.close_stalled(self.clock.instant(), Duration::from_millis(self.config.push_stall_timeout_ms)) {
            self.runtime.stop_soon(&id);
        }
        // Nothing can be started before the log is back, and what can be asked of it would only wait.
        if self.log.outage().is_some() {
            return;
        }
        self.keep_slots_topic();
        self.take_slots();
        // What a failed append left open is settled; unless a statement is under way, which does so itself.
        if let Some(mut commands) = self.commands.try_lock()
            && let Err(error) = self.catch_up(&mut commands)
        {
            tracing::warn!(reason = error.message, "the command log can't be read");
        }
        for query in self.queries.persistent() {
            let QueryState::Failed(failure) = query.state() else { continue };
            let now_ms = self.clock.now_ms();
            let (decision, is_new) = query.care.failed(failure.cause, now_ms, self.config.query_retry);
            if is_new {
                let topics = query.source_topics(&self.catalog()).into_iter();
                query.care.note_seen_missing(topics.filter(|topic| failure.misses(topic)));
            }
            query.care.note_gone(failure.gone);
            if is_new || query.care.look_is_due(now_ms) {
                self.look_for_topics(&query);
            }
            if decision == Decision::TryNow {
                self.try_again(&query);
            }
        }
        let is_due = self.supervisor.topics_are_due(self.clock.now_ms(), self.config.metadata_max_age_ms);
        if is_due && let Err(error) = self.follow_topics() {
            tracing::debug!(%error, "topics can't be looked at; trying again");
            // Nor would the log answer the next question: whoever waits for this thread to end would wait for both.
            if matches!(error, LogError::Retriable(_)) {
                return;
            }
        }
        // Others' statements are to be carried out here as well, and soon.
        if (is_due || self.share.is_some())
            && let Some(mut commands) = self.commands.try_lock()
            && let Err(error) = self.check_command_log(&mut commands)
        {
            tracing::warn!(reason = error.message, "the command topic can't be looked at; trying again");
        }
    }

    /// Notes which of the topics that a failed query reads or writes are not there. An answer of another kind is none.
    fn look_for_topics(&self, query: &PersistentQuery) {
        let mut missing = Vec::new();
        let sink = Some(query.sink_topic.clone()).filter(|topic| !topic.is_empty());
        for topic in query.source_topics(&self.catalog()).into_iter().chain(sink) {
            match self.log.topic(&topic) {
                Ok(_) => {}
                Err(LogError::UnknownTopic(_)) => missing.push(topic),
                Err(_) => return,
            }
        }
        query.care.note_missing(missing, self.clock.now_ms());
    }

    /// Whether another server runs the service. Where that is found, nothing runs here any more: the other has begun where
    /// this one committed last.
    fn check_claim(self: &Arc<Self>) {
        if self.deposed.get().is_some() {
            return;
        }
        let Some(reason) = self.runtime.fenced().or_else(|| self.ask_claim()) else { return self.follow_group() };
        if self.deposed.set(reason.clone()).is_ok() {
            tracing::error!("{reason}. All queries are stopped here");
        }
        // What they have not committed is the other's to do: a commit from here would come in among its own.
        self.runtime.abandon();
    }

    /// Asks how the claim stands, and lets the workers know; who else runs the service, if somebody does.
    fn ask_claim(&self) -> Option<String> {
        match self.runtime.tenure().ask(&*self.claim, &*self.clock) {
            Standing::Held => {
                if self.is_unsure.swap(false, Ordering::AcqRel) {
                    tracing::info!("the service is still this server's: queries go on");
                }
                None
            }
            Standing::Unsure => {
                if !self.is_unsure.swap(true, Ordering::AcqRel) {
                    tracing::warn!(
                        "this server was away from its group for long, or shut out of it: another may have taken its place, and queries \
                         wait until that is known"
                    );
                }
                None
            }
            Standing::Lost(reason) => Some(reason),
        }
    }

    /// Lets the queries follow topics that have grown.
    fn follow_topics(&self) -> Result<(), LogError> {
        let partitions: HashMap<String, u32> = self.log.list_topics()?.into_iter().map(|topic| (topic.name, topic.partitions)).collect();
        self.runtime.follow_topics(&|topic| partitions.get(topic).copied(), self.clock.now_ms());
        // What was deleted or made anew is healed, or told of, by a start.
        for id in self.runtime.check_topics(self.clock.now_ms())? {
            if let Some(query) = self.queries.get(&id) {
                query.care.ask();
            }
            self.supervisor.kick();
        }
        Ok(())
    }

    /// Ends a query with a commit and starts it again, so that it finds what has come to be since it started.
    pub(super) fn restart(&self, query: &Arc<PersistentQuery>) {
        tracing::info!(query = query.id, "starting it again");
        self.start_again(query);
    }

    /// Starts a failed query anew from its last commit.
    fn try_again(&self, query: &Arc<PersistentQuery>) {
        tracing::info!(query = query.id, "trying a failed query again");
        self.start_again(query);
    }

    fn start_again(&self, query: &Arc<PersistentQuery>) {
        // Until all is cleared up: its successor may have the same name.
        let Some(_reservation) = self.supervisor.reserve(&query.id) else { return };
        if !query.care.begin_start(self.clock.now_ms()) {
            return;
        }
        self.stop(query);
        let handle = self.run(query);
        let has_run = handle.is_ok();
        query.set_handle(handle, self.told());
        match query.care.end_start(has_run) {
            None => self.settle_pause(query),
            Some(ending) => self.clear_up(query, ending),
        }
    }

    /// PAUSE and RESUME may have come while the query started, when nothing ran yet that they could have told.
    fn settle_pause(&self, query: &PersistentQuery) {
        let Ok(handle) = query.handle.read().clone() else { return };
        while handle.is_paused() != query.care.is_paused() {
            self.runtime.set_paused(&handle, query.care.is_paused());
        }
    }

    /// Starts the tasks of a query that is new.
    pub(super) fn run_first(&self, query: &PersistentQuery) -> Result<Arc<QueryHandle>, QueryFailure> {
        match self.supervisor.reserve(&query.id) {
            Some(_reservation) => self.run(query),
            None => Err(StartError::StillEnding(query.id.clone()).into()),
        }
    }

    /// Starts a query's tasks. A panic is the matter of that query alone.
    fn run(&self, query: &PersistentQuery) -> Result<Arc<QueryHandle>, QueryFailure> {
        let session = SessionProperties(query.properties.clone());
        let start = StartQuery {
            ran_before: query.care.has_run(),
            made_anew: query.care.gone(),
            accepts: query.care.accepts(),
            policy: session.record_policy(),
            guarantee: session.guarantee(),
            letters: self.letters_of(query, &session),
            paused: query.care.is_paused(),
            standbys: session.standbys().unwrap_or(self.config.standbys),
            ..StartQuery::new(query.plan.clone(), session.offset_reset())
        };
        let started = catch_unwind(AssertUnwindSafe(|| self.runtime.start_query(start).map_err(QueryFailure::from)));
        let started = started.unwrap_or_else(|panic| Err(QueryFailure::lasting(format!("internal error: {}", panic_text(&*panic)))));
        started.inspect_err(|failure| tracing::error!(query = query.id, reason = failure.reason, "query can't start"))
    }

    /// Stops what runs of a query, and not of another that has its name by now.
    fn stop(&self, query: &PersistentQuery) {
        let handle = query.handle.read().clone();
        if let Ok(handle) = handle {
            self.runtime.stop_this(&handle);
        }
    }

    /// Ends a query that is no longer listed.
    pub(super) fn clear_up(&self, query: &PersistentQuery, ending: Ending) {
        self.stop(query);
        if ending == Ending::Dropped {
            self.runtime.forget(&query.id, &self.runtime.internal_topics(&query.plan));
        }
    }

    /// What is to be said of a query besides its state, a sentence or two each: what it does not read; why it failed and what
    /// happens next.
    pub fn remarks(&self, query: &PersistentQuery) -> Vec<String> {
        let id = &query.id;
        let QueryState::Failed(failure) = query.state() else {
            let remarks = query.handle.read().as_ref().map(|handle| handle.remarks()).unwrap_or_default();
            return remarks.iter().map(|remark| format!("{id}: {remark}.")).collect();
        };
        let facts = query.care.facts(failure.cause, self.clock.now_ms());
        let next = match decide(facts, self.config.query_retry) {
            Decision::TryNow => "It is being tried again.".to_owned(),
            Decision::Wait { .. } if failure.cause == FailureCause::LogAway => "It is tried again once the log is back.".to_owned(),
            Decision::Wait { until_ms } => {
                let seconds = until_ms.saturating_sub(facts.now_ms).saturating_add(999) / 1000;
                let times = if facts.failures == 1 { "once".to_owned() } else { format!("{} times in a row", facts.failures) };
                format!("It failed {times} and is tried again in {seconds} s; RESUME {id}; tries at once.")
            }
            Decision::Leave if facts.is_paused => format!("It is paused: RESUME {id}; tries it again."),
            Decision::Leave => format!("Trying again would not help, so it is not done by itself; RESUME {id}; tries once."),
        };
        vec![format!("{id} failed: {}. {next}", failure.reason.trim_end_matches('.'))]
    }
}
