//! Aggregation without windows, over streams and over grouped tables (whose old rows are undone first).

use super::{Aggregates, Entry};
use crate::operators::{FatalError, Operator, Output, Port};
use crate::row::Row;
use crate::task::StoreIndex;
use crate::types::codec;

pub(in crate::operators) struct UnwindowedAggregate {
    aggregates: Aggregates,
    store: StoreIndex,
    key: Vec<u8>,
    value: Vec<u8>,
    found: Entry,
    entry: Entry,
}

impl UnwindowedAggregate {
    pub fn new(aggregates: Aggregates, store: StoreIndex) -> Self {
        UnwindowedAggregate { aggregates, store, key: Vec::new(), value: Vec::new(), found: Entry::default(), entry: Entry::default() }
    }
}

impl Operator for UnwindowedAggregate {
    fn process(&mut self, _port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        if !row.meta.has_key || (!row.meta.has_value && row.old.is_none()) {
            self.aggregates.pass_over(&row, out.cx);
            return Ok(());
        }
        self.key.clear();
        codec::encode_key(&row.values[..self.aggregates.key_width], &mut self.key);
        let store = &mut out.cx.stores[self.store.0];
        store.observe_time(row.meta.timestamp);
        // Where nobody asks for the old result, the entry is changed in place.
        let wants_old = self.aggregates.wants_old;
        let place = if wants_old { &mut self.found } else { &mut self.entry };
        let found = store.get(&self.key, |v| v.map(|v| place.read(v))).map_err(|e| FatalError(e.to_string()))?.transpose()?.is_some();
        if found && wants_old {
            self.entry.follow(&self.found, row.meta.timestamp);
        } else if found {
            self.entry.timestamp = self.entry.timestamp.max(row.meta.timestamp);
        } else if row.meta.has_value {
            self.aggregates.begin(row.meta.timestamp, &mut self.entry);
        } else {
            // Nothing is there to undo: the row came before this query.
            return Ok(());
        }
        if let (Some(old), true) = (&row.old, found) {
            self.aggregates.apply(&mut self.entry, old, &row.meta, true, out.cx);
        }
        if row.meta.has_value {
            self.aggregates.apply(&mut self.entry, &row.values, &row.meta, false, out.cx);
        }
        self.value.clear();
        self.entry.encode(&mut self.value);
        out.cx.stores[self.store.0].put(&self.key, Some(&self.value));
        let change = self.aggregates.change(
            &row,
            None,
            (found && wants_old).then_some(&self.found),
            Some(&self.entry),
            self.entry.timestamp,
            out.cx,
        );
        out.cx.recycle(row);
        out.emit(change)
    }
}
