//! STDDEV_SAMPLE: the sample standard deviation of the values of a group.

use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator, variance};
use crate::functions::{Category, example};

const DESCRIPTION: &str = "The sample standard deviation.";

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "STDDEV_SAMPLE",
    spelling: "STDDEV_SAMPLE",
    category: Category::Aggregate,
    description: "The sample standard deviation of the values that are not null. 0 for fewer than two values.",
    examples: &[example("STDDEV_SAMPLE(x) over 1, 3, 5", "2.0")],
    variants: &[
        AggregateVariant::new(DESCRIPTION, &variance::INT, build),
        AggregateVariant::new(DESCRIPTION, &variance::BIGINT, build),
        AggregateVariant::new(DESCRIPTION, &variance::DOUBLE, build),
    ],
};

fn build(call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    variance::build(call, true)
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::types::{SqlType, Value};

    #[test]
    fn the_deviation_is_the_root_of_the_variance() {
        let deviation = testing::build(&FUNCTION, &[SqlType::Int], &[]);
        let got = testing::column(&*deviation, &[Value::Int(3), Value::Null, Value::Int(1), Value::Int(3)]);
        assert_eq!(got, [0.0, 0.0, std::f64::consts::SQRT_2, 1.154_700_538_379_251_5].map(Value::Double));
        testing::check_undo(&*deviation, &[Value::Int(0), Value::Int(10)]);
    }
}
