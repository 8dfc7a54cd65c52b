//! RADIANS: degrees as radians.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "RADIANS",
    spelling: "radians",
    category: Category::Mathematical,
    description: "An angle in degrees as radians.",
    examples: &[example("RADIANS(180.0)", "3.141592653589793")],
    variants: &[ScalarVariant::plain("An angle in degrees as radians.", &[param("value", ParamType::Double, "The number.")], DOUBLE, eval)],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let x: f64 = args.get(0)?;
    Ok(Value::Double(x.to_radians()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn doubles() {
        check_all(
            &FUNCTION,
            [(180.0, std::f64::consts::PI), (-90.0, -std::f64::consts::FRAC_PI_2)].map(|(x, y)| ([Value::Double(x)], Value::Double(y))),
        );
        check(&FUNCTION, &[NULL], NULL);
    }
}
