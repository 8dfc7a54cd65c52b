//! Reading a store beside its task: what pull queries use.

use std::sync::Arc;
use std::time::Duration;

use super::chunk_lock::{ChunkLock, ReadGuard};
use super::frozen::StoreCore;
use super::layers::StoreLayers;
use super::{StateError, StoreKey, StoreKind};

/// Entries that a range copies under one lock.
const SLICE_ENTRIES: usize = 1024;
/// Bytes that a range copies under one lock.
const SLICE_BYTES: usize = 1 << 20;
/// How long a chunk may keep readers waiting. One takes milliseconds, unless its results can't be sent.
const PATIENCE: Duration = Duration::from_secs(8);

/// A cheap handle to a store: sees every record that the task has processed, up to the last chunk. Calls wait while a
/// chunk is being processed, for a bounded time.
#[derive(Clone)]
pub struct StoreReader {
    core: Arc<StoreCore>,
    shared: Arc<ChunkLock<StoreLayers>>,
    patience: Duration,
}

impl StoreReader {
    pub(super) fn new(core: Arc<StoreCore>, shared: Arc<ChunkLock<StoreLayers>>) -> Self {
        StoreReader { core, shared, patience: PATIENCE }
    }

    /// The same store, for those who can't wait: where a chunk is being processed, reading is [`StateError::Busy`].
    pub fn without_waiting(self) -> Self {
        StoreReader { patience: Duration::ZERO, ..self }
    }

    pub fn key(&self) -> &StoreKey {
        &self.core.key
    }

    pub(super) fn core(&self) -> &StoreCore {
        &self.core
    }

    pub fn kind(&self) -> StoreKind {
        self.core.kind
    }

    /// Shows a key's value to `f`, which must be quick: the task waits.
    pub fn get<R>(&self, key: &[u8], f: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, StateError> {
        self.layers()?.peek(key, f)
    }

    /// Shows all entries with `from <= key < to` (`None`: to the end) in order to `f` until it returns false. They are
    /// copied in slices, so that the task waits for a slice at most; entries changed between two slices may be seen
    /// before or after the change.
    pub fn range(&self, from: &[u8], to: Option<&[u8]>, f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        let mut slice = Slice::default();
        let mut from = from.to_vec();
        loop {
            slice.clear();
            self.indexed()?.scan(&from, to, None, &mut |key, value| slice.push(key, value))?;
            if !slice.show(f) || !slice.is_full() {
                return Ok(());
            }
            slice.next_from(&mut from);
        }
    }

    /// Shows all entries whose key begins with `prefix`, in order, to `f` until it returns false.
    pub fn prefix(&self, prefix: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        self.range(prefix, crate::types::codec::prefix_end(prefix).as_deref(), f)
    }

    /// Stream time of the operator that owns the store; `i64::MIN` before its first record.
    pub fn stream_time(&self) -> i64 {
        self.shared.read().stream_time
    }

    /// How many entries changed or were read lately: a lower bound of what a scan has to merge, not the store's size.
    pub fn overlay_entries(&self) -> usize {
        let layers = self.shared.read();
        layers.active.len() + layers.frozen.iter().map(|frozen| frozen.overlay.len()).sum::<usize>()
    }

    fn layers(&self) -> Result<ReadGuard<'_, StoreLayers>, StateError> {
        self.shared.read_within(self.patience).ok_or(StateError::Busy)
    }

    /// How long it may wait for a chunk.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// The layers, unless they can't be had for so long.
    pub(super) fn layers_within(&self, patience: Duration) -> Option<ReadGuard<'_, StoreLayers>> {
        self.shared.read_within(patience.min(self.patience))
    }

    /// The layers, with the ordered index that a range needs.
    fn indexed(&self) -> Result<ReadGuard<'_, StoreLayers>, StateError> {
        loop {
            let layers = self.layers()?;
            if layers.active.has_index() {
                return Ok(layers);
            }
            drop(layers);
            let mut layers = self.shared.take_within(self.patience).ok_or(StateError::Busy)?;
            layers.active.build_index();
            self.shared.give(layers);
        }
    }
}

/// Several stores of one task, held between two of its chunks: what is read in them belongs together. Readers must be
/// quick, for the task waits.
pub struct HeldStores<'a> {
    layers: Vec<ReadGuard<'a, StoreLayers>>,
}

impl<'a> HeldStores<'a> {
    /// `readers` stand in the order in which the task takes its stores, so that neither waits for what the other holds.
    ///
    /// # Errors
    /// [`StateError::Busy`]: the task has them, and for too long.
    pub fn hold(readers: &'a [StoreReader]) -> Result<Self, StateError> {
        Ok(HeldStores { layers: readers.iter().map(StoreReader::layers).collect::<Result<_, _>>()? })
    }

    /// Shows a key's value in one of the stores to `f`.
    pub fn get<R>(&self, store: usize, key: &[u8], f: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, StateError> {
        match self.layers.get(store) {
            Some(layers) => layers.peek(key, f),
            None => Err(StateError::Storage(format!("the task has no store number {store}"))),
        }
    }
}

/// Entries copied out of a store, in few allocations.
#[derive(Default)]
struct Slice {
    bytes: Vec<u8>,
    /// Where each key and value ends.
    ends: Vec<(usize, usize)>,
}

impl Slice {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn push(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((key_end, self.bytes.len()));
        !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.ends.len() >= SLICE_ENTRIES || self.bytes.len() >= SLICE_BYTES
    }

    fn show(&self, f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
        let mut start = 0;
        for &(key_end, end) in &self.ends {
            if !f(&self.bytes[start..key_end], &self.bytes[key_end..end]) {
                return false;
            }
            start = end;
        }
        true
    }

    /// The smallest key behind the last one.
    fn next_from(&self, from: &mut Vec<u8>) {
        if let Some(&(key_end, _)) = self.ends.last() {
            let start = self.ends.len().checked_sub(2).and_then(|i| self.ends.get(i)).map_or(0, |&(_, end)| end);
            from.clear();
            from.extend_from_slice(&self.bytes[start..key_end]);
            from.push(0);
        }
    }
}
