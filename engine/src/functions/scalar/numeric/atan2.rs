//! ATAN2: the angle of a point.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ATAN2",
    spelling: "atan2",
    category: Category::Mathematical,
    description: "The angle of the point (x, y) in radians, from -pi to pi.",
    examples: &[example("ATAN2(0.0, -1.0)", "3.141592653589793")],
    variants: &[ScalarVariant::plain(
        "The angle of a point.",
        &[param("y", ParamType::Double, "The ordinate."), param("x", ParamType::Double, "The abscissa.")],
        DOUBLE,
        |args| Ok(Value::Double(args.get::<f64>(0)?.atan2(args.get(1)?))),
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use std::f64::consts::{FRAC_PI_4, PI};

    #[test]
    fn quadrants() {
        let calls = [
            (1.0, 1.0, FRAC_PI_4),
            (1.0, -1.0, 3.0 * FRAC_PI_4),
            (-1.0, -1.0, -3.0 * FRAC_PI_4),
            (-1.0, 1.0, -FRAC_PI_4),
            (0.0, -1.0, PI),
            (0.0, 0.0, 0.0),
        ];
        check_all(&FUNCTION, calls.map(|(y, x, angle)| ([Value::Double(y), Value::Double(x)], Value::Double(angle))));
    }
}
