//! TAN: the tangent of an angle in radians.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "TAN",
    spelling: "tan",
    category: Category::Mathematical,
    description: "The tangent of an angle in radians.",
    examples: &[example("TAN(0.0)", "0.0")],
    variants: &[ScalarVariant::plain(
        "The tangent of an angle in radians.",
        &[param("value", ParamType::Double, "The number.")],
        DOUBLE,
        eval,
    )],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(x.tan()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(&FUNCTION, [(0.0, 0.0), (1.0, 1.557_407_724_654_902_3)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))));
        check(&FUNCTION, &[NULL], NULL);
    }
}
