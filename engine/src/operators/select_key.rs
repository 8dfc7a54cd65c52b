//! PARTITION BY, and the key of a join's stream: rows get a new key. An expression that fails gives null and is reported.
//! Of a row with a null value only those expressions are computed that read nothing but the old key; the others are
//! null. A single key column that is null makes the key null; several are a key whatever they hold. Without state.

use super::exprs::Projector;
use super::{FatalError, Operator, Output, Port};
use crate::row::Row;
use crate::types::Value;

pub(super) struct SelectKey {
    pub width: usize,
    pub keys: Projector,
    /// As `keys`, for rows with a null value: what reads their value stays null.
    pub keys_of_null: Projector,
    pub values: Projector,
}

impl Operator for SelectKey {
    fn process(&mut self, _port: Port, mut row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        let mut values = out.cx.buffers.take(self.width);
        let keys = if row.meta.has_value { &self.keys } else { &self.keys_of_null };
        keys.append(&row.values, &row.meta, out.cx, &mut values);
        let has_key = match values.as_slice() {
            [] => false,
            [single] => !single.is_null(),
            _ => true,
        };
        if row.meta.has_value {
            self.values.append_moving(&mut row.values, 0, &row.meta, out.cx, &mut values);
        } else {
            values.resize(self.width, Value::Null);
        }
        row.meta.has_key = has_key;
        out.cx.buffers.give(std::mem::replace(&mut row.values, values));
        out.emit(row)
    }
}
