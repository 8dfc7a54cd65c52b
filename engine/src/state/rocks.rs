//! The one RocksDB of the process: three column families (state, records of the embedded log, the log's own notes) that
//! share a block cache, write buffers and background threads.
//!
//! Every write goes to the write-ahead log and from there to the operating system: a killed process loses nothing that
//! was committed. A machine that loses power may lose the last moments, unless [`StateLimits::fsync`] is set; what is
//! there after it is always whole commits, in order.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rocksdb::compaction_filter::{CompactionFilter, Decision};
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, LogLevel, Options,
    ReadOptions, WriteBatch, WriteBufferManager, WriteOptions,
};

use super::backing::{Backing, BackingSnapshot};
use super::batch::BatchPart;
use super::damage::{self, is_damage, is_damage_at_open};
use super::expiry::{RetentionSnapshot, RetentionTable};
use super::manifest::{self, ManifestNote};
use super::{StateError, StateLimits};

/// Folder of the database within the data folder.
const FOLDER: &str = "store";
/// Files that RocksDB keeps open.
const MAX_OPEN_FILES: i32 = 512;
/// RocksDB's threads for flushes and compactions.
const BACKGROUND_JOBS: i32 = 2;
/// One memtable of state or of the log; several make up the limit on write buffers.
const MEMTABLE_BYTES: usize = 16 << 20;
/// Files that wait to be compacted before writes are slowed down, and before they stop. RocksDB's own numbers are a third of these:
/// with them a restore of gigabytes stood still for half a minute at a time where compaction had little of a busy machine, for
/// RocksDB slows writes down to a few kilobytes a second. Bloom filters keep look-ups from paying for it.
const SLOW_AT_FILES: i32 = 60;
const STOP_AT_FILES: i32 = 100;
/// The write-ahead log at which RocksDB flushes what holds it back; after a crash this much is read again at most.
const MAX_WAL_BYTES: u64 = 64 << 20;
/// Blocks of the log from this size on lie in files of their own.
const MIN_BLOB_BYTES: u64 = 4 << 10;
/// Bits of bloom filter for each key of state.
const BLOOM_BITS: f64 = 10.0;
/// Files of state this old are compacted again, so that expired windows leave even where nothing is written.
const COMPACT_AFTER_SECONDS: u64 = 24 * 60 * 60;
/// One write of a commit that is written in slices.
const SLICE_BYTES: usize = 1 << 20;

/// A column family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Stores, store ids and positions.
    State,
    /// Records of the embedded log.
    Log,
    /// Topics, groups and start offsets of the embedded log.
    Meta,
}

impl Family {
    fn name(self) -> &'static str {
        match self {
            Family::State => "state",
            Family::Log => "log",
            Family::Meta => "meta",
        }
    }
}

/// See the module.
pub(crate) struct Rocks {
    db: DB,
    fsync: bool,
    folder: PathBuf,
    manifest: ManifestNote,
    /// Damage was found, and noted.
    is_damaged: AtomicBool,
}

impl Rocks {
    /// Opens the database in a data folder, which is created where it is missing.
    pub fn open(data_folder: &Path, limits: &StateLimits, retention: &RetentionTable) -> Result<Self, StateError> {
        let unusable = |reason: String| StateError::Unusable { path: data_folder.display().to_string(), reason };
        let folder = data_folder.join(FOLDER);
        if let Some(reason) = manifest::damage(&folder) {
            return Err(StateError::Damaged { path: folder.display().to_string(), reason });
        }
        std::fs::create_dir_all(&folder).map_err(|error| unusable(error.to_string()))?;
        let (options, families) = settings(limits, retention);
        let db = DB::open_cf_descriptors(&options, &folder, families).map_err(|error| {
            let reason = error.to_string();
            // The error's kind doesn't tell a held lock from any other I/O error.
            if reason.contains("lock file") || reason.contains("lock hold") || reason.contains("LOCK: Resource temporarily unavailable") {
                StateError::InUse(data_folder.display().to_string())
            } else if is_damage_at_open(&error) {
                StateError::Damaged { path: folder.display().to_string(), reason }
            } else {
                unusable(reason)
            }
        })?;
        let manifest = ManifestNote::new(&folder);
        Ok(Rocks { db, fsync: limits.fsync, folder, manifest, is_damaged: AtomicBool::new(false) })
    }

    /// As [`Rocks::open`], where all that is there can be made anew: what is damaged is set aside, and an empty database begun.
    pub fn open_or_begin_anew(data_folder: &Path, limits: &StateLimits, retention: &RetentionTable) -> Result<Self, StateError> {
        let folder = data_folder.join(FOLDER);
        let reason = match damage::noted(&folder) {
            Some(reason) => reason,
            None => match Rocks::open(data_folder, limits, retention) {
                Err(StateError::Damaged { reason, .. }) => reason,
                opened => return opened,
            },
        };
        let place = damage::set_aside(&folder)?;
        tracing::error!(
            reason,
            "the files of the state in {} are damaged: they are set aside as {}, and the state is read anew from its changelogs",
            folder.display(),
            place.display()
        );
        Rocks::open(data_folder, limits, retention)
    }

    /// What an error of RocksDB means for the state.
    fn failed(&self, error: rocksdb::Error) -> StateError {
        let reason = error.to_string();
        if !is_damage(&error) {
            return StateError::Storage(reason);
        }
        let path = self.folder.display().to_string();
        if !self.is_damaged.swap(true, Ordering::AcqRel) {
            tracing::error!(reason, "the files of the state in {path} are damaged");
            damage::note(&self.folder, &reason);
        }
        StateError::Damaged { path, reason }
    }

    /// Opens the database for reading, as it is now, whoever else has it open.
    pub fn open_to_look(data_folder: &Path, limits: &StateLimits, retention: &RetentionTable) -> Result<Self, StateError> {
        let folder = data_folder.join(FOLDER);
        let damaged = |reason: String| StateError::Damaged { path: folder.display().to_string(), reason };
        if let Some(reason) = damage::noted(&folder).or_else(|| manifest::damage(&folder)) {
            return Err(damaged(reason));
        }
        let (options, families) = settings(limits, retention);
        let db = DB::open_cf_descriptors_read_only(&options, &folder, families, false).map_err(|error| {
            if is_damage_at_open(&error) {
                return damaged(error.to_string());
            }
            StateError::Unusable { path: data_folder.display().to_string(), reason: error.to_string() }
        })?;
        let manifest = ManifestNote::of_another(&folder);
        // What is found is said, not noted.
        Ok(Rocks { db, fsync: false, folder, manifest, is_damaged: AtomicBool::new(true) })
    }

    /// A column family's handle.
    pub fn family(&self, family: Family) -> Result<&ColumnFamily, StateError> {
        self.db.cf_handle(family.name()).ok_or_else(|| StateError::Storage(format!("no column family '{}'", family.name())))
    }

    /// Writes a batch in one piece.
    pub fn write(&self, batch: WriteBatch) -> Result<(), StateError> {
        let mut options = WriteOptions::default();
        options.set_sync(self.fsync);
        self.db.write_opt(batch, &options).map_err(|error| self.failed(error))?;
        self.manifest.update();
        Ok(())
    }

    /// Shows a key's value to `f`, once.
    pub fn get(&self, family: Family, key: &[u8], f: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), StateError> {
        let found = self.db.get_pinned_cf(self.family(family)?, key).map_err(|error| self.failed(error))?;
        f(found.as_deref());
        Ok(())
    }

    /// Shows entries with `from <= key < to` in order until `f` returns false.
    pub fn scan(&self, family: Family, from: &[u8], to: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        options.fill_cache(family != Family::Log);
        let mut iterator = self.db.raw_iterator_cf_opt(self.family(family)?, options);
        iterator.seek(from);
        while let Some((key, value)) = iterator.item() {
            #[cfg(test)]
            super::visits::count();
            if !f(key, value) {
                return Ok(());
            }
            iterator.next();
        }
        iterator.status().map_err(|error| self.failed(error))
    }

    /// As [`Self::scan`], from the last entry to the first.
    pub fn scan_back(&self, family: Family, from: &[u8], to: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        options.fill_cache(family != Family::Log);
        let mut iterator = self.db.raw_iterator_cf_opt(self.family(family)?, options);
        iterator.seek_to_last();
        while let Some((key, value)) = iterator.item() {
            #[cfg(test)]
            super::visits::count();
            if !f(key, value) {
                return Ok(());
            }
            iterator.prev();
        }
        iterator.status().map_err(|error| self.failed(error))
    }

    /// Shows entries up to `to`, beginning with the last one at or before `from` (but not before `low`; if there is none,
    /// with the first one behind `from`), in order until `f` returns false.
    pub fn scan_around(
        &self,
        family: Family,
        low: &[u8],
        from: &[u8],
        to: &[u8],
        f: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(low);
        options.set_iterate_upper_bound(to);
        options.fill_cache(family != Family::Log);
        let mut iterator = self.db.raw_iterator_cf_opt(self.family(family)?, options);
        iterator.seek_for_prev(from);
        if !iterator.valid() {
            iterator.status().map_err(|error| self.failed(error))?;
            iterator.seek(from);
        }
        while let Some((key, value)) = iterator.item() {
            if !f(key, value) {
                return Ok(());
            }
            iterator.next();
        }
        iterator.status().map_err(|error| self.failed(error))
    }

    /// Frees the disk space of a range that was deleted; for the background.
    pub fn reclaim(&self, family: Family, from: &[u8], to: &[u8]) -> Result<(), StateError> {
        let family = self.family(family)?;
        let mut options = rocksdb::CompactOptions::default();
        options.set_exclusive_manual_compaction(false);
        self.db.delete_file_in_range_cf(family, from, to).map_err(|error| self.failed(error))?;
        self.db.compact_range_cf_opt(family, Some(from), Some(to), &options);
        Ok(())
    }

    /// About how many bytes of files a range takes.
    pub fn size(&self, family: Family, from: &[u8], to: &[u8]) -> Result<u64, StateError> {
        let sizes = self.db.get_approximate_sizes_cf(self.family(family)?, &[rocksdb::Range::new(from, to)]);
        Ok(sizes.first().copied().unwrap_or_default())
    }

    /// A number that RocksDB keeps of a family; 0 where it does not.
    pub fn number(&self, family: Family, property: &str) -> u64 {
        let Ok(family) = self.family(family) else { return 0 };
        self.db.property_int_value_cf(family, property).ok().flatten().unwrap_or_default()
    }

    /// Rewrites a family's files, as happens in the background in time.
    #[cfg(test)]
    pub fn compact(&self, family: Family) -> Result<(), StateError> {
        let family = self.family(family)?;
        self.db.flush_cf(family).map_err(|error| self.failed(error))?;
        let mut options = rocksdb::CompactOptions::default();
        options.set_bottommost_level_compaction(rocksdb::BottommostLevelCompaction::Force);
        self.db.compact_range_cf_opt(family, None::<&[u8]>, None::<&[u8]>, &options);
        Ok(())
    }

    /// Deletes everything with `from <= key < to`.
    pub fn delete_range(&self, family: Family, from: &[u8], to: &[u8]) -> Result<(), StateError> {
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(self.family(family)?, from, to);
        self.write(batch)
    }
}

/// What the database is opened with.
fn settings(limits: &StateLimits, retention: &RetentionTable) -> (Options, Vec<ColumnFamilyDescriptor>) {
    // An LRU cache of this size has shards smaller than a filter block, which would then be read for every get.
    let cache = Cache::new_hyper_clock_cache(limits.block_cache_bytes, 0);
    let buffers = WriteBufferManager::new_write_buffer_manager(limits.write_buffer_bytes, false);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_background_jobs(BACKGROUND_JOBS);
    options.set_max_open_files(MAX_OPEN_FILES);
    options.set_max_total_wal_size(MAX_WAL_BYTES);
    options.set_bytes_per_sync(1 << 20);
    options.set_wal_bytes_per_sync(1 << 20);
    options.set_keep_log_file_num(2);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options.set_write_buffer_manager(&buffers);
    let families = vec![
        ColumnFamilyDescriptor::new(Family::State.name(), state_options(&cache, retention)),
        ColumnFamilyDescriptor::new(Family::Log.name(), log_options(&cache)),
        ColumnFamilyDescriptor::new(Family::Meta.name(), meta_options(&cache)),
    ];
    (options, families)
}

fn table_options(cache: &Cache) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // Indexes and filters in pieces, so that state far larger than the cache needs few of them at a time.
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_metadata_block_size(4 << 10);
    table.set_pin_top_level_index_and_filter(true);
    table
}

fn state_options(cache: &Cache, retention: &RetentionTable) -> Options {
    let mut table = table_options(cache);
    table.set_bloom_filter(BLOOM_BITS, false);
    table.set_block_size(16 << 10);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_write_buffer_number(3);
    options.set_level_zero_slowdown_writes_trigger(SLOW_AT_FILES);
    options.set_level_zero_stop_writes_trigger(STOP_AT_FILES);
    options.set_memtable_prefix_bloom_ratio(0.05);
    options.set_memtable_whole_key_filtering(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_periodic_compaction_seconds(COMPACT_AFTER_SECONDS);
    options.set_compaction_filter_factory(ExpiryFactory(retention.clone()));
    options
}

fn log_options(cache: &Cache) -> Options {
    let mut table = table_options(cache);
    table.set_block_size(64 << 10);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_write_buffer_number(3);
    // Blocks are written once and not again with each compaction.
    options.set_enable_blob_files(true);
    options.set_min_blob_size(MIN_BLOB_BYTES);
    options.set_blob_compression_type(DBCompressionType::Lz4);
    options.set_enable_blob_gc(true);
    options.set_blob_gc_force_threshold(0.5);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    options
}

fn meta_options(cache: &Cache) -> Options {
    let mut options = Options::default();
    options.set_block_based_table_factory(&table_options(cache));
    options.set_write_buffer_size(1 << 20);
    options
}

/// State in RocksDB.
pub(super) struct RocksBacking(pub Arc<Rocks>);

impl Backing for RocksBacking {
    fn get(&self, key: &[u8], f: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), StateError> {
        self.0.get(Family::State, key, f)
    }

    fn scan(&self, from: &[u8], to: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        self.0.scan(Family::State, from, to, f)
    }

    fn scan_back(&self, from: &[u8], to: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        self.0.scan_back(Family::State, from, to, f)
    }

    fn snapshot(&self) -> Result<Arc<dyn BackingSnapshot>, StateError> {
        Ok(Arc::new(Moment::new(self.0.clone(), |rocks| rocks.db.snapshot())))
    }

    fn write(&self, part: &BatchPart<'_>) -> Result<(), StateError> {
        let mut batch = WriteBatch::default();
        fill(&mut batch, self.0.family(Family::State)?, part);
        self.0.write(batch)
    }

    fn write_in_slices(&self, part: &BatchPart<'_>) -> Result<(), StateError> {
        let family = self.0.family(Family::State)?;
        let mut batch = WriteBatch::default();
        let mut result = Ok(());
        part.visit_entries(&mut |key, value| {
            put(&mut batch, family, key, value);
            if result.is_ok() && batch.size_in_bytes() >= SLICE_BYTES {
                result = self.0.write(std::mem::take(&mut batch));
            }
        });
        result?;
        part.visit_closing(&mut |key, value| put(&mut batch, family, key, value));
        self.0.write(batch)
    }

    fn put_all(&self, entries: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), StateError> {
        let family = self.0.family(Family::State)?;
        let mut batch = WriteBatch::default();
        for (key, value) in entries {
            put(&mut batch, family, key, value.as_deref());
        }
        self.0.write(batch)
    }

    fn delete_range(&self, from: &[u8], to: &[u8]) -> Result<(), StateError> {
        self.0.delete_range(Family::State, from, to)
    }
}

/// Bytes that a walk over a snapshot reads ahead.
const READ_AHEAD_BYTES: usize = 256 << 10;

type HeldSnapshot<'a> = rocksdb::Snapshot<'a>;

self_cell::self_cell!(
    /// The state as it was at one moment, with the database that holds it.
    struct Moment {
        owner: Arc<Rocks>,
        #[covariant]
        dependent: HeldSnapshot,
    }
);

impl BackingSnapshot for Moment {
    fn get(&self, key: &[u8], f: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), StateError> {
        let family = self.borrow_owner().family(Family::State)?;
        let found = self.borrow_dependent().get_pinned_cf(family, key).map_err(|error| self.borrow_owner().failed(error))?;
        f(found.as_deref());
        Ok(())
    }

    fn scan(&self, from: &[u8], to: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        // A walk over everything would leave nothing in the cache of what tasks and look-ups need.
        options.fill_cache(false);
        options.set_readahead_size(READ_AHEAD_BYTES);
        let mut iterator = self.borrow_dependent().raw_iterator_cf_opt(self.borrow_owner().family(Family::State)?, options);
        iterator.seek(from);
        while let Some((key, value)) = iterator.item() {
            if !f(key, value) {
                return Ok(());
            }
            iterator.next();
        }
        iterator.status().map_err(|error| self.borrow_owner().failed(error))
    }
}

/// Adds state to a batch of RocksDB.
pub(crate) fn fill(batch: &mut WriteBatch, family: &ColumnFamily, part: &BatchPart<'_>) {
    part.visit(&mut |key, value| put(batch, family, key, value));
}

fn put(batch: &mut WriteBatch, family: &ColumnFamily, key: &[u8], value: Option<&[u8]>) {
    match value {
        Some(value) => batch.put_cf(family, key, value),
        None => batch.delete_cf(family, key),
    }
}

/// Drops expired windows as files are compacted.
struct ExpiryFactory(RetentionTable);

impl CompactionFilterFactory for ExpiryFactory {
    type Filter = ExpiryFilter;

    fn create(&mut self, _context: CompactionFilterContext) -> ExpiryFilter {
        ExpiryFilter(self.0.snapshot())
    }

    fn name(&self) -> &CStr {
        c"expiry"
    }
}

struct ExpiryFilter(RetentionSnapshot);

impl CompactionFilter for ExpiryFilter {
    fn filter(&mut self, _level: u32, key: &[u8], _value: &[u8]) -> Decision {
        if self.0.is_dead(key) { Decision::Remove } else { Decision::Keep }
    }

    fn name(&self) -> &CStr {
        c"expiry"
    }
}
