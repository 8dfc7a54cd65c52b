//! A stream's row with the table's row of the same key, as the table is at that moment.
//!
//! In: the stream's rows (the table's changes only fill its store). Out: one row each, with the stream's key and
//! timestamp. A row with a null value is left out. INNER: no row without a match; LEFT: nulls for the table's columns. A
//! null key matches nothing. Without state of its own.

use super::derive::Derivation;
use super::{FatalError, Operator, Output, Port};
use crate::row::Row;
use crate::task::StoreIndex;
use crate::types::Value;
use crate::types::codec;

/// Where a column of the result comes from.
pub(super) enum Side {
    Left(usize),
    Right(usize),
}

pub(super) struct StreamTableJoin {
    pub store: StoreIndex,
    pub table: Derivation,
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
            let (table, key) = (&self.table, &self.key);
            let found = out.cx.stores[self.store.0].get(key, |value| value.map(|value| table.row(key, value)));
            matched = found.map_err(|e| FatalError(e.to_string()))?.transpose().map_err(FatalError)?.flatten();
        }
        if matched.is_none() && !self.outer {
            out.cx.recycle(row);
            return Ok(());
        }
        let mut values = out.cx.buffers.take(self.key_width + self.columns.len());
        values.extend(row.values.iter().take(self.key_width).cloned());
        for column in &self.columns {
            values.push(match column {
                Side::Left(slot) => row.values.get(*slot).cloned().unwrap_or_default(),
                Side::Right(slot) => matched.as_ref().and_then(|m| m.values.get(*slot)).cloned().unwrap_or(Value::Null),
            });
        }
        let meta = row.meta.clone();
        out.cx.recycle(row);
        out.emit(Row { values, old: None, meta })
    }
}
