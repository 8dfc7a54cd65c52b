//! The rows of a table as they were at the query's moment, partition by partition.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::prelude::SessionConfig;
use tidemill_engine::analyze::WindowBounds;
use tidemill_engine::catalog::Source;
use tidemill_engine::live::{Cursor, LiveTable};
use tidemill_engine::state::KeyRange;
use tidemill_engine::types::Column;

use crate::batch::Wanted;
use crate::bounds::Bounds;
use crate::error::QueryError;
use crate::filling::Filling;
use crate::leaf::Scan;
use crate::moment::SharedMoment;
use crate::remote::RemoteScan;
use crate::stream::{self, Batches};
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
    /// What other servers have, where they have some.
    remote: Option<Arc<RemoteScan>>,
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
        columns: Vec<(Column, Role)>,
        schema: SchemaRef,
        bounds: Bounds,
        limit: Option<usize>,
        config: &SessionConfig,
    ) -> Result<Self, QueryError> {
        let mut table = moment.engine.live_table(&source.name)?;
        let asked: Vec<(String, String)> = columns.iter().map(|(column, _)| (column.name.clone(), column.sql_type.to_string())).collect();
        let columns = narrowed(&mut table, columns);
        let table = Arc::new(table);
        let (ranges, is_empty) = bounds.key_ranges();
        moment.progress.will_read_table();
        // What stops soon begins at one end.
        let threads = if limit.is_some() || is_empty { 1 } else { config.target_partitions() };
        let parts = table.parts(&ranges, threads)?;
        let count = ranges.len();
        let windows = bounds.windows();
        let elsewhere = if is_empty { Vec::new() } else { table.elsewhere() };
        let remote = match elsewhere.is_empty() {
            true => None,
            false => Some(Arc::new(moment.remote(&table, &elsewhere, asked, &schema, (&ranges, windows), limit)?)),
        };
        let index = moment.add(table.clone(), ranges);
        Ok(TableScan {
            table,
            moment,
            index,
            wanted: Arc::new(Wanted::new(schema, columns)),
            ranges: count,
            parts,
            remote,
            windows,
            is_empty,
            limit,
            batch_rows: config.batch_size(),
        })
    }
}

impl TableScan {
    /// Parts that are read from other servers.
    fn shares(&self) -> usize {
        self.remote.as_ref().map_or(0, |remote| remote.shares.len())
    }
}

/// Has a table read only what is wanted of its rows: the columns with the slots that they are found in then.
pub(crate) fn narrowed(table: &mut LiveTable, mut columns: Vec<(Column, Role)>) -> Vec<(Column, Role)> {
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
    columns
}

impl Scan for TableScan {
    const NAME: &'static str = "TableScan";

    fn partitions(&self) -> usize {
        self.parts.len() + self.shares()
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
        write!(f, ", parts={}", self.parts.len())?;
        match self.shares() {
            0 => Ok(()),
            shares => write!(f, ", remote={shares}"),
        }
    }

    fn stream(
        &self,
        schema: SchemaRef,
        partition: usize,
        metrics: &ExecutionPlanMetricsSet,
        context: &TaskContext,
    ) -> SendableRecordBatchStream {
        match (&self.remote, partition.checked_sub(self.parts.len())) {
            (Some(remote), Some(share)) => remote.stream(share, partition, metrics, context),
            _ => stream::of(schema, self.read(partition), BaselineMetrics::new(metrics, partition)),
        }
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
        let mut filling = Filling::new(self.wanted.clone(), self.batch_rows, self.left.unwrap_or(usize::MAX));
        self.table.read(&snapshot, &mut self.cursor, &mut |shown| filling.take(shown))?;
        self.left = self.left.map(|_| filling.left());
        for batch in filling.finish()? {
            self.moment.progress.has_read(batch.num_rows());
            self.ready.push_back(batch);
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
