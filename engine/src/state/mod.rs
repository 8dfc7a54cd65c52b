//! State: keyed stores of tasks. One RocksDB for the whole process, above it a write-back overlay for each store.
//!
//! Reads look through active → frozen → RocksDB. A commit freezes the overlay and turns it into one [`StateBatch`],
//! written in one piece with the input offsets.

use std::sync::Arc;

/// What went wrong with the state.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StateError {
    #[error("state store: {0}")]
    Storage(String),
    #[error("state store: corrupt entry in {store}: {reason}")]
    Corrupt { store: String, reason: String },
}

/// Puts and deletes for RocksDB, prefixed and ready to be written in one piece.
#[derive(Debug, Default, Clone)]
pub struct StateBatch {
    /// Full keys with their new values; `None` deletes.
    pub entries: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Identifies one store of one task in the shared RocksDB: query, store name, partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey {
    pub query: Arc<str>,
    pub store: Arc<str>,
    pub partition: i32,
}

/// How a store's keys are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// Key columns only.
    KeyValue,
    /// Key columns, then the window's start and end; entries leave after `retention_ms` behind stream time.
    Windowed { retention_ms: i64 },
    /// Any ordered bytes that an operator chooses (buffers ordered by time).
    Ordered,
}

/// A store that a task needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSpec {
    pub name: Arc<str>,
    pub kind: StoreKind,
    /// Whether each change goes to a changelog topic, from which the store is restored on another machine.
    pub changelog: bool,
}

/// One store of one task, as its operators use it. (Contract; the implementation follows.)
#[derive(Default)]
pub struct Store {}

impl Store {
    /// Takes the store's lock for the length of a chunk; pull queries wait meanwhile.
    pub fn begin_chunk(&mut self) {}
    /// Gives the lock back, fairly.
    pub fn end_chunk(&mut self) {}
    /// Looks a key up (active, then frozen, then RocksDB) and shows its value to `f` without a copy.
    pub fn get<R>(&self, _key: &[u8], f: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, StateError> {
        Ok(f(None))
    }
    /// Sets or deletes a key.
    pub fn put(&mut self, _key: &[u8], _value: Option<&[u8]>) {}
    /// Shows all entries with `from <= key < to` in order to `f` until it returns false.
    pub fn range(&self, _from: &[u8], _to: Option<&[u8]>, _f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        Ok(())
    }
    /// Stream time of the operator that owns the store: kept, committed and restored with it. `i64::MIN` at first.
    pub fn stream_time(&self) -> i64 {
        i64::MIN
    }
    /// Raises the stream time to `timestamp` if that is larger, and returns it.
    pub fn observe_time(&mut self, timestamp: i64) -> i64 {
        timestamp
    }
}
