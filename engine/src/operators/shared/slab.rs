//! A few hundred records of a batch as rows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::index::Index;
use crate::log::{Batch, RecordRef};
use crate::row::Row;
use crate::types::Value;

/// Records that are decoded at a time: who waits for another to do it waits for no longer than that.
pub(super) const SLAB_RECORDS: usize = 256;
/// Bytes that shared rows of all topics take, about; beyond, each decodes by itself.
const MAX_BYTES: usize = 64 << 20;

/// See the module.
pub(in super::super) struct Slab {
    /// `None`: to be read by each.
    rows: Vec<Option<Row>>,
    /// Bytes of keys and values up to and with each record.
    ends: Vec<u64>,
    /// By slot: which rows have which value; made when first asked for.
    indexes: Box<[OnceLock<Index>]>,
    bytes: usize,
    total: Arc<AtomicUsize>,
}

impl Slab {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn row(&self, place: usize) -> Option<&Row> {
        self.rows.get(place)?.as_ref()
    }

    pub fn rows(&self) -> &[Option<Row>] {
        &self.rows
    }

    /// Bytes of the records from one place up to another.
    pub fn bytes(&self, from: usize, until: usize) -> u64 {
        let before = |place: usize| place.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
        before(until).saturating_sub(before(from))
    }

    pub fn index(&self, slot: usize) -> Option<&Index> {
        Some(self.indexes.get(slot)?.get_or_init(|| Index::new(&self.rows, slot)))
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// Whether decoded rows of all topics take as much as they may.
pub(super) fn is_full(bytes: &AtomicUsize) -> bool {
    bytes.load(Ordering::Acquire) >= MAX_BYTES
}

/// Makes a slab.
pub(super) struct SlabMaker<'a> {
    pub batch: &'a dyn Batch,
    /// Which slab of the batch.
    pub number: usize,
    /// Slots of its rows.
    pub width: usize,
    pub bytes: &'a Arc<AtomicUsize>,
}

impl SlabMaker<'_> {
    /// `None`: there is no room.
    pub fn make(&self, decode: &mut dyn FnMut(RecordRef<'_>) -> Option<Row>) -> Option<Slab> {
        if is_full(self.bytes) {
            return None;
        }
        let first = self.number * SLAB_RECORDS;
        let until = self.batch.len().min(first + SLAB_RECORDS);
        let mut rows = Vec::with_capacity(until.saturating_sub(first));
        let mut ends = Vec::with_capacity(rows.capacity());
        let (mut end, mut bytes) = (0, 0);
        for index in first..until {
            let record = self.batch.record(index);
            end += (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)) as u64;
            ends.push(end);
            let row = decode(record);
            bytes += size_of::<Row>() + self.width * size_of::<Value>();
            bytes += row.iter().flat_map(|row| &row.values).map(Value::heap_bytes).sum::<usize>();
            rows.push(row);
        }
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let indexes = (0..self.width).map(|_| OnceLock::new()).collect();
        Some(Slab { rows, ends, indexes, bytes, total: self.bytes.clone() })
    }
}
