//! Session windows: records of a key that are at most a gap apart.
//!
//! A record joins every session within the gap of it. Where that makes a session other than the record's own instant, the
//! old sessions go first, each as a tombstone, then comes the merged one. A record is late if the merged session's end is
//! before stream time less grace and gap. A session that ended at stream time less retention, or before, is forgotten:
//! nothing joins it any more. (A session that grows back over forgotten ones drops them, so that in the order of their starts
//! all forgotten sessions of a key stand before all others.) A record too far in the future ([`times`]) is left out and reported.

use super::{Aggregates, Entry};
use crate::operators::{FatalError, Operator, Output, Port, times};
use crate::row::{Row, Window};
use crate::task::StoreIndex;
use crate::types::codec;

pub(in crate::operators) struct SessionAggregate {
    pub aggregates: Aggregates,
    pub store: StoreIndex,
    pub gap_ms: i64,
    pub grace_ms: i64,
    pub retention_ms: i64,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl SessionAggregate {
    pub fn new(aggregates: Aggregates, store: StoreIndex, gap_ms: i64, grace_ms: i64, retention_ms: i64) -> Self {
        SessionAggregate { aggregates, store, gap_ms, grace_ms, retention_ms, key: Vec::new(), value: Vec::new() }
    }

    /// Looks for the sessions that the record touches, those that ended by `expired` left out.
    ///
    /// A key's sessions lie apart, so the latest that may touch come first and the walk ends with the first that does not,
    /// or that reaches behind the record: what came before is of no account.
    fn touched(&self, timestamp: i64, expired: i64, out: &mut Output<'_>) -> Result<Touched, FatalError> {
        let (from, to) = (timestamp.saturating_sub(self.gap_ms), timestamp.saturating_add(self.gap_ms));
        let mut touched = Touched::default();
        let mut failed = None;
        let store = &mut out.cx.stores[self.store.0];
        // One that ends here or before is hidden by the store.
        let expired = expired.max(store.stream_time().saturating_sub(self.retention_ms).saturating_sub(1));
        let mut values = Vec::new();
        let result = store.windows_back(&self.key, to, &mut |key, value| {
            values.clear();
            match codec::decode_windowed_key(key, &mut values) {
                Ok(window) if window.end <= expired => {
                    let lies_within = window.start >= timestamp;
                    touched.forgotten.extend(lies_within.then_some(window));
                    lies_within
                }
                Ok(window) if window.end >= from => match Entry::decode(value) {
                    Ok(entry) => {
                        touched.sessions.push((window, entry));
                        window.start > timestamp
                    }
                    Err(error) => {
                        failed = Some(error);
                        false
                    }
                },
                Ok(_) => false,
                Err(error) => {
                    failed = Some(FatalError(error.to_string()));
                    false
                }
            }
        });
        result.map_err(|e| FatalError(e.to_string()))?;
        touched.sessions.reverse();
        failed.map_or(Ok(touched), Err)
    }

    fn put(&mut self, window: Window, entry: Option<&Entry>, out: &mut Output<'_>) {
        let key_length = self.key.len();
        codec::encode_window(window, &mut self.key);
        match entry {
            Some(entry) => {
                self.value.clear();
                entry.encode(&mut self.value);
                out.cx.stores[self.store.0].put(&self.key, Some(&self.value));
            }
            None => out.cx.stores[self.store.0].put(&self.key, None),
        }
        self.key.truncate(key_length);
    }
}

/// What a record meets.
#[derive(Default)]
struct Touched {
    /// Sessions that it joins, oldest first.
    sessions: Vec<(Window, Entry)>,
    /// Forgotten ones that lie within what they make together.
    forgotten: Vec<Window>,
}

impl Operator for SessionAggregate {
    fn process(&mut self, _port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        if !row.meta.has_key || !row.meta.has_value {
            self.aggregates.pass_over(&row, out.cx);
            return Ok(());
        }
        if times::is_out_of_range(&row) {
            times::skip(row, &self.aggregates.origin, out.cx);
            return Ok(());
        }
        let timestamp = row.meta.timestamp;
        let store = &mut out.cx.stores[self.store.0];
        // What is forgotten was so before this record came.
        let expired = store.stream_time().saturating_sub(self.retention_ms);
        let stream_time = store.observe_time(timestamp);
        let close_time = stream_time.saturating_sub(self.grace_ms).saturating_sub(self.gap_ms);
        self.key.clear();
        codec::encode_key(&row.values[..self.aggregates.key_width], &mut self.key);
        let touched = self.touched(timestamp, expired, out)?;
        let own = Window { start: timestamp, end: timestamp };
        let merged = touched.sessions.iter().fold(own, |w, (s, _)| Window { start: w.start.min(s.start), end: w.end.max(s.end) });
        if merged.end < close_time {
            let message = format!("Skipping record for expired window [{}, {}]", merged.start, merged.end);
            self.aggregates.origin.report_late(out.cx, &row.meta, message, true);
            return Ok(());
        }
        let mut entry: Option<Entry> = None;
        let mut replaced = None;
        for window in touched.forgotten {
            self.put(window, None, out);
        }
        for (window, session) in touched.sessions {
            if merged == own {
                replaced = Some(session.clone());
            } else {
                self.put(window, None, out);
                let tombstone = self.aggregates.change(&row, Some(window), Some(&session), None, window.end, out.cx);
                out.emit(tombstone)?;
            }
            entry = Some(match entry {
                None => session,
                Some(left) => self.aggregates.merge(left, session)?,
            });
        }
        let mut entry = entry.unwrap_or_else(|| self.aggregates.initial(timestamp));
        entry.timestamp = merged.end;
        self.aggregates.apply(&mut entry, &row.values, &row.meta, false, out.cx);
        self.put(merged, Some(&entry), out);
        let change = self.aggregates.change(&row, Some(merged), replaced.as_ref(), Some(&entry), merged.end, out.cx);
        out.cx.recycle(row);
        out.emit(change)
    }

    fn advance(&mut self, timestamp: i64, out: &mut Output<'_>) -> Result<(), FatalError> {
        out.cx.store(self.store).observe_time(timestamp);
        Ok(())
    }
}
