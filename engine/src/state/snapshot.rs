//! Stores as they were at one moment: what queries over whole tables read, while the tasks go on.
//!
//! At that moment the stores are held, between two chunks; what changed since the last commit is copied, frozen overlays are
//! shared, and the backing gives a snapshot of its own. Then they are let go, and reading holds nobody back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backing::BackingSnapshot;
use super::chunk_lock::ReadGuard;
use super::frozen::{FrozenOverlay, StoreCore};
use super::layers::StoreLayers;
use super::merge::{LayerRange, Layers};
use super::overlay::Entry;
use super::scan::{Direction, EntryVisitor, Merged, full_bounds, is_visible};
use super::{StateError, StoreReader};

/// How long it is tried to hold all stores at once, and for how long one of them is waited for at a time while others are held.
const PATIENCE: Duration = Duration::from_secs(8);
const HOLDING: Duration = Duration::from_millis(20);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(2);

/// A range of keys: from the first to before the second (`None`: to the end).
pub type KeyRange = (Vec<u8>, Option<Vec<u8>>);

/// A store as it was at one moment.
pub struct StoreSnapshot {
    core: Arc<StoreCore>,
    changes: Copied,
    /// Oldest first.
    frozen: Vec<Arc<FrozenOverlay>>,
    backing: Arc<dyn BackingSnapshot>,
    /// Windows that end before this are hidden.
    expiry_bound: i64,
}

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreCount {
    pub entries: u64,
    /// Of keys and values.
    pub bytes: u64,
    /// Whether all of it was counted; else these are estimates.
    pub is_exact: bool,
}

/// Takes snapshots of several stores as of one moment, each for some ranges of keys (none: all keys).
///
/// # Errors
/// [`StateError::Busy`]: they could not all be had at once.
pub fn take(stores: &[(StoreReader, Vec<KeyRange>)]) -> Result<Vec<StoreSnapshot>, StateError> {
    // Who can't wait tries once.
    let patience = stores.iter().map(|(store, _)| store.patience()).min().unwrap_or(PATIENCE);
    let deadline = Instant::now() + patience.min(PATIENCE);
    loop {
        let held: Option<Vec<ReadGuard<'_, StoreLayers>>> = stores.iter().map(|(store, _)| store.layers_within(HOLDING)).collect();
        if let Some(held) = held {
            return copy(held, stores);
        }
        if Instant::now() >= deadline {
            return Err(StateError::Busy);
        }
        std::thread::sleep(PAUSE);
    }
}

fn copy(held: Vec<ReadGuard<'_, StoreLayers>>, stores: &[(StoreReader, Vec<KeyRange>)]) -> Result<Vec<StoreSnapshot>, StateError> {
    // While all are held, nothing moves from one layer to the next: overlays are noted first, then what lies under them.
    let mut backings: Vec<(*const (), Arc<dyn BackingSnapshot>)> = Vec::new();
    for layers in &held {
        let db = Arc::as_ptr(&layers.core.db).cast::<()>();
        if backings.iter().all(|(known, _)| *known != db) {
            backings.push((db, layers.core.db.backing.snapshot()?));
        }
    }
    let mut snapshots = Vec::with_capacity(held.len());
    for (layers, (_, ranges)) in held.into_iter().zip(stores) {
        let db = Arc::as_ptr(&layers.core.db).cast::<()>();
        let Some((_, backing)) = backings.iter().find(|(known, _)| *known == db) else {
            return Err(StateError::Storage("a store's database has gone".into()));
        };
        let wanted = |key: &[u8]| {
            ranges.is_empty() || ranges.iter().any(|(from, to)| key >= from.as_slice() && to.as_ref().is_none_or(|to| key < to.as_slice()))
        };
        snapshots.push(StoreSnapshot {
            core: layers.core.clone(),
            changes: Copied::of(&layers, &wanted),
            frozen: layers.frozen.clone(),
            backing: backing.clone(),
            expiry_bound: layers.expiry_bound(),
        });
        drop(layers);
    }
    for snapshot in &mut snapshots {
        snapshot.changes.sort();
    }
    Ok(snapshots)
}

impl StoreSnapshot {
    /// Shows a key's value to `f`.
    ///
    /// # Errors
    /// The storage can't be read.
    pub fn get<R>(&self, key: &[u8], f: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, StateError> {
        if !is_visible(self.expiry_bound, key) {
            return Ok(f(None));
        }
        if let Some(value) = self.changes.get(key) {
            return Ok(f(value));
        }
        for frozen in self.frozen.iter().rev() {
            let hash = frozen.overlay.hash(key);
            if let Some(slot) = frozen.overlay.find(hash, key) {
                return Ok(f(frozen.overlay.value(slot)));
            }
        }
        let full_key = [&self.core.prefix, key].concat();
        let mut f = Some(f);
        let mut result = None;
        self.backing.get(&full_key, &mut |value| result = f.take().map(|f| f(value)))?;
        result.ok_or_else(|| self.core.corrupt("the storage gave no answer"))
    }

    /// Shows entries with `from <= key < to` in order until `f` returns false.
    ///
    /// # Errors
    /// The storage can't be read.
    pub fn scan(&self, from: &[u8], to: Option<&[u8]>, f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        let mut layers = Layers::new(Direction::Forward);
        layers.push(LayerRange::Copied(self.changes.range(from, to)));
        for frozen in self.frozen.iter().rev() {
            layers.push(LayerRange::Frozen(frozen.range(from, to)));
        }
        let (lower, upper) = full_bounds(self.core.prefix, from, to);
        let below = |visit: &mut EntryVisitor<'_>| self.backing.scan(&lower, &upper, visit);
        Merged { layers, direction: Direction::Forward }.show_all(self.expiry_bound, below, f)
    }

    /// How much it holds: counted up to so many entries, estimated from there on.
    ///
    /// # Errors
    /// The storage can't be read.
    pub fn count(&self, most: u64) -> Result<StoreCount, StateError> {
        let mut count = StoreCount { entries: 0, bytes: 0, is_exact: true };
        let mut last = Vec::new();
        self.scan(&[], None, &mut |key, value| {
            if count.entries >= most {
                count.is_exact = false;
                last.extend_from_slice(key);
                return false;
            }
            count.entries += 1;
            count.bytes += (key.len() + value.len()) as u64;
            true
        })?;
        if !count.is_exact {
            // As many as the files say: so much of them was counted.
            let (begin, end) = (self.core.prefix, u64::from_be_bytes(self.core.prefix).wrapping_add(1).to_be_bytes());
            let counted = self.core.db.file_bytes(&begin, &[begin.as_slice(), last.as_slice()].concat()).max(1);
            let all = self.core.db.file_bytes(&begin, &end);
            let scaled = |number: u64| u64::try_from(u128::from(number) * u128::from(all) / u128::from(counted)).unwrap_or(u64::MAX);
            (count.entries, count.bytes) = (scaled(count.entries).max(count.entries), scaled(count.bytes).max(count.bytes));
        }
        Ok(count)
    }

    /// Bytes that were copied for it.
    pub fn copied_bytes(&self) -> usize {
        self.changes.bytes.capacity() + self.changes.entries.capacity() * size_of::<CopiedEntry>()
    }
}

/// Changed entries, copied in few allocations.
#[derive(Default)]
struct Copied {
    bytes: Vec<u8>,
    /// In order of keys, once sorted.
    entries: Vec<CopiedEntry>,
}

struct CopiedEntry {
    start: usize,
    key_end: usize,
    /// `None`: deleted.
    value_end: Option<usize>,
}

impl Copied {
    fn of(layers: &StoreLayers, wanted: &dyn Fn(&[u8]) -> bool) -> Self {
        let mut copied = Copied::default();
        for slot in layers.active.changes() {
            let (key, value) = layers.active.entry(slot);
            if !wanted(key) {
                continue;
            }
            let start = copied.bytes.len();
            copied.bytes.extend_from_slice(key);
            let key_end = copied.bytes.len();
            copied.bytes.extend_from_slice(value.unwrap_or_default());
            copied.entries.push(CopiedEntry { start, key_end, value_end: value.map(|_| copied.bytes.len()) });
        }
        copied
    }

    fn sort(&mut self) {
        let Copied { bytes, entries } = self;
        let key = |entry: &CopiedEntry| bytes.get(entry.start..entry.key_end).unwrap_or_default();
        entries.sort_unstable_by(|a, b| key(a).cmp(key(b)));
    }

    fn entry(&self, entry: &CopiedEntry) -> Entry<'_> {
        let part = |from, to| self.bytes.get(from..to).unwrap_or_default();
        (part(entry.start, entry.key_end), entry.value_end.map(|end| part(entry.key_end, end)))
    }

    /// The value of a key that changed.
    fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let found = self.entries.binary_search_by(|entry| self.entry(entry).0.cmp(key)).ok()?;
        self.entries.get(found).map(|entry| self.entry(entry).1)
    }

    fn range(&self, from: &[u8], to: Option<&[u8]>) -> CopiedRange<'_> {
        let start = self.entries.partition_point(|entry| self.entry(entry).0 < from);
        let end = to.map_or(self.entries.len(), |to| self.entries.partition_point(|entry| self.entry(entry).0 < to));
        CopiedRange { copied: self, entries: self.entries.get(start..end.max(start)).unwrap_or_default().iter() }
    }
}

/// Copied entries in order of their keys.
pub(super) struct CopiedRange<'a> {
    copied: &'a Copied,
    entries: std::slice::Iter<'a, CopiedEntry>,
}

impl<'a> Iterator for CopiedRange<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        self.entries.next().map(|entry| self.copied.entry(entry))
    }
}

impl DoubleEndedIterator for CopiedRange<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.entries.next_back().map(|entry| self.copied.entry(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{StateBatch, StateDb, StateLimits, StoreKey, StoreKind, StoreSpec};

    fn entries(snapshot: &StoreSnapshot) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut found = Vec::new();
        snapshot
            .scan(&[], None, &mut |key, value| {
                found.push((text(key), text(value)));
                true
            })
            .expect("scans");
        found
    }

    /// What was there stays there, whatever becomes of the layers behind it.
    fn check(state: &StateDb) {
        let key = StoreKey { query: "q".into(), store: "s".into(), partition: 0 };
        let mut store =
            state.open_store(&key, &StoreSpec { name: "s".into(), kind: StoreKind::KeyValue, changelog: false }).expect("opens");
        let reader = store.reader();
        let commit = |store: &mut crate::state::Store| {
            let mut batch = StateBatch::default();
            store.freeze().expect("changes").append_to(&mut batch);
            batch.write().expect("writes");
        };
        store.begin_chunk();
        store.put(b"a", Some(b"1"));
        store.put(b"b", Some(b"1"));
        store.put(b"c", Some(b"1"));
        commit(&mut store);
        store.put(b"b", Some(b"2"));
        store.put(b"c", None);
        store.put(b"d", Some(b"2"));
        store.end_chunk();
        let snapshots = take(&[(reader, Vec::new())]).expect("nobody holds it");
        store.begin_chunk();
        store.put(b"a", None);
        store.put(b"b", Some(b"3"));
        commit(&mut store);
        store.put(b"e", Some(b"4"));
        commit(&mut store);
        store.end_chunk();
        let snapshot = snapshots.first().expect("one store");
        let expected = [("a", "1"), ("b", "2"), ("d", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(entries(snapshot), expected);
        for (key, value) in [("a", Some("1")), ("b", Some("2")), ("c", None), ("d", Some("2")), ("e", None)] {
            let found = snapshot.get(key.as_bytes(), |found| found.map(|v| String::from_utf8_lossy(v).into_owned())).expect("reads");
            assert_eq!(found.as_deref(), value, "{key}");
        }
        drop(store);
        state.drop_query("q").expect("drops");
        assert_eq!(entries(snapshot), expected, "a table that was dropped is read to its end");
    }

    #[test]
    fn a_snapshot_stays_as_it_was() {
        check(&StateDb::in_memory());
        let folder = tempfile::tempdir().expect("a folder");
        check(&StateDb::open(folder.path(), StateLimits::default()).expect("opens"));
    }
}
