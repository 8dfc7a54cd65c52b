//! SIN: the sine of an angle in radians.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "SIN",
    spelling: "sin",
    category: Category::Mathematical,
    description: "The sine of an angle in radians.",
    examples: &[example("SIN(0.0)", "0.0")],
    variants: &[ScalarVariant::plain(
        "The sine of an angle in radians.",
        &[param("value", ParamType::Double, "The number.")],
        DOUBLE,
        eval,
    )],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(x.sin()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(&FUNCTION, [(0.0, 0.0), (1.0, 0.841_470_984_807_896_5)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))));
        check(&FUNCTION, &[NULL], NULL);
    }
}
