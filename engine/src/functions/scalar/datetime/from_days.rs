//! FROM_DAYS: days since 1970-01-01 as a date.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "FROM_DAYS",
    spelling: "from_days",
    category: Category::DateTime,
    description: "Days since 1970-01-01 as a DATE.",
    examples: &[example("FROM_DAYS(31)", "1970-02-01")],
    variants: &[ScalarVariant::plain("A date.", &[param("days", ParamType::Int, "Days since 1970-01-01.")], DATE, |args| {
        Ok(Value::Date(args.get(0)?))
    })],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn keeps_the_days() {
        check_all(&FUNCTION, [0, -1, 19_782].map(|days| ([Value::Int(days)], Value::Date(days))));
    }
}
