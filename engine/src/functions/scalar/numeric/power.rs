//! POWER: a number to a power.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "POWER",
    spelling: "power",
    category: Category::Mathematical,
    description: "A number to a power.",
    examples: &[example("POWER(2.0, 10.0)", "1024.0")],
    variants: &[ScalarVariant::plain(
        "A number to a power.",
        &[param("base", ParamType::Double, "The number."), param("exponent", ParamType::Double, "The power.")],
        DOUBLE,
        eval,
    )],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let (base, exponent): (f64, f64) = (args.get(0)?, args.get(1)?);
    // Java: 1 to the power of NaN or of an infinity is NaN.
    let undefined = exponent.is_nan() || (exponent.is_infinite() && base.abs() == 1.0);
    Ok(Value::Double(if undefined { f64::NAN } else { base.powf(exponent) }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn powers() {
        let calls = [(2.0, -1.0, 0.5), (0.0, 0.0, 1.0), (0.0, -1.0, f64::INFINITY), (-2.0, 3.0, -8.0), (10.0, 400.0, f64::INFINITY)];
        check_all(&FUNCTION, calls.map(|(x, y, z)| ([Value::Double(x), Value::Double(y)], Value::Double(z))));
    }
}
