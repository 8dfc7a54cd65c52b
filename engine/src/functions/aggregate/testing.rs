//! Runs an aggregate over rows in tests.

use std::collections::BTreeMap;

use super::{AggregateCall, AggregateFunction, Aggregator};
use crate::types::{SqlType, Value};

/// The aggregator of a call by its types and literals, from the first variant with as many parameters.
pub fn build(function: &AggregateFunction, types: &[SqlType], constants: &[Value]) -> Box<dyn Aggregator> {
    build_with(function, types, constants, &[])
}

/// The same with properties.
pub fn build_with(
    function: &AggregateFunction,
    types: &[SqlType],
    constants: &[Value],
    properties: &[(&str, &str)],
) -> Box<dyn Aggregator> {
    let properties: BTreeMap<String, String> = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let call = AggregateCall { types, constants, properties: &properties };
    let fits = |columns: usize, spreads: bool| columns == types.len() || (spreads && types.len() + 1 >= columns);
    let variants =
        function.variants.iter().filter(|v| v.constants == constants.len() && fits(v.params.len() - v.constants, v.variadic.is_some()));
    variants.map(|v| (v.build)(&call)).find_map(Result::ok).expect("no variant takes this call")
}

/// The result after every row.
pub fn results(aggregator: &dyn Aggregator, rows: &[&[Value]]) -> Vec<Value> {
    let mut state = aggregator.initial();
    rows.iter()
        .enumerate()
        .map(|(arrival, row)| {
            aggregator.add(&mut state, row, i64::try_from(arrival).unwrap()).unwrap();
            aggregator.result(&state).unwrap_or_default()
        })
        .collect()
}

/// The results of one column.
pub fn column(aggregator: &dyn Aggregator, values: &[Value]) -> Vec<Value> {
    let rows: Vec<&[Value]> = values.iter().map(std::slice::from_ref).collect();
    results(aggregator, &rows)
}

/// The state after rows that arrived at the given times.
pub fn state(aggregator: &dyn Aggregator, rows: &[(i64, Value)]) -> Value {
    let mut state = aggregator.initial();
    for (arrival, value) in rows {
        aggregator.add(&mut state, std::slice::from_ref(value), *arrival).unwrap();
    }
    state
}

/// Undoing every row but the first leaves what the first alone gives.
pub fn check_undo(aggregator: &dyn Aggregator, values: &[Value]) {
    assert!(aggregator.can_undo());
    let first = state(aggregator, &[(0, values[0].clone())]);
    let mut undone = state(aggregator, &values.iter().cloned().map(|value| (0, value)).collect::<Vec<_>>());
    for value in values[1..].iter().rev() {
        aggregator.undo(&mut undone, std::slice::from_ref(value)).unwrap();
    }
    assert_eq!(aggregator.result(&undone), aggregator.result(&first));
}
