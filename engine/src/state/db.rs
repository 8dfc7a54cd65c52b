//! The process's one database of state: opens stores, keeps positions, and holds the memory budget.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::backing::Backing;
use super::expiry::RetentionTable;
use super::frozen::StoreCore;
use super::layers::StoreLayers;
use super::memory::MemoryBacking;
use super::records;
use super::rocks::{Family, Rocks, RocksBacking};
use super::{StateBatch, StateError, StateWriter, Store, StoreKey, StoreKind, StoreSpec};
use crate::log::{Offset, TopicPartition};

/// The part of the overlay budget up to which a store is taken into memory when it is opened.
const PRELOAD_SHARE: usize = 2048;
/// Where the folder's id stands, beside the embedded log's notes.
const IDENTITY_KEY: &[u8] = b"folder-id";

/// How much memory the state may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateLimits {
    /// Blocks of RocksDB's files, bytes.
    pub block_cache_bytes: usize,
    /// RocksDB's memtables together, bytes.
    pub write_buffer_bytes: usize,
    /// All overlays together, bytes: beyond a half of it nothing is kept only because it was read, beyond the whole of it
    /// [`StateDb::wants_commit`] asks for commits. Soft: no write is refused.
    pub overlay_bytes: usize,
    /// Every commit of the embedded log reaches the disk itself before it returns, not only the operating system.
    pub fsync: bool,
}

impl Default for StateLimits {
    fn default() -> Self {
        StateLimits { block_cache_bytes: 64 << 20, write_buffer_bytes: 64 << 20, overlay_bytes: 128 << 20, fsync: false }
    }
}

/// All state of a process: one RocksDB, or memory. A cheap handle.
#[derive(Clone)]
pub struct StateDb(pub(super) Arc<Db>);

/// What the handles share.
pub(super) struct Db {
    pub backing: Arc<dyn Backing>,
    rocks: Option<Arc<Rocks>>,
    pub retention: RetentionTable,
    limits: StateLimits,
    overlay_bytes: AtomicUsize,
    ids: Mutex<StoreIds>,
    /// Made when it is first needed.
    writer: OnceLock<StateWriter>,
    /// Prefixes of the stores that are open.
    open: Mutex<BTreeSet<[u8; 8]>>,
}

struct StoreIds {
    by_name: BTreeMap<(String, String), u32>,
    next: u32,
}

impl StateDb {
    /// State in memory, gone with the last handle: for tests, scripts and push queries.
    pub fn in_memory() -> Self {
        StateDb::in_memory_within(StateLimits::default())
    }

    /// State in memory whose overlays keep to a limit.
    pub fn in_memory_within(limits: StateLimits) -> Self {
        let ids = StoreIds { by_name: BTreeMap::new(), next: 1 };
        StateDb::new(Arc::new(MemoryBacking::default()), None, RetentionTable::default(), limits, ids)
    }

    /// Opens the state in a data folder, which is created where it is missing.
    ///
    /// # Errors
    /// `InUse` where another process has it open, `Unusable` where it can't be created, read or written.
    pub fn open(data_folder: &Path, limits: StateLimits) -> Result<Self, StateError> {
        let retention = RetentionTable::default();
        let rocks = Rocks::open(data_folder, &limits, &retention)?;
        StateDb::over(rocks, retention, limits)
    }

    /// As [`StateDb::open`], where all of the state can be made anew from its changelogs: files that are damaged, missing or
    /// another's are set aside, and the state begins empty.
    ///
    /// # Errors
    /// As there.
    pub fn open_or_begin_anew(data_folder: &Path, limits: StateLimits) -> Result<Self, StateError> {
        let retention = RetentionTable::default();
        let rocks = Rocks::open_or_begin_anew(data_folder, &limits, &retention)?;
        match StateDb::over(rocks, retention, limits) {
            // Found at the first read, and noted.
            Err(StateError::Damaged { .. }) => {
                let retention = RetentionTable::default();
                let rocks = Rocks::open_or_begin_anew(data_folder, &limits, &retention)?;
                StateDb::over(rocks, retention, limits)
            }
            opened => opened,
        }
    }

    fn over(rocks: Rocks, retention: RetentionTable, limits: StateLimits) -> Result<Self, StateError> {
        let rocks = Arc::new(rocks);
        let backing: Arc<dyn Backing> = Arc::new(RocksBacking(rocks.clone()));
        let ids = read_ids(&*backing)?;
        Ok(StateDb::new(backing, Some(rocks), retention, limits, ids))
    }

    /// Opens the state in a data folder to look at it: nothing can be written, and whoever uses the folder goes on.
    ///
    /// # Errors
    /// `Unusable` where it is not there or can't be read.
    pub fn open_to_look(data_folder: &Path, limits: StateLimits) -> Result<Self, StateError> {
        let retention = RetentionTable::default();
        let rocks = Arc::new(Rocks::open_to_look(data_folder, &limits, &retention)?);
        let backing: Arc<dyn Backing> = Arc::new(RocksBacking(rocks.clone()));
        let ids = read_ids(&*backing)?;
        Ok(StateDb::new(backing, Some(rocks), retention, limits, ids))
    }

    fn new(backing: Arc<dyn Backing>, rocks: Option<Arc<Rocks>>, retention: RetentionTable, limits: StateLimits, ids: StoreIds) -> Self {
        let (overlay_bytes, ids) = (AtomicUsize::new(0), Mutex::new(ids));
        let (writer, open) = (OnceLock::new(), Mutex::default());
        StateDb(Arc::new(Db { backing, rocks, retention, limits, overlay_bytes, ids, writer, open }))
    }

    /// State on a simulated disk, written when [`Self::write_next`] is called.
    #[cfg(test)]
    pub(super) fn simulated(backing: Arc<dyn Backing>) -> Result<Self, StateError> {
        let ids = read_ids(&*backing)?;
        let state = StateDb::new(backing, None, RetentionTable::default(), StateLimits::default(), ids);
        state.0.writer.get_or_init(StateWriter::by_hand);
        Ok(state)
    }

    /// Takes the state of a commit that has succeeded elsewhere (its changelog has it), to be written in the background.
    /// Ask [`Self::is_behind`] before a commit.
    ///
    /// # Errors
    /// `Storage` where there can be no thread.
    pub fn write_later(&self, batch: StateBatch) -> Result<(), StateError> {
        let writer = match self.0.writer.get() {
            Some(writer) => writer,
            None => {
                let started = StateWriter::start()?;
                self.0.writer.get_or_init(|| started)
            }
        };
        writer.submit(batch);
        Ok(())
    }

    /// Whether what [`Self::write_later`] took can't be written for now, or too much of it waits: no worker should commit.
    pub fn is_behind(&self) -> bool {
        self.0.writer.get().is_some_and(StateWriter::is_behind)
    }

    /// Waits until all that [`Self::write_later`] has taken so far is written.
    ///
    /// # Errors
    /// Why it can't be written.
    pub fn settle(&self) -> Result<(), StateError> {
        self.0.writer.get().map_or(Ok(()), StateWriter::settle)
    }

    /// What is written of an entry of a store, whoever has the store open.
    #[cfg(test)]
    pub(crate) fn written(&self, key: &StoreKey, entry: &[u8]) -> Option<Vec<u8>> {
        let id = self.0.store_id(&key.query, &key.store).ok()?;
        let full_key = [&id.to_be_bytes()[..], &key.partition.to_be_bytes(), entry].concat();
        let mut found = None;
        self.0.backing.get(&full_key, &mut |value| found = value.map(<[u8]>::to_vec)).ok()?;
        found
    }

    /// How many entries are written of a store's first partition.
    #[cfg(test)]
    pub(crate) fn written_of(&self, query: &str, store: &str) -> usize {
        let Ok(id) = self.0.store_id(query, store) else { return 0 };
        let mut entries = 0;
        let count = &mut |_: &[u8], _: &[u8]| {
            entries += 1;
            true
        };
        let _ = self.0.backing.scan(&[&id.to_be_bytes()[..], &[0; 4]].concat(), &[&id.to_be_bytes()[..], &[0, 0, 0, 1]].concat(), count);
        entries
    }

    /// Writes the next of what [`Self::write_later`] took; `None`: nothing waits.
    #[cfg(test)]
    pub(crate) fn write_next(&self) -> Option<Result<(), StateError>> {
        self.0.writer.get().and_then(StateWriter::write_next)
    }

    /// The data folder's own id, made at its first use; in memory a new one each time.
    pub fn identity(&self) -> Result<String, StateError> {
        let made = uuid::Uuid::new_v4().simple().to_string();
        let Some(rocks) = &self.0.rocks else { return Ok(made) };
        let mut known = None;
        rocks.get(Family::Meta, IDENTITY_KEY, &mut |value| known = value.map(|id| String::from_utf8_lossy(id).into_owned()))?;
        if let Some(known) = known {
            return Ok(known);
        }
        let mut batch = rocksdb::WriteBatch::default();
        batch.put_cf(rocks.family(Family::Meta)?, IDENTITY_KEY, &made);
        rocks.write(batch)?;
        Ok(made)
    }

    /// The RocksDB underneath, for the embedded log; `None` in memory.
    pub(crate) fn rocks(&self) -> Option<&Arc<Rocks>> {
        self.0.rocks.as_ref()
    }

    /// Opens one store of one task.
    ///
    /// # Errors
    /// `StillOpen` where another [`Store`] of this key is; `Storage` where what an earlier one kept can't be written.
    pub fn open_store(&self, key: &StoreKey, spec: &StoreSpec) -> Result<Store, StateError> {
        // What an earlier store of this key wrote must be there.
        self.settle()?;
        let id = self.0.store_id(&key.query, &key.store)?;
        let mut prefix = [0; 8];
        prefix[..4].copy_from_slice(&id.to_be_bytes());
        prefix[4..].copy_from_slice(&key.partition.to_be_bytes());
        let lease = StoreLease::take(&self.0, prefix)
            .ok_or_else(|| StateError::StillOpen(format!("{}/{}/{}", key.query, key.store, key.partition)))?;
        let mut stream_time = i64::MIN;
        let mut max_time = if spec.kind == StoreKind::KeyValue { i64::MAX } else { i64::MIN };
        let mut entries = Some(Vec::new());
        let mut has_summary = false;
        let mut bytes = 0;
        let end = u64::from_be_bytes(prefix).wrapping_add(1).to_be_bytes();
        self.0.backing.scan(&prefix, &end, &mut |full_key, value| {
            let key = full_key.get(prefix.len()..).unwrap_or_default();
            if key.is_empty() {
                if let Some((time, latest)) = value.split_first_chunk() {
                    has_summary = true;
                    stream_time = i64::from_be_bytes(*time);
                    max_time = latest.try_into().map_or(i64::MAX, i64::from_be_bytes).max(max_time);
                }
                return true;
            }
            bytes += full_key.len() + value.len();
            match &mut entries {
                Some(loaded) if bytes <= self.0.limits.overlay_bytes / PRELOAD_SHARE => loaded.push((key.to_vec(), value.to_vec())),
                _ => entries = None,
            }
            entries.is_some()
        })?;
        if let StoreKind::Windowed { retention_ms } = spec.kind {
            self.0.retention.advance(prefix, stream_time.saturating_sub(retention_ms.max(0)));
        }
        if !has_summary {
            // Entries without a summary, as a crash between slices leaves them.
            max_time = i64::MAX;
        }
        let empty = entries.as_ref().is_some_and(Vec::is_empty);
        let core = StoreCore {
            key: key.clone(),
            kind: spec.kind,
            prefix,
            db: self.0.clone(),
            written: AtomicU64::new(0),
            committed_time: AtomicI64::new(stream_time),
            backing_empty: AtomicBool::new(empty),
        };
        let core = Arc::new(core);
        let layers = StoreLayers::new(core.clone(), max_time, entries.as_deref());
        Ok(Store::new(core, layers, lease))
    }

    /// How far the query's state includes each partition: what [`super::StateBatch::set_position`] remembered.
    pub fn positions(&self, query: &str) -> Result<BTreeMap<TopicPartition, Offset>, StateError> {
        self.settle()?;
        let prefix = records::position_prefix(query);
        let end = crate::types::codec::prefix_end(&prefix).unwrap_or_default();
        let mut positions = BTreeMap::new();
        let mut failed = None;
        self.0.backing.scan(&prefix, &end, &mut |key, value| match records::parse_position(&prefix, key, value) {
            Ok((partition, offset)) => {
                positions.insert(partition, offset);
                true
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        })?;
        failed.map_or(Ok(positions), Err)
    }

    /// Deletes all stores and positions of a query, whose tasks must have ended.
    pub fn drop_query(&self, query: &str) -> Result<(), StateError> {
        self.settle()?;
        let mut ids = self.0.ids.lock();
        let dropped: Vec<((String, String), u32)> =
            ids.by_name.iter().filter(|((owner, _), _)| owner == query).map(|(name, id)| (name.clone(), *id)).collect();
        for (name, id) in dropped {
            self.0.backing.delete_range(&id.to_be_bytes(), &(id + 1).to_be_bytes())?;
            self.0.backing.put_all(&[(records::store_id_key(&name.0, &name.1), None)])?;
            self.0.retention.forget(id);
            ids.by_name.remove(&name);
        }
        drop(ids);
        let prefix = records::position_prefix(query);
        let end = crate::types::codec::prefix_end(&prefix).unwrap_or_default();
        self.0.backing.delete_range(&prefix, &end)
    }

    /// Queries that have stores.
    pub fn queries(&self) -> Vec<String> {
        let ids = self.0.ids.lock();
        let mut queries: Vec<String> = ids.by_name.keys().map(|(query, _)| query.clone()).collect();
        queries.dedup();
        queries
    }

    /// About how many bytes the stores of each query take on the disk. Nothing in memory is counted, neither overlays nor
    /// what was written a moment ago.
    pub fn disk_bytes_by_query(&self) -> BTreeMap<String, u64> {
        let Some(rocks) = &self.0.rocks else { return BTreeMap::new() };
        let stores: Vec<(String, u32)> = self.0.ids.lock().by_name.iter().map(|((query, _), id)| (query.clone(), *id)).collect();
        let mut sizes = BTreeMap::new();
        for (query, id) in stores {
            let bytes = rocks.size(Family::State, &id.to_be_bytes(), &id.saturating_add(1).to_be_bytes()).unwrap_or_default();
            let sum: &mut u64 = sizes.entry(query).or_default();
            *sum = sum.saturating_add(bytes);
        }
        sizes
    }

    /// About how many entries all stores have on the disk, and how many bytes their files take.
    pub fn disk_totals(&self) -> (u64, u64) {
        let number = |property: &str| self.0.rocks.as_ref().map_or(0, |rocks| rocks.number(Family::State, property));
        (number("rocksdb.estimate-num-keys"), number("rocksdb.live-sst-files-size"))
    }

    /// Bytes in all overlays, active and frozen.
    pub fn overlay_bytes(&self) -> usize {
        self.0.overlay_bytes.load(Ordering::Relaxed)
    }

    /// The overlays are beyond their limit: tasks should commit soon.
    pub fn wants_commit(&self) -> bool {
        self.overlay_bytes() > self.0.limits.overlay_bytes
    }

    pub fn limits(&self) -> &StateLimits {
        &self.0.limits
    }
}

/// The right to be the one open store of a prefix; given back when it is dropped.
pub(super) struct StoreLease {
    db: Arc<Db>,
    prefix: [u8; 8],
}

impl Db {
    /// About how many bytes of files a range takes.
    pub fn file_bytes(&self, from: &[u8], to: &[u8]) -> u64 {
        self.rocks.as_ref().and_then(|rocks| rocks.size(Family::State, from, to).ok()).unwrap_or_default()
    }
}

impl StoreLease {
    fn take(db: &Arc<Db>, prefix: [u8; 8]) -> Option<StoreLease> {
        db.open.lock().insert(prefix).then(|| StoreLease { db: db.clone(), prefix })
    }
}

impl Drop for StoreLease {
    fn drop(&mut self) {
        self.db.open.lock().remove(&self.prefix);
    }
}

/// The store ids that were given away.
fn read_ids(backing: &dyn Backing) -> Result<StoreIds, StateError> {
    let mut ids = StoreIds { by_name: BTreeMap::new(), next: 1 };
    let mut failed = None;
    let (from, to) = records::store_id_bounds();
    backing.scan(&from, &to, &mut |key, value| {
        match (records::parse_store_id_key(key), <[u8; 4]>::try_from(value)) {
            (Ok(name), Ok(id)) => {
                ids.by_name.insert(name, u32::from_be_bytes(id));
            }
            _ => failed = Some(records::corrupt()),
        }
        failed.is_none()
    })?;
    backing.get(&records::next_id_key(), &mut |value| match value.map(<[u8; 4]>::try_from) {
        Some(Ok(next)) => ids.next = u32::from_be_bytes(next),
        Some(Err(_)) => failed = Some(records::corrupt()),
        None => {}
    })?;
    failed.map_or(Ok(ids), Err)
}

impl Db {
    pub fn limits(&self) -> &StateLimits {
        &self.limits
    }

    fn store_id(&self, query: &str, store: &str) -> Result<u32, StateError> {
        let mut ids = self.ids.lock();
        let name = (query.to_owned(), store.to_owned());
        if let Some(id) = ids.by_name.get(&name) {
            return Ok(*id);
        }
        let id = ids.next;
        let next = id.checked_add(1).ok_or_else(|| StateError::Storage("no store ids left".into()))?;
        self.backing.put_all(&[
            (records::next_id_key(), Some(next.to_be_bytes().to_vec())),
            (records::store_id_key(query, store), Some(id.to_be_bytes().to_vec())),
        ])?;
        ids.next = next;
        ids.by_name.insert(name, id);
        Ok(id)
    }

    /// Replaces `old` accounted bytes by `new` ones.
    pub fn account(&self, old: usize, new: usize) {
        if new >= old {
            self.overlay_bytes.fetch_add(new - old, Ordering::Relaxed);
        } else {
            self.release(old - new);
        }
    }

    pub fn release(&self, bytes: usize) {
        self.overlay_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether there is room to keep what was only read.
    pub fn may_cache(&self) -> bool {
        self.overlay_bytes.load(Ordering::Relaxed) < self.limits.overlay_bytes / 2
    }
}
