//! COLLECT_SET: the different values of a group in order of their first arrival.

use super::support::{arg, items, peek_items};
use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator};
use crate::functions::{Category, EvalError, ParamType, example, param};
use crate::types::{SqlType, Value};

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "COLLECT_SET",
    spelling: "COLLECT_SET",
    category: Category::Aggregate,
    description: "The different values of a group as an array, null as one of them. The property ksql.functions.collect_set.limit bounds its length; later values are left out.",
    examples: &[example("COLLECT_SET(x) over 1, 2, 1", "[1, 2]")],
    variants: &[AggregateVariant::new("The different values.", &[param("col", ParamType::Var('T'), "The values.")], build)],
};

fn build(call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    Ok(Box::new(CollectSet { sql_type: call.column(0)?.clone(), limit: call.limit("collect_set", usize::MAX) }))
}

struct CollectSet {
    sql_type: SqlType,
    /// Items.
    limit: usize,
}

impl CollectSet {
    fn insert(&self, state: &mut Value, value: &Value) -> Result<(), EvalError> {
        let present = peek_items(state)?;
        if present.len() < self.limit && !present.contains(value) {
            items(state)?.push(value.clone());
        }
        Ok(())
    }
}

impl Aggregator for CollectSet {
    fn state_type(&self) -> SqlType {
        SqlType::array(self.sql_type.clone())
    }

    fn return_type(&self) -> SqlType {
        self.state_type()
    }

    fn initial(&self) -> Value {
        Value::array(Vec::new())
    }

    fn add(&self, state: &mut Value, args: &[Value], _arrival: i64) -> Result<(), EvalError> {
        self.insert(state, arg(args, 0))
    }

    fn merge(&self, mut left: Value, right: Value) -> Result<Value, EvalError> {
        peek_items(&right)?.iter().try_for_each(|value| self.insert(&mut left, value))?;
        Ok(left)
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        Ok(state.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn each_value_stands_once() {
        let set = testing::build(&FUNCTION, &[SqlType::Int], &[]);
        let got = testing::column(&*set, &[Value::Int(2), Value::Null, Value::Int(1), Value::Int(2), Value::Null]);
        assert_eq!(got.last(), Some(&Value::array(vec![Value::Int(2), Value::Null, Value::Int(1)])));
        let one = testing::build_with(&FUNCTION, &[SqlType::Int], &[], &[("ksql.functions.collect_set.limit", "1")]);
        assert_eq!(testing::column(&*one, &[Value::Int(0), Value::Int(100)]).last(), Some(&Value::array(vec![Value::Int(0)])));
        let merged = set.merge(Value::array(vec![Value::Int(1)]), Value::array(vec![Value::Int(1), Value::Int(3)]));
        assert_eq!(merged, Ok(Value::array(vec![Value::Int(1), Value::Int(3)])));
    }
}
