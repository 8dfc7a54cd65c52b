//! LATEST_BY_OFFSET: the latest value of a group, or several of them, by order of arrival.

use super::by_offset::{self, End};
use super::{AggregateFunction, AggregateVariant};
use crate::functions::{Category, example};

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "LATEST_BY_OFFSET",
    spelling: "LATEST_BY_OFFSET",
    category: Category::Aggregate,
    description: "The latest value of a group by order of arrival, or an array of the latest n in that order. Nulls are passed over unless the last argument is FALSE.",
    examples: &[example("LATEST_BY_OFFSET(x) over 1, 2, NULL", "2"), example("LATEST_BY_OFFSET(x, 2) over 1, 2, 3", "[2, 3]")],
    variants: &[
        AggregateVariant::new("The latest value that is not null.", &by_offset::ONE, |call| by_offset::build_one(call, End::Latest)),
        AggregateVariant::new("The latest value, nulls too if asked for.", &by_offset::ONE_NULLS, |call| {
            by_offset::build_one(call, End::Latest)
        })
        .with_constants(1),
        AggregateVariant::new("The latest n values that are not null.", &by_offset::LATEST, |call| {
            by_offset::build_many(call, End::Latest, "latestN")
        })
        .with_constants(1),
        AggregateVariant::new("The latest n values, nulls too if asked for.", &by_offset::LATEST_NULLS, |call| {
            by_offset::build_many(call, End::Latest, "latestN")
        })
        .with_constants(2),
    ],
};

#[cfg(test)]
mod tests {
    use super::super::{AggregateCall, Aggregator, testing};
    use super::*;
    use crate::types::{SqlType, Value};

    fn of(constants: &[Value]) -> Box<dyn Aggregator> {
        testing::build(&FUNCTION, &[SqlType::Int], constants)
    }

    fn array<const N: usize>(values: [&Value; N]) -> Value {
        Value::array(values.map(Value::clone).to_vec())
    }

    #[test]
    fn the_last_to_arrive_is_kept() {
        let (one, two) = (Value::Int(1), Value::Int(2));
        let rows = [one.clone(), Value::Null, two.clone()];
        assert_eq!(testing::column(&*of(&[]), &rows), [one.clone(), one.clone(), two.clone()]);
        assert_eq!(testing::column(&*of(&[Value::Boolean(false)]), &rows), [one.clone(), Value::Null, two.clone()]);
        assert_eq!(testing::column(&*of(&[Value::Int(2)]), &rows), [array([&one]), array([&one]), array([&one, &two])]);
        let with_nulls = testing::column(&*of(&[Value::Int(2), Value::Boolean(false)]), &rows);
        assert_eq!(with_nulls, [array([&one]), array([&one, &Value::Null]), array([&Value::Null, &two])]);
    }

    #[test]
    fn merged_sessions_keep_the_order_of_arrival() {
        let single = of(&[]);
        let early = testing::state(&*single, &[(0, Value::Int(1))]);
        let late = testing::state(&*single, &[(1, Value::Int(3))]);
        for (left, right) in [(early.clone(), late.clone()), (late, early)] {
            let merged = single.merge(single.merge(single.initial(), left).unwrap(), right).unwrap();
            assert_eq!(single.result(&merged), Ok(Value::Int(3)));
        }
        let several = of(&[Value::Int(3)]);
        let left = testing::state(&*several, &[(0, Value::Int(1)), (5, Value::Int(6))]);
        let right = testing::state(&*several, &[(2, Value::Int(3)), (3, Value::Int(4))]);
        let merged = several.merge(left, right).unwrap();
        assert_eq!(several.result(&merged), Ok(array([&Value::Int(3), &Value::Int(4), &Value::Int(6)])));
    }

    #[test]
    fn a_count_below_one_is_refused() {
        let call = AggregateCall { types: &[SqlType::Int], constants: &[Value::Int(-1)], properties: &Default::default() };
        let why = (FUNCTION.variants[2].build)(&call).map(|_| ()).unwrap_err();
        assert!(why.contains("Failed to invoke UDAF factory method"), "{why}");
    }
}
