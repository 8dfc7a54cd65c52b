//! CBRT: the cube root.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "CBRT",
    spelling: "cbrt",
    category: Category::Mathematical,
    description: "The cube root.",
    examples: &[example("CBRT(27.0)", "3.0")],
    variants: &[ScalarVariant::plain("The cube root.", &[param("value", ParamType::Double, "The number.")], DOUBLE, eval)],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(x.cbrt()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(&FUNCTION, [(-8.0, -2.0), (1e-300, 1e-100)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))));
        check(&FUNCTION, &[NULL], NULL);
    }
}
