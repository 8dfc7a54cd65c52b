//! SIGN: the sign of a number.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "SIGN",
    spelling: "sign",
    category: Category::Mathematical,
    description: "The sign of a number: -1, 0 or 1; 0 for NaN.",
    examples: &[example("SIGN(-3.5E0)", "-1")],
    variants: &[ScalarVariant::plain("The sign.", &[param("value", ParamType::Double, "The number.")], INT, eval)],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Int(i32::from(x > 0.0) - i32::from(x < 0.0)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn signs() {
        check_all(
            &FUNCTION,
            [(f64::NAN, 0), (f64::INFINITY, 1), (-0.5, -1), (-0.0, 0)].map(|(x, sign)| ([Value::Double(x)], Value::Int(sign))),
        );
    }
}
