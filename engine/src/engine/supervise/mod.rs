//! Watches over the queries, from one thread for the whole engine: what failed and may run again is tried again, and what
//! changed outside (a topic with more partitions) is followed. Stands above the runtime, which only knows of tasks that run
//! or have ended. Decisions are pure functions ([`retry`]).

mod care;
pub(super) mod retry;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

pub(super) use care::{Care, Ending};
pub use retry::Backoff;
use retry::{Decision, decide};

use super::{Engine, PersistentQuery, SessionProperties};
use crate::log::LogError;
use crate::runtime::{FailureCause, QueryFailure, QueryHandle, QueryState, StartQuery};

/// How often the queries are looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// The thread, and how it is told to look at once or to end.
#[derive(Default)]
pub(super) struct Supervisor {
    signal: Arc<Signal>,
    /// When topics were last looked at, milliseconds since the epoch.
    topics_seen_ms: Mutex<Option<i64>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Default)]
struct SignalState {
    is_kicked: bool,
    is_over: bool,
}

impl Supervisor {
    pub(super) fn start(&self, engine: Weak<Engine>) -> std::io::Result<()> {
        let signal = self.signal.clone();
        let thread = std::thread::Builder::new().name("supervisor".into()).spawn(move || {
            while signal.wait() {
                let Some(engine) = engine.upgrade() else { return };
                engine.supervise();
            }
        })?;
        *self.thread.lock() = Some(thread);
        Ok(())
    }

    /// Does not wait for the next look.
    pub(super) fn kick(&self) {
        self.signal.state.lock().is_kicked = true;
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

    /// Ends the thread, after what it is at.
    pub(super) fn stop(&self) {
        self.signal.state.lock().is_over = true;
        self.signal.changed.notify_all();
        if let Some(thread) = self.thread.lock().take()
            && thread.thread().id() != std::thread::current().id()
        {
            // One that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Signal {
    /// Waits until it is time for the next look; false: it is over.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        if !state.is_kicked && !state.is_over {
            self.changed.wait_for(&mut state, INTERVAL);
        }
        state.is_kicked = false;
        !state.is_over
    }
}

impl Engine {
    /// Looks at every query once. The engine's own thread does so all the time; tests need not wait for it.
    pub fn supervise(self: &Arc<Self>) {
        if self.is_deposed() {
            return;
        }
        // Nothing can be started before the log is back, and what can be asked of it would only wait.
        if self.log.outage().is_some() {
            return;
        }
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
                let missing = |topic: &String| matches!(self.log.topic(topic), Err(LogError::UnknownTopic(_)));
                let found_missing = query.source_topics(&self.catalog()).into_iter().filter(missing);
                query.care.note_gone(found_missing.chain(failure.gone).collect());
            }
            if decision == Decision::TryNow {
                self.try_again(&query);
            }
        }
        if self.supervisor.topics_are_due(self.clock.now_ms(), self.config.metadata_max_age_ms)
            && let Err(error) = self.follow_topics()
        {
            tracing::debug!(%error, "topics can't be looked at; trying again");
        }
    }

    /// Whether another server runs the service. Where that is found, nothing runs here any more: the other has begun where
    /// this one committed last.
    fn is_deposed(&self) -> bool {
        if self.deposed.get().is_some() {
            return true;
        }
        let Some(reason) = self.claim.lost() else { return false };
        tracing::error!("{reason}. All queries are stopped here");
        let _ = self.deposed.set(reason);
        for query in self.queries.persistent() {
            self.runtime.stop(&query.id);
        }
        true
    }

    /// Lets the queries follow topics that have grown.
    fn follow_topics(&self) -> Result<(), LogError> {
        let partitions: HashMap<String, u32> = self.log.list_topics()?.into_iter().map(|topic| (topic.name, topic.partitions)).collect();
        self.runtime.follow_topics(&|topic| partitions.get(topic).copied(), self.clock.now_ms());
        Ok(())
    }

    /// Starts a failed query anew from its last commit.
    fn try_again(&self, query: &Arc<PersistentQuery>) {
        if !query.care.begin_start(self.clock.now_ms()) {
            return;
        }
        tracing::info!(query = query.id, "trying a failed query again");
        self.runtime.stop(&query.id);
        let handle = self.run(query);
        match query.care.end_start(handle.is_ok()) {
            None => {
                // PAUSE may have come during the start.
                if handle.is_ok() && query.care.is_paused() {
                    self.runtime.pause(&query.id);
                }
                *query.handle.write() = handle;
            }
            Some(ending) => self.clear_up(query, ending),
        }
    }

    /// Starts a query's tasks.
    pub(super) fn run(&self, query: &PersistentQuery) -> Result<Arc<QueryHandle>, QueryFailure> {
        let session = SessionProperties(query.properties.clone());
        let start = StartQuery {
            ran_before: query.care.has_run(),
            made_anew: query.care.gone(),
            policy: session.record_policy(),
            paused: query.care.is_paused(),
            ..StartQuery::new(query.plan.clone(), session.offset_reset())
        };
        self.runtime.start_query(start).map_err(|error| {
            let failure = QueryFailure::from(error);
            tracing::error!(query = query.id, reason = failure.reason, "query can't start");
            failure
        })
    }

    /// Ends a query that is no longer listed.
    pub(super) fn clear_up(&self, query: &PersistentQuery, ending: Ending) {
        self.runtime.stop(&query.id);
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
