//! A table's topic, kept in a store: each change goes on with the row that it replaces.
//!
//! In: the records of the topic, in their order; an update with an older timestamp still wins (last offset wins). Out:
//! the same changes, with `old` set. A tombstone deletes the entry and always goes on. Store: the codec's key (with the
//! window behind it) → timestamp, then the value columns. On replay the same entries are written again.

use super::{FatalError, Operator, Output, Port};
use crate::row::Row;
use crate::task::StoreIndex;
use crate::types::Value;
use crate::types::codec;

pub(super) struct TableSource {
    pub store: StoreIndex,
    pub key_width: usize,
    key: Vec<u8>,
    value: Vec<u8>,
    entry: Vec<Value>,
}

impl TableSource {
    pub fn new(store: StoreIndex, key_width: usize) -> Self {
        TableSource { store, key_width, key: Vec::new(), value: Vec::new(), entry: Vec::new() }
    }
}

impl Operator for TableSource {
    fn process(&mut self, _port: Port, mut row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        self.key.clear();
        codec::encode_key(&row.values[..self.key_width], &mut self.key);
        if let Some(window) = row.meta.window {
            codec::encode_window(window, &mut self.key);
        }
        let store = &mut out.cx.stores[self.store.0];
        store.observe_time(row.meta.timestamp);
        let entry = &mut self.entry;
        let found = store
            .get(&self.key, |value| match value {
                Some(value) => {
                    entry.clear();
                    codec::decode_values(value, entry).map(|()| true)
                }
                None => Ok(false),
            })
            .map_err(|e| FatalError(e.to_string()))?
            .map_err(|e| FatalError(e.to_string()))?;
        row.old = found.then(|| {
            let mut old = row.values[..self.key_width].to_vec();
            old.extend(self.entry.drain(..).skip(1));
            old
        });
        if row.meta.has_value {
            self.entry.clear();
            self.entry.push(Value::BigInt(row.meta.timestamp));
            self.entry.extend(row.values[self.key_width..].iter().cloned());
            self.value.clear();
            codec::encode_values(&self.entry, &mut self.value);
            store.put(&self.key, Some(&self.value));
        } else {
            store.put(&self.key, None);
        }
        out.emit(row)
    }
}
