//! SINH: the hyperbolic sine.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "SINH",
    spelling: "sinh",
    category: Category::Mathematical,
    description: "The hyperbolic sine.",
    examples: &[example("SINH(0.0)", "0.0")],
    variants: &[ScalarVariant::plain("The hyperbolic sine.", &[param("value", ParamType::Double, "The number.")], DOUBLE, eval)],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(x.sinh()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(&FUNCTION, [(0.0, 0.0), (800.0, f64::INFINITY)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))));
        check(&FUNCTION, &[NULL], NULL);
    }
}
