//! MIN: the smallest value of a group.

use std::cmp::Ordering;

use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator, extreme};
use crate::functions::{Category, example};

const DESCRIPTION: &str = "The smallest value that is not null.";

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "MIN",
    spelling: "MIN",
    category: Category::Aggregate,
    description: "The smallest value of a group; null where all are null. Strings compare by UTF-16 units, bytes as signed numbers.",
    examples: &[example("MIN(x) over 3, NULL, 1", "1")],
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
    extreme::build(call, Ordering::Less)
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::types::{SqlType, Value};

    #[test]
    fn the_smallest_value_stays() {
        let min = testing::build(&FUNCTION, &[SqlType::Bytes], &[]);
        let bytes = |bytes: &[u8]| Value::bytes(bytes);
        assert_eq!(
            testing::column(&*min, &[Value::Null, bytes(&[1]), bytes(&[255]), bytes(&[])]),
            [Value::Null, bytes(&[1]), bytes(&[255]), bytes(&[])]
        );
        assert_eq!(min.merge(Value::Null, bytes(&[2])), Ok(bytes(&[2])));
        assert!(!min.can_undo());
    }
}
