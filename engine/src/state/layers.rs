//! The layers of one store: active overlay, frozen overlays, backing. [`super::Store`] and [`super::StoreReader`] both
//! read through them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::expiry::window_end;
use super::frozen::{FrozenOverlay, PREFIX_BYTES, StoreCore};
use super::merge::{LayerRange, Layers};
use super::overlay::Overlay;
use super::{StateError, StoreKind};

/// A value larger than this is not kept only because it was read.
const MAX_CACHED_VALUE_BYTES: usize = 16 << 10;
/// An overlay with more changes than this is frozen as it is, which takes no time; fewer are copied out, so that it
/// goes on as a cache.
const MAX_COPIED_CHANGES: usize = 8192;
/// Bytes of an overlay at which a new one takes over; the old one stays as a cache until that happens again.
const GENERATION_BYTES: usize = 4 << 20;

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
    pub fn new(core: Arc<StoreCore>, stream_time: i64) -> Self {
        let mut active = Overlay::default();
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
        let StoreLayers { core, active, scratch, may_cache, has_scratch_value, .. } = self;
        if core.backing_empty.load(Ordering::Acquire) {
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
        if self.core.backing_empty.load(Ordering::Acquire) {
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

    /// Shows visible entries with `from <= key < to` in order until `f` returns false. The active overlay must have its
    /// index.
    pub fn scan(&self, from: &[u8], to: Option<&[u8]>, f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
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
        if !self.core.backing_empty.load(Ordering::Acquire) {
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

    /// Whether a freeze ends the active overlay, rather than copy its changes out.
    pub fn starts_over(&self) -> bool {
        self.active.dirty().len() > MAX_COPIED_CHANGES || self.active.bytes() > GENERATION_BYTES || !self.may_cache
    }

    /// Adds a frozen overlay and forgets those that are written and no cache.
    pub fn push_frozen(&mut self, frozen: Arc<FrozenOverlay>, is_generation: bool) {
        if is_generation {
            self.generation = Some(frozen.sequence);
        }
        let generation = self.generation;
        self.frozen.retain(|old| !old.is_written() || Some(old.sequence) == generation);
        self.frozen.push(frozen);
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
