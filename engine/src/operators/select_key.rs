//! PARTITION BY, and the key of a join's stream: rows get a new key. A row with a null value gets a null key; an
//! expression that fails gives null and is reported. Without state.

use super::exprs::Projector;
use super::{FatalError, Operator, Output, Port};
use crate::row::Row;
use crate::types::Value;

pub(super) struct SelectKey {
    pub key_width: usize,
    pub width: usize,
    pub keys: Projector,
    pub values: Projector,
}

impl Operator for SelectKey {
    fn process(&mut self, _port: Port, mut row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        let mut values = out.cx.buffers.take(self.width);
        if row.meta.has_value {
            self.keys.append(&row.values, &row.meta, out.cx, &mut values);
            let has_key = match values.as_slice() {
                [] => false,
                [single] => !single.is_null(),
                _ => true,
            };
            self.values.append(&row.values, &row.meta, out.cx, &mut values);
            row.meta.has_key = has_key;
        } else {
            values.resize(self.width, Value::Null);
            row.meta.has_key = false;
        }
        if self.key_width == 0 {
            row.meta.has_key = false;
        }
        out.cx.buffers.give(std::mem::replace(&mut row.values, values));
        out.emit(row)
    }
}
