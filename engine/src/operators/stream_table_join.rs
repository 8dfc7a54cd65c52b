//! A stream's row with the table's row of the same key, as the table is at that moment.
//!
//! In: the stream's rows (the table's changes only fill its store). Out: one row each, with the stream's key and
//! timestamp. A row with a null value is left out. INNER: no row without a match; LEFT: nulls for the table's columns. A
//! null key matches nothing. Without state of its own.

use super::table_lookup::{Side, TableLookup, joined};
use super::{FatalError, Operator, Output, Port};
use crate::row::Row;
use crate::types::codec;

pub(super) struct StreamTableJoin {
    pub table: TableLookup,
    pub key_width: usize,
    /// The value columns.
    pub columns: Vec<Side>,
    pub outer: bool,
    pub key: Vec<u8>,
}

impl Operator for StreamTableJoin {
    fn process(&mut self, _port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        if !row.meta.has_value {
            out.cx.recycle(row);
            return Ok(());
        }
        let mut matched = None;
        if row.meta.has_key {
            self.key.clear();
            codec::encode_key(&row.values[..self.key_width], &mut self.key);
            matched = self.table.row(&self.key, &mut out.cx.stores)?;
        }
        if matched.is_none() && !self.outer {
            out.cx.recycle(row);
            return Ok(());
        }
        let buffer = out.cx.buffers.take(self.key_width + self.columns.len());
        let table = matched.as_ref().map(|m| m.values.as_slice());
        let values = joined(buffer, &row.values[..self.key_width], &self.columns, Some(&row.values), table);
        let meta = row.meta.clone();
        out.cx.recycle(row);
        out.emit(Row { values, old: None, meta })
    }
}
