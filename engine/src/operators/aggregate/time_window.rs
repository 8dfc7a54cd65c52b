//! Tumbling and hopping windows: `[start, start + size)`, aligned to the epoch.
//!
//! Stream time is the largest timestamp that this task has aggregated. Each window that holds the record is tested on its
//! own: it is open while its end is after stream time less grace. A record that finds a window closed is left out of it
//! and reported; it has moved stream time all the same. A record too far in the future ([`times`]) is left out and
//! reported, and moves nothing.

use super::{Aggregates, Entry};
use crate::operators::{FatalError, Operator, Output, Port, times};
use crate::row::{Row, Window};
use crate::task::StoreIndex;
use crate::types::codec;

pub(in crate::operators) struct TimeWindowAggregate {
    pub aggregates: Aggregates,
    pub store: StoreIndex,
    pub size_ms: i64,
    pub advance_ms: i64,
    pub grace_ms: i64,
    key: Vec<u8>,
    value: Vec<u8>,
    found: Entry,
    entry: Entry,
}

impl TimeWindowAggregate {
    pub fn new(aggregates: Aggregates, store: StoreIndex, size_ms: i64, advance_ms: i64, grace_ms: i64) -> Self {
        let (key, value, found, entry) = Default::default();
        TimeWindowAggregate { aggregates, store, size_ms, advance_ms: advance_ms.max(1), grace_ms, key, value, found, entry }
    }
}

impl Operator for TimeWindowAggregate {
    fn process(&mut self, _port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        if !row.meta.has_key || !row.meta.has_value {
            self.aggregates.pass_over(&row, out.cx);
            return Ok(());
        }
        let timestamp = row.meta.timestamp;
        if times::is_out_of_range(&row) {
            times::skip(row, &self.aggregates.origin, out.cx);
            return Ok(());
        }
        let stream_time = out.cx.stores[self.store.0].observe_time(timestamp);
        let close_time = stream_time.saturating_sub(self.grace_ms);
        self.key.clear();
        codec::encode_key(&row.values[..self.aggregates.key_width], &mut self.key);
        let key_length = self.key.len();
        // The first window that holds the record; none begins before the epoch.
        let mut start = (timestamp.saturating_sub(self.size_ms).saturating_add(self.advance_ms)).max(0) / self.advance_ms * self.advance_ms;
        while start <= timestamp {
            let window = Window { start, end: start.saturating_add(self.size_ms) };
            start = start.saturating_add(self.advance_ms);
            if window.end <= close_time {
                let message = format!("Skipping record for expired window [{}, {})", window.start, window.end);
                // Windows come in the order of their ends.
                self.aggregates.origin.report_late(out.cx, &row.meta, message, start > timestamp);
                continue;
            }
            self.key.truncate(key_length);
            codec::encode_window(window, &mut self.key);
            let store = &mut out.cx.stores[self.store.0];
            // Where nobody asks for the old result, the entry is changed in place.
            let wants_old = self.aggregates.wants_old;
            let place = if wants_old { &mut self.found } else { &mut self.entry };
            let found = store.get(&self.key, |v| v.map(|v| place.read(v))).map_err(|e| FatalError(e.to_string()))?.transpose()?.is_some();
            if found && wants_old {
                self.entry.follow(&self.found, timestamp);
            } else if found {
                self.entry.timestamp = self.entry.timestamp.max(timestamp);
            } else {
                self.aggregates.begin(timestamp, &mut self.entry);
            }
            self.aggregates.apply(&mut self.entry, &row.values, &row.meta, false, out.cx);
            self.value.clear();
            self.entry.encode(&mut self.value);
            out.cx.stores[self.store.0].put(&self.key, Some(&self.value));
            let change = self.aggregates.change(
                &row,
                Some(window),
                (found && wants_old).then_some(&self.found),
                Some(&self.entry),
                self.entry.timestamp,
                out.cx,
            );
            out.emit(change)?;
        }
        out.cx.recycle(row);
        Ok(())
    }

    fn advance(&mut self, timestamp: i64, out: &mut Output<'_>) -> Result<(), FatalError> {
        out.cx.store(self.store).observe_time(timestamp);
        Ok(())
    }
}
