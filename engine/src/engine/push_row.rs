//! What a push query hands to its client, and how it is ended from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::flow::Backlog;
use crate::types::Value;

/// What a client of a push query receives.
#[derive(Debug, Clone, PartialEq)]
pub enum PushRow {
    /// Values in the order of the query's columns; a tombstone has nulls but for the key and the window.
    Row { values: Vec<Value>, tombstone: bool },
    /// The limit is reached; the last thing to come.
    LimitReached,
    /// The query was closed or failed; the last thing to come.
    Ended { error: Option<String> },
}

impl PushRow {
    /// Bytes that it takes while it waits, about.
    pub(super) fn weight(&self) -> usize {
        match self {
            PushRow::Row { values, .. } => values.iter().map(|value| size_of::<Value>() + value.heap_bytes()).sum(),
            PushRow::LimitReached | PushRow::Ended { .. } => 0,
        }
    }
}

/// Ends a push query from outside.
pub(super) struct Closer {
    client: Arc<dyn Client>,
    is_closed: AtomicBool,
    /// Since when the client has taken no more than so many rows while the query is paused for it.
    stalled: Mutex<Option<(Instant, u64)>>,
}

/// Whoever takes a query's rows.
pub(super) trait Client: Send + Sync {
    /// What waits for it, where the query is paused for that.
    fn backlog(&self) -> Option<Backlog>;

    /// Tells it that no more comes.
    fn close(&self, error: Option<String>);
}

impl Closer {
    pub(super) fn new(client: Arc<dyn Client>) -> Self {
        Closer { client, is_closed: AtomicBool::new(false), stalled: Mutex::default() }
    }

    /// What waits for a client that has taken nothing of it for so long.
    pub(super) fn stalled(&self, now: Instant, patience: Duration) -> Option<Backlog> {
        let mut stalled = self.stalled.lock();
        let Some(backlog) = self.client.backlog() else {
            *stalled = None;
            return None;
        };
        match *stalled {
            Some((since, taken)) if taken == backlog.taken => (now.saturating_duration_since(since) >= patience).then_some(backlog),
            _ => {
                *stalled = Some((now, backlog.taken));
                None
            }
        }
    }

    pub(super) fn close(&self, error: Option<String>) {
        if !self.is_closed.swap(true, Ordering::AcqRel) {
            self.client.close(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Slow(Mutex<Option<Backlog>>);

    impl Client for Slow {
        fn backlog(&self) -> Option<Backlog> {
            *self.0.lock()
        }

        fn close(&self, _: Option<String>) {}
    }

    #[test]
    fn a_client_is_stalled_that_takes_nothing_while_much_waits() {
        let client = Arc::new(Slow(Mutex::default()));
        let closer = Closer::new(client.clone());
        let (began, patience) = (Instant::now(), Duration::from_secs(10));
        let at = |seconds: u64, taken: Option<u64>| {
            *client.0.lock() = taken.map(|taken| Backlog { taken, rows: 5, bytes: 50 });
            closer.stalled(began + Duration::from_secs(seconds), patience).is_some()
        };
        // It takes a little now and then, or all.
        assert_eq!([at(0, Some(1)), at(9, Some(1)), at(10, Some(2)), at(19, Some(2)), at(20, None)], [false; 5]);
        assert_eq!([at(21, Some(2)), at(30, Some(2)), at(31, Some(2))], [false, false, true]);
    }
}
