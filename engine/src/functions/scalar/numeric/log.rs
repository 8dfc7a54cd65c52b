//! LOG: the natural logarithm, or that to a base.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "LOG",
    spelling: "log",
    category: Category::Mathematical,
    description: "The natural logarithm of a number, or its logarithm to a base. NaN for a base that is not above 0, or is 1.",
    examples: &[example("LOG(1.0)", "0.0"), example("LOG(2.0, 8.0)", "3.0")],
    variants: &[
        ScalarVariant::plain("The natural logarithm.", &[VALUE], DOUBLE, |args| Ok(Value::Double(args.get::<f64>(0)?.ln()))),
        ScalarVariant::plain("The logarithm to a base.", &[param("base", ParamType::Double, "The base."), VALUE], DOUBLE, to_base),
    ],
};

const VALUE: Param = param("value", ParamType::Double, "The number.");

fn to_base(args: &mut Args<'_>) -> Outcome {
    let (base, value): (f64, f64) = (args.get(0)?, args.get(1)?);
    let log = if base <= 0.0 || base == 1.0 { f64::NAN } else { value.ln() / base.ln() };
    Ok(Value::Double(log))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn logarithms() {
        check(&FUNCTION, &[Value::Double(1.0)], Value::Double(0.0));
        let calls = [
            (2.0, 8.0, 3.0),
            (10.0, 1000.0, 2.999_999_999_999_999_6),
            (0.5, 8.0, -3.0),
            (2.0, 0.0, f64::NEG_INFINITY),
            (1.0, 5.0, f64::NAN),
            (0.0, 5.0, f64::NAN),
            (-2.0, 8.0, f64::NAN),
        ];
        check_all(&FUNCTION, calls.map(|(base, x, y)| ([Value::Double(base), Value::Double(x)], Value::Double(y))));
    }
}
