//! COUNT: how many rows a group has, or how many values of a column that are not null.

use super::support::bad_state;
use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator, InState};
use crate::functions::{Category, EvalError, ParamType, example, param};
use crate::types::{SqlType, Value};

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "COUNT",
    spelling: "COUNT",
    category: Category::Aggregate,
    description: "Counts rows, or the values of an expression that are not null.",
    examples: &[example("COUNT(*) over 1, NULL, 2", "3"), example("COUNT(x) over 1, NULL, 2", "2")],
    variants: &[
        AggregateVariant::new("Counts rows.", &[], build),
        AggregateVariant::new("Counts values that are not null.", &[param("col", ParamType::Any, "The values.")], build),
    ],
};

fn build(_call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    Ok(Box::new(Count))
}

struct Count;

/// With no argument a row counts; with one it counts unless the value is null.
fn counts(args: &[Value]) -> i64 {
    i64::from(!args.first().is_some_and(Value::is_null))
}

fn change(state: &mut Value, by: i64) -> Result<(), EvalError> {
    match state {
        Value::BigInt(count) => *count = count.wrapping_add(by),
        _ => return Err(bad_state()),
    }
    Ok(())
}

impl Aggregator for Count {
    fn state_type(&self) -> SqlType {
        SqlType::BigInt
    }

    fn return_type(&self) -> SqlType {
        SqlType::BigInt
    }

    fn initial(&self) -> Value {
        Value::BigInt(0)
    }

    fn add(&self, state: &mut Value, args: &[Value], _arrival: i64) -> Result<(), EvalError> {
        change(state, counts(args))
    }

    fn can_undo(&self) -> bool {
        true
    }

    fn undo(&self, state: &mut Value, args: &[Value]) -> Result<(), EvalError> {
        change(state, -counts(args))
    }

    fn merge(&self, mut left: Value, right: Value) -> Result<Value, EvalError> {
        match right {
            Value::BigInt(count) => change(&mut left, count)?,
            _ => return Err(bad_state()),
        }
        Ok(left)
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        Ok(state.clone())
    }

    fn result_in_state(&self) -> InState {
        InState::Whole
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn rows_and_values_count() {
        let rows = testing::build(&FUNCTION, &[], &[]);
        assert_eq!(testing::results(&*rows, &[&[], &[]]), [Value::BigInt(1), Value::BigInt(2)]);
        let values = testing::build(&FUNCTION, &[SqlType::Int], &[]);
        assert_eq!(
            testing::column(&*values, &[Value::Null, Value::Int(7), Value::Null]),
            [Value::BigInt(0), Value::BigInt(1), Value::BigInt(1)]
        );
        testing::check_undo(&*values, &[Value::Int(1), Value::Null, Value::Int(2)]);
        assert_eq!(values.merge(Value::BigInt(2), Value::BigInt(3)), Ok(Value::BigInt(5)));
    }
}
