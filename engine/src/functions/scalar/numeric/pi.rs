//! PI: the number π.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "PI",
    spelling: "pi",
    category: Category::Mathematical,
    description: "The number pi.",
    examples: &[example("PI()", "3.141592653589793")],
    variants: &[ScalarVariant::plain("Pi.", &[], DOUBLE, |_| Ok(Value::Double(std::f64::consts::PI)))],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn is_pi() {
        check(&FUNCTION, &[], Value::Double(180.0_f64.to_radians()));
    }
}
