//! What a push query hands to its client, and how it is ended from outside.

use parking_lot::Mutex;
use tokio::sync::mpsc::UnboundedSender;

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
#[derive(Debug)]
pub(super) struct Closer(Mutex<Option<UnboundedSender<PushRow>>>);

impl Closer {
    pub(super) fn new(sender: UnboundedSender<PushRow>) -> Self {
        Closer(Mutex::new(Some(sender)))
    }

    pub(super) fn close(&self) {
        if let Some(sender) = self.0.lock().take() {
            let _ = sender.send(PushRow::Ended { error: None });
        }
    }
}
