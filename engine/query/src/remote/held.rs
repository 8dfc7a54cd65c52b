//! Snapshots of scans between two of their pages. Each is there for [`HOLD`] at most: who comes later is answered as of a later moment.
//!
//! The end of a scan may overtake its last page, which is still being read then. So it is kept in mind that it has ended, and what comes
//! for it afterwards is let go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a snapshot is kept for the next page.
pub const HOLD: Duration = Duration::from_secs(10);
/// Snapshots and ends that are kept at most; beyond that the oldest goes.
const MAX_HELD: usize = 256;

/// Since when it is kept. Without a snapshot: the scan has ended.
type Entry<P> = (Instant, Option<P>);

/// See the module. By the scan.
pub(crate) struct Held<P>(Mutex<HashMap<Arc<str>, Entry<P>>>);

impl<P> Default for Held<P> {
    fn default() -> Self {
        Held(Mutex::default())
    }
}

impl<P> Held<P> {
    pub fn take(&self, scan: &str) -> Option<P> {
        let mut all = self.0.lock();
        all.get(scan)?.1.as_ref()?;
        all.remove(scan)?.1
    }

    pub fn keep(&self, scan: Arc<str>, part: P, now: Instant) {
        let mut all = self.0.lock();
        if !matches!(all.get(&scan), Some((_, None))) {
            Self::put(&mut all, scan, (now, Some(part)));
        }
    }

    /// A scan wants nothing more, and nothing of it is kept from now on.
    pub fn end(&self, scan: Arc<str>, now: Instant) {
        self.forget(now);
        Self::put(&mut self.0.lock(), scan, (now, None));
    }

    fn put(all: &mut HashMap<Arc<str>, Entry<P>>, scan: Arc<str>, kept: Entry<P>) {
        all.insert(scan, kept);
        if all.len() > MAX_HELD
            && let Some(oldest) = all.iter().min_by_key(|(_, (kept, _))| *kept).map(|(scan, _)| scan.clone())
        {
            all.remove(&oldest);
        }
    }

    /// Lets go of what nobody has come back for; how long the next one is still kept, where one is.
    pub fn forget(&self, now: Instant) -> Option<Duration> {
        let mut all = self.0.lock();
        all.retain(|_, (kept, _)| now.saturating_duration_since(*kept) < HOLD);
        all.values().map(|(kept, _)| HOLD.saturating_sub(now.saturating_duration_since(*kept))).min()
    }

    pub fn count(&self) -> usize {
        self.0.lock().values().filter(|(_, part)| part.is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_behind_the_end_is_not_kept() {
        let (held, began) = (Held::default(), Instant::now());
        held.keep("a".into(), 1, began);
        held.end("a".into(), began);
        held.keep("a".into(), 2, began);
        assert_eq!((held.count(), held.take("a")), (0, None));
        held.keep("a".into(), 3, began);
        assert_eq!(held.count(), 0, "looking for it does not take away that it has ended");
        held.end("b".into(), began + HOLD);
        assert_eq!(held.0.lock().len(), 1, "that is not kept for ever either");
    }

    #[test]
    fn nothing_is_kept_for_ever() {
        let (held, began) = (Held::default(), Instant::now());
        held.keep("a".into(), 1, began);
        held.keep("b".into(), 2, began + HOLD / 2);
        assert_eq!(held.forget(began + HOLD - Duration::from_millis(1)), Some(Duration::from_millis(1)));
        assert_eq!(held.count(), 2);
        assert_eq!(held.forget(began + HOLD), Some(HOLD / 2), "the other one's time comes");
        assert_eq!((held.take("a"), held.take("b"), held.take("b")), (None, Some(2), None));
        assert_eq!(held.forget(began), None);
        for number in 0..2 * MAX_HELD {
            held.keep(number.to_string().into(), number, began + Duration::from_millis(number as u64));
        }
        assert_eq!(held.count(), MAX_HELD);
        assert_eq!(held.take(&(MAX_HELD - 1).to_string()), None, "the oldest have gone");
        assert_eq!(held.take(&MAX_HELD.to_string()), Some(MAX_HELD));
    }
}
