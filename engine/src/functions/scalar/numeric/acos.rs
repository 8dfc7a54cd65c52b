//! ACOS: the arc cosine in radians.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ACOS",
    spelling: "acos",
    category: Category::Mathematical,
    description: "The arc cosine in radians; NaN outside -1 to 1.",
    examples: &[example("ACOS(1.0)", "0.0")],
    variants: &[ScalarVariant::plain(
        "The arc cosine in radians; NaN outside -1 to 1.",
        &[param("value", ParamType::Double, "The number.")],
        DOUBLE,
        eval,
    )],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(x.acos()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(&FUNCTION, [(1.0, 0.0), (-1.0, std::f64::consts::PI)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))));
        check(&FUNCTION, &[NULL], NULL);
    }
}
