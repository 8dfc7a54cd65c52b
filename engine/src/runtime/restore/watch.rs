//! Who follows a restore, and may call it off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::super::query_handle::QueryHandle;
use super::super::seat::Seat;
use super::super::start::StartError;
use super::places::{Places, ReadPlaces};
use crate::log::{Offset, TopicPartition};

/// How often the log says how far it is.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// How far a query's stores are restored, all of them together.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records of the changelogs that are to be read, and that were.
    total: AtomicU64,
    done: AtomicU64,
    /// When it began, and when it was last said.
    times: Mutex<Option<(Instant, Instant)>>,
}

/// How far a restore is, as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreState {
    pub done: u64,
    pub total: u64,
    /// Seconds that it will take at the rate so far; `None`: that can't be told yet.
    pub left_s: Option<u64>,
}

impl Progress {
    /// So many records are to be read.
    pub(in crate::runtime) fn begin(&self, records: u64) {
        self.total.store(records, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        let now = Instant::now();
        *self.times.lock() = Some((now, now));
    }

    pub(in crate::runtime) fn end(&self) {
        self.total.store(0, Ordering::Relaxed);
        *self.times.lock() = None;
    }

    /// `None`: nothing is being restored.
    pub(in crate::runtime) fn state(&self) -> Option<RestoreState> {
        let total = self.total.load(Ordering::Relaxed);
        let (began, _) = (*self.times.lock())?;
        let done = self.done.load(Ordering::Relaxed).min(total);
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let left_s = (done > 0).then(|| elapsed_ms.saturating_mul(total - done) / done / 1000 + 1);
        Some(RestoreState { done, total, left_s })
    }

    /// Whether the log is to say it again.
    fn is_due(&self) -> bool {
        let mut times = self.times.lock();
        match &mut *times {
            Some((_, said)) if said.elapsed() >= LOG_INTERVAL => {
                *said = Instant::now();
                true
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for RestoreState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = self.done.saturating_mul(100) / self.total.max(1);
        write!(f, "{} of {} records of its changelogs are read ({percent} %)", self.done, self.total)?;
        match self.left_s {
            Some(seconds) => write!(f, ", about {seconds} s are left"),
            None => Ok(()),
        }
    }
}

/// What a restore asks and tells while it reads.
pub(in crate::runtime) struct Watch<'w> {
    pub handle: &'w Arc<QueryHandle>,
    /// Set where the process ends.
    pub is_ending: &'w AtomicBool,
    /// Whose task it is for.
    pub seat: &'w Seat,
    /// Where it is said how far it is.
    pub progress: &'w Progress,
    /// Counts the entries of changelogs that were read.
    pub entries: &'w AtomicU64,
    /// Where it is said up to where changelogs are read; `None`: the task runs elsewhere, and this is done again and again.
    pub places: Option<&'w Places>,
}

impl Watch<'_> {
    /// # Errors
    /// The query is not to start any more, or the task not here.
    pub(super) fn check(&self) -> Result<(), StartError> {
        let is_off = self.handle.has_ended() || self.is_ending.load(Ordering::Acquire) || self.seat.is_given_up();
        if is_off { Err(StartError::CalledOff) } else { Ok(()) }
    }

    /// These changelogs are read, each from its place on, until what is returned is dropped.
    pub(super) fn reading(&self, changelogs: Vec<(TopicPartition, Offset)>) -> Option<ReadPlaces<'_>> {
        self.places.map(|places| places.reading(changelogs))
    }

    /// So many more records of a changelog are done with, all before an offset.
    pub(super) fn advance(&self, records: u64, changelog: &TopicPartition, next: Offset) {
        if let Some(places) = self.places {
            places.set(changelog, next);
        }
        self.entries.fetch_add(records, Ordering::Relaxed);
        let progress = self.progress;
        progress.done.fetch_add(records, Ordering::Relaxed);
        if progress.is_due()
            && let Some(state) = progress.state()
        {
            let what = if self.places.is_none() { "following another server's task" } else { "restoring" };
            tracing::info!(query = %self.handle.id, "{what}: {state}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_words() {
        let progress = Progress::default();
        assert_eq!(progress.state(), None);
        progress.begin(400);
        assert_eq!(progress.state().map(|state| state.to_string()), Some("0 of 400 records of its changelogs are read (0 %)".into()));
        progress.done.fetch_add(100, Ordering::Relaxed);
        let said = progress.state().map(|state| state.to_string()).unwrap_or_default();
        assert!(said.starts_with("100 of 400 records of its changelogs are read (25 %), about "), "{said}");
        progress.end();
        assert_eq!(progress.state(), None);
    }
}
