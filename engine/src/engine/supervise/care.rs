//! What the supervision remembers of one query, and who may start and end it.
//!
//! A query that is being started again can be dropped meanwhile: whoever drops it does not wait for a start that may wait
//! for a broker. The start then finds that the query is no longer wanted, and clears up after it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::missing::Missing;
use super::retry::{Attempts, Backoff, Decision, Facts, decide};
use crate::runtime::FailureCause;

/// How long a statement that takes a query's place waits for a start that is under way.
const START_PATIENCE: Duration = Duration::from_secs(8);

/// How a query ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Another takes its place, with its state.
    Replaced,
    /// For good, with its state and internal topics.
    Dropped,
}

#[derive(Default)]
struct Lifecycle {
    is_starting: bool,
    ending: Option<Ending>,
    attempts: Attempts,
    missing: Missing,
    /// Topics of which somebody knows that they are others than before, and wants to go on.
    accepted: BTreeSet<String>,
}

/// See the module.
#[derive(Default)]
pub struct Care {
    lifecycle: Mutex<Lifecycle>,
    changed: Condvar,
    is_paused: AtomicBool,
    has_run: AtomicBool,
}

impl Care {
    pub fn new(is_paused: bool, has_run: bool, now_ms: i64) -> Self {
        let care = Care { is_paused: AtomicBool::new(is_paused), has_run: AtomicBool::new(has_run), ..Care::default() };
        care.lifecycle.lock().attempts.start(now_ms);
        care
    }

    /// Whether it is to be paused, whether it runs or not.
    pub fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Acquire)
    }

    pub fn set_paused(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Ordering::Release);
    }

    /// Whether its tasks ran at any time in this process.
    pub fn has_run(&self) -> bool {
        self.has_run.load(Ordering::Acquire)
    }

    /// Somebody wants it to be tried now.
    pub fn ask(&self) {
        self.lifecycle.lock().attempts.ask();
    }

    /// Somebody wants it to be tried now, and was told of a topic that is another one than before.
    pub fn accept(&self, topic: Option<String>) {
        self.lifecycle.lock().accepted.extend(topic);
    }

    /// Topics that may be others than those that it ran with: somebody said so, or they were seen to be missing.
    pub fn accepts(&self) -> BTreeSet<String> {
        let lifecycle = self.lifecycle.lock();
        lifecycle.accepted.iter().chain(lifecycle.missing.seen()).cloned().collect()
    }

    /// What is to become of it, now that it is seen as failed; and whether that is new.
    pub fn failed(&self, cause: FailureCause, now_ms: i64, backoff: Backoff) -> (Decision, bool) {
        let attempts = &mut self.lifecycle.lock().attempts;
        let is_new = attempts.fail(now_ms, backoff);
        (decide(attempts.facts(cause, self.is_paused(), now_ms), backoff), is_new)
    }

    /// Somebody looked at the topics that it reads: these are not there.
    pub fn note_missing(&self, topics: Vec<String>, now_ms: i64) {
        self.lifecycle.lock().missing.look(topics, now_ms);
    }

    /// It ended since these were not there.
    pub fn note_seen_missing(&self, topics: impl IntoIterator<Item = String>) {
        self.lifecycle.lock().missing.see(topics);
    }

    /// Topics that it read have gone for certain: when they come back, they are others of the same name.
    pub fn note_gone(&self, topics: impl IntoIterator<Item = String>) {
        self.lifecycle.lock().missing.believe(topics);
    }

    /// Whether its topics are to be looked at again.
    pub fn look_is_due(&self, now_ms: i64) -> bool {
        self.lifecycle.lock().missing.is_due(now_ms)
    }

    /// Topics that have gone at any time since it last ran.
    pub fn gone(&self) -> BTreeSet<String> {
        self.lifecycle.lock().missing.gone().clone()
    }

    /// What is known of its failure.
    pub fn facts(&self, cause: FailureCause, now_ms: i64) -> Facts {
        self.lifecycle.lock().attempts.facts(cause, self.is_paused(), now_ms)
    }

    /// Leave to start it; false: it is ended, or being started.
    pub fn begin_start(&self, now_ms: i64) -> bool {
        let mut lifecycle = self.lifecycle.lock();
        if lifecycle.is_starting || lifecycle.ending.is_some() {
            return false;
        }
        lifecycle.is_starting = true;
        lifecycle.attempts.start(now_ms);
        true
    }

    /// The start is over. Where the query was ended meanwhile: how, which is then to be carried out.
    pub fn end_start(&self, has_run: bool) -> Option<Ending> {
        self.has_run.fetch_or(has_run, Ordering::AcqRel);
        let mut lifecycle = self.lifecycle.lock();
        lifecycle.is_starting = false;
        if has_run {
            lifecycle.missing = Missing::default();
            lifecycle.accepted.clear();
            lifecycle.attempts.runs();
        }
        self.changed.notify_all();
        lifecycle.ending
    }

    /// Ends it: true where that is to be carried out now, false where a start that is under way will do it.
    pub fn end(&self, ending: Ending) -> bool {
        let mut lifecycle = self.lifecycle.lock();
        if ending == Ending::Replaced {
            let deadline = Instant::now() + START_PATIENCE;
            while lifecycle.is_starting && !self.changed.wait_until(&mut lifecycle, deadline).timed_out() {}
        }
        lifecycle.ending = Some(ending);
        !lifecycle.is_starting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_drops_a_query_does_not_wait_for_its_start() {
        let care = Care::new(false, false, 0);
        assert!(care.begin_start(0));
        assert!(!care.begin_start(0), "one at a time");
        assert!(!care.end(Ending::Dropped));
        assert_eq!(care.end_start(true), Some(Ending::Dropped));
        assert!(!care.begin_start(0), "it does not come back");
        let care = Care::new(false, false, 0);
        assert!(care.begin_start(0));
        assert_eq!(care.end_start(false), None);
        assert!(!care.has_run());
        assert!(care.end(Ending::Replaced));
    }
}
