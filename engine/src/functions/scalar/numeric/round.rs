//! ROUND: rounds numbers to whole ones or to a number of decimal places.

use super::places::{PLACES, of_decimal, of_double, without_places};
use super::prelude::*;
use crate::functions::java::round_half_ceiling;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ROUND",
    spelling: "Round",
    category: Category::Mathematical,
    description: "Rounds to the nearest whole number or to decimal places. A half goes towards positive infinity: 2.5 to 3, -2.5 to -2.",
    examples: &[example("ROUND(2.5E0)", "3"), example("ROUND(1.25E0, 1)", "1.3")],
    variants: &[
        ScalarVariant::plain("An INT as a BIGINT.", &[param("val", ParamType::Int, "The number.")], BIGINT, |args| {
            Ok(Value::BigInt(i64::from(args.get::<i32>(0)?)))
        }),
        ScalarVariant::plain("A BIGINT as it is.", &[param("val", ParamType::BigInt, "The number.")], BIGINT, |args| Ok(args.take(0))),
        ScalarVariant::plain("A DOUBLE to a BIGINT.", &[param("val", ParamType::Double, "The number.")], BIGINT, whole),
        ScalarVariant::prepared(
            "A DECIMAL to one without decimal places.",
            &[param("val", ParamType::Decimal, "The number.")],
            Returns::By(without_places),
            |call| of_decimal(call, round_half_ceiling),
        ),
        ScalarVariant::plain("A DOUBLE to decimal places.", &[param("val", ParamType::Double, "The number."), PLACES], DOUBLE, |args| {
            of_double(args, round_half_ceiling)
        }),
        ScalarVariant::prepared(
            "A DECIMAL to decimal places; its type stays.",
            &[param("val", ParamType::Decimal, "The number."), PLACES],
            FIRST,
            |call| of_decimal(call, round_half_ceiling),
        ),
    ],
};

fn whole(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    let below = x.floor();
    // As Java's Math.round: NaN is 0, what is too large is the largest BIGINT.
    Ok(Value::BigInt(if x - below >= 0.5 { below + 1.0 } else { below } as i64))
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
            [(0.5, 1), (-0.5, 0), (2.5, 3), (-2.5, -2), (1e19, i64::MAX), (f64::NAN, 0), (0.499_999_999_999_999_94, 0)]
                .map(|(x, y)| ([Value::Double(x)], Value::BigInt(y))),
        );
        check_all(
            &FUNCTION,
            [("3.21", "3"), ("10.5", "11"), ("-2.5", "-2"), ("99.9", "100"), ("-99.9", "-100")].map(|(x, y)| ([dec(x)], dec(y))),
        );
        assert_eq!(return_type(&FUNCTION, &[SqlType::Decimal { precision: 8, scale: 3 }]), "DECIMAL(5, 0)");
    }

    #[test]
    fn to_places() {
        check_all(
            &FUNCTION,
            [(0.25, 1, 0.3), (0.35, 1, 0.4), (15.0, -1, 20.0), (-15.0, -1, -10.0), (1.005, 1, 1.0), (1e19, 1, 1e19), (-2.5, 0, -2.0)]
                .map(|(x, places, y)| ([Value::Double(x), Value::Int(places)], Value::Double(y))),
        );
        check_all(
            &FUNCTION,
            [("1.255", 2, "1.260"), ("-1.5", 0, "-1.0"), ("950.0", -2, "1000.0")]
                .map(|(x, places, y)| ([dec(x), Value::Int(places)], dec(y))),
        );
        check_fails(&FUNCTION, &[Value::Double(f64::NAN), Value::Int(1)]);
        assert_eq!(return_type(&FUNCTION, &[SqlType::Decimal { precision: 8, scale: 3 }, SqlType::Int]), "DECIMAL(8, 3)");
    }
}
