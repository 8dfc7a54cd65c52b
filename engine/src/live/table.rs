//! A table that is kept in stores, as a query over all of its rows sees it.

use std::sync::Arc;

use super::TableSnapshot;
use crate::analyze::WindowBounds;
use crate::catalog::{Source, SourceKind};
use crate::engine::{Engine, EngineError};
use crate::log::PartitionId;
use crate::operators::materialized::{self, Looking, MaterializedReader, Shown};
use crate::row::Row;
use crate::state::{KeyRange, StateError, StoreReader};
use crate::types::{Value, codec};

/// Reads a table. Made for one query; cheap.
pub struct LiveTable {
    pub source: Arc<Source>,
    reader: MaterializedReader,
    /// Readers of the table's stores in each partition; of one that is elsewhere, none.
    pub(super) partitions: Vec<Vec<StoreReader>>,
}

/// Where the reading of one partition stands.
pub struct Cursor {
    partition: usize,
    windows: WindowBounds,
    /// What is still to be read, the next last: a store that holds keys, and a range of them.
    parts: Vec<(usize, KeyRange)>,
    row: Row,
    /// Entries that may still be looked at, whether they are shown or not.
    looks_left: usize,
}

/// Where the reading of a partition goes on: in one of the stores that hold keys, from a key on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub store: usize,
    pub key: Vec<u8>,
}

impl Engine {
    /// A table to be read as a whole. Where servers share the service, some of it may be [elsewhere](LiveTable::elsewhere).
    ///
    /// # Errors
    /// It is no table, is kept in no store, or can't be read now.
    pub fn live_table(&self, name: &str) -> Result<LiveTable, EngineError> {
        let catalog = self.catalog();
        let source = catalog.source(name).ok_or_else(|| super::is_gone(name))?.clone();
        if source.kind != SourceKind::Table {
            return Err(EngineError::user(format!("{name} is not a table")));
        }
        let not_kept = || {
            EngineError::user(format!(
                "The `{name}` table isn't queryable. To derive a queryable table, you can do 'CREATE TABLE QUERYABLE_{name} AS SELECT * FROM {name}'."
            ))
        };
        let query_id = source.created_by.as_deref().ok_or_else(not_kept)?;
        let persistent = self
            .queries()
            .get(query_id)
            .ok_or_else(|| EngineError::user(format!("The table {name} can't be queried: its query {query_id} has been terminated.")))?;
        let reader = materialized::reader(&persistent.plan).ok_or_else(not_kept)?;
        if self.is_shared() {
            let partitions = self.partitions_here(&persistent, name, reader.stores())?;
            return Ok(LiveTable { source, reader, partitions });
        }
        self.check_restored(&persistent, name)?;
        let partitions = self.all_partitions(&persistent, name, reader.stores())?;
        Ok(LiveTable { source, reader, partitions })
    }

    /// Why partitions that should be here are not yet.
    pub fn not_here_yet(&self, table: &LiveTable) -> Option<EngineError> {
        let query = self.queries().get(table.source.created_by.as_deref()?)?;
        self.check_restored(&query, &table.source.name).err()
    }
}

impl LiveTable {
    /// The partitions that are not on this server, or not yet.
    pub fn elsewhere(&self) -> Vec<PartitionId> {
        let is_elsewhere = |(partition, stores): (usize, &Vec<_>)| stores.is_empty().then(|| PartitionId::try_from(partition).ok())?;
        self.partitions.iter().enumerate().filter_map(is_elsewhere).collect()
    }

    /// Leaves only some partitions to be read; the others count as elsewhere.
    pub fn keep(&mut self, partitions: &[PartitionId]) {
        for (partition, stores) in self.partitions.iter_mut().enumerate() {
            if !PartitionId::try_from(partition).is_ok_and(|partition| partitions.contains(&partition)) {
                stores.clear();
            }
        }
    }

    /// How many stores hold the keys of its rows. With several, what one of them shows depends on the others: who goes on with a later
    /// snapshot where an earlier one ended might see a row twice, or never.
    pub fn key_stores(&self) -> usize {
        self.reader.key_stores()
    }

    /// Says which slots of its rows are read. For each its slot in the rows that it shows from now on, in which others may be null.
    pub fn narrow(&mut self, slots: &[usize]) -> Vec<usize> {
        self.reader.narrow(slots, self.source.schema.key.len())
    }

    /// The keys that begin with these values of key columns, the first first.
    pub fn keys_that_begin_with(values: &[Value]) -> KeyRange {
        let mut from = Vec::new();
        codec::encode_key(values, &mut from);
        let to = codec::prefix_end(&from);
        (from, to)
    }

    /// The keys whose first column lies between two values; `true` beside an end means that it belongs to the range.
    pub fn keys_between(from: Option<(&Value, bool)>, to: Option<(&Value, bool)>) -> KeyRange {
        let encode = |value: &Value| {
            let mut bytes = Vec::new();
            codec::encode_key(std::slice::from_ref(value), &mut bytes);
            bytes
        };
        let from = match from {
            None => Vec::new(),
            Some((value, true)) => encode(value),
            Some((value, false)) => {
                let from = encode(value);
                codec::prefix_end(&from).unwrap_or(from)
            }
        };
        let to = to.and_then(|(value, inclusive)| {
            let to = encode(value);
            if inclusive { codec::prefix_end(&to) } else { Some(to) }
        });
        (from, to)
    }

    /// Parts of what is here of the table, each a partition and ranges of its keys (none: all), that together are the rows of some ranges (none: all) that
    /// do not overlap: at least so many, where there are not few rows in a part then.
    ///
    /// # Errors
    /// The storage can't be read.
    pub fn parts(&self, ranges: &[KeyRange], wanted: usize) -> Result<Vec<(usize, Vec<KeyRange>)>, EngineError> {
        let here = || self.partitions.iter().enumerate().filter(|(_, stores)| !stores.is_empty());
        let pieces = wanted.div_ceil(here().count().max(1));
        let whole = |partition| (partition, ranges.to_vec());
        let (from, to) = match ranges {
            [] if pieces > 1 => (&[][..], None),
            [(from, to)] if pieces > 1 => (from.as_slice(), to.as_deref()),
            // Many ranges are the look-ups of many keys.
            _ => return Ok(here().map(|(partition, _)| whole(partition)).collect()),
        };
        let mut parts = Vec::new();
        for (partition, stores) in here() {
            let store = self.reader.store_of_keys().and_then(|store| stores.get(store));
            let cuts = store.map_or(Ok(Vec::new()), |store| store.cut(from, to, pieces))?;
            if cuts.is_empty() {
                parts.push(whole(partition));
                continue;
            }
            let begins = std::iter::once(from.to_vec()).chain(cuts.iter().cloned());
            let ends = cuts.iter().cloned().map(Some).chain([to.map(<[u8]>::to_vec)]);
            parts.extend(begins.zip(ends).map(|range| (partition, vec![range])));
        }
        Ok(parts)
    }

    /// Begins to read one partition: some ranges of keys (none: all keys) that do not overlap, and some windows.
    pub fn cursor(&self, partition: usize, ranges: &[KeyRange], windows: WindowBounds) -> Cursor {
        let all = [(Vec::new(), None)];
        let ranges = if ranges.is_empty() { &all } else { ranges };
        let stores = 0..self.reader.key_stores();
        let mut parts: Vec<(usize, KeyRange)> = stores.flat_map(|store| ranges.iter().map(move |range| (store, range.clone()))).collect();
        parts.reverse();
        Cursor { partition, windows, parts, row: Row::default(), looks_left: usize::MAX }
    }

    /// Shows the next rows to `f`, until it returns false, nothing is left, or no more may be looked at, which the cursor then says.
    ///
    /// # Errors
    /// An entry can't be read; what `f` says.
    pub fn read(
        &self,
        snapshot: &TableSnapshot,
        cursor: &mut Cursor,
        f: &mut dyn FnMut(Shown<'_>) -> Result<bool, StateError>,
    ) -> Result<(), EngineError> {
        let Some(stores) = snapshot.partitions.get(cursor.partition) else {
            cursor.parts.clear();
            return Ok(());
        };
        while let Some((store, (from, to))) = cursor.parts.pop() {
            let mut next = None;
            let mut looking = Looking { windows: cursor.windows, row: &mut cursor.row, left: cursor.looks_left };
            let not_looked_at = self.reader.scan_snapshot(store, &from, to.as_deref(), stores, &mut looking, &mut |key, shown| {
                if !f(shown)? {
                    // The smallest key behind this one.
                    next = Some([key, &[0]].concat());
                }
                Ok(next.is_none())
            })?;
            cursor.looks_left = looking.left;
            if let Some(from) = next.or(not_looked_at) {
                cursor.parts.push((store, (from, to)));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Partitions that it has.
    pub fn partition_count(&self) -> usize {
        self.partitions.len()
    }
}

impl Cursor {
    /// Of what has no rows.
    pub fn done() -> Self {
        Cursor { partition: 0, windows: WindowBounds::ALL, parts: Vec::new(), row: Row::default(), looks_left: usize::MAX }
    }

    /// Leaves out what lies before a place.
    pub fn go_on_from(&mut self, place: &Place) {
        self.parts.retain_mut(|(store, (from, to))| {
            if *store != place.store {
                return *store > place.store;
            }
            if *from < place.key {
                from.clone_from(&place.key);
            }
            to.as_ref().is_none_or(|to| *from < *to)
        });
    }

    /// Where it goes on; `None`: nothing is left.
    pub fn place(&self) -> Option<Place> {
        self.parts.last().map(|(store, (from, _))| Place { store: *store, key: from.clone() })
    }

    /// Ends reading after so many entries, shown or not.
    pub fn look_at_most(&mut self, entries: usize) {
        self.looks_left = entries;
    }

    /// Entries that may still be looked at.
    pub fn looks_left(&self) -> usize {
        self.looks_left
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.parts.is_empty()
    }
}
