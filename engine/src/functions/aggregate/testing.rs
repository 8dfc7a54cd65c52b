//! Runs an aggregate over rows in tests.

use std::collections::BTreeMap;

use super::{AggregateCall, AggregateFunction, Aggregator, InState};
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
            check_in_state(aggregator, &state);
            aggregator.result(&state).unwrap_or_default()
        })
        .collect()
}

/// What is said to stand in a state is the result.
fn check_in_state(aggregator: &dyn Aggregator, state: &Value) {
    let found = match (aggregator.result_in_state(), state) {
        (InState::Computed, _) => return,
        (InState::Whole, state) => state.clone(),
        (InState::Field(_), Value::Null) => Value::Null,
        (InState::Field(index), Value::Struct(fields)) => fields[index].clone(),
        (InState::Field(_), other) => panic!("{other:?} has no fields"),
    };
    assert_eq!(Ok(found), aggregator.result(state));
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

/// The text of an aggregate over rows of literals, whose columns are X and Y.
pub fn evaluate(call: &str, rows: &str) -> String {
    use crate::expr::{Env, Scope, compile, compile_aggregate, text::write_value};
    use crate::types::{Column, Schema};
    let parse = |sql: &str| tidemill_parser::parse_expression(sql).unwrap_or_else(|why| panic!("{sql}: {why}"));
    let literal = |sql: &str| {
        let compiled = compile(&parse(sql), &Scope::literals("no column here: ")).unwrap_or_else(|why| panic!("{sql}: {why}"));
        let value = compiled.eval_value(&Env::new(&[], &Default::default())).unwrap_or_else(|why| panic!("{sql}: {why}"));
        (compiled.sql_type, value)
    };
    let rows: Vec<Vec<(Option<SqlType>, Value)>> = match rows.strip_prefix('(') {
        Some(pairs) => pairs.trim_end_matches(')').split("), (").map(|pair| pair.split(", ").map(literal).collect()).collect(),
        None if rows.starts_with("ARRAY") => rows.split("; ").map(|row| vec![literal(row)]).collect(),
        None => rows.split(", ").map(|row| vec![literal(row)]).collect(),
    };
    let column_type = |index: usize| rows.iter().find_map(|row| row[index].0.clone()).expect("a value that is not null");
    let value = (0..rows[0].len()).map(|index| Column::new(["X", "Y"][index], column_type(index))).collect();
    let schema = Schema { key: Vec::new(), value };
    let compiled =
        compile_aggregate(&parse(call), &Scope::new(&schema, false), &BTreeMap::new()).unwrap_or_else(|why| panic!("{call}: {why}"));
    let mut state = compiled.aggregator.initial();
    for (arrival, row) in rows.iter().enumerate() {
        let values: Vec<Value> = row.iter().map(|(_, value)| value.clone()).collect();
        let meta = Default::default();
        let args: Vec<Value> = compiled.args.iter().map(|arg| arg.eval_value(&Env::new(&values, &meta)).unwrap()).collect();
        compiled.aggregator.add(&mut state, &args, i64::try_from(arrival).unwrap()).unwrap();
    }
    let mut shown = String::new();
    write_value(&compiled.aggregator.result(&state).unwrap(), &compiled.aggregator.return_type(), &mut shown);
    shown
}
