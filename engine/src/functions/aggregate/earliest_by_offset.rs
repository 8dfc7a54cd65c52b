//! EARLIEST_BY_OFFSET: the earliest value of a group, or several of them, by order of arrival.

use super::by_offset::{self, End};
use super::{AggregateFunction, AggregateVariant};
use crate::functions::{Category, example};

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "EARLIEST_BY_OFFSET",
    spelling: "EARLIEST_BY_OFFSET",
    category: Category::Aggregate,
    description: "The earliest value of a group by order of arrival, or an array of the earliest n in that order. Nulls are passed over unless the last argument is FALSE.",
    examples: &[example("EARLIEST_BY_OFFSET(x) over 1, 2, NULL", "1"), example("EARLIEST_BY_OFFSET(x, 2) over 1, 2, 3", "[1, 2]")],
    variants: &[
        AggregateVariant::new("The earliest value that is not null.", &by_offset::ONE, |call| by_offset::build_one(call, End::Earliest)),
        AggregateVariant::new("The earliest value, nulls too if asked for.", &by_offset::ONE_NULLS, |call| {
            by_offset::build_one(call, End::Earliest)
        })
        .with_constants(1),
        AggregateVariant::new("The earliest n values that are not null.", &by_offset::EARLIEST, |call| {
            by_offset::build_many(call, End::Earliest, "earliestN")
        })
        .with_constants(1),
        AggregateVariant::new("The earliest n values, nulls too if asked for.", &by_offset::EARLIEST_NULLS, |call| {
            by_offset::build_many(call, End::Earliest, "earliestN")
        })
        .with_constants(2),
    ],
};

#[cfg(test)]
mod tests {
    use super::super::{Aggregator, testing};
    use super::*;
    use crate::types::{SqlType, Value};

    fn of(constants: &[Value]) -> Box<dyn Aggregator> {
        testing::build(&FUNCTION, &[SqlType::Int], constants)
    }

    #[test]
    fn the_first_to_arrive_is_kept() {
        let rows = [Value::Null, Value::Int(13), Value::Int(14), Value::Int(15)];
        assert_eq!(testing::column(&*of(&[]), &rows), [Value::Null, Value::Int(13), Value::Int(13), Value::Int(13)]);
        assert_eq!(testing::column(&*of(&[Value::Boolean(false)]), &rows), [Value::Null, Value::Null, Value::Null, Value::Null]);
        let two = testing::column(&*of(&[Value::Int(2), Value::Boolean(false)]), &rows);
        assert_eq!(two.last(), Some(&Value::array(vec![Value::Null, Value::Int(13)])));
        let two = testing::column(&*of(&[Value::Int(2)]), &rows);
        assert_eq!(two.last(), Some(&Value::array(vec![Value::Int(13), Value::Int(14)])));
    }

    #[test]
    fn merged_sessions_keep_the_order_of_arrival() {
        let single = of(&[Value::Boolean(false)]);
        let late = testing::state(&*single, &[(4, Value::Int(1))]);
        let early = testing::state(&*single, &[(3, Value::Null)]);
        assert_eq!(single.merge(late, early).and_then(|state| single.result(&state)), Ok(Value::Null));
        let several = of(&[Value::Int(2)]);
        let late = testing::state(&*several, &[(4, Value::Int(1)), (9, Value::Int(2))]);
        let early = testing::state(&*several, &[(3, Value::Int(7))]);
        assert_eq!(
            several.merge(late, early).and_then(|state| several.result(&state)),
            Ok(Value::array(vec![Value::Int(7), Value::Int(1)]))
        );
    }
}
