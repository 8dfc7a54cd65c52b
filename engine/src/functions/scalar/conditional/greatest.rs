//! GREATEST: the largest of its arguments.

use std::cmp::Ordering;

use super::extreme;
use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "GREATEST",
    spelling: "greatest",
    category: Category::Conditional,
    description: "The largest of the arguments, nulls passed over; null where all are null. Strings compare by UTF-16 units, bytes as signed numbers.",
    examples: &[example("GREATEST(3, 5, -1)", "5")],
    variants: &[
        ScalarVariant::plain("Of INT values.", &extreme::values(ParamType::Int), INT, eval).variadic(1).called_on_null(),
        ScalarVariant::plain("Of BIGINT values.", &extreme::values(ParamType::BigInt), BIGINT, eval).variadic(1).called_on_null(),
        ScalarVariant::plain("Of DOUBLE values.", &extreme::values(ParamType::Double), DOUBLE, eval).variadic(1).called_on_null(),
        ScalarVariant::plain("Of STRING values.", &extreme::values(ParamType::String), STRING, eval).variadic(1).called_on_null(),
        ScalarVariant::plain("Of BYTES values.", &extreme::values(ParamType::Bytes), BYTES, eval).variadic(1).called_on_null(),
        ScalarVariant::plain("Of DATE values.", &extreme::values(ParamType::Date), DATE, eval).variadic(1).called_on_null(),
        ScalarVariant::plain("Of TIME values.", &extreme::values(ParamType::Time), TIME, eval).variadic(1).called_on_null(),
        ScalarVariant::plain("Of TIMESTAMP values.", &extreme::values(ParamType::Timestamp), TIMESTAMP, eval).variadic(1).called_on_null(),
        ScalarVariant::plain(
            "Of DECIMAL values; the result has room for all of them.",
            &extreme::values(ParamType::Decimal),
            Returns::By(extreme::common_decimal),
            eval,
        )
        .variadic(1)
        .called_on_null(),
    ],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    extreme::pick(args, Ordering::Greater)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn nulls_are_passed_over() {
        check(&FUNCTION, &[Value::Int(3), NULL, Value::Int(-1)], Value::Int(3));
        check(&FUNCTION, &[NULL, NULL], NULL);
        check(&FUNCTION, &[s("A"), s("a"), s("m")], s("m"));
        check(&FUNCTION, &[b(&[1]), b(&[255])], b(&[1]));
        check(&FUNCTION, &[Value::Double(f64::NAN), Value::Double(1.0)], Value::Double(f64::NAN));
    }

    #[test]
    fn decimals_take_the_common_type() {
        check(&FUNCTION, &[dec("1234567.89"), dec("0.123456")], dec("1234567.89"));
        let types = [SqlType::Decimal { precision: 9, scale: 2 }, SqlType::Decimal { precision: 7, scale: 6 }];
        assert_eq!(return_type(&FUNCTION, &types), "DECIMAL(13, 6)");
    }
}
