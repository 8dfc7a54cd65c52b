//! Two tables of the same key, joined.
//!
//! In: changes of the left (port 0) and of the right (port 1), each with its old row. Out: for each one the change of the
//! joined row, with the other side as it is at that moment and the later of the two times. While the other side is not
//! there, nothing goes out, unless rows of this side go on without a match. A tombstone goes out wherever a result could
//! have been before, as in Kafka Streams. Without state of its own: the tables keep theirs.

use super::table_lookup::{Side, TableLookup, joined};
use super::{FatalError, Operator, Output, Port};
use crate::plan::JoinKind;
use crate::row::Row;
use crate::types::Value;
use crate::types::codec;

pub(super) struct TableTableJoin {
    pub left: TableLookup,
    pub right: TableLookup,
    pub kind: JoinKind,
    pub key_width: usize,
    /// The value columns.
    pub columns: Vec<Side>,
    pub key: Vec<u8>,
}

impl Operator for TableTableJoin {
    fn process(&mut self, port: Port, mut row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        let from_left = port == Port(0);
        self.key.clear();
        codec::encode_key(&row.values[..self.key_width], &mut self.key);
        if let Some(window) = row.meta.window {
            codec::encode_window(window, &mut self.key);
        }
        let (other, keeps_own, keeps_other) = match from_left {
            true => (&self.right, self.kind.keeps_left(), self.kind.keeps_right()),
            false => (&self.left, self.kind.keeps_right(), self.kind.keeps_left()),
        };
        let other = other.row(&self.key, &mut out.cx.stores)?;
        if other.is_none() && (!keeps_own || !row.meta.has_value && row.old.is_none()) {
            out.cx.recycle(row);
            return Ok(());
        }
        let other_values = other.as_ref().map(|o| o.values.as_slice());
        let result = |own: Option<&[Value]>, buffer: Vec<Value>| {
            let is_there = own.is_some() && (other.is_some() || keeps_own) || own.is_none() && other.is_some() && keeps_other;
            let (left, right) = if from_left { (own, other_values) } else { (other_values, own) };
            is_there.then(|| joined(buffer, &row.values[..self.key_width], &self.columns, left, right))
        };
        let width = self.key_width + self.columns.len();
        let old = result(row.old.as_deref(), Vec::new());
        let new = result(row.meta.has_value.then_some(row.values.as_slice()), out.cx.buffers.take(width));
        let mut meta = row.meta.clone();
        meta.timestamp = other.as_ref().map_or(meta.timestamp, |o| o.meta.timestamp.max(meta.timestamp));
        meta.has_value = new.is_some();
        let values = new.unwrap_or_else(|| {
            let mut values = out.cx.buffers.take(width);
            values.extend(row.values.drain(..self.key_width));
            values.resize(width, Value::Null);
            values
        });
        out.cx.recycle(row);
        out.emit(Row { values, old, meta })
    }
}
