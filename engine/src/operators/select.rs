//! SELECT: the value columns are computed, the key stays. A null value stays null; a tombstone stays a tombstone; a
//! table's old row is computed like the new one. Without state.

use super::exprs::Projector;
use super::{FatalError, Operator, Output, Port};
use crate::row::{Row, RowMeta};
use crate::task::TaskContext;
use crate::types::Value;

pub(super) struct Select {
    pub key_width: usize,
    pub width: usize,
    pub values: Projector,
    /// The copied columns stay where they are, and so does the row.
    pub in_place: bool,
}

impl Select {
    fn compute(&self, input: &mut [Value], has_value: bool, meta: &RowMeta, cx: &mut TaskContext) -> Vec<Value> {
        let mut out = cx.buffers.take(self.width);
        out.resize(self.key_width, Value::Null);
        if has_value {
            self.values.append_moving(input, self.key_width, meta, cx, &mut out);
        } else {
            out.resize(self.width, Value::Null);
        }
        for (key, from) in out.iter_mut().zip(input).take(self.key_width) {
            *key = std::mem::take(from);
        }
        out
    }
}

impl Operator for Select {
    fn process(&mut self, _port: Port, mut row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        if self.in_place && row.meta.has_value {
            self.values.update(&mut row.values, self.key_width, &row.meta, out.cx);
            if let Some(old) = &mut row.old {
                self.values.update(old, self.key_width, &row.meta, out.cx);
            }
            return out.emit(row);
        }
        let values = self.compute(&mut row.values, row.meta.has_value, &row.meta, out.cx);
        out.cx.buffers.give(std::mem::replace(&mut row.values, values));
        if let Some(mut old) = row.old.take() {
            row.old = Some(self.compute(&mut old, true, &row.meta, out.cx));
            out.cx.buffers.give(old);
        }
        out.emit(row)
    }
}
