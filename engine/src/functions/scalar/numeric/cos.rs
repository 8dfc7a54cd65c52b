//! COS: the cosine of an angle in radians.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "COS",
    spelling: "cos",
    category: Category::Mathematical,
    description: "The cosine of an angle in radians.",
    examples: &[example("COS(0.0)", "1.0")],
    variants: &[ScalarVariant::plain(
        "The cosine of an angle in radians.",
        &[param("value", ParamType::Double, "The number.")],
        DOUBLE,
        eval,
    )],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(x.cos()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(&FUNCTION, [(0.0, 1.0), (1.0, 0.540_302_305_868_139_8)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))));
        check(&FUNCTION, &[NULL], NULL);
    }
}
