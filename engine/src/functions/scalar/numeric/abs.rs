//! ABS: the absolute value.

use bigdecimal::BigDecimal;

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ABS",
    spelling: "Abs",
    category: Category::Mathematical,
    description: "The absolute value of a number, of the same type. The smallest INT and BIGINT have none and stay as they are.",
    examples: &[example("ABS(-3)", "3")],
    variants: &[
        ScalarVariant::plain("Of an INT.", &[param("val", ParamType::Int, "The number.")], INT, |args| {
            Ok(Value::Int(args.get::<i32>(0)?.wrapping_abs()))
        }),
        ScalarVariant::plain("Of a BIGINT.", &[param("val", ParamType::BigInt, "The number.")], BIGINT, |args| {
            Ok(Value::BigInt(args.get::<i64>(0)?.wrapping_abs()))
        }),
        ScalarVariant::plain("Of a DOUBLE.", &[param("val", ParamType::Double, "The number.")], DOUBLE, |args| {
            Ok(Value::Double(args.get::<f64>(0)?.abs()))
        }),
        ScalarVariant::plain("Of a DECIMAL, which keeps its type.", &[param("val", ParamType::Decimal, "The number.")], FIRST, |args| {
            Ok(Value::decimal(args.get::<&BigDecimal>(0)?.abs()))
        }),
    ],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn every_numeric_type() {
        check_all(&FUNCTION, [(-1, 1), (i32::MIN, i32::MIN), (7, 7)].map(|(x, y)| ([Value::Int(x)], Value::Int(y))));
        check(&FUNCTION, &[Value::BigInt(i64::MIN)], Value::BigInt(i64::MIN));
        check(&FUNCTION, &[Value::Double(-1.5)], Value::Double(1.5));
        check(&FUNCTION, &[dec("-9999.99")], dec("9999.99"));
        check_refused(&FUNCTION, &[s("x")]);
    }
}
