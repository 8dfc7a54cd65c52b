//! RANDOM: a random number.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "RANDOM",
    spelling: "random",
    category: Category::Mathematical,
    description: "A random DOUBLE from 0.0 up to, not including, 1.0; another one on every row.",
    examples: &[example("RANDOM() < 1.0E0", "true")],
    variants: &[ScalarVariant::plain("A random number.", &[], DOUBLE, |_| Ok(Value::Double(rand::random::<f64>())))],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn differs_and_stays_in_range() {
        let draw = || match call(&FUNCTION, &[], &[]) {
            Ok(Value::Double(x)) => x,
            other => panic!("{other:?}"),
        };
        assert!((0..100).map(|_| draw()).all(|x| (0.0..1.0).contains(&x)));
        assert!(draw().to_bits() != draw().to_bits() || draw().to_bits() != draw().to_bits());
    }
}
