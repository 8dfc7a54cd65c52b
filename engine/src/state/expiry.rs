//! Which windows have expired: what bounds the size of windowed stores.
//!
//! An entry of a windowed store is visible iff `window end >= stream time - retention` (for a session or a join buffer,
//! whose end is its last record's time, the same). Whether a late record still counts is the operator's own, stricter
//! business; this rule only makes reads independent of when the storage gets to dropping what is dead.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::StoreKind;
use super::frozen::PREFIX_BYTES;

/// Bytes that a window takes at the end of a key: start, end.
const WINDOW_BYTES: usize = 16;

/// The time by which entries of a kind of store come and go: a window's start, or what an ordered store begins its keys
/// with. `None`: keys of this kind have none, or this one has not.
pub(super) fn key_time(kind: StoreKind, key: &[u8]) -> Option<i64> {
    match kind {
        StoreKind::KeyValue => None,
        StoreKind::Windowed { .. } => window_start(key),
        StoreKind::Ordered => key.first_chunk().map(|time| crate::types::codec::from_ordered(*time)),
    }
}

/// The start of the window at the end of a key.
pub(crate) fn window_start(key: &[u8]) -> Option<i64> {
    let (_, window) = key.split_last_chunk::<WINDOW_BYTES>()?;
    Some(crate::types::codec::from_ordered(*window.first_chunk()?))
}

/// The end of the window at the end of a key.
pub(crate) fn window_end(key: &[u8]) -> Option<i64> {
    let bytes: [u8; 8] = *key.last_chunk()?;
    Some(crate::types::codec::from_ordered(bytes))
}

/// The end of a key's window, where a kind of store has windows that expire.
pub(super) fn window_end_of(kind: StoreKind, key: &[u8]) -> Option<i64> {
    match kind {
        StoreKind::Windowed { retention_ms } if retention_ms < i64::MAX => window_end(key),
        _ => None,
    }
}

/// Up to where each windowed store has expired for good: by stream times that are committed, so that nothing which a
/// restart would need again is dropped.
#[derive(Debug, Default, Clone)]
pub(crate) struct RetentionTable {
    bounds: Arc<RwLock<HashMap<[u8; PREFIX_BYTES], i64>>>,
}

impl RetentionTable {
    /// Windows of a store that end before `bound` are dead.
    pub fn advance(&self, prefix: [u8; PREFIX_BYTES], bound: i64) {
        self.bounds.write().insert(prefix, bound);
    }

    pub fn forget(&self, id: u32) {
        self.bounds.write().retain(|prefix, _| prefix[..4] != id.to_be_bytes());
    }

    /// The bounds as they are now; one for each compaction.
    pub fn snapshot(&self) -> RetentionSnapshot {
        RetentionSnapshot { bounds: self.bounds.read().clone() }
    }
}

/// What a compaction goes by.
#[derive(Debug)]
pub(crate) struct RetentionSnapshot {
    bounds: HashMap<[u8; PREFIX_BYTES], i64>,
}

impl RetentionSnapshot {
    /// Whether a full key is that of a dead window.
    pub fn is_dead(&self, key: &[u8]) -> bool {
        if key.len() < PREFIX_BYTES + WINDOW_BYTES {
            return false;
        }
        let Some(prefix) = key.first_chunk::<PREFIX_BYTES>() else { return false };
        match (self.bounds.get(prefix), window_end(key)) {
            (Some(bound), Some(end)) => end < *bound,
            _ => false,
        }
    }
}
