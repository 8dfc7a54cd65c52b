//! An overlay at a commit: it no longer changes, is being written, and is still read until the next commit.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::db::Db;
use super::expiry::{key_time, window_end_of};
use super::layers::StoreLayers;
use super::overlay::{Entry, Overlay};
use super::{ChangeVisitor, StateBatch, StateError, StoreKey, StoreKind};

/// What a store's task, its readers and its frozen overlays share.
pub(super) struct StoreCore {
    pub key: StoreKey,
    pub kind: StoreKind,
    /// Store id and partition: before every key in the backing.
    pub prefix: [u8; PREFIX_BYTES],
    pub db: Arc<Db>,
    /// Sequence of the last frozen overlay that was written.
    pub written: AtomicU64,
    /// Stream time as the backing has it.
    pub committed_time: AtomicI64,
    /// Nothing was ever written: no need to look into the backing.
    pub backing_empty: AtomicBool,
}

pub(super) const PREFIX_BYTES: usize = 8;

impl StoreCore {
    /// Whether keys have a time (see [`super::expiry::key_time`]).
    pub fn has_times(&self) -> bool {
        self.kind != StoreKind::KeyValue
    }

    /// The time of a key.
    pub fn key_time(&self, key: &[u8]) -> Option<i64> {
        key_time(self.kind, key)
    }

    pub fn corrupt(&self, reason: impl Into<String>) -> StateError {
        StateError::Corrupt { store: format!("{}/{}/{}", self.key.query, self.key.store, self.key.partition), reason: reason.into() }
    }
}

/// An overlay at a commit (see the module).
pub struct FrozenOverlay {
    pub(super) core: Arc<StoreCore>,
    pub(super) overlay: Overlay,
    /// Slots in order of keys; made by whoever needs it first.
    sorted: OnceLock<Vec<u32>>,
    stream_time: i64,
    /// Latest time of a key that the store ever had.
    max_time: i64,
    pub(super) sequence: u64,
    /// The whole of an overlay, not only a copy of its changes.
    pub(super) is_generation: bool,
    /// Its commit has succeeded, and a [`super::StateWriter`] has it.
    submitted: AtomicBool,
    /// Thrown away by a rollback: must not be written any more.
    discarded: AtomicBool,
    written: AtomicBool,
    /// Bytes that the overlay takes of the process's budget.
    accounted: usize,
}

impl FrozenOverlay {
    /// Freezes an overlay of a store as it is now; `bytes` of it are accounted for.
    pub(super) fn new(layers: &StoreLayers, overlay: Overlay, is_generation: bool, bytes: usize) -> Self {
        let no = || AtomicBool::new(false);
        FrozenOverlay {
            core: layers.core.clone(),
            overlay,
            sorted: OnceLock::new(),
            stream_time: layers.stream_time,
            max_time: layers.max_time,
            sequence: layers.sequence,
            is_generation,
            submitted: no(),
            discarded: no(),
            written: no(),
            accounted: bytes,
        }
    }

    /// The store that this belongs to.
    pub fn store(&self) -> &StoreKey {
        &self.core.key
    }

    /// How many entries changed.
    pub fn len(&self) -> usize {
        self.overlay.changes().count()
    }

    /// Whether nothing changed but, perhaps, the stream time.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stream time at the commit; `i64::MIN` if no record was seen yet.
    pub fn stream_time(&self) -> i64 {
        self.stream_time
    }

    /// The end of a key's window, where the store has windows that expire.
    pub fn window_end(&self, key: &[u8]) -> Option<i64> {
        window_end_of(self.core.kind, key)
    }

    /// What the backing keeps about the store besides its entries.
    pub(super) fn summary(&self) -> [u8; 16] {
        let mut summary = [0; 16];
        summary[..8].copy_from_slice(&self.stream_time.to_be_bytes());
        summary[8..].copy_from_slice(&self.max_time.to_be_bytes());
        summary
    }

    /// Every changed entry once, with its last value (`None`: deleted), in order of first change: what the changelog
    /// gets. [`super::Store::put`] takes them back.
    pub fn for_each_change(&self, mut f: impl FnMut(&[u8], Option<&[u8]>)) {
        for slot in self.overlay.changes() {
            let (key, value) = self.overlay.entry(slot);
            f(key, value);
        }
    }

    /// Adds the changes to a batch; they are copied only when the batch is written.
    pub fn append_to(self: &Arc<Self>, batch: &mut StateBatch) {
        batch.frozen.push(self.clone());
    }

    /// Whether the changes are in the backing.
    pub fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }

    /// Refuses what was thrown away meanwhile, or whose predecessor was not written: state must not have holes.
    pub(super) fn check_order(&self) -> Result<(), StateError> {
        if self.discarded.load(Ordering::Acquire) {
            return Err(StateError::Storage(format!("changes of {} were thrown away before they were written", self.core.key.store)));
        }
        if self.sequence != self.core.written.load(Ordering::Acquire) + 1 {
            return Err(StateError::Storage(format!("an earlier commit of {} was not written", self.core.key.store)));
        }
        Ok(())
    }

    pub(super) fn mark_submitted(&self) {
        self.submitted.store(true, Ordering::Release);
    }

    /// Whether its commit has succeeded: it is written, or will be.
    pub fn is_committed(&self) -> bool {
        self.is_written() || self.submitted.load(Ordering::Acquire)
    }

    /// Throws the changes away, unless their commit has succeeded. Whether they stay.
    pub(super) fn discard_uncommitted(&self) -> bool {
        let stays = self.is_committed();
        self.discarded.store(!stays, Ordering::Release);
        stays
    }

    pub(super) fn mark_written(&self) {
        self.core.written.store(self.sequence, Ordering::Release);
        self.core.committed_time.store(self.stream_time, Ordering::Release);
        self.core.backing_empty.store(false, Ordering::Release);
        self.written.store(true, Ordering::Release);
        if let StoreKind::Windowed { retention_ms } = self.core.kind {
            self.core.db.retention.advance(self.core.prefix, self.stream_time.saturating_sub(retention_ms.max(0)));
        }
    }

    /// Changed entries in order of their keys.
    pub(super) fn for_each_sorted(&self, f: &mut ChangeVisitor<'_>) {
        for &slot in self.sorted() {
            if self.overlay.is_change(slot) {
                let (key, value) = self.overlay.entry(slot);
                f(key, value);
            }
        }
    }

    fn sorted(&self) -> &[u32] {
        self.sorted.get_or_init(|| self.overlay.sorted())
    }

    /// Entries with `from <= key < to` in order, changed or only read.
    pub(super) fn range<'a>(&'a self, from: &[u8], to: Option<&[u8]>) -> FrozenRange<'a> {
        let sorted = self.sorted();
        let start = sorted.partition_point(|&slot| self.overlay.key(slot) < from);
        let end = to.map_or(sorted.len(), |to| sorted.partition_point(|&slot| self.overlay.key(slot) < to));
        FrozenRange { overlay: &self.overlay, slots: sorted.get(start..end.max(start)).unwrap_or_default().iter() }
    }
}

impl Drop for FrozenOverlay {
    fn drop(&mut self) {
        self.core.db.release(self.accounted);
    }
}

/// Entries of a frozen overlay in order of their keys.
pub(super) struct FrozenRange<'a> {
    overlay: &'a Overlay,
    slots: std::slice::Iter<'a, u32>,
}

impl<'a> Iterator for FrozenRange<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        self.slots.next().map(|&slot| self.overlay.entry(slot))
    }
}

impl DoubleEndedIterator for FrozenRange<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.slots.next_back().map(|&slot| self.overlay.entry(slot))
    }
}
