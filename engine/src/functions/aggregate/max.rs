//! MAX: the largest value of a group.

use std::cmp::Ordering;

use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator, extreme};
use crate::functions::{Category, example};

const DESCRIPTION: &str = "The largest value that is not null.";

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "MAX",
    spelling: "MAX",
    category: Category::Aggregate,
    description: "The largest value of a group; null where all are null. Strings compare by UTF-16 units, bytes as signed numbers.",
    examples: &[example("MAX(x) over 3, NULL, 1", "3")],
    variants: &[
        AggregateVariant::new(DESCRIPTION, &extreme::PARAMS[0], build),
        AggregateVariant::new(DESCRIPTION, &extreme::PARAMS[1], build),
        AggregateVariant::new(DESCRIPTION, &extreme::PARAMS[2], build),
        AggregateVariant::new(DESCRIPTION, &extreme::PARAMS[3], build),
        AggregateVariant::new(DESCRIPTION, &extreme::PARAMS[4], build),
        AggregateVariant::new(DESCRIPTION, &extreme::PARAMS[5], build),
        AggregateVariant::new(DESCRIPTION, &extreme::PARAMS[6], build),
        AggregateVariant::new(DESCRIPTION, &extreme::PARAMS[7], build),
        AggregateVariant::new(DESCRIPTION, &extreme::PARAMS[8], build),
    ],
};

fn build(call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    extreme::build(call, Ordering::Greater)
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::types::{SqlType, Value};

    #[test]
    fn the_largest_value_stays() {
        let max = testing::build(&FUNCTION, &[SqlType::Double], &[]);
        let got = testing::column(&*max, &[Value::Double(-1.0), Value::Null, Value::Double(5.1), Value::Double(0.0)]);
        assert_eq!(got, [Value::Double(-1.0), Value::Double(-1.0), Value::Double(5.1), Value::Double(5.1)]);
        let max = testing::build(&FUNCTION, &[SqlType::String], &[]);
        assert_eq!(max.merge(Value::string("9"), Value::string("10")), Ok(Value::string("9")));
    }
}
