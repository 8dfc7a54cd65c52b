//! EMIT FINAL: a window's row is held until stream time reaches the window's end and grace, then goes out once.
//!
//! In: changes of a windowed aggregation. Out: one row a key and window, by end, start and key, without an old row. A
//! session that was merged away is forgotten. Nothing goes out by wall-clock time. Store (ordered): end, start, key →
//! timestamp and value columns; its stream time is that of the rows. On replay the held rows are those of the last commit.

use super::time_queue::{Due, TimeQueue};
use super::{FatalError, Operator, Output, Port};
use crate::row::{Row, RowMeta, Window};
use crate::task::StoreIndex;
use crate::types::Value;
use crate::types::codec;

pub(super) struct Suppress {
    store: StoreIndex,
    /// By their windows' ends.
    held: TimeQueue,
    key_width: usize,
    /// How far stream time must be behind a window's end, milliseconds.
    hold_ms: i64,
    /// Sessions include their end, so they close a millisecond later.
    is_session: bool,
}

impl Suppress {
    pub fn new(store: StoreIndex, key_width: usize, hold_ms: i64, is_session: bool) -> Self {
        Suppress { store, held: TimeQueue::new(store), key_width, hold_ms, is_session }
    }

    fn release(&mut self, stream_time: i64, meta: &RowMeta, out: &mut Output<'_>) -> Result<(), FatalError> {
        let closed = stream_time.saturating_sub(self.hold_ms).saturating_sub(i64::from(self.is_session));
        for due in self.held.take_before(closed.saturating_add(1), &mut out.cx.stores)? {
            let row = decode(&due, meta)?;
            out.emit(row)?;
        }
        Ok(())
    }
}

fn decode(due: &Due, meta: &RowMeta) -> Result<Row, FatalError> {
    let corrupt = || FatalError("a held window can't be read".into());
    let (start, group) = due.rest.split_first_chunk().ok_or_else(corrupt)?;
    let window = Window { end: due.time, start: codec::from_ordered(*start) };
    let mut values = Vec::new();
    codec::decode_key(group, &mut values).map_err(|e| FatalError(e.to_string()))?;
    let mut entry = Vec::new();
    codec::decode_values(&due.value, &mut entry).map_err(|e| FatalError(e.to_string()))?;
    let mut entry = entry.into_iter();
    let Some(Value::BigInt(timestamp)) = entry.next() else { return Err(corrupt()) };
    values.extend(entry);
    let meta = RowMeta { timestamp, window: Some(window), has_key: true, has_value: true, ..meta.clone() };
    Ok(Row { values, old: None, meta })
}

impl Operator for Suppress {
    fn process(&mut self, _port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        let Some(window) = row.meta.window else { return Err(FatalError("EMIT FINAL needs windows".into())) };
        let mut key = codec::to_ordered(window.start).to_vec();
        codec::encode_key(&row.values[..self.key_width], &mut key);
        let stores = &mut out.cx.stores;
        let stream_time = stores[self.store.0].observe_time(row.meta.timestamp);
        if row.meta.has_value {
            let mut entry = vec![Value::BigInt(row.meta.timestamp)];
            entry.extend(row.values[self.key_width..].iter().cloned());
            let mut value = Vec::new();
            codec::encode_values(&entry, &mut value);
            self.held.put(window.end, &key, Some(&value), stores);
        } else {
            self.held.put(window.end, &key, None, stores);
        }
        let meta = row.meta.clone();
        out.cx.recycle(row);
        self.release(stream_time, &meta, out)
    }

    fn advance(&mut self, timestamp: i64, out: &mut Output<'_>) -> Result<(), FatalError> {
        let stream_time = out.cx.store(self.store).observe_time(timestamp);
        let meta = RowMeta { partition: out.cx.partition, ..RowMeta::default() };
        self.release(stream_time, &meta, out)
    }

    fn roll_back(&mut self) {
        self.held.roll_back();
    }
}
