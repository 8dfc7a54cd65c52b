//! Two streams of the same key, joined: rows meet that are at most so far apart.
//!
//! In: rows of the left (port 0) and of the right (port 1). Out: one row for each pair, with the later of the two times, in
//! the order of the other side's rows. A row with a null value is left out, and so is one with a null key, unless rows of
//! its side go on without a match: then it does, at once. All of them move stream time, which both sides share; but a row too
//! far in the future ([`super::times`]) is left out and reported, and moves nothing.
//!
//! Rows without a match, where their side keeps them: without a grace period they go on at once; with one they are held
//! until the time in which a match could come, and the grace period, are over, and go on by time, side (right first) and
//! key. A row that is so late that its time is over goes on at once.
//!
//! Stores: for each side (windowed) key, time → the rows of that time in their order; for held rows (ordered) the time of
//! the last row that could match, the row's own time, side, key → the rows. Rows older than stream time less retention are not seen any more. On replay the same rows are written
//! again behind the first ones, so a pair may come twice where the log is not atomic.

use super::exprs::Origin;
use super::table_lookup::{Side, joined};
use super::time_queue::TimeQueue;
use super::{FatalError, Operator, Output, Port, times};
use crate::letters::LetterKind;
use crate::plan::JoinKind;
use crate::row::{Row, RowMeta, Window};
use crate::task::StoreIndex;
use crate::types::Value;
use crate::types::codec;

pub(super) struct StreamStreamJoin {
    /// Left, right.
    pub stores: [StoreIndex; 2],
    pub held: Option<TimeQueue>,
    pub kind: JoinKind,
    pub before_ms: i64,
    pub after_ms: i64,
    pub grace_ms: i64,
    pub retention_ms: i64,
    pub key_width: usize,
    /// The value columns.
    pub columns: Vec<Side>,
    /// Rows carry a window.
    pub is_windowed: bool,
    pub origin: Origin,
    pub key: Vec<u8>,
    pub buffer: Vec<u8>,
}

/// Marks of the sides in the keys of held rows: the right goes first.
const RIGHT: u8 = 0;
const LEFT: u8 = 1;

impl StreamStreamJoin {
    /// How far back and ahead of a row of a side the other side's rows may be.
    fn reach(&self, from_left: bool) -> (i64, i64) {
        if from_left { (self.before_ms, self.after_ms) } else { (self.after_ms, self.before_ms) }
    }

    fn keeps(&self, from_left: bool) -> bool {
        if from_left { self.kind.keeps_left() } else { self.kind.keeps_right() }
    }

    /// Until when a row of a side could meet one of the other side.
    fn over(&self, from_left: bool, timestamp: i64) -> i64 {
        timestamp.saturating_add(self.reach(from_left).1)
    }

    fn held_key(&self, from_left: bool, timestamp: i64) -> Vec<u8> {
        let mut key = codec::to_ordered(timestamp).to_vec();
        key.push(if from_left { LEFT } else { RIGHT });
        key.extend_from_slice(&self.key);
        key
    }

    /// Holds a row that has met none of the other side yet.
    fn hold(&mut self, from_left: bool, row: &Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        let (key, over) = (self.held_key(from_left, row.meta.timestamp), self.over(from_left, row.meta.timestamp));
        let Some(held) = &mut self.held else { return Ok(()) };
        held.append(over, &key, &mut out.cx.stores, &mut self.buffer, |entry| append(entry, &row.values))
    }

    /// Lets go of the rows of a side and time that are held: they have met one of the other side.
    fn forget(&mut self, from_left: bool, timestamp: i64, out: &mut Output<'_>) -> Result<(), FatalError> {
        if self.held.is_none() || !self.keeps(from_left) {
            return Ok(());
        }
        let (key, over) = (self.held_key(from_left, timestamp), self.over(from_left, timestamp));
        let Some(held) = &mut self.held else { return Ok(()) };
        held.remove(over, &key, &mut out.cx.stores)
    }

    /// A row of the result; `own` is of the given side.
    fn emit(&self, from_left: bool, own: &[Value], other: Option<&[Value]>, meta: RowMeta, out: &mut Output<'_>) -> Result<(), FatalError> {
        let (left, right) = if from_left { (Some(own), other) } else { (other, Some(own)) };
        let buffer = out.cx.buffers.take(self.key_width + self.columns.len());
        let values = joined(buffer, own.get(..self.key_width).unwrap_or_default(), &self.columns, left, right);
        out.emit(Row { values, old: None, meta })
    }

    /// Rows of the other side that match, oldest first, each with its time.
    fn matches(&self, from_left: bool, timestamp: i64, out: &mut Output<'_>) -> Result<Vec<(i64, Vec<Value>)>, FatalError> {
        let (back, ahead) = self.reach(from_left);
        let store = &mut out.cx.stores[self.stores[usize::from(from_left)].0];
        let oldest = store.stream_time().saturating_sub(self.retention_ms).saturating_add(1);
        let (first, last) = (timestamp.saturating_sub(back).max(0).max(oldest), timestamp.saturating_add(ahead));
        let mut found = Vec::new();
        let mut failed = None;
        let scanned = store.windows(&self.key, first, last, &mut |key, value| {
            let Some(time) = key.last_chunk().map(|end| codec::from_ordered(*end)) else { return true };
            match decode_rows(value) {
                Ok(rows) => found.extend(rows.into_iter().map(|row| (time, row))),
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        });
        scanned.map_err(|e| FatalError(e.to_string()))?;
        failed.map_or(Ok(found), Err)
    }

    /// Keeps a row for those of the other side that are still to come.
    fn keep(&mut self, from_left: bool, row: &Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        let timestamp = row.meta.timestamp;
        let mut key = self.key.clone();
        codec::encode_window(Window { start: timestamp, end: timestamp }, &mut key);
        let store = &mut out.cx.stores[self.stores[usize::from(!from_left)].0];
        let kept = store.update(&key, &mut self.buffer, |old, entry| {
            entry.extend_from_slice(old.unwrap_or_default());
            append(entry, &row.values);
            true
        });
        kept.map_err(|e| FatalError(e.to_string()))
    }

    /// Sends the held rows whose time is over.
    fn release(&mut self, stream_time: i64, meta: &RowMeta, out: &mut Output<'_>) -> Result<(), FatalError> {
        let Some(held) = &mut self.held else { return Ok(()) };
        let mut due = held.take_before(stream_time.saturating_sub(self.grace_ms), &mut out.cx.stores)?;
        // Behind the time at which they are over stand their own times.
        due.sort_by(|one, other| one.rest.cmp(&other.rest));
        for entry in due {
            let Some((time, [side, group @ ..])) = entry.rest.split_first_chunk() else { return Err(corrupt()) };
            let (timestamp, from_left) = (codec::from_ordered(*time), *side == LEFT);
            let window = match self.is_windowed {
                true => Some(codec::decode_windowed_key(group, &mut Vec::new()).map_err(|e| FatalError(e.to_string()))?),
                false => None,
            };
            for row in decode_rows(&entry.value)? {
                let meta = RowMeta { timestamp, window, has_key: true, has_value: true, ..meta.clone() };
                self.emit(from_left, &row, None, meta, out)?;
            }
        }
        Ok(())
    }
}

impl Operator for StreamStreamJoin {
    fn process(&mut self, port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        let from_left = port == Port(0);
        if times::is_out_of_range(&row) {
            times::skip(row, &self.origin, out.cx);
            return Ok(());
        }
        let timestamp = row.meta.timestamp;
        let own_time = out.cx.stores[self.stores[usize::from(!from_left)].0].observe_time(timestamp);
        let stream_time = own_time.max(out.cx.stores[self.stores[usize::from(from_left)].0].stream_time());
        if !row.meta.has_value {
            out.cx.recycle(row);
            return Ok(());
        }
        if !row.meta.has_key {
            if self.keeps(from_left) {
                self.emit(from_left, &row.values, None, row.meta.clone(), out)?;
            } else {
                out.cx.leave_out_record(LetterKind::NullKey, "the row has no key to be joined by");
            }
            out.cx.recycle(row);
            return Ok(());
        }
        self.key.clear();
        codec::encode_key(&row.values[..self.key_width], &mut self.key);
        if let Some(window) = row.meta.window {
            codec::encode_window(window, &mut self.key);
        }
        self.keep(from_left, &row, out)?;
        if timestamp == stream_time {
            self.release(stream_time, &row.meta, out)?;
        }
        let matches = self.matches(from_left, timestamp, out)?;
        for (time, other) in &matches {
            self.forget(!from_left, *time, out)?;
            let meta = RowMeta { timestamp: timestamp.max(*time), ..row.meta.clone() };
            self.emit(from_left, &row.values, Some(other), meta, out)?;
            out.cx.arrival += 1;
        }
        if matches.is_empty() && self.keeps(from_left) {
            if self.held.is_some() && self.over(from_left, timestamp) >= stream_time {
                self.hold(from_left, &row, out)?;
            } else {
                self.emit(from_left, &row.values, None, row.meta.clone(), out)?;
            }
        }
        out.cx.recycle(row);
        Ok(())
    }

    fn advance(&mut self, timestamp: i64, out: &mut Output<'_>) -> Result<(), FatalError> {
        let mut stream_time = timestamp;
        for store in self.stores {
            stream_time = stream_time.max(out.cx.store(store).observe_time(timestamp));
        }
        let meta = RowMeta { partition: out.cx.partition, ..RowMeta::default() };
        self.release(stream_time, &meta, out)
    }

    fn roll_back(&mut self) {
        if let Some(held) = &mut self.held {
            held.roll_back();
        }
    }
}

/// Adds a row behind those of an entry: its length (4 bytes, big-endian), then its columns.
fn append(entry: &mut Vec<u8>, values: &[Value]) {
    let place = entry.len();
    entry.extend_from_slice(&[0; 4]);
    codec::encode_values(values, entry);
    let length = u32::try_from(entry.len() - place - 4).unwrap_or(u32::MAX);
    entry[place..place + 4].copy_from_slice(&length.to_be_bytes());
}

/// The rows of an entry.
fn decode_rows(mut entry: &[u8]) -> Result<Vec<Vec<Value>>, FatalError> {
    let mut rows = Vec::new();
    while !entry.is_empty() {
        let (length, rest) = entry.split_first_chunk().ok_or_else(corrupt)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| corrupt())?;
        let (row, rest) = rest.split_at_checked(length).ok_or_else(corrupt)?;
        let mut values = Vec::new();
        codec::decode_values(row, &mut values).map_err(|e| FatalError(e.to_string()))?;
        rows.push(values);
        entry = rest;
    }
    Ok(rows)
}

#[cold]
fn corrupt() -> FatalError {
    FatalError("the rows of a join can't be read".into())
}
