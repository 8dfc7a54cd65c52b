//! GROUP BY: rows get their group as key.
//!
//! Stream: a row with a null value, or whose group is null or can't be computed, is left out and reported. Table: a change
//! becomes an undo of the old row and an add of the new one; where the group is the same, both travel together in one
//! row, else the undo goes first, as a row with `old` alone. Without state.

use super::exprs::{Origin, Projector};
use super::{FatalError, Operator, Output, Port};
use crate::row::{Row, RowMeta};
use crate::task::TaskContext;
use crate::types::Value;

pub(super) struct GroupBy {
    pub key_width: usize,
    pub width: usize,
    pub keys: Projector,
    pub values: Projector,
    pub is_table: bool,
    pub origin: Origin,
}

impl GroupBy {
    /// The grouped row, or `None` where it has no group.
    fn group(&self, input: &mut [Value], meta: &RowMeta, cx: &mut TaskContext) -> Option<Vec<Value>> {
        let mut values = cx.buffers.take(self.width);
        if let Err((text, cause)) = self.keys.try_append(input, meta, cx, &mut values) {
            self.origin.report_row(cx, input, meta, format!("Group-by column with index 0 can't be computed: {text}"), &cause);
            return None;
        }
        if let Some(index) = values.iter().position(Value::is_null) {
            let message = format!("Group-by column with index {index} resolved to null. The source row will be excluded from the table.");
            self.origin.report_null_key(cx, input, meta, message);
            return None;
        }
        self.values.append_moving(input, 0, meta, cx, &mut values);
        Some(values)
    }
}

impl Operator for GroupBy {
    fn process(&mut self, _port: Port, mut row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        let new = if row.meta.has_value { self.group(&mut row.values, &row.meta, out.cx) } else { None };
        let old = match (&mut row.old, self.is_table) {
            (Some(old), true) => self.group(old, &row.meta, out.cx),
            _ => None,
        };
        if let Some(old) = row.old.take() {
            out.cx.buffers.give(old);
        }
        out.cx.buffers.give(std::mem::take(&mut row.values));
        row.meta.has_key = true;
        row.meta.window = None;
        match (old, new) {
            (None, None) => Ok(()),
            (None, Some(values)) => out.emit(Row { values, old: None, meta: RowMeta { has_value: true, ..row.meta } }),
            (Some(old), Some(values)) if old[..self.key_width] == values[..self.key_width] => {
                out.emit(Row { values, old: Some(old), meta: RowMeta { has_value: true, ..row.meta } })
            }
            (Some(old), new) => {
                let meta = RowMeta { has_value: false, ..row.meta.clone() };
                let mut values = out.cx.buffers.take(self.width);
                values.extend(old.iter().take(self.key_width).cloned());
                values.resize(self.width, Value::Null);
                out.emit(Row { values, old: Some(old), meta })?;
                match new {
                    Some(values) => {
                        out.cx.arrival += 1;
                        out.emit(Row { values, old: None, meta: RowMeta { has_value: true, ..row.meta } })
                    }
                    None => Ok(()),
                }
            }
        }
    }
}
