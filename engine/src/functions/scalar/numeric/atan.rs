//! ATAN: the arc tangent in radians.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ATAN",
    spelling: "atan",
    category: Category::Mathematical,
    description: "The arc tangent in radians.",
    examples: &[example("ATAN(0.0)", "0.0")],
    variants: &[ScalarVariant::plain("The arc tangent in radians.", &[param("value", ParamType::Double, "The number.")], DOUBLE, eval)],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(x.atan()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(
            &FUNCTION,
            [(1.0, std::f64::consts::FRAC_PI_4), (-2.0, -1.107_148_717_794_090_4)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))),
        );
        check(&FUNCTION, &[NULL], NULL);
    }
}
