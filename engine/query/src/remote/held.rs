//! Snapshots of scans between two of their pages. Each is there for [`HOLD`] at most: who comes later is answered as of a later moment.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a snapshot is kept for the next page.
pub const HOLD: Duration = Duration::from_secs(10);
/// Snapshots that are kept at most; beyond that the oldest goes.
const MAX_HELD: usize = 256;

/// See the module.
pub(crate) struct Held<P>(Mutex<HashMap<Arc<str>, (Instant, P)>>);

impl<P> Default for Held<P> {
    fn default() -> Self {
        Held(Mutex::default())
    }
}

impl<P> Held<P> {
    pub fn take(&self, scan: &str) -> Option<P> {
        self.0.lock().remove(scan).map(|(_, part)| part)
    }

    pub fn keep(&self, scan: Arc<str>, part: P, now: Instant) {
        let mut all = self.0.lock();
        all.insert(scan, (now, part));
        if all.len() > MAX_HELD
            && let Some(oldest) = all.iter().min_by_key(|(_, (kept, _))| *kept).map(|(scan, _)| scan.clone())
        {
            all.remove(&oldest);
        }
    }

    /// Lets go of what nobody has come back for.
    pub fn forget(&self, now: Instant) {
        self.0.lock().retain(|_, (kept, _)| now.saturating_duration_since(*kept) < HOLD);
    }

    pub fn count(&self) -> usize {
        self.0.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_for_ever() {
        let (held, began) = (Held::default(), Instant::now());
        held.keep("a".into(), 1, began);
        held.keep("b".into(), 2, began + HOLD / 2);
        held.forget(began + HOLD - Duration::from_millis(1));
        assert_eq!(held.count(), 2);
        held.forget(began + HOLD);
        assert_eq!((held.take("a"), held.take("b"), held.take("b")), (None, Some(2), None));
        for number in 0..2 * MAX_HELD {
            held.keep(number.to_string().into(), number, began + Duration::from_millis(number as u64));
        }
        assert_eq!(held.count(), MAX_HELD);
        assert_eq!(held.take(&(MAX_HELD - 1).to_string()), None, "the oldest have gone");
        assert_eq!(held.take(&MAX_HELD.to_string()), Some(MAX_HELD));
    }
}
