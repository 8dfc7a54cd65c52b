//! TRUNC: cuts numbers to whole ones or to a number of decimal places.

use bigdecimal::BigDecimal;

use super::prelude::*;
use crate::functions::java::{decimal_of_double, double_of_decimal, truncate};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "TRUNC",
    spelling: "Trunc",
    category: Category::Mathematical,
    description: "Cuts a number to a whole one or to decimal places, towards 0.",
    examples: &[example("TRUNC(1.99E0)", "1"), example("TRUNC(123.456E0, 1)", "123.4")],
    variants: &[
        ScalarVariant::plain("A BIGINT as it is.", &[param("val", ParamType::BigInt, "The number.")], BIGINT, |args| Ok(args.take(0))),
        ScalarVariant::plain("A DOUBLE to a BIGINT.", &[param("val", ParamType::Double, "The number.")], BIGINT, whole),
        ScalarVariant::prepared(
            "A DECIMAL to one without decimal places.",
            &[param("val", ParamType::Decimal, "The number.")],
            Returns::By(without_places),
            prepare,
        ),
        ScalarVariant::plain(
            "A DOUBLE to decimal places.",
            &[param("val", ParamType::Double, "The number."), PLACES],
            DOUBLE,
            double_to_places,
        ),
        ScalarVariant::prepared(
            "A DECIMAL to decimal places; its type stays.",
            &[param("val", ParamType::Decimal, "The number."), PLACES],
            FIRST,
            prepare,
        ),
    ],
};

const PLACES: Param = param("decimalPlaces", ParamType::Int, "How many decimal places stay; negative ones are left of the point.");

fn whole(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    // As Java's cast: NaN is 0, what is too large is the largest BIGINT.
    Ok(Value::BigInt(x as i64))
}

/// DECIMAL(p, s) becomes DECIMAL(p - s, 0).
fn without_places(types: &[SqlType]) -> Result<SqlType, String> {
    match types.first() {
        Some(SqlType::Decimal { precision, scale }) => {
            Ok(SqlType::Decimal { precision: precision.saturating_sub(*scale).max(1), scale: 0 })
        }
        other => Err(format!("expected a DECIMAL, got {other:?}")),
    }
}

fn double_to_places(args: &mut Args<'_>) -> Outcome {
    let (x, places): (f64, i32) = (args.get(0)?, args.get(1)?);
    let exact = decimal_of_double(x).ok_or_else(|| EvalError::new(format!("{x} has no decimal places")))?;
    Ok(Value::Double(double_of_decimal(&truncate(&exact, i64::from(places)))))
}

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    let SqlType::Decimal { scale, .. } = *call.return_type else { return Err(EvalError::new("the result is no DECIMAL")) };
    Ok(Box::new(move |args| {
        let value: &BigDecimal = args.get(0)?;
        let places: Option<i32> = args.opt(1)?;
        let reduced = truncate(value, places.map_or(0, i64::from));
        Ok(Value::decimal(reduced.with_scale(i64::from(scale))))
    }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn to_whole_numbers() {
        check(&FUNCTION, &[Value::BigInt(7)], Value::BigInt(7));
        check_all(
            &FUNCTION,
            [(1.99, 1), (-1.99, -1), (0.05, 0), (f64::NAN, 0), (1e300, i64::MAX)].map(|(x, y)| ([Value::Double(x)], Value::BigInt(y))),
        );
        check_all(&FUNCTION, [("1.999", "1"), ("-1.999", "-1"), ("12345.678", "12345")].map(|(x, y)| ([dec(x)], dec(y))));
        assert_eq!(return_type(&FUNCTION, &[SqlType::Decimal { precision: 8, scale: 3 }]), "DECIMAL(5, 0)");
    }

    #[test]
    fn to_places() {
        check_all(
            &FUNCTION,
            [(1.99, 1, 1.9), (123.456, -1, 120.0), (1.0, 10, 1.0)]
                .map(|(x, places, y)| ([Value::Double(x), Value::Int(places)], Value::Double(y))),
        );
        check_all(
            &FUNCTION,
            [("12345.678", 1, "12345.600"), ("12345.678", -1, "12340.000"), ("1.2000000", 10, "1.2000000")]
                .map(|(x, places, y)| ([dec(x), Value::Int(places)], dec(y))),
        );
        check_fails(&FUNCTION, &[Value::Double(f64::NAN), Value::Int(1)]);
        assert_eq!(return_type(&FUNCTION, &[SqlType::Decimal { precision: 8, scale: 3 }, SqlType::Int]), "DECIMAL(8, 3)");
    }
}
