//! ASIN: the arc sine in radians.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ASIN",
    spelling: "asin",
    category: Category::Mathematical,
    description: "The arc sine in radians; NaN outside -1 to 1.",
    examples: &[example("ASIN(0.0)", "0.0")],
    variants: &[ScalarVariant::plain(
        "The arc sine in radians; NaN outside -1 to 1.",
        &[param("value", ParamType::Double, "The number.")],
        DOUBLE,
        eval,
    )],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(x.asin()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(&FUNCTION, [(0.0, 0.0), (1.0, std::f64::consts::FRAC_PI_2)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))));
        check(&FUNCTION, &[NULL], NULL);
    }
}
