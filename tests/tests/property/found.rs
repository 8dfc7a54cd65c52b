//! What stands in a sink, and how two such answers are compared.

use std::collections::BTreeMap;

use tidemill_engine::types::Value;

use crate::case::Order;

/// A row of a sink.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Nulls where the record has no key.
    pub key: Vec<Value>,
    /// The window's start.
    pub window: Option<i64>,
    /// `None`: a tombstone.
    pub value: Option<Vec<Value>>,
}

/// The first difference; `None`: they agree.
pub fn difference(order: Order, found: &[Found], wanted: &[Found]) -> Option<String> {
    match order {
        Order::Rows => of_rows(found, wanted),
        Order::AnyRows => {
            let sorted = |rows: &[Found]| {
                let mut rows = rows.to_vec();
                rows.sort_by_cached_key(|row| format!("{row:?}"));
                rows
            };
            of_rows(&sorted(found), &sorted(wanted))
        }
        Order::Table => {
            let (found, wanted) = (table(found), table(wanted));
            let key = wanted.keys().chain(found.keys()).find(|key| found.get(*key) != wanted.get(*key))?;
            Some(format!("key {key}:\n  found  {:?}\n  wanted {:?}", found.get(key), wanted.get(key)))
        }
    }
}

fn of_rows(found: &[Found], wanted: &[Found]) -> Option<String> {
    if let Some((index, (found, wanted))) = found.iter().zip(wanted).enumerate().find(|(_, (found, wanted))| found != wanted) {
        return Some(format!("row {index}:\n  found  {found:?}\n  wanted {wanted:?}"));
    }
    match (found.get(wanted.len()), wanted.get(found.len())) {
        (Some(more), _) => Some(format!("{} rows instead of {}, the first too many is\n  {more:?}", found.len(), wanted.len())),
        (_, Some(missing)) => {
            Some(format!("{} rows instead of {}, the first that is missing is\n  {missing:?}", found.len(), wanted.len()))
        }
        _ => None,
    }
}

/// What a table holds in the end, by key and window.
fn table(rows: &[Found]) -> BTreeMap<String, Vec<Value>> {
    let mut held = BTreeMap::new();
    for row in rows {
        let key = format!("{:?} {:?}", row.key, row.window);
        match &row.value {
            Some(value) => held.insert(key, value.clone()),
            None => held.remove(&key),
        };
    }
    held
}
