//! A stream's row with the table's row of the same key, as the table is at that moment.
//!
//! In: the stream's rows (the table's changes only fill its store). Out: one row each, with the stream's key and
//! timestamp. A row with a null value is left out. INNER: no row without a match; LEFT: nulls for the table's columns. A
//! null key matches nothing. Without state of its own.

use super::table_lookup::{Side, TableLookup, joined_moving};
use super::{FatalError, Operator, Output, Port};
use crate::letters::LetterKind;
use crate::row::Row;
use crate::types::codec;

pub(super) struct StreamTableJoin {
    pub table: TableLookup,
    pub key_width: usize,
    /// The value columns.
    pub columns: Vec<Side>,
    pub outer: bool,
    key: Vec<u8>,
    /// The table's row.
    matched: Row,
}

impl StreamTableJoin {
    pub fn new(table: TableLookup, key_width: usize, columns: Vec<Side>, outer: bool) -> Self {
        StreamTableJoin { table, key_width, columns, outer, key: Vec::new(), matched: Row::default() }
    }
}

impl Operator for StreamTableJoin {
    fn process(&mut self, _port: Port, mut row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        if !row.meta.has_value {
            out.cx.recycle(row);
            return Ok(());
        }
        let mut is_match = false;
        if row.meta.has_key {
            self.key.clear();
            codec::encode_key(&row.values[..self.key_width], &mut self.key);
            is_match = self.table.read(&self.key, &mut out.cx.stores, &mut self.matched)?;
        } else if !self.outer {
            out.cx.leave_out_record(LetterKind::NullKey, "the row has no key to be joined by");
        }
        if !is_match && !self.outer {
            out.cx.recycle(row);
            return Ok(());
        }
        let buffer = out.cx.buffers.take(self.key_width + self.columns.len());
        let table = is_match.then_some(self.matched.values.as_mut_slice());
        let values = joined_moving(buffer, self.key_width, &self.columns, &mut row.values, table);
        out.cx.buffers.give(std::mem::replace(&mut row.values, values));
        out.emit(row)
    }
}
