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
}

impl UnwindowedAggregate {
    pub fn new(aggregates: Aggregates, store: StoreIndex) -> Self {
        UnwindowedAggregate { aggregates, store, key: Vec::new(), value: Vec::new() }
    }
}

impl Operator for UnwindowedAggregate {
    fn process(&mut self, _port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        if !row.meta.has_key || (!row.meta.has_value && row.old.is_none()) {
            return Ok(());
        }
        self.key.clear();
        codec::encode_key(&row.values[..self.aggregates.key_width], &mut self.key);
        let store = &mut out.cx.stores[self.store.0];
        store.observe_time(row.meta.timestamp);
        let found = store.get(&self.key, |v| v.map(Entry::decode)).map_err(|e| FatalError(e.to_string()))?.transpose()?;
        let mut entry = match &found {
            Some(entry) => Entry { timestamp: entry.timestamp.max(row.meta.timestamp), states: entry.states.clone() },
            // Nothing is there to undo: the row came before this query.
            None if !row.meta.has_value => return Ok(()),
            None => self.aggregates.initial(row.meta.timestamp),
        };
        if let (Some(old), true) = (&row.old, found.is_some()) {
            self.aggregates.apply(&mut entry, old, &row.meta, true, out.cx);
        }
        if row.meta.has_value {
            self.aggregates.apply(&mut entry, &row.values, &row.meta, false, out.cx);
        }
        self.value.clear();
        entry.encode(&mut self.value);
        out.cx.stores[self.store.0].put(&self.key, Some(&self.value));
        let change = self.aggregates.change(&row, None, found.as_ref(), Some(&entry), entry.timestamp, out.cx);
        out.cx.recycle(row);
        out.emit(change)
    }
}
