//! State: keyed stores of tasks. One RocksDB for the whole process, above it a write-back overlay for each store.
//!
//! Reads look through active → frozen → backing (RocksDB, or memory in tests). A commit freezes the overlays of a task
//! ([`Store::freeze`]) into one [`StateBatch`], which is written in one piece with the input offsets; a new overlay takes
//! over meanwhile. Overlays also keep what was read lately, as far as the budget of [`StateLimits`] allows.
//!
//! Keys in the backing: store id (4 bytes) | partition (4 bytes) | the store's key. The empty key holds the stream time.

mod arena;
mod backing;
mod batch;
mod chunk_lock;
mod cut;
mod damage;
mod db;
mod expiry;
mod frozen;
mod layers;
mod manifest;
mod memory;
mod merge;
mod notes;
mod overlay;
mod reader;
mod records;
pub(crate) mod rocks;
mod scan;
#[cfg(test)]
pub(crate) mod simulated;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod visits;
mod writer;
#[cfg(test)]
mod writer_tests;

use std::sync::Arc;

pub use batch::StateBatch;
pub use db::{StateDb, StateLimits};
#[cfg(test)]
pub(crate) use expiry::window_start;
pub use frozen::FrozenOverlay;
pub(crate) use notes::NoteChanges;
pub use reader::{HeldStores, StoreReader};
pub use snapshot::{KeyRange, StoreCount, StoreSnapshot, take as take_snapshots};
pub use store::Store;
pub use writer::StateWriter;

/// Takes changes one by one: a key and its new value, `None` where it is deleted.
type ChangeVisitor<'a> = dyn FnMut(&[u8], Option<&[u8]>) + 'a;

/// What went wrong with the state.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StateError {
    #[error("state store: {0}")]
    Storage(String),
    #[error("state store: corrupt entry in {store}: {reason}")]
    Corrupt { store: String, reason: String },
    /// A chunk is being processed, for too long to wait for.
    #[error("the table is being written and can't be read now: its query waits for the log. Try again")]
    Busy,
    /// A store has one owner at a time.
    #[error("the state of {0} is still in use by the task that kept it before")]
    StillOpen(String),
    #[error("data folder '{0}' is in use by another process: end that one, or give this one a folder of its own (--data-dir)")]
    InUse(String),
    #[error("data folder '{path}' can't be used: {reason}")]
    Unusable { path: String, reason: String },
    /// Files are not what they should be: found when they are opened, or read.
    #[error(
        "the files in '{path}' are damaged ({reason}). State that has changelogs is read anew from these when the server is started \
         again"
    )]
    Damaged { path: String, reason: String },
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
    /// Key columns only (`encode_key`).
    KeyValue,
    /// Key columns, then the window's start and end (`encode_windowed_key`).
    ///
    /// An entry is there iff its window's end `>= stream time - retention_ms`; what has expired is hidden at once and
    /// dropped later. (Kafka Streams drops by segments of at least a minute and hides windows by their start; what a
    /// query must not see any more, or must still see, is its operator's business: `retention_ms` only has to be large
    /// enough.)
    Windowed { retention_ms: i64 },
    /// Bytes that an operator chooses, ordered by a time in their first 8 bytes ([`crate::types::codec::to_ordered`]); never
    /// empty.
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
