//! What the tasks of one guarantee have in common on a worker: a writer, and when it last committed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::commit::CommitPolicy;
use super::marks::Marks;
use crate::log::{Log, LogError, LogWriter};

/// What a query is promised of its output (`processing.guarantee`). State includes each record once either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Guarantee {
    /// What it writes can be read at once; after a failure the last commit interval's output may come again.
    #[default]
    AtLeastOnce,
    /// What it writes, its state and its positions become visible together, by a transaction.
    ExactlyOnce,
}

impl Guarantee {
    pub(super) const ALL: [Guarantee; 2] = [Guarantee::AtLeastOnce, Guarantee::ExactlyOnce];

    /// The guarantee that a value of `processing.guarantee` names; the three names of exactly once mean the same.
    pub fn named(value: &str) -> Option<Guarantee> {
        match value.trim().to_ascii_lowercase().as_str() {
            "at_least_once" => Some(Guarantee::AtLeastOnce),
            "exactly_once" | "exactly_once_beta" | "exactly_once_v2" => Some(Guarantee::ExactlyOnce),
            _ => None,
        }
    }
}

/// See the module.
pub(super) struct Pen {
    guarantee: Guarantee,
    /// Made when it is first needed, and again after it was thrown away.
    pub writer: Option<Box<dyn LogWriter>>,
    pub policy: CommitPolicy,
    pub last_commit: Instant,
    /// Some task has moved since.
    pub dirty: bool,
    /// What was sent since the last commit is taken back with any part of it.
    pub is_whole: bool,
    /// A transaction may be open that nobody will commit: a new writer ends it, from this moment on.
    pub to_renew: Option<Instant>,
}

impl Pen {
    pub fn new(guarantee: Guarantee, atomic_log: bool, interval: Duration, min: Duration, now: Instant) -> Self {
        let is_whole = atomic_log || guarantee == Guarantee::ExactlyOnce;
        let policy = CommitPolicy::new(atomic_log, guarantee, interval, min);
        Pen { guarantee, writer: None, policy, last_commit: now, dirty: false, is_whole, to_renew: None }
    }

    /// The writer, which is given back when nothing went wrong with it.
    pub fn take(&mut self, log: &dyn Log, marks: &Marks, worker: usize) -> Result<Box<dyn LogWriter>, LogError> {
        if let Some(writer) = self.writer.take() {
            return Ok(writer);
        }
        let made = match self.guarantee {
            Guarantee::AtLeastOnce => log.writer()?,
            Guarantee::ExactlyOnce => marks.transactional_writer(log, worker)?,
        };
        self.to_renew = None;
        Ok(made)
    }

    /// Throws the writer away, with what was sent since the last commit.
    pub fn discard(&mut self, now: Instant) {
        self.writer = None;
        if self.guarantee == Guarantee::ExactlyOnce {
            self.to_renew = Some(now);
        }
    }

    pub fn is_due(&self, now: Instant, is_idle: bool) -> bool {
        self.dirty && self.policy.is_due(now.saturating_duration_since(self.last_commit), is_idle)
    }

    /// When an idle worker has to look at it again.
    pub fn appointment(&self) -> Option<Instant> {
        let commit_at = self.dirty.then(|| self.last_commit + self.policy.when_idle.unwrap_or(self.policy.interval));
        [commit_at, self.to_renew].into_iter().flatten().min()
    }

    /// Kept for a caller that has none.
    pub fn give_back(&mut self, writer: Box<dyn LogWriter>) {
        self.writer = Some(writer);
    }
}

/// A worker's pens.
pub(super) struct Pens {
    at_least_once: Pen,
    exactly_once: Pen,
}

impl Pens {
    pub fn new(make: impl Fn(Guarantee) -> Pen) -> Self {
        Pens { at_least_once: make(Guarantee::AtLeastOnce), exactly_once: make(Guarantee::ExactlyOnce) }
    }

    pub fn of(&mut self, guarantee: Guarantee) -> &mut Pen {
        match guarantee {
            Guarantee::AtLeastOnce => &mut self.at_least_once,
            Guarantee::ExactlyOnce => &mut self.exactly_once,
        }
    }

    pub fn each(&mut self) -> [&mut Pen; 2] {
        [&mut self.at_least_once, &mut self.exactly_once]
    }

    /// Those that have something to commit.
    pub fn dirty(&mut self) -> Vec<Guarantee> {
        Guarantee::ALL.into_iter().filter(|guarantee| self.of(*guarantee).dirty).collect()
    }
}

/// Why a worker's service is another's now; shared by all workers.
pub(super) type Fence = Arc<std::sync::OnceLock<String>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guarantees_have_ksqldbs_names() {
        for name in ["exactly_once", "exactly_once_beta", "exactly_once_v2", "EXACTLY_ONCE_V2"] {
            assert_eq!(Guarantee::named(name), Some(Guarantee::ExactlyOnce));
        }
        assert_eq!(Guarantee::named(" at_least_once "), Some(Guarantee::AtLeastOnce));
        assert_eq!(Guarantee::named("exactly_thrice"), None);
    }
}
