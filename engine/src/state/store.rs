//! A store as its task uses it.

use std::sync::Arc;

use super::chunk_lock::ChunkLock;
use super::db::StoreLease;
use super::expiry::window_end_of;
use super::frozen::{FrozenOverlay, StoreCore};
use super::layers::{Found, StoreLayers};
use super::{StateDb, StateError, StoreKey, StoreKind, StoreReader, StoreSpec};

/// One store of one task.
///
/// Between [`Store::begin_chunk`] and [`Store::end_chunk`] the store belongs to its task alone and readers wait; outside
/// of a chunk each call takes and gives the store by itself.
pub struct Store {
    core: Arc<StoreCore>,
    shared: Arc<ChunkLock<StoreLayers>>,
    /// Present during a chunk.
    held: Option<StoreLayers>,
    /// Keeps others from opening the store.
    _lease: StoreLease,
}

impl Store {
    pub(super) fn new(core: Arc<StoreCore>, layers: StoreLayers, lease: StoreLease) -> Self {
        Store { core, shared: Arc::new(ChunkLock::new(layers)), held: None, _lease: lease }
    }

    /// A store for itself, in memory: for tests and for state that nobody restores.
    pub fn in_memory(kind: StoreKind) -> Self {
        let key = StoreKey { query: "memory".into(), store: "memory".into(), partition: 0 };
        match StateDb::in_memory().open_store(&key, &StoreSpec { name: "memory".into(), kind, changelog: false }) {
            Ok(store) => store,
            Err(_) => unreachable!("memory does not fail"),
        }
    }

    pub fn key(&self) -> &StoreKey {
        &self.core.key
    }

    pub fn kind(&self) -> StoreKind {
        self.core.kind
    }

    /// Takes the store for the length of a chunk; pull queries wait meanwhile.
    pub fn begin_chunk(&mut self) {
        if self.held.is_none() {
            self.held = Some(self.shared.take());
        }
    }

    /// Gives the store back; readers that waited get in before the next chunk.
    pub fn end_chunk(&mut self) {
        if let Some(mut layers) = self.held.take() {
            layers.account();
            self.shared.give(layers);
        }
    }

    /// Looks a key up (active overlay, frozen ones, backing) and shows its value to `f` without a copy. Entries of
    /// expired windows are not there (see [`StoreKind::Windowed`]).
    pub fn get<R>(&mut self, key: &[u8], f: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, StateError> {
        self.with(|layers| {
            if layers.is_expired(key) {
                return Ok(f(None));
            }
            let found = layers.lookup(key)?;
            Ok(f(layers.found(&found)))
        })
    }

    /// Sets or deletes a key, which must not be empty.
    pub fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        assert!(!key.is_empty(), "a store's key is never empty");
        self.with(|layers| {
            let hash = layers.active.hash(key);
            match layers.active.find(hash, key) {
                Some(slot) => layers.active.set(slot, value),
                None => {
                    let is_new = value.is_some() && layers.is_in_no_other_layer(hash, key);
                    let slot = layers.active.insert(hash, key, value, true);
                    if is_new {
                        layers.active.mark_new(slot);
                    }
                }
            }
        });
    }

    /// Sets a key to what `f` makes of its old value (`None`: there is none), which `f` writes behind the given buffer's
    /// end (the buffer arrives empty). `f` returns whether the key has a value now. Spares a second look-up.
    pub fn update(
        &mut self,
        key: &[u8],
        buffer: &mut Vec<u8>,
        f: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> bool,
    ) -> Result<(), StateError> {
        assert!(!key.is_empty(), "a store's key is never empty");
        self.with(|layers| {
            let found = if layers.is_expired(key) { None } else { Some(layers.lookup(key)?) };
            buffer.clear();
            let stays = f(found.as_ref().and_then(|found| layers.found(found)), buffer);
            let value = stays.then_some(buffer.as_slice());
            let hash = layers.active.hash(key);
            match (&found, value) {
                (Some(Found::Slot(slot)), value) => layers.active.set(*slot, value),
                (_, value) => match layers.active.find(hash, key) {
                    Some(slot) => layers.active.set(slot, value),
                    None => {
                        let is_new = value.is_some() && matches!(found, Some(Found::Scratch)) && !layers.has_scratch_value();
                        let slot = layers.active.insert(hash, key, value, true);
                        if is_new {
                            layers.active.mark_new(slot);
                        }
                    }
                },
            }
            Ok(())
        })
    }

    /// Shows all entries with `from <= key < to` (`None`: to the end) in order to `f` until it returns false.
    pub fn range(&mut self, from: &[u8], to: Option<&[u8]>, f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        self.with(|layers| {
            layers.active.build_index();
            // Only in an ordered store is the beginning of a key its time.
            let min_time = if layers.core.kind == StoreKind::Ordered { layers.core.key_time(from) } else { None };
            layers.scan(from, to, min_time, f)
        })
    }

    /// Shows the entries of one key (`encode_key`) whose windows start between `first` and `last`, both included, in order
    /// to `f` until it returns false. Where all of them are recent this never leaves memory, unlike
    /// [`Store::range`].
    pub fn windows(&mut self, key: &[u8], first: i64, last: i64, f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        self.with(|layers| {
            layers.active.build_index();
            layers.scan_windows(key, first, last, f)
        })
    }

    /// Shows the entries of one key (`encode_key`) whose windows start at `last` or before, the latest first, to `f` until it
    /// returns false: what `f` does not ask for costs nothing, however many there are. Windows that have expired are shown
    /// as well, where they are not dropped yet.
    pub fn windows_back(&mut self, key: &[u8], last: i64, f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        self.with(|layers| {
            layers.active.build_index();
            layers.scan_windows_back(key, last, f)
        })
    }

    /// Shows all entries whose key begins with `prefix`, in order, to `f` until it returns false.
    pub fn prefix(&mut self, prefix: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        self.range(prefix, crate::types::codec::prefix_end(prefix).as_deref(), f)
    }

    /// Stream time of the operator that owns the store: kept, committed and restored with it. `i64::MIN` at first.
    pub fn stream_time(&self) -> i64 {
        match &self.held {
            Some(layers) => layers.stream_time,
            None => self.shared.read().stream_time,
        }
    }

    /// Raises the stream time to `timestamp` if that is larger, and returns it.
    pub fn observe_time(&mut self, timestamp: i64) -> i64 {
        self.with(|layers| {
            layers.stream_time = layers.stream_time.max(timestamp);
            layers.stream_time
        })
    }

    /// Windows that end before this are not there any more. `i64::MIN` where nothing expires.
    pub fn expiry_bound(&self) -> i64 {
        match &self.held {
            Some(layers) => layers.expiry_bound(),
            None => self.shared.read().expiry_bound(),
        }
    }

    /// As [`Store::expiry_bound`], where the stream time were this one.
    pub fn expiry_bound_at(&self, stream_time: i64) -> i64 {
        match self.core.kind {
            StoreKind::Windowed { retention_ms } if stream_time > i64::MIN => stream_time.saturating_sub(retention_ms.max(0)),
            _ => i64::MIN,
        }
    }

    /// The end of a key's window, where the store has windows that expire.
    pub fn window_end(&self, key: &[u8]) -> Option<i64> {
        window_end_of(self.core.kind, key)
    }

    /// Bytes of changes and of what was read lately in the active overlay.
    pub fn overlay_bytes(&self) -> usize {
        match &self.held {
            Some(layers) => layers.active.bytes(),
            None => self.shared.read().active.bytes(),
        }
    }

    /// Ends the active overlay: its changes are to be written now, and a new one takes over. What was frozen stays
    /// readable. `None`: nothing has changed since the last time.
    pub fn freeze(&mut self) -> Option<Arc<FrozenOverlay>> {
        self.with(|layers| {
            if layers.active.dirty().is_empty() && layers.stream_time == layers.frozen_time {
                return None;
            }
            delete_expired(layers);
            Some(layers.freeze())
        })
    }

    /// Throws away everything since the last commit that was written or given to a [`super::StateWriter`], and goes back
    /// to its stream time. Later frozen overlays never will be written.
    pub fn rollback(&mut self) {
        self.with(StoreLayers::rollback);
    }

    /// A handle for queries that read beside the task.
    pub fn reader(&self) -> StoreReader {
        StoreReader::new(self.core.clone(), self.shared.clone())
    }

    fn with<R>(&mut self, f: impl FnOnce(&mut StoreLayers) -> R) -> R {
        match &mut self.held {
            Some(layers) => f(layers),
            None => {
                self.begin_chunk();
                let result = self.held.as_mut().map(f);
                self.end_chunk();
                match result {
                    Some(result) => result,
                    None => unreachable!("taken above"),
                }
            }
        }
    }
}

/// Turns changes to windows that have expired meanwhile into deletes.
fn delete_expired(layers: &mut StoreLayers) {
    if layers.expiry_bound() == i64::MIN {
        return;
    }
    for index in 0..layers.active.dirty().len() {
        let slot = layers.active.dirty()[index];
        if layers.active.value(slot).is_some() && layers.is_expired(layers.active.key(slot)) {
            layers.active.set(slot, None);
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Store::in_memory(StoreKind::KeyValue)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Readers must not wait for a task that panicked.
        self.end_chunk();
    }
}
