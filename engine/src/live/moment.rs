//! Several tables as of one moment.

use std::sync::Arc;

use super::LiveTable;
use crate::operators::materialized::Snapshots;
use crate::state::{self, KeyRange, StateError, StoreReader};

/// The partitions of one table as they were at one moment.
pub struct TableSnapshot {
    pub(super) partitions: Vec<Snapshots>,
}

impl TableSnapshot {
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }
}

/// Tables as they were at one moment, in the order in which they were asked for.
pub type Moment = Vec<Arc<TableSnapshot>>;

/// Takes snapshots of tables, each for some ranges of keys (none: all keys). Blocks for as long as chunks are being processed.
///
/// # Errors
/// [`StateError::Busy`]: they could not all be had at once.
pub fn take(tables: &[(Arc<LiveTable>, Vec<KeyRange>)]) -> Result<Moment, StateError> {
    let stores: Vec<(StoreReader, Vec<KeyRange>)> = tables
        .iter()
        .flat_map(|(table, ranges)| table.partitions.iter().flatten().map(move |store| (store.clone(), ranges.clone())))
        .collect();
    let mut taken = state::take_snapshots(&stores)?.into_iter();
    let table = |(table, _): &(Arc<LiveTable>, Vec<KeyRange>)| {
        let partitions = table.partitions.iter().map(|stores| Snapshots(taken.by_ref().take(stores.len()).collect())).collect();
        Arc::new(TableSnapshot { partitions })
    };
    Ok(tables.iter().map(table).collect())
}

impl TableSnapshot {
    /// Bytes that were copied for it.
    pub fn copied_bytes(&self) -> usize {
        self.partitions.iter().flat_map(|partition| &partition.0).map(state::StoreSnapshot::copied_bytes).sum()
    }
}
