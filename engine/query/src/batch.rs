//! Rows that become a batch.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use tidemill_engine::row::Row;
use tidemill_engine::types::{Column, Value};

use crate::columns::ColumnBuilder;
use crate::table::Role;

/// Bytes of values at which a batch is full, however few rows it has.
const BATCH_BYTES: usize = 2 << 20;

/// Gathers the columns that are wanted of rows.
pub(crate) struct BatchBuilder {
    schema: SchemaRef,
    columns: Arc<[(Column, Role)]>,
    builders: Vec<ColumnBuilder>,
    rows: usize,
    bytes: usize,
    most_rows: usize,
}

impl BatchBuilder {
    pub fn new(schema: SchemaRef, columns: Arc<[(Column, Role)]>, most_rows: usize) -> Self {
        let builders = columns.iter().map(|(column, _)| ColumnBuilder::new(&column.sql_type, most_rows)).collect();
        BatchBuilder { schema, columns, builders, rows: 0, bytes: 0, most_rows }
    }

    /// Adds a row; false: the batch is full.
    pub fn push(&mut self, row: &Row) -> bool {
        for ((_, role), builder) in self.columns.iter().zip(&mut self.builders) {
            match role {
                Role::Slot(slot) => {
                    let value = row.values.get(*slot).unwrap_or(&Value::Null);
                    self.bytes += value.heap_bytes();
                    builder.push(value);
                }
                Role::RowTime => builder.push(&Value::BigInt(row.meta.timestamp)),
                Role::RowPartition => builder.push(&Value::Int(row.meta.partition)),
                Role::RowOffset => builder.push(&Value::BigInt(row.meta.offset)),
                Role::WindowStart => builder.push(&row.meta.window.map_or(Value::Null, |window| Value::BigInt(window.start))),
                Role::WindowEnd => builder.push(&row.meta.window.map_or(Value::Null, |window| Value::BigInt(window.end))),
            }
        }
        self.rows += 1;
        !self.is_full()
    }

    pub fn is_full(&self) -> bool {
        self.rows >= self.most_rows || self.bytes >= BATCH_BYTES
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        self.bytes + self.rows * self.columns.len() * size_of::<i64>()
    }

    pub fn finish(self) -> Result<RecordBatch, ArrowError> {
        let columns = self.builders.into_iter().map(ColumnBuilder::finish).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(self.schema, columns, &options)
    }
}
