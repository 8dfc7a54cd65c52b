//! COT: the cotangent of an angle in radians.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "COT",
    spelling: "cot",
    category: Category::Mathematical,
    description: "The cotangent of an angle in radians; Infinity at 0.",
    examples: &[example("COT(0.0)", "Infinity")],
    variants: &[ScalarVariant::plain(
        "The cotangent of an angle in radians; Infinity at 0.",
        &[param("value", ParamType::Double, "The number.")],
        DOUBLE,
        eval,
    )],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(1.0 / x.tan()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(&FUNCTION, [(0.0, f64::INFINITY), (1.0, 0.642_092_615_934_330_6)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))));
        check(&FUNCTION, &[NULL], NULL);
    }
}
