//! The layers of one store: active overlay, frozen overlays, backing. [`super::Store`] and [`super::StoreReader`] both
//! read through them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::expiry::{window_end, window_start};
use super::frozen::{FrozenOverlay, PREFIX_BYTES, StoreCore};
use super::merge::{LayerRange, Layers};
use super::overlay::Overlay;
use super::{StateError, StoreKind};
use crate::types::codec::{prefix_end, to_ordered};

/// A value larger than this is not kept only because it was read.
const MAX_CACHED_VALUE_BYTES: usize = 16 << 10;
/// An overlay with more changes than this is frozen as it is, which takes no time; fewer are copied out, so that it
/// goes on as a cache.
const MAX_COPIED_CHANGES: usize = 8192;
/// The part of the process's overlay budget at which a store's overlay gives way to a new one; it stays as a cache until
/// that happens again.
const GENERATION_SHARE: usize = 8;

/// See the module.
pub(super) struct StoreLayers {
    pub core: Arc<StoreCore>,
    pub active: Overlay,
    /// Oldest first: what still has to be written, and the generation before the active overlay.
    pub frozen: Vec<Arc<FrozenOverlay>>,
    /// Sequence of the frozen overlay that stays, once written, as a cache of what is older than the active one. All that
    /// changed after it is in the active overlay as well.
    pub generation: Option<u64>,
    pub stream_time: i64,
    /// Stream time at the last freeze.
    pub frozen_time: i64,
    /// Latest start of a window that the store ever had.
    pub max_start: i64,
    /// Windowed stores: no visible entry whose window starts later lies only in the backing. `i64::MIN`: none at all
    /// does (the only value below `i64::MAX` for other stores). Spares looking there.
    evicted: i64,
    /// Sequence of the last frozen overlay.
    pub sequence: u64,
    /// Bytes of the active overlay that are accounted for in the process's budget.
    pub accounted: usize,
    /// Whether there is room to keep what was read.
    pub may_cache: bool,
    /// A full key, or a value that is too large to be kept.
    scratch: Vec<u8>,
    has_scratch_value: bool,
}

/// Where a value was found.
pub(super) enum Found {
    /// In the active overlay.
    Slot(u32),
    /// In the scratch buffer.
    Scratch,
}

impl StoreLayers {
    /// A store as the backing has it, `preloaded` being all of its entries (`None`: too many to tell).
    pub fn new(core: Arc<StoreCore>, max_start: i64, preloaded: Option<&[(Vec<u8>, Vec<u8>)]>) -> Self {
        let mut active = Overlay::new(matches!(core.kind, StoreKind::Windowed { .. }));
        for (key, value) in preloaded.unwrap_or_default() {
            active.insert(active.hash(key), key, Some(value), false);
        }
        let stream_time = core.committed_time.load(Ordering::Acquire);
        if core.kind == StoreKind::Ordered {
            active.build_index();
        }
        let sequence = core.written.load(Ordering::Acquire);
        StoreLayers {
            core,
            active,
            frozen: Vec::new(),
            generation: None,
            stream_time,
            frozen_time: stream_time,
            max_start,
            evicted: if preloaded.is_some() { i64::MIN } else { max_start },
            sequence,
            accounted: 0,
            may_cache: true,
            scratch: Vec::new(),
            has_scratch_value: false,
        }
    }

    /// Windows that end before this are hidden. `i64::MIN` where nothing expires.
    pub fn expiry_bound(&self) -> i64 {
        match self.core.kind {
            StoreKind::Windowed { retention_ms } => self.stream_time.saturating_sub(retention_ms.max(0)),
            StoreKind::KeyValue | StoreKind::Ordered => i64::MIN,
        }
    }

    pub fn is_expired(&self, key: &[u8]) -> bool {
        let bound = self.expiry_bound();
        bound != i64::MIN && window_end(key).is_some_and(|end| end < bound)
    }

    /// Finds a key and keeps what it finds in the active overlay, where there is room.
    pub fn lookup(&mut self, key: &[u8]) -> Result<Found, StateError> {
        let hash = self.active.hash(key);
        if let Some(slot) = self.active.find(hash, key) {
            return Ok(Found::Slot(slot));
        }
        for frozen in self.frozen.iter().rev() {
            if let Some(slot) = frozen.overlay.find(hash, key) {
                let value = frozen.overlay.value(slot);
                return Ok(Found::Slot(self.active.insert(hash, key, value, false)));
            }
        }
        let StoreLayers { core, active, scratch, may_cache, has_scratch_value, evicted, .. } = self;
        if *evicted == i64::MIN || core.is_windowed() && window_start(key).is_some_and(|start| start > *evicted) {
            *has_scratch_value = false;
            return Ok(Found::Scratch);
        }
        scratch.clear();
        scratch.extend_from_slice(&core.prefix);
        scratch.extend_from_slice(key);
        let full_key = std::mem::take(scratch);
        let mut found = Found::Scratch;
        let result = core.db.backing.get(&full_key, &mut |value| {
            let small = value.is_none_or(|value| value.len() <= MAX_CACHED_VALUE_BYTES);
            if *may_cache && small {
                found = Found::Slot(active.insert(hash, key, value, false));
            } else {
                *has_scratch_value = value.is_some();
                scratch.clear();
                scratch.extend_from_slice(value.unwrap_or_default());
            }
        });
        if matches!(found, Found::Slot(_)) {
            *scratch = full_key;
        }
        result.map(|()| found)
    }

    /// The value that `lookup` found.
    pub fn found(&self, found: &Found) -> Option<&[u8]> {
        match found {
            Found::Slot(slot) => self.active.value(*slot),
            Found::Scratch => self.has_scratch_value.then_some(&self.scratch),
        }
    }

    /// Looks a key up without keeping anything: for readers beside the task.
    pub fn peek<R>(&self, key: &[u8], f: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, StateError> {
        if self.is_expired(key) {
            return Ok(f(None));
        }
        let hash = self.active.hash(key);
        if let Some(slot) = self.active.find(hash, key) {
            return Ok(f(self.active.value(slot)));
        }
        for frozen in self.frozen.iter().rev() {
            if let Some(slot) = frozen.overlay.find(hash, key) {
                return Ok(f(frozen.overlay.value(slot)));
            }
        }
        if self.is_in_memory(window_start(key)) {
            return Ok(f(None));
        }
        let mut full_key = Vec::with_capacity(PREFIX_BYTES + key.len());
        full_key.extend_from_slice(&self.core.prefix);
        full_key.extend_from_slice(key);
        let mut f = Some(f);
        let mut result = None;
        self.core.db.backing.get(&full_key, &mut |value| result = f.take().map(|f| f(value)))?;
        result.ok_or_else(|| self.core.corrupt("the storage gave no answer"))
    }

    /// Whether all entries (in windowed stores: all whose window starts then or later) are in the overlays.
    fn is_in_memory(&self, min_start: Option<i64>) -> bool {
        self.evicted == i64::MIN || self.core.is_windowed() && min_start.is_some_and(|start| start > self.evicted)
    }

    /// Shows the entries of one key whose windows start between `first` and `last`, in order, until `f` returns false. The
    /// active overlay must have its index.
    pub fn scan_windows(&self, key: &[u8], first: i64, last: i64, f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        let from = [key, &to_ordered(first)].concat();
        let to = match last.checked_add(1) {
            Some(next) => Some([key, &to_ordered(next)].concat()),
            None => prefix_end(key),
        };
        self.scan(&from, to.as_deref(), self.core.is_windowed().then_some(first), f)
    }

    /// Shows visible entries with `from <= key < to` in order until `f` returns false; no window among them starts before
    /// `min_start`. The active overlay must have its index.
    pub fn scan(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        min_start: Option<i64>,
        f: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        assert!(self.active.has_index(), "a range without an index");
        let bound = self.expiry_bound();
        let visible = |key: &[u8]| bound == i64::MIN || window_end(key).is_none_or(|end| end >= bound);
        let mut layers = Layers::default();
        layers.push(LayerRange::Active(self.active.range(from, to)));
        for frozen in self.frozen.iter().rev() {
            layers.push(LayerRange::Frozen(frozen.range(from, to)));
        }
        // Shows what lies in the overlays before `limit`; whether to go on.
        let mut upper_until = |limit: Option<&[u8]>, f: &mut dyn FnMut(&[u8], &[u8]) -> bool| -> Upper {
            while let Some(key) = layers.peek() {
                if limit.is_some_and(|limit| key > limit) {
                    break;
                }
                let hides = limit == Some(key);
                if let Some((key, Some(value))) = layers.next()
                    && visible(key)
                    && !f(key, value)
                {
                    return Upper::Stop;
                }
                if hides {
                    return Upper::Hides;
                }
            }
            Upper::GoOn
        };
        let mut stopped = false;
        if !self.is_in_memory(min_start) {
            let (lower, upper) = self.full_bounds(from, to);
            self.core.db.backing.scan(&lower, &upper, &mut |full_key, value| {
                // The entry with an empty key is the store's stream time.
                let Some(key) = full_key.get(PREFIX_BYTES..).filter(|key| !key.is_empty()) else { return true };
                match upper_until(Some(key), f) {
                    Upper::Hides => true,
                    Upper::Stop => {
                        stopped = true;
                        false
                    }
                    Upper::GoOn => {
                        stopped = visible(key) && !f(key, value);
                        !stopped
                    }
                }
            })?;
        }
        if !stopped {
            upper_until(None, f);
        }
        Ok(())
    }

    /// Bounds of a range among the keys of all stores.
    fn full_bounds(&self, from: &[u8], to: Option<&[u8]>) -> (Vec<u8>, Vec<u8>) {
        let prefix = self.core.prefix;
        let upper = match to {
            Some(to) => [&prefix, to].concat(),
            None => u64::from_be_bytes(prefix).wrapping_add(1).to_be_bytes().to_vec(),
        };
        ([&prefix, from].concat(), upper)
    }

    /// Ends the active overlay's part in a commit: what it holds to be written goes into a frozen overlay.
    pub fn freeze(&mut self) -> Arc<FrozenOverlay> {
        self.max_start = self.max_start.max(self.active.max_start());
        self.sequence += 1;
        self.frozen_time = self.stream_time;
        self.account();
        let many = self.active.dirty().len() > MAX_COPIED_CHANGES || !self.may_cache;
        let frozen = if many { self.freeze_whole() } else { self.freeze_changes() };
        self.forget_written();
        self.frozen.push(frozen.clone());
        frozen
    }

    /// Copies the changes out; the active overlay goes on, smaller if it has grown too large.
    fn freeze_changes(&mut self) -> Arc<FrozenOverlay> {
        let limit = self.core.db.limits().overlay_bytes / GENERATION_SHARE;
        if self.active.bytes() > limit {
            // Deletes and expired windows need no place, unless they hide what lies in an older layer.
            let bound = self.expiry_bound();
            let hides = |key: &[u8]| {
                let hash = self.active.hash(key);
                self.frozen.iter().any(|frozen| frozen.overlay.find(hash, key).is_some())
            };
            let keep = |slot| {
                let (key, value) = self.active.entry(slot);
                let expired = bound != i64::MIN && window_end(key).is_some_and(|end| end < bound);
                value.is_some() && !expired || hides(key)
            };
            let Some(rebuilt) = self.active.rebuilt(limit / 2, keep) else { return self.freeze_whole() };
            let changes = self.active.take_changes();
            self.active = rebuilt;
            self.account();
            return self.frozen_changes(changes);
        }
        let changes = self.active.take_changes();
        self.frozen_changes(changes)
    }

    fn frozen_changes(&self, changes: Overlay) -> Arc<FrozenOverlay> {
        let bytes = changes.bytes();
        self.core.db.account(0, bytes);
        Arc::new(FrozenOverlay::new(self, changes, false, bytes))
    }

    /// Freezes the active overlay as it is; a new one takes over.
    fn freeze_whole(&mut self) -> Arc<FrozenOverlay> {
        let next = self.active.successor();
        let overlay = std::mem::replace(&mut self.active, next);
        let bytes = std::mem::take(&mut self.accounted);
        self.generation = Some(self.sequence);
        Arc::new(FrozenOverlay::new(self, overlay, true, bytes))
    }

    /// Drops the frozen overlays that are written and no cache.
    fn forget_written(&mut self) {
        let StoreLayers { frozen, generation, evicted, .. } = self;
        frozen.retain(|old| {
            let stays = !old.is_written() || Some(old.sequence) == *generation;
            // What changed in a mere copy is in the active overlay or in a later generation.
            if !stays && old.is_generation {
                *evicted = (*evicted).max(old.overlay.max_start());
            }
            stays
        });
    }

    /// See [`super::Store::rollback`].
    pub fn rollback(&mut self) {
        self.max_start = self.max_start.max(self.active.max_start());
        self.active = self.active.successor();
        self.generation = None;
        self.frozen.retain(|frozen| !frozen.is_written() && frozen.discard_uncommitted());
        if !self.frozen.is_empty() || !self.core.backing_empty.load(Ordering::Acquire) {
            self.evicted = if self.core.is_windowed() { self.max_start } else { i64::MAX };
        }
        let newest = self.frozen.last();
        self.sequence = newest.map_or_else(|| self.core.written.load(Ordering::Acquire), |frozen| frozen.sequence);
        self.stream_time = newest.map_or_else(|| self.core.committed_time.load(Ordering::Acquire), |frozen| frozen.stream_time());
        self.frozen_time = self.stream_time;
        self.account();
    }

    /// Takes the active overlay's growth into the process's budget.
    pub fn account(&mut self) {
        let bytes = self.active.bytes();
        self.core.db.account(self.accounted, bytes);
        self.accounted = bytes;
        self.may_cache = self.core.db.may_cache();
    }
}

/// What the overlays say about an entry of the backing.
enum Upper {
    /// They have a newer one (or a delete), which was shown.
    Hides,
    GoOn,
    Stop,
}

impl Drop for StoreLayers {
    fn drop(&mut self) {
        self.core.db.release(self.accounted);
    }
}
