//! Aggregation of grouped rows.
//!
//! In: rows whose key is the group. Out: for each one a change of the group's row, `old` beside new where something
//! behind asks for it. A row with a null key is left out and moves no time. The result carries the largest timestamp of
//! its group and window.
//!
//! Store: the codec's key (with the window behind it) → timestamp, then one state an aggregate. On replay the states are
//! those of the last commit, so a record is counted once where the log is atomic.

mod session;
mod time_window;
mod unwindowed;

pub(super) use session::SessionAggregate;
pub(super) use time_window::TimeWindowAggregate;
pub(super) use unwindowed::UnwindowedAggregate;

use super::FatalError;
use super::exprs::Origin;
use crate::expr::{CompiledAggregate, Env};
use crate::letters::LetterKind;
use crate::row::{Row, RowMeta, Window};
use crate::task::TaskContext;
use crate::types::Value;
use crate::types::codec;

/// The aggregates of one step, and what all kinds of windows share.
pub(super) struct Aggregates {
    pub key_width: usize,
    pub calls: Vec<CompiledAggregate>,
    /// Whether the old result is computed too.
    pub wants_old: bool,
    pub origin: Origin,
    args: Vec<Value>,
}

/// A group's entry: its timestamp and one state an aggregate.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub timestamp: i64,
    pub states: Vec<Value>,
}

impl Entry {
    /// Decodes a stored entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, FatalError> {
        let mut entry = Entry::default();
        entry.read(bytes)?;
        Ok(entry)
    }

    /// Decodes a stored entry into this one.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), FatalError> {
        self.states.clear();
        self.timestamp = codec::decode_entry(bytes, &[], &mut self.states).map_err(|e| FatalError(e.to_string()))?;
        Ok(())
    }

    /// Takes another entry's place, with the later of both timestamps.
    pub fn follow(&mut self, other: &Entry, timestamp: i64) {
        self.timestamp = other.timestamp.max(timestamp);
        self.states.clear();
        self.states.extend_from_slice(&other.states);
    }

    /// Encodes the entry behind `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        codec::encode_entry(self.timestamp, &self.states, out);
    }
}

impl Aggregates {
    pub fn new(key_width: usize, calls: Vec<CompiledAggregate>, wants_old: bool, origin: Origin) -> Self {
        Aggregates { key_width, calls, wants_old, origin, args: Vec::new() }
    }

    /// The entry of an empty group.
    pub fn initial(&self, timestamp: i64) -> Entry {
        let mut entry = Entry::default();
        self.begin(timestamp, &mut entry);
        entry
    }

    /// Makes an entry that of an empty group.
    pub fn begin(&self, timestamp: i64, entry: &mut Entry) {
        entry.timestamp = timestamp;
        entry.states.clear();
        entry.states.extend(self.calls.iter().map(|c| c.aggregator.initial()));
    }

    /// A row that belongs to no group: one without a value says nothing, one without a key is lost.
    #[cold]
    pub fn pass_over(&self, row: &Row, cx: &mut TaskContext) {
        if row.meta.has_value && !row.meta.has_key {
            cx.leave_out_record(LetterKind::NullKey, "the row has no key to be grouped by");
        }
    }

    /// Adds a row to an entry, or takes it back. An aggregate that fails keeps its state, and the failure is reported.
    pub fn apply(&mut self, entry: &mut Entry, values: &[Value], meta: &RowMeta, undo: bool, cx: &mut TaskContext) {
        let env = Env::new(values, meta);
        for (call, state) in self.calls.iter().zip(&mut entry.states) {
            self.args.clear();
            let mut failure = None;
            for arg in &call.args {
                match arg.eval_value(&env) {
                    Ok(value) => self.args.push(value),
                    Err(error) => {
                        failure = Some(error);
                        self.args.push(Value::Null);
                    }
                }
            }
            self.origin.report_swallowed(cx, values, meta, "of an aggregate function's argument");
            let applied = if undo { call.aggregator.undo(state, &self.args) } else { call.aggregator.add(state, &self.args, cx.arrival) };
            if let Some(error) = failure.or(applied.err()) {
                self.origin.report(cx, meta, "Error applying an aggregate function".to_owned(), &error.0);
            }
        }
    }

    /// Joins two sessions' entries; `left` began earlier.
    pub fn merge(&self, left: Entry, right: Entry) -> Result<Entry, FatalError> {
        let timestamp = left.timestamp.max(right.timestamp);
        let pairs = left.states.into_iter().zip(right.states);
        let merged = self.calls.iter().zip(pairs).map(|(call, (l, r))| call.aggregator.merge(l, r));
        let states = merged.collect::<Result<_, _>>().map_err(|e| FatalError(e.to_string()))?;
        Ok(Entry { timestamp, states })
    }

    /// The group's row: key columns, then results.
    fn results(&self, key: &[Value], entry: &Entry, meta: &RowMeta, cx: &mut TaskContext) -> Vec<Value> {
        let mut values = cx.buffers.take(self.key_width + self.calls.len());
        values.extend(key.iter().cloned());
        for (call, state) in self.calls.iter().zip(&entry.states) {
            values.push(match call.aggregator.result(state) {
                Ok(value) => value,
                Err(error) => {
                    self.origin.report(cx, meta, "Error computing the result of an aggregate".to_owned(), &error.0);
                    Value::Null
                }
            });
        }
        values
    }

    /// The change that goes on: `new` is `None` for a tombstone.
    pub fn change(
        &self,
        input: &Row,
        window: Option<Window>,
        old: Option<&Entry>,
        new: Option<&Entry>,
        timestamp: i64,
        cx: &mut TaskContext,
    ) -> Row {
        let meta = RowMeta { window, timestamp, has_key: true, has_value: new.is_some(), ..input.meta.clone() };
        let key = &input.values[..self.key_width];
        let old = old.filter(|_| self.wants_old).map(|entry| self.results(key, entry, &meta, cx));
        let values = match new {
            Some(entry) => self.results(key, entry, &meta, cx),
            None => {
                let mut values = cx.buffers.take(self.key_width + self.calls.len());
                values.extend(key.iter().cloned());
                values.resize(self.key_width + self.calls.len(), Value::Null);
                values
            }
        };
        Row { values, old, meta }
    }
}
