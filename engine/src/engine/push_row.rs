//! What a push query hands to its client, and how it is ended from outside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;

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
    sender: Mutex<Option<UnboundedSender<PushRow>>>,
    waits: Arc<dyn Waits>,
    /// Since when the client has taken no more than so many rows while the query is paused for it.
    stalled: Mutex<Option<(Instant, u64)>>,
}

/// What may wait for a client.
pub(super) trait Waits: Send + Sync {
    /// What waits, where the query is paused for that.
    fn backlog(&self) -> Option<Backlog>;
}

impl Closer {
    pub(super) fn new(sender: UnboundedSender<PushRow>, waits: Arc<dyn Waits>) -> Self {
        Closer { sender: Mutex::new(Some(sender)), waits, stalled: Mutex::default() }
    }

    /// What waits for a client that has taken nothing of it for so long.
    pub(super) fn stalled(&self, now: Instant, patience: Duration) -> Option<Backlog> {
        let mut stalled = self.stalled.lock();
        let Some(backlog) = self.waits.backlog() else {
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
        if let Some(sender) = self.sender.lock().take() {
            let _ = sender.send(PushRow::Ended { error });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Client(Mutex<Option<Backlog>>);

    impl Waits for Client {
        fn backlog(&self) -> Option<Backlog> {
            *self.0.lock()
        }
    }

    #[test]
    fn a_client_is_stalled_that_takes_nothing_while_much_waits() {
        let client = Arc::new(Client(Mutex::default()));
        let closer = Closer::new(tokio::sync::mpsc::unbounded_channel().0, client.clone());
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
