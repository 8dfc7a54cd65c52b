//! SQRT: the square root.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "SQRT",
    spelling: "sqrt",
    category: Category::Mathematical,
    description: "The square root; NaN below 0.",
    examples: &[example("SQRT(4.0)", "2.0")],
    variants: &[ScalarVariant::plain("The square root; NaN below 0.", &[param("value", ParamType::Double, "The number.")], DOUBLE, eval)],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(x.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(&FUNCTION, [(4.0, 2.0), (0.0, 0.0)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))));
        check(&FUNCTION, &[NULL], NULL);
    }
}
