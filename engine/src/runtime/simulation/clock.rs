//! A clock that a simulation moves on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::Clock;

/// Wall-clock time at the beginning, milliseconds since the epoch.
const BEGIN_MS: i64 = 1_700_000_000_000;

/// See the module.
pub(super) struct SimulatedClock {
    base: Instant,
    passed_ms: AtomicU64,
}

impl SimulatedClock {
    pub fn new() -> Self {
        SimulatedClock { base: Instant::now(), passed_ms: AtomicU64::new(0) }
    }

    /// Milliseconds since the beginning.
    pub fn passed_ms(&self) -> u64 {
        self.passed_ms.load(Ordering::Acquire)
    }

    pub fn advance(&self, ms: u64) {
        self.passed_ms.fetch_add(ms, Ordering::AcqRel);
    }
}

impl Clock for SimulatedClock {
    fn now_ms(&self) -> i64 {
        BEGIN_MS.saturating_add_unsigned(self.passed_ms.load(Ordering::Acquire))
    }

    fn instant(&self) -> Instant {
        self.base + Duration::from_millis(self.passed_ms.load(Ordering::Acquire))
    }
}
