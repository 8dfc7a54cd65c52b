//! Which rows of a slab have which value in one of their columns: of a thousand queries that each look for a key of their own,
//! each finds its rows without a look at the others'.

use std::collections::HashMap;

use crate::row::Row;
use crate::types::{Text, Value};

/// What a column may be looked up by: values that are equal exactly where these are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Whole(i64),
    Text(Text),
}

impl Key {
    fn of(value: &Value) -> Option<Key> {
        match value {
            Value::Int(number) => Some(Key::Whole(i64::from(*number))),
            Value::BigInt(number) => Some(Key::Whole(*number)),
            Value::String(text) => Some(Key::Text(text.clone())),
            _ => None,
        }
    }
}

/// See the module. Places are in ascending order.
pub(in super::super) struct Index {
    by_key: HashMap<Key, Vec<usize>, foldhash::fast::RandomState>,
    /// Rows of which the index says nothing: nulls, and what each reads by itself.
    others: Vec<usize>,
}

impl Index {
    pub fn new(rows: &[Option<Row>], slot: usize) -> Self {
        let mut index = Index { by_key: HashMap::with_capacity_and_hasher(rows.len(), Default::default()), others: Vec::new() };
        for (place, row) in rows.iter().enumerate() {
            match row.as_ref().and_then(|row| row.values.get(slot)).and_then(Key::of) {
                Some(key) => index.by_key.entry(key).or_default().push(place),
                None => index.others.push(place),
            }
        }
        index
    }

    /// The first row from `from` on that may have the key.
    pub(super) fn next(&self, key: &Key, from: usize) -> Option<usize> {
        let first = |places: &[usize]| places.get(places.partition_point(|place| *place < from)).copied();
        let found = self.by_key.get(key).and_then(|places| first(places));
        match (found, first(&self.others)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_in_order_and_nulls_by_all() {
        let row = |value: Value| Some(Row { values: vec![value], ..Row::default() });
        let rows = [row(Value::Int(1)), row(Value::BigInt(2)), row(Value::Null), None, row(Value::BigInt(1))];
        let index = Index::new(&rows, 0);
        let found = |key: Key| {
            let mut at = 0;
            std::iter::from_fn(|| index.next(&key, at).inspect(|found| at = found + 1)).collect::<Vec<_>>()
        };
        assert_eq!(found(Key::Whole(1)), [0, 2, 3, 4]);
        assert_eq!(found(Key::Whole(2)), [1, 2, 3]);
        assert_eq!(found(Key::Text("1".into())), [2, 3]);
    }
}
