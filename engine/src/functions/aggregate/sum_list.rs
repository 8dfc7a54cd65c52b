//! SUM_LIST: the sum of all numbers in the arrays of a group.

use super::sum::{Sum, sum_of};
use super::support::{arg, bad_argument};
use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator};
use crate::functions::{Category, EvalError, ParamType, example, param};
use crate::types::{SqlType, Value};

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "SUM_LIST",
    spelling: "SUM_LIST",
    category: Category::Aggregate,
    description: "Adds all numbers of the arrays of a group. Nulls, in arrays or for one, count as 0.",
    examples: &[example("SUM_LIST(x) over ARRAY[1, 2]; ARRAY[3]", "6")],
    variants: &[
        AggregateVariant::new("Sum of INT.", &[param("val", ParamType::Array(&ParamType::Int), "The arrays.")], build),
        AggregateVariant::new("Sum of BIGINT.", &[param("val", ParamType::Array(&ParamType::BigInt), "The arrays.")], build),
        AggregateVariant::new("Sum of DOUBLE.", &[param("val", ParamType::Array(&ParamType::Double), "The arrays.")], build),
        AggregateVariant::new("Sum of DECIMAL.", &[param("val", ParamType::Array(&ParamType::Decimal), "The arrays.")], build),
    ],
};

fn build(call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    match call.column(0)? {
        SqlType::Array(item) => Ok(Box::new(SumList { sum: sum_of(item)? })),
        other => Err(format!("SUM_LIST does not take {other}")),
    }
}

struct SumList {
    sum: Sum,
}

impl SumList {
    fn change(&self, state: &mut Value, value: &Value, add: bool) -> Result<(), EvalError> {
        match value {
            Value::Null => Ok(()),
            Value::Array(items) => items.iter().try_for_each(|item| self.sum.change(state, item, add)),
            other => Err(bad_argument(other)),
        }
    }
}

impl Aggregator for SumList {
    fn state_type(&self) -> SqlType {
        self.sum.state_type()
    }

    fn return_type(&self) -> SqlType {
        self.sum.return_type()
    }

    fn initial(&self) -> Value {
        self.sum.initial()
    }

    fn add(&self, state: &mut Value, args: &[Value], _arrival: i64) -> Result<(), EvalError> {
        self.change(state, arg(args, 0), true)
    }

    fn can_undo(&self) -> bool {
        true
    }

    fn undo(&self, state: &mut Value, args: &[Value]) -> Result<(), EvalError> {
        self.change(state, arg(args, 0), false)
    }

    fn merge(&self, left: Value, right: Value) -> Result<Value, EvalError> {
        self.sum.merge(left, right)
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        self.sum.result(state)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn all_numbers_are_added() {
        let sum = testing::build(&FUNCTION, &[SqlType::array(SqlType::Int)], &[]);
        let rows = [Value::array(vec![Value::Int(1), Value::Null, Value::Int(2)]), Value::array(vec![]), Value::Null];
        assert_eq!(testing::column(&*sum, &rows), [3, 3, 3].map(Value::Int));
        testing::check_undo(&*sum, &rows);
    }
}
