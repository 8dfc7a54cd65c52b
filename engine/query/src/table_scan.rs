//! The rows of a table as they were at the query's moment, partition by partition.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::prelude::SessionConfig;
use tidemill_engine::analyze::WindowBounds;
use tidemill_engine::catalog::Source;
use tidemill_engine::live::{Cursor, LiveTable, Shown};
use tidemill_engine::state::KeyRange;
use tidemill_engine::types::Column;

use crate::batch::{BatchBuilder, Wanted};
use crate::bounds::Bounds;
use crate::error::QueryError;
use crate::leaf::Scan;
use crate::moment::SharedMoment;
use crate::stream::Batches;
use crate::table::Role;

/// See the module.
pub(crate) struct TableScan {
    table: Arc<LiveTable>,
    moment: Arc<SharedMoment>,
    /// What the moment knows the table by.
    index: usize,
    wanted: Arc<Wanted>,
    /// Ranges of keys that are asked for; none: all.
    ranges: usize,
    /// Partitions, or pieces of them, that are read beside one another.
    parts: Vec<(usize, Vec<KeyRange>)>,
    windows: WindowBounds,
    /// No row can be what is asked for.
    is_empty: bool,
    limit: Option<usize>,
    batch_rows: usize,
}

impl TableScan {
    pub fn new(
        source: &Source,
        moment: Arc<SharedMoment>,
        mut columns: Vec<(Column, Role)>,
        schema: SchemaRef,
        bounds: Bounds,
        limit: Option<usize>,
        config: &SessionConfig,
    ) -> Result<Self, QueryError> {
        let mut table = moment.engine.live_table(&source.name)?;
        let slot_of = |role: &Role| if let Role::Slot(slot) = role { Some(*slot) } else { None };
        let slots: Vec<usize> = columns.iter().filter_map(|(_, role)| slot_of(role)).collect();
        let mut slots = table.narrow(&slots).into_iter();
        for (_, role) in &mut columns {
            if let Role::Slot(slot) = role
                && let Some(found) = slots.next()
            {
                *slot = found;
            }
        }
        let table = Arc::new(table);
        let (ranges, is_empty) = bounds.key_ranges();
        moment.progress.will_read_table();
        // What stops soon begins at one end.
        let threads = if limit.is_some() || is_empty { 1 } else { config.target_partitions() };
        let parts = table.parts(&ranges, threads)?;
        let count = ranges.len();
        let index = moment.add(table.clone(), ranges);
        Ok(TableScan {
            table,
            moment,
            index,
            wanted: Arc::new(Wanted::new(schema, columns)),
            ranges: count,
            parts,
            windows: bounds.windows(),
            is_empty,
            limit,
            batch_rows: config.batch_size(),
        })
    }
}

impl Scan for TableScan {
    const NAME: &'static str = "TableScan";

    fn partitions(&self) -> usize {
        self.parts.len()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, columns=[{}]", self.table.source.name, self.wanted.names().join(", "))?;
        match self.ranges {
            0 => {}
            count => write!(f, ", key ranges={count}")?,
        }
        if self.windows != WindowBounds::ALL {
            f.write_str(", windows bounded")?;
        }
        if let Some(limit) = self.limit {
            write!(f, ", limit={limit}")?;
        }
        write!(f, ", parts={}", self.parts.len())
    }

    fn read(&self, partition: usize) -> impl Batches {
        let cursor = match self.parts.get(partition) {
            Some((partition, ranges)) => self.table.cursor(*partition, ranges, self.windows),
            None => Cursor::done(),
        };
        Reading {
            table: self.table.clone(),
            moment: self.moment.clone(),
            index: self.index,
            wanted: self.wanted.clone(),
            cursor,
            left: if self.is_empty { Some(0) } else { self.limit },
            batch_rows: self.batch_rows,
            ready: VecDeque::new(),
        }
    }
}

/// Batches that are read in one go: to begin where the last one ended costs as much as some hundred rows.
const BATCHES_IN_A_GO: usize = 8;
/// Bytes of values at which a go ends, however few batches it has read.
const GO_BYTES: usize = 4 << 20;

/// One partition under way.
struct Reading {
    table: Arc<LiveTable>,
    moment: Arc<SharedMoment>,
    index: usize,
    wanted: Arc<Wanted>,
    cursor: Cursor,
    /// Rows that the limit still allows; `None`: without limit.
    left: Option<usize>,
    batch_rows: usize,
    /// Read, and not yet asked for.
    ready: VecDeque<RecordBatch>,
}

impl Reading {
    /// Reads the next batches.
    fn go(&mut self) -> Result<(), QueryError> {
        let snapshot = self.moment.snapshot(self.index)?;
        let mut left = self.left.unwrap_or(usize::MAX);
        let builder = |left: usize| BatchBuilder::new(self.wanted.clone(), left.min(self.batch_rows));
        let mut batch = builder(left);
        let mut full = Vec::new();
        let mut bytes = 0;
        self.table.read(&snapshot, &mut self.cursor, &mut |shown| {
            let has_room = match shown {
                Shown::Row(row) => batch.push(row),
                Shown::Entry(entry) => batch.push_entry(&entry)?,
            };
            if has_room {
                return Ok(true);
            }
            left -= batch.rows();
            bytes += batch.bytes();
            let ends = left == 0 || full.len() + 1 >= BATCHES_IN_A_GO || bytes >= GO_BYTES;
            // None is begun that may stay empty.
            full.push(std::mem::replace(&mut batch, builder(if ends { 0 } else { left })));
            Ok(!ends)
        })?;
        if batch.rows() > 0 {
            left -= batch.rows();
            full.push(batch);
        }
        self.left = self.left.map(|_| left);
        for batch in full {
            self.moment.progress.has_read(batch.rows());
            self.ready.push_back(batch.finish().map_err(|error| QueryError::internal(error.to_string()))?);
        }
        Ok(())
    }
}

impl Batches for Reading {
    fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        if self.ready.is_empty() && !self.cursor.is_done() && self.left != Some(0) {
            self.go()?;
        }
        Ok(self.ready.pop_front())
    }
}
