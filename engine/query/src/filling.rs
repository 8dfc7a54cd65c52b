//! Batches that are filled with a table's rows in one go, one behind the other, up to bounds.

use std::sync::Arc;

use arrow::array::RecordBatch;
use tidemill_engine::live::Shown;
use tidemill_engine::state::StateError;

use crate::batch::{BatchBuilder, Wanted};
use crate::error::QueryError;

/// Batches of a go: to begin where the last one ended costs as much as some hundred rows.
const MAX_BATCHES: usize = 8;
/// Bytes of values at which a go ends, however few batches it has filled.
const MAX_BYTES: usize = 4 << 20;

/// See the module.
pub(crate) struct Filling {
    wanted: Arc<Wanted>,
    batch_rows: usize,
    /// Rows that may still be taken.
    left: usize,
    batch: BatchBuilder,
    full: Vec<BatchBuilder>,
    bytes: usize,
    has_ended: bool,
}

impl Filling {
    /// Rows of a batch, and of all that are taken, at most.
    pub fn new(wanted: Arc<Wanted>, batch_rows: usize, left: usize) -> Self {
        let batch = BatchBuilder::new(wanted.clone(), left.min(batch_rows));
        Filling { wanted, batch_rows, left, batch, full: Vec::new(), bytes: 0, has_ended: left == 0 }
    }

    /// Takes a row; false: no further one. Not to be called once that was said.
    ///
    /// # Errors
    /// It can't be read; what was taken is of no use then.
    #[inline]
    pub fn take(&mut self, shown: Shown<'_>) -> Result<bool, StateError> {
        let has_room = match shown {
            Shown::Row(row) => self.batch.push(row),
            Shown::Entry(entry) => self.batch.push_entry(&entry)?,
        };
        if !has_room {
            self.next_batch();
        }
        Ok(!self.has_ended)
    }

    fn next_batch(&mut self) {
        self.left -= self.batch.rows();
        self.bytes += self.batch.bytes();
        self.has_ended = self.left == 0 || self.full.len() + 1 >= MAX_BATCHES || self.bytes >= MAX_BYTES;
        // None is begun that may stay empty.
        let rows = if self.has_ended { 0 } else { self.left.min(self.batch_rows) };
        self.full.push(std::mem::replace(&mut self.batch, BatchBuilder::new(self.wanted.clone(), rows)));
    }

    /// Whether no further row is taken.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Rows that may still be taken.
    pub fn left(&self) -> usize {
        self.left - self.batch.rows()
    }

    /// What was filled; none of it is empty.
    ///
    /// # Errors
    /// A defect of ours.
    pub fn finish(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        if self.batch.rows() > 0 {
            self.full.push(self.batch);
        }
        let finish = |batch: BatchBuilder| batch.finish().map_err(|error| QueryError::internal(error.to_string()));
        self.full.into_iter().map(finish).collect()
    }
}
