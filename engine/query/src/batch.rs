//! Rows that become a batch.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use tidemill_engine::live::TableEntry;
use tidemill_engine::row::{Row, Window};
use tidemill_engine::state::StateError;
use tidemill_engine::types::codec::Stored;
use tidemill_engine::types::{Column, Value};

use crate::columns::ColumnBuilder;
use crate::table::Role;

/// Bytes of values at which a batch is full, however few rows it has.
const BATCH_BYTES: usize = 2 << 20;

/// What is wanted of rows, column by column.
pub(crate) struct Wanted {
    pub schema: SchemaRef,
    columns: Vec<(Column, Role)>,
    /// The columns that come from slots, with those, in ascending order of them.
    by_slot: Vec<(usize, usize)>,
    /// The other columns.
    others: Vec<(usize, Role)>,
}

impl Wanted {
    pub fn new(schema: SchemaRef, columns: Vec<(Column, Role)>) -> Self {
        let (mut by_slot, mut others) = (Vec::new(), Vec::new());
        for (index, (_, role)) in columns.iter().enumerate() {
            match role {
                Role::Slot(slot) => by_slot.push((*slot, index)),
                other => others.push((index, *other)),
            }
        }
        by_slot.sort_unstable();
        Wanted { schema, columns, by_slot, others }
    }

    pub fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|(column, _)| column.name.as_str()).collect()
    }
}

/// Gathers the columns that are wanted of rows.
pub(crate) struct BatchBuilder {
    wanted: Arc<Wanted>,
    builders: Vec<ColumnBuilder>,
    rows: usize,
    bytes: usize,
    most_rows: usize,
}

impl BatchBuilder {
    pub fn new(wanted: Arc<Wanted>, most_rows: usize) -> Self {
        let builders = wanted.columns.iter().map(|(column, _)| ColumnBuilder::new(&column.sql_type, most_rows)).collect();
        BatchBuilder { wanted, builders, rows: 0, bytes: 0, most_rows }
    }

    /// Adds a row; false: the batch is full.
    pub fn push(&mut self, row: &Row) -> bool {
        for ((_, role), builder) in self.wanted.columns.iter().zip(&mut self.builders) {
            match role {
                Role::Slot(slot) => {
                    let value = row.values.get(*slot).unwrap_or(&Value::Null);
                    self.bytes += value.heap_bytes();
                    builder.push(value);
                }
                Role::RowTime => builder.push(&Value::BigInt(row.meta.timestamp)),
                Role::RowPartition => builder.push(&Value::Int(row.meta.partition)),
                Role::RowOffset => builder.push(&Value::BigInt(row.meta.offset)),
                Role::WindowStart | Role::WindowEnd => builder.push(&bound(*role, row.meta.window)),
            }
        }
        self.rows += 1;
        !self.is_full()
    }

    /// As [`Self::push`], of a table's entry, whose columns are read where they are stored.
    ///
    /// # Errors
    /// It can't be read; the batch is of no use then.
    #[inline]
    pub fn push_entry(&mut self, entry: &TableEntry<'_>) -> Result<bool, StateError> {
        let (builders, bytes) = (&mut self.builders, &mut self.bytes);
        let mut targets = self.wanted.by_slot.iter().peekable();
        let (timestamp, window) = entry.visit(|slot, stored| {
            // Several columns may stand for one slot, and some for none that the entry has.
            while let Some((wanted, column)) = targets.next_if(|(wanted, _)| *wanted <= slot) {
                let Some(builder) = builders.get_mut(*column) else { continue };
                if *wanted < slot {
                    builder.push_null();
                    continue;
                }
                *bytes += match &stored {
                    Stored::String(text) => text.len(),
                    Stored::Bytes(found) => found.len(),
                    Stored::Made(value) => value.heap_bytes(),
                    _ => 0,
                };
                builder.push_stored(&stored);
            }
        })?;
        for (_, column) in targets {
            if let Some(builder) = builders.get_mut(*column) {
                builder.push_null();
            }
        }
        for (column, role) in &self.wanted.others {
            let Some(builder) = builders.get_mut(*column) else { continue };
            match role {
                Role::RowTime => builder.push(&Value::BigInt(timestamp)),
                role => builder.push(&bound(*role, window)),
            }
        }
        self.rows += 1;
        Ok(!self.is_full())
    }

    pub fn is_full(&self) -> bool {
        self.rows >= self.most_rows || self.bytes >= BATCH_BYTES
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        self.bytes + self.rows * self.builders.len() * size_of::<i64>()
    }

    pub fn finish(self) -> Result<RecordBatch, ArrowError> {
        let columns = self.builders.into_iter().map(ColumnBuilder::finish).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(self.wanted.schema.clone(), columns, &options)
    }
}

/// A bound of a window; null where there is none, or another thing is asked for.
fn bound(role: Role, window: Option<Window>) -> Value {
    match (role, window) {
        (Role::WindowStart, Some(window)) => Value::BigInt(window.start),
        (Role::WindowEnd, Some(window)) => Value::BigInt(window.end),
        _ => Value::Null,
    }
}
