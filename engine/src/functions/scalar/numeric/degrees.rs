//! DEGREES: radians as degrees.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "DEGREES",
    spelling: "degrees",
    category: Category::Mathematical,
    description: "An angle in radians as degrees.",
    examples: &[example("DEGREES(PI())", "180.0")],
    variants: &[ScalarVariant::plain("An angle in radians as degrees.", &[param("value", ParamType::Double, "The number.")], DOUBLE, eval)],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(x.to_degrees()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(
            &FUNCTION,
            [(std::f64::consts::PI, 180.0), (-1.0, -57.295_779_513_082_32)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))),
        );
        check(&FUNCTION, &[NULL], NULL);
    }
}
