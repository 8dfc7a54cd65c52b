//! STDDEV_SAMP: the sample variance (as in ksqlDB, in spite of the name) of the values of a group.

use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator, variance};
use crate::functions::{Category, example};

const DESCRIPTION: &str = "The sample variance.";

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "STDDEV_SAMP",
    spelling: "STDDEV_SAMP",
    category: Category::Aggregate,
    description: "The sample variance of the values that are not null: in spite of its name not its square root, which is STDDEV_SAMPLE. 0 for fewer than two values.",
    examples: &[example("STDDEV_SAMP(x) over 1, 3, 5", "4.0")],
    variants: &[
        AggregateVariant::new(DESCRIPTION, &variance::INT, build),
        AggregateVariant::new(DESCRIPTION, &variance::BIGINT, build),
        AggregateVariant::new(DESCRIPTION, &variance::DOUBLE, build),
    ],
};

fn build(call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    variance::build(call, false)
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::types::{SqlType, Value};

    #[test]
    fn the_variance_grows_with_the_values() {
        let variance = testing::build(&FUNCTION, &[SqlType::BigInt], &[]);
        let got = testing::column(&*variance, &[Value::BigInt(500), Value::BigInt(100), Value::BigInt(0), Value::Null, Value::BigInt(-6)]);
        assert_eq!(got, [0.0, 80_000.0, 70_000.0, 70_000.0, 57_275.666_666_666_664].map(Value::Double));
        let variance = testing::build(&FUNCTION, &[SqlType::Double], &[]);
        let got = testing::column(&*variance, &[9_223_372_036_854.775, 300.8, -200_000.6, 0.0].map(Value::Double));
        assert_eq!(got, [0.0, 4.253_529_586_234_292e25, 2.835_686_452_404_674e25, 2.126_764_823_954_292_7e25].map(Value::Double));
        testing::check_undo(&*variance, &[Value::Double(1.0), Value::Double(3.0), Value::Null]);
        let state = |values: &[f64]| testing::state(&*variance, &values.iter().map(|v| (0, Value::Double(*v))).collect::<Vec<_>>());
        let merged = variance.merge(variance.merge(variance.initial(), state(&[1.0, 2.0])).unwrap(), state(&[4.0, 9.0])).unwrap();
        assert_eq!(variance.result(&merged), variance.result(&state(&[1.0, 2.0, 4.0, 9.0])));
    }
}
