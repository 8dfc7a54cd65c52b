//! The layers of one store: active overlay, frozen overlays, backing. [`super::Store`] and [`super::StoreReader`] both
//! read through them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::expiry::window_end;
use super::frozen::{FrozenOverlay, PREFIX_BYTES, StoreCore};
use super::overlay::Overlay;
use super::{StateError, StoreKind};

/// A value larger than this is not kept only because it was read.
const MAX_CACHED_VALUE_BYTES: usize = 16 << 10;
/// An overlay with more changes than this is frozen as it is, which takes no time; fewer are copied out, so that it
/// goes on as a cache.
const MAX_COPIED_CHANGES: usize = 8192;
/// The part of the process's overlay budget at which a store's overlay gives way to a new one; it stays as a cache until
/// that happens again.
const GENERATION_SHARE: usize = 8;
/// An active overlay smaller than this is not looked through for entries that are gone. Above it that happens each time it
/// has doubled, so that it costs the same for each change however long the store lives.
const MIN_SWEEP_ENTRIES: usize = if cfg!(test) { 16 } else { 1024 };

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
    /// Latest time of a key that the store ever had.
    pub max_time: i64,
    /// No visible entry of a later time lies only in the backing. `i64::MIN`: none at all does (the only value below
    /// `i64::MAX` where keys have no time). Spares looking there.
    pub evicted: i64,
    /// Sequence of the last frozen overlay.
    pub sequence: u64,
    /// Entries of the active overlay at which it is seen whether most of them are gone.
    next_sweep: usize,
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
    pub fn new(core: Arc<StoreCore>, max_time: i64, preloaded: Option<&[(Vec<u8>, Vec<u8>)]>) -> Self {
        let mut active = Overlay::new(core.kind);
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
            max_time,
            evicted: if preloaded.is_some() { i64::MIN } else { max_time },
            sequence,
            next_sweep: MIN_SWEEP_ENTRIES,
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
        if *evicted == i64::MIN || core.key_time(key).is_some_and(|time| time > *evicted) {
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

    /// Whether it can be told without a look into the backing that none of the older layers has a key.
    pub fn is_in_no_other_layer(&self, hash: u64, key: &[u8]) -> bool {
        self.is_in_memory(self.core.key_time(key)) && self.frozen.iter().all(|frozen| frozen.overlay.find(hash, key).is_none())
    }

    /// Whether [`Found::Scratch`] stands for a value.
    pub fn has_scratch_value(&self) -> bool {
        self.has_scratch_value
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
        if self.is_in_memory(self.core.key_time(key)) {
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

    /// Whether all entries (from a time on, where that is given) are in the overlays.
    pub fn is_in_memory(&self, min_time: Option<i64>) -> bool {
        self.evicted == i64::MIN || min_time.is_some_and(|time| time > self.evicted)
    }

    /// Ends the active overlay's part in a commit: what it holds to be written goes into a frozen overlay.
    pub fn freeze(&mut self) -> Arc<FrozenOverlay> {
        self.max_time = self.max_time.max(self.active.max_time());
        self.sequence += 1;
        self.frozen_time = self.stream_time;
        self.account();
        let many = self.active.dirty().len() > MAX_COPIED_CHANGES || !self.may_cache;
        let frozen = if many { self.freeze_whole() } else { self.freeze_changes() };
        self.forget_written();
        self.frozen.push(frozen.clone());
        frozen
    }

    /// Copies the changes out; the active overlay goes on, smaller if it has grown too large or most of it is gone.
    fn freeze_changes(&mut self) -> Arc<FrozenOverlay> {
        let limit = self.core.db.limits().overlay_bytes / GENERATION_SHARE;
        let too_large = self.active.bytes() > limit;
        let mut rebuilt = None;
        if too_large || self.active.len() >= self.next_sweep {
            self.forget_written();
            let kept = self.entries_to_keep();
            if too_large && self.active.bytes_of(&kept) > limit / 2 {
                return self.freeze_whole();
            }
            if too_large || kept.len() <= self.active.len() / 2 {
                rebuilt = Some(self.active.rebuilt(&kept));
            }
            self.next_sweep = (kept.len() * 2).max(MIN_SWEEP_ENTRIES);
        }
        let changes = self.active.take_changes();
        if let Some(rebuilt) = rebuilt {
            self.active = rebuilt;
            self.account();
        }
        self.frozen_changes(changes)
    }

    /// Deletes and expired windows need no place in the active overlay once they are copied out, unless they hide what lies
    /// in an older layer: the copy hides it until it is written, and then the backing has nothing more to hide.
    fn entries_to_keep(&self) -> Vec<u32> {
        let bound = self.expiry_bound();
        let hides = |key: &[u8]| {
            let hash = self.active.hash(key);
            self.frozen.iter().any(|frozen| frozen.overlay.find(hash, key).is_some())
        };
        let keep = |slot: &u32| {
            let (key, value) = self.active.entry(*slot);
            let expired = bound != i64::MIN && window_end(key).is_some_and(|end| end < bound);
            value.is_some() && !expired || hides(key)
        };
        self.active.slots().filter(keep).collect()
    }

    fn frozen_changes(&self, changes: Overlay) -> Arc<FrozenOverlay> {
        let bytes = changes.bytes();
        self.core.db.account(0, bytes);
        Arc::new(FrozenOverlay::new(self, changes, false, bytes))
    }

    /// Freezes the active overlay as it is; a new one takes over.
    fn freeze_whole(&mut self) -> Arc<FrozenOverlay> {
        let next = self.active.successor();
        self.next_sweep = MIN_SWEEP_ENTRIES;
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
                *evicted = (*evicted).max(old.overlay.max_time());
            }
            stays
        });
    }

    /// See [`super::Store::rollback`].
    pub fn rollback(&mut self) {
        self.max_time = self.max_time.max(self.active.max_time());
        self.active = self.active.successor();
        self.next_sweep = MIN_SWEEP_ENTRIES;
        self.generation = None;
        self.frozen.retain(|frozen| !frozen.is_written() && frozen.discard_uncommitted());
        if !self.frozen.is_empty() || !self.core.backing_empty.load(Ordering::Acquire) {
            self.evicted = if self.core.has_times() { self.max_time } else { i64::MAX };
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

impl Drop for StoreLayers {
    fn drop(&mut self) {
        self.core.db.release(self.accounted);
    }
}
