//! TRUNC: cuts numbers to whole ones or to a number of decimal places.

use super::places::{PLACES, of_decimal, of_double, without_places};
use super::prelude::*;
use crate::functions::java::truncate;

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
            |call| of_decimal(call, truncate),
        ),
        ScalarVariant::plain("A DOUBLE to decimal places.", &[param("val", ParamType::Double, "The number."), PLACES], DOUBLE, |args| {
            of_double(args, truncate)
        }),
        ScalarVariant::prepared(
            "A DECIMAL to decimal places; its type stays.",
            &[param("val", ParamType::Decimal, "The number."), PLACES],
            FIRST,
            |call| of_decimal(call, truncate),
        ),
    ],
};

fn whole(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    // As Java's cast: NaN is 0, what is too large is the largest BIGINT.
    Ok(Value::BigInt(x as i64))
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
