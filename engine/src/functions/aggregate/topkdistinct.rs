//! TOPKDISTINCT: the largest different values of a group, in descending order.

use super::top::Top;
use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator};
use crate::functions::{Category, Param, ParamType, example, param};

const SIZE: Param = param("k", ParamType::Int, "How many values to keep, at least 1.");

const fn column(param_type: ParamType) -> Param {
    param("col", param_type, "The values.")
}

const DESCRIPTION: &str = "The k largest different values.";

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "TOPKDISTINCT",
    spelling: "TOPKDISTINCT",
    category: Category::Aggregate,
    description: "The k largest different values of a group in descending order. Nulls are passed over.",
    examples: &[example("TOPKDISTINCT(x, 2) over 1, 3, 3, 2", "[3, 2]")],
    variants: &[
        AggregateVariant::new(DESCRIPTION, &[column(ParamType::Int), SIZE], build).with_constants(1),
        AggregateVariant::new(DESCRIPTION, &[column(ParamType::BigInt), SIZE], build).with_constants(1),
        AggregateVariant::new(DESCRIPTION, &[column(ParamType::Double), SIZE], build).with_constants(1),
        AggregateVariant::new(DESCRIPTION, &[column(ParamType::Decimal), SIZE], build).with_constants(1),
        AggregateVariant::new(DESCRIPTION, &[column(ParamType::String), SIZE], build).with_constants(1),
        AggregateVariant::new(DESCRIPTION, &[column(ParamType::Bytes), SIZE], build).with_constants(1),
        AggregateVariant::new(DESCRIPTION, &[column(ParamType::Date), SIZE], build).with_constants(1),
        AggregateVariant::new(DESCRIPTION, &[column(ParamType::Time), SIZE], build).with_constants(1),
        AggregateVariant::new(DESCRIPTION, &[column(ParamType::Timestamp), SIZE], build).with_constants(1),
    ],
};

fn build(call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    Ok(Box::new(Top { item_type: call.column(0)?.clone(), size: call.count(0, "k")?, distinct: true, carried: 0 }))
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::types::{SqlType, Value};

    #[test]
    fn each_value_stands_once() {
        let top = testing::build(&FUNCTION, &[SqlType::Int], &[Value::Int(3)]);
        let got = testing::column(&*top, &[Value::Int(0), Value::Int(100), Value::Null, Value::Int(99), Value::Int(7), Value::Int(100)]);
        assert_eq!(got.last(), Some(&Value::array([100, 99, 7].map(Value::Int).to_vec())));
        let merged = top.merge(Value::array(vec![Value::Int(5)]), Value::array(vec![Value::Int(6), Value::Int(5)]));
        assert_eq!(merged, Ok(Value::array(vec![Value::Int(6), Value::Int(5)])));
    }
}
