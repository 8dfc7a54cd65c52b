//! EMIT FINAL: a window's row is held until stream time reaches the window's end and grace, then goes out once.
//!
//! In: changes of a windowed aggregation. Out: one row a key and window, by end, start and key, without an old row. A
//! session that was merged away is forgotten. Nothing goes out by wall-clock time. Store (ordered): end, start, key →
//! timestamp and value columns; its stream time is that of the rows. On replay the held rows are those of the last commit.

use super::{FatalError, Operator, Output, Port};
use crate::row::{Row, RowMeta, Window};
use crate::task::StoreIndex;
use crate::types::Value;
use crate::types::codec;

pub(super) struct Suppress {
    pub store: StoreIndex,
    pub key_width: usize,
    /// How far stream time must be behind a window's end, milliseconds.
    pub hold_ms: i64,
    /// Sessions include their end, so they close a millisecond later.
    pub is_session: bool,
}

impl Suppress {
    fn release(&self, stream_time: i64, meta: &RowMeta, out: &mut Output<'_>) -> Result<(), FatalError> {
        let closed = stream_time.saturating_sub(self.hold_ms).saturating_sub(i64::from(self.is_session));
        let to = codec::to_ordered(closed.saturating_add(1));
        let mut due: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let store = &mut out.cx.stores[self.store.0];
        let scanned = store.range(&codec::to_ordered(i64::MIN), Some(&to), &mut |key, value| {
            due.push((key.to_vec(), value.to_vec()));
            true
        });
        scanned.map_err(|e| FatalError(e.to_string()))?;
        for (key, value) in due {
            out.cx.stores[self.store.0].put(&key, None);
            let row = decode(&key, &value, meta)?;
            out.emit(row)?;
        }
        Ok(())
    }
}

fn decode(key: &[u8], value: &[u8], meta: &RowMeta) -> Result<Row, FatalError> {
    let corrupt = || FatalError("a held window can't be read".into());
    let (bounds, group) = key.split_at_checked(16).ok_or_else(corrupt)?;
    let bound = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).map(codec::from_ordered).map_err(|_| corrupt());
    let window = Window { end: bound(&bounds[..8])?, start: bound(&bounds[8..])? };
    let mut values = Vec::new();
    codec::decode_key(group, &mut values).map_err(|e| FatalError(e.to_string()))?;
    let mut entry = Vec::new();
    codec::decode_values(value, &mut entry).map_err(|e| FatalError(e.to_string()))?;
    let mut entry = entry.into_iter();
    let Some(Value::BigInt(timestamp)) = entry.next() else { return Err(corrupt()) };
    values.extend(entry);
    let meta = RowMeta { timestamp, window: Some(window), has_key: true, has_value: true, ..meta.clone() };
    Ok(Row { values, old: None, meta })
}

impl Operator for Suppress {
    fn process(&mut self, _port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        let Some(window) = row.meta.window else { return Err(FatalError("EMIT FINAL needs windows".into())) };
        let mut key = codec::to_ordered(window.end).to_vec();
        key.extend(codec::to_ordered(window.start));
        codec::encode_key(&row.values[..self.key_width], &mut key);
        let store = &mut out.cx.stores[self.store.0];
        let stream_time = store.observe_time(row.meta.timestamp);
        if row.meta.has_value {
            let mut entry = vec![Value::BigInt(row.meta.timestamp)];
            entry.extend(row.values[self.key_width..].iter().cloned());
            let mut value = Vec::new();
            codec::encode_values(&entry, &mut value);
            store.put(&key, Some(&value));
        } else {
            store.put(&key, None);
        }
        let meta = row.meta.clone();
        out.cx.recycle(row);
        self.release(stream_time, &meta, out)
    }
}
