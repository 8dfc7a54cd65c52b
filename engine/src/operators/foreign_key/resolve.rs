//! Third part: results, put in order by the version of the left's row.
//!
//! In: rows of the left's key with a result. Out: the joined table's changes with their old rows; a result that is not there
//! (any more) is a tombstone, also where there was none before, as in Kafka Streams. A result of an older version than the
//! last one is left out. Store: the left's key → time, the value columns, the version; where there is no result the time
//! and the version alone, so that a result which was overtaken is still known for old. On replay the same entries are
//! written again.

use super::message::{Response, corrupt};
use crate::operators::{FatalError, Operator, Output, Port};
use crate::row::Row;
use crate::task::StoreIndex;
use crate::types::Value;
use crate::types::codec;

pub(in crate::operators) struct Resolve {
    pub store: StoreIndex,
    pub key_width: usize,
    /// Value columns of the result.
    pub width: usize,
    pub key: Vec<u8>,
}

impl Operator for Resolve {
    fn process(&mut self, _port: Port, mut row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        let response = Response::decode(row.values.get(self.key_width))?;
        row.values.truncate(self.key_width);
        self.key.clear();
        codec::encode_key(&row.values, &mut self.key);
        let store = &mut out.cx.stores[self.store.0];
        store.observe_time(row.meta.timestamp);
        let mut entry = Vec::new();
        let found = store.get(&self.key, |value| value.map(|value| codec::decode_values(value, &mut entry)));
        found.map_err(|e| FatalError(e.to_string()))?.transpose().map_err(|e| FatalError(e.to_string()))?;
        match entry.pop() {
            Some(Value::BigInt(last)) if last > response.version => {
                out.cx.recycle(row);
                return Ok(());
            }
            Some(Value::BigInt(_)) | None => {}
            Some(_) => return Err(corrupt()),
        }
        // Behind the time stand the columns, or nothing.
        row.old = (entry.len() == self.width + 1).then(|| row.values.iter().cloned().chain(entry.drain(1..)).collect());
        row.meta.has_value = response.values.is_some();
        let mut entry = vec![Value::BigInt(row.meta.timestamp)];
        match response.values {
            Some(values) => {
                entry.extend(values.iter().cloned());
                row.values.extend(values);
            }
            None => row.values.resize(self.key_width + self.width, Value::Null),
        }
        entry.push(Value::BigInt(response.version));
        let mut encoded = Vec::new();
        codec::encode_values(&entry, &mut encoded);
        out.cx.stores[self.store.0].put(&self.key, Some(&encoded));
        out.emit(row)
    }
}
