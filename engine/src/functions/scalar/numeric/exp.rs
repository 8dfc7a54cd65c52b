//! EXP: e to a power.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "EXP",
    spelling: "exp",
    category: Category::Mathematical,
    description: "e to the given power.",
    examples: &[example("EXP(0.0)", "1.0")],
    variants: &[ScalarVariant::plain("e to the given power.", &[param("value", ParamType::Double, "The number.")], DOUBLE, eval)],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(x.exp()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(&FUNCTION, [(0.0, 1.0), (710.0, f64::INFINITY), (-750.0, 0.0)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))));
        check(&FUNCTION, &[NULL], NULL);
    }
}
