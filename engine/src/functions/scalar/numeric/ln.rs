//! LN: the natural logarithm.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "LN",
    spelling: "ln",
    category: Category::Mathematical,
    description: "The natural logarithm; -Infinity at 0, NaN below.",
    examples: &[example("LN(1.0)", "0.0")],
    variants: &[ScalarVariant::plain(
        "The natural logarithm; -Infinity at 0, NaN below.",
        &[param("value", ParamType::Double, "The number.")],
        DOUBLE,
        eval,
    )],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(x.ln()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(&FUNCTION, [(1.0, 0.0), (0.0, f64::NEG_INFINITY)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))));
        check(&FUNCTION, &[NULL], NULL);
    }
}
