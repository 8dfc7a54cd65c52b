//! FLOOR: the next whole number below.

use bigdecimal::{BigDecimal, RoundingMode};

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "FLOOR",
    spelling: "Floor",
    category: Category::Mathematical,
    description: "The largest whole number that is not above the value, of the same type.",
    examples: &[example("FLOOR(1.7)", "1.0")],
    variants: &[
        ScalarVariant::plain("An INT as it is.", &[param("value", ParamType::Int, "The number.")], INT, |args| Ok(args.take(0))),
        ScalarVariant::plain("A BIGINT as it is.", &[param("value", ParamType::BigInt, "The number.")], BIGINT, |args| Ok(args.take(0))),
        ScalarVariant::plain("A DOUBLE.", &[param("value", ParamType::Double, "The number.")], DOUBLE, |args| {
            Ok(Value::Double(args.get::<f64>(0)?.floor()))
        }),
        ScalarVariant::plain("A DECIMAL, which keeps its type.", &[param("value", ParamType::Decimal, "The number.")], FIRST, decimal),
    ],
};

fn decimal(args: &mut Args<'_>) -> Outcome {
    let value: &BigDecimal = args.get(0)?;
    Ok(Value::decimal(value.with_scale_round(0, RoundingMode::Floor).with_scale(value.fractional_digit_count())))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn whole_numbers() {
        check(&FUNCTION, &[Value::Int(-1)], Value::Int(-1));
        check_all(&FUNCTION, [(1.7, 1.0), (-1.1, -2.0), (2.0, 2.0)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))));
        check_all(&FUNCTION, [("1.7", "1.0"), ("-1.1", "-2.0"), ("2.0", "2.0")].map(|(x, y)| ([dec(x)], dec(y))));
        assert_eq!(return_type(&FUNCTION, &[SqlType::Decimal { precision: 4, scale: 2 }]), "DECIMAL(4, 2)");
    }
}
