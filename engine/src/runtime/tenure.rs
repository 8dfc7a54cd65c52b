//! Whether the service is still this server's, as far as is known: workers ask before they write, whoever looks after the claim
//! says so again and again.
//!
//! A process that stood still for longer than others wait for it (a stopped container, a machine that was asleep) goes on with
//! whatever it was at. What it would write then came in among what its successor has written, so it waits until somebody has
//! looked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::log::{Claim, Standing};

/// See the module. Without end until somebody says otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Tenure(Arc<Until>);

#[derive(Debug)]
struct Until {
    began: Instant,
    /// Milliseconds since then.
    ms: AtomicU64,
}

impl Tenure {
    pub fn new(now: Instant) -> Self {
        Tenure(Arc::new(Until { began: now, ms: AtomicU64::new(u64::MAX) }))
    }

    /// It lasts until so long after a moment; `None`: without end.
    pub fn extend(&self, now: Instant, by: Option<Duration>) {
        let until = by.map_or(u64::MAX, |by| self.ms(now + by));
        self.0.ms.store(until, Ordering::Release);
    }

    /// Asks how the claim stands, and lets the workers know.
    pub fn ask(&self, claim: &dyn Claim, clock: &dyn Clock) -> Standing {
        let began = clock.instant();
        let standing = claim.standing();
        match &standing {
            Standing::Held => self.extend(began, claim.sure_for()),
            Standing::Unsure | Standing::Lost(_) => self.suspend(),
        }
        standing
    }

    /// It is not known.
    pub fn suspend(&self) {
        self.0.ms.store(0, Ordering::Release);
    }

    pub fn lasts(&self, now: Instant) -> bool {
        self.ms(now) < self.0.ms.load(Ordering::Acquire)
    }

    fn ms(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.0.began).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_as_long_as_it_was_said_to() {
        let now = Instant::now();
        let (tenure, second) = (Tenure::new(now), Duration::from_secs(1));
        assert!(tenure.lasts(now + 1_000 * second), "nobody looks");
        tenure.extend(now, Some(3 * second));
        assert!(tenure.lasts(now + 2 * second));
        assert!(!tenure.lasts(now + 3 * second));
        tenure.suspend();
        assert!(!tenure.lasts(now));
        tenure.extend(now + 5 * second, Some(3 * second));
        assert!(tenure.lasts(now + 7 * second));
        tenure.extend(now, None);
        assert!(tenure.lasts(now + 1_000 * second));
    }
}
