//! TANH: the hyperbolic tangent.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "TANH",
    spelling: "tanh",
    category: Category::Mathematical,
    description: "The hyperbolic tangent.",
    examples: &[example("TANH(0.0)", "0.0")],
    variants: &[ScalarVariant::plain("The hyperbolic tangent.", &[param("value", ParamType::Double, "The number.")], DOUBLE, eval)],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(x.tanh()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(&FUNCTION, [(0.0, 0.0), (800.0, 1.0)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))));
        check(&FUNCTION, &[NULL], NULL);
    }
}
