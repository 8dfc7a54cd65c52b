//! How often a query has failed, and when it last did: what a list of its errors and the metrics say.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::clock::Clock;
use crate::runtime::{QueryHandle, QueryState};

/// Counts over all attempts to run a query, since this server began.
#[derive(Debug, Default)]
pub struct Failures {
    count: AtomicU64,
    last_ms: AtomicI64,
}

impl Failures {
    /// It ended by an error, or could not start.
    pub(super) fn note(&self, now_ms: i64) {
        self.last_ms.store(now_ms, Ordering::Release);
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes it when what runs there fails.
    pub(super) fn watch(self: &Arc<Self>, handle: &QueryHandle, clock: Arc<dyn Clock>) {
        let failures = self.clone();
        handle.on_end(Box::new(move |state| {
            if matches!(state, QueryState::Failed(_)) {
                failures.note(clock.now_ms());
            }
        }));
    }

    /// Times that it ended by an error, or could not start.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// When that last was, milliseconds since the epoch; 0: never.
    pub fn last_ms(&self) -> i64 {
        self.last_ms.load(Ordering::Acquire)
    }
}
