//! What the tasks of one guarantee have in common on a worker: a writer, and when it last committed.
//!
//! With exactly once it is two writers in turn, each with a transactional id of its own: while the transaction of one ends, the
//! tasks go on in that of the other. The second's records follow those of the first in each partition, and it commits only when
//! it is known that the first has: what reads the one has read the other, in the order of writing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::commit::{CommitPolicy, InFlight};
use super::marks::{HANDS, Hand, Marks};
use super::worker::TaskKey;
use crate::log::{Log, LogError, LogWriter};

/// How often an idle worker looks whether a commit has ended.
const ENDING_PAUSE: Duration = Duration::from_millis(1);

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
    /// Which of a worker's two transactional ids it has, and the writer of the other between two of its transactions.
    hand: Hand,
    other: Option<Box<dyn LogWriter>>,
    /// The commit that is under way.
    ending: Option<InFlight>,
    policy: CommitPolicy,
    pub last_commit: Instant,
    /// How many tasks had a part in it.
    last_tasks: usize,
    /// Some task has moved since.
    pub dirty: bool,
    /// What was sent since the last commit is taken back with any part of it.
    pub is_whole: bool,
    /// Under which ids a transaction may be open that nobody will commit: a new writer ends it, from this moment on.
    is_stale: [bool; HANDS],
    renew_at: Instant,
}

impl Pen {
    pub fn new(guarantee: Guarantee, atomic_log: bool, interval: Duration, min: Option<Duration>, now: Instant) -> Self {
        let is_whole = atomic_log || guarantee == Guarantee::ExactlyOnce;
        let policy = CommitPolicy::new(atomic_log, guarantee, interval, min);
        Pen {
            guarantee,
            writer: None,
            hand: 0,
            other: None,
            ending: None,
            policy,
            last_commit: now,
            last_tasks: 0,
            dirty: false,
            is_whole,
            is_stale: [false; HANDS],
            renew_at: now,
        }
    }

    /// The writer, which is given back when nothing went wrong with it.
    pub fn take(&mut self, log: &dyn Log, marks: &Marks, worker: usize) -> Result<Box<dyn LogWriter>, LogError> {
        // What was thrown away must not hold readers up, nor arrive late.
        self.renew(log, marks, worker)?;
        match (self.writer.take(), self.guarantee) {
            (Some(writer), _) => Ok(writer),
            (None, Guarantee::AtLeastOnce) => log.writer(),
            (None, Guarantee::ExactlyOnce) => {
                let mut writer = marks.transactional_writer(log, worker, self.hand)?;
                if let Some(ending) = &self.ending {
                    writer.follow(ending.delivery.clone());
                }
                Ok(writer)
            }
        }
    }

    /// Ends what writers that were thrown away may have left open.
    pub fn renew(&mut self, log: &dyn Log, marks: &Marks, worker: usize) -> Result<(), LogError> {
        for hand in 0..HANDS {
            if self.is_stale.get(hand) == Some(&true) {
                let writer = marks.transactional_writer(log, worker, hand)?;
                self.take_over(hand, writer);
            }
        }
        Ok(())
    }

    /// Another writer has an id now. Whether one had it before.
    pub fn take_over(&mut self, hand: Hand, writer: Box<dyn LogWriter>) -> bool {
        if let Some(is_stale) = self.is_stale.get_mut(hand) {
            *is_stale = false;
        }
        let place = if hand == self.hand { &mut self.writer } else { &mut self.other };
        place.replace(writer).is_some()
    }

    /// Has all ids taken anew, behind a commit that has ended: who asks for an id waits until all that was committed by it can be read
    /// everywhere, which the end of a transaction does not say. Nothing is under way, and nothing was sent since.
    ///
    /// # Errors
    /// See [`Log::transactional_writer`].
    pub fn take_anew(&mut self, log: &dyn Log, marks: &Marks, worker: usize) -> Result<(), LogError> {
        for hand in 0..HANDS {
            let writer = marks.transactional_writer(log, worker, hand)?;
            self.take_over(hand, writer);
        }
        Ok(())
    }

    /// Whether a writer that was thrown away may have left something open, and the time has come to look.
    pub fn is_to_renew(&self, now: Instant) -> bool {
        self.is_stale.contains(&true) && self.renew_at <= now
    }

    pub fn renew_later(&mut self, at: Instant) {
        self.renew_at = at;
    }

    /// Throws the writer away, with what was sent since the last commit. Nothing is under way.
    pub fn discard(&mut self, now: Instant) {
        self.writer = None;
        if self.guarantee == Guarantee::ExactlyOnce {
            self.is_stale[self.hand % HANDS] = true;
            self.renew_at = now;
        }
    }

    /// A commit is under way: the other writer has its turn.
    pub fn begin(&mut self, ending: InFlight) {
        self.hand = (self.hand + 1) % HANDS;
        self.writer = self.other.take();
        if let Some(writer) = &mut self.writer {
            writer.follow(ending.delivery.clone());
        }
        self.last_tasks = ending.tasks.len();
        self.ending = Some(ending);
    }

    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// The tasks of the commit that was under way, and how it ended; `None`: nothing was, or it still is. Where it failed, what
    /// was sent since has to be discarded, too.
    pub fn ended(&mut self, waits: bool) -> Option<(Vec<TaskKey>, Result<(), LogError>)> {
        let result = self.ending.as_mut()?.writer.commit_ended(waits)?;
        let InFlight { writer, tasks, .. } = self.ending.take()?;
        match &result {
            Ok(()) => self.other = Some(writer),
            Err(_) => self.is_stale[(self.hand + 1) % HANDS] = true,
        }
        Some((tasks, result))
    }

    /// Forgets everything.
    pub fn put_down(&mut self) {
        (self.writer, self.other, self.ending, self.dirty, self.is_stale) = (None, None, None, false, [false; HANDS]);
    }

    /// All writers that are between two commits.
    pub fn take_all(&mut self) -> impl Iterator<Item = Box<dyn LogWriter>> {
        [self.writer.take(), self.other.take()].into_iter().flatten()
    }

    /// Whether a commit may begin, and the time has come.
    pub fn is_due(&self, now: Instant, is_idle: bool) -> bool {
        let since_last = now.saturating_duration_since(self.last_commit);
        self.dirty && self.ending.is_none() && since_last >= self.policy.pause(self.last_tasks, is_idle)
    }

    /// When an idle worker has to look at it again.
    pub fn appointment(&self, now: Instant) -> Option<Instant> {
        if self.ending.is_some() {
            return Some(now + ENDING_PAUSE);
        }
        let commit_at = self.dirty.then(|| self.last_commit + self.policy.pause(self.last_tasks, true));
        let renew_at = self.is_stale.contains(&true).then_some(self.renew_at);
        [commit_at, renew_at].into_iter().flatten().min()
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
