//! A row in flight between operators.

use std::sync::Arc;

use crate::types::Value;

/// A record on its way through the operators: a stream's row, or a table's change with the old row beside the new one.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Key columns, then value columns (see [`crate::types::Schema`]). Value slots are null where `meta.has_value` is false.
    pub values: Vec<Value>,
    /// Tables only: the row that this one replaces, in the same layout. `None`: there was none.
    pub old: Option<Vec<Value>>,
    pub meta: RowMeta,
}

/// What a row carries besides its columns.
#[derive(Debug, Clone, Default)]
pub struct RowMeta {
    /// Event time, milliseconds since the epoch.
    pub timestamp: i64,
    pub partition: i32,
    pub offset: i64,
    pub window: Option<Window>,
    /// False: the record's key is null.
    pub has_key: bool,
    /// False: the record's value is null; for a table this is a tombstone.
    pub has_value: bool,
    pub headers: Headers,
}

/// The headers that go with a row.
#[derive(Debug, Clone, Default)]
pub enum Headers {
    /// It has none, or nobody asks for them.
    #[default]
    None,
    /// Those of the record at hand: looked up by [`crate::task::TaskContext::headers`] where they are needed, which is
    /// mostly behind a filter. An operator that keeps rows for longer than the record is there must
    /// [own](crate::task::TaskContext::own_headers) them.
    OfRecord,
    Own(Arc<[Header]>),
}

/// A window's bounds in milliseconds: `[start, end)` for time windows, `[start, end]` for sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    pub start: i64,
    pub end: i64,
}

/// A record's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub key: String,
    pub value: Option<Vec<u8>>,
}

/// Buffers of rows that have come to their end, kept for the next ones: the continuous path allocates no row after the
/// first few.
#[derive(Debug, Default)]
pub struct RowBuffers {
    /// All nulls, of any width.
    free: Vec<Vec<Value>>,
}

/// Buffers kept in one task; more are given back to the allocator.
const MAX_FREE_BUFFERS: usize = 64;

impl RowBuffers {
    /// An empty buffer with room for `width` values.
    pub fn take(&mut self, width: usize) -> Vec<Value> {
        match self.free.pop() {
            Some(mut buffer) => {
                empty(&mut buffer);
                buffer.reserve(width);
                buffer
            }
            None => Vec::with_capacity(width),
        }
    }

    /// A buffer of `width` nulls.
    pub fn take_nulls(&mut self, width: usize) -> Vec<Value> {
        let mut buffer = self.free.pop().unwrap_or_default();
        if buffer.len() != width {
            empty(&mut buffer);
            buffer.resize(width, Value::Null);
        }
        buffer
    }

    /// Takes a buffer back.
    pub fn give(&mut self, mut buffer: Vec<Value>) {
        if self.free.len() < MAX_FREE_BUFFERS {
            // It stays as long as it is: mostly the next row is as wide.
            buffer.iter_mut().for_each(Value::set_null);
            self.free.push(buffer);
        }
    }
}

/// Removes all values. Cheaper than `clear` where they hold nothing on the heap, which is the rule.
pub fn empty(values: &mut Vec<Value>) {
    while let Some(mut value) = values.pop() {
        value.set_null();
        std::mem::forget(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_empty() {
        let mut buffers = RowBuffers::default();
        let mut first = buffers.take(2);
        first.push(Value::Int(1));
        let place = first.as_ptr();
        buffers.give(first);
        let second = buffers.take_nulls(2);
        assert_eq!(second, vec![Value::Null, Value::Null]);
        assert_eq!(second.as_ptr(), place, "the same memory");
    }
}
