//! FROM_UNIXTIME: milliseconds since the epoch as a timestamp.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "FROM_UNIXTIME",
    spelling: "from_unixtime",
    category: Category::DateTime,
    description: "Milliseconds since 1970-01-01T00:00 UTC as a TIMESTAMP.",
    examples: &[example("FROM_UNIXTIME(0)", "1970-01-01T00:00:00.000")],
    variants: &[ScalarVariant::plain(
        "A timestamp.",
        &[param("epochMilli", ParamType::BigInt, "Milliseconds since the epoch.")],
        TIMESTAMP,
        |args| Ok(Value::Timestamp(args.get(0)?)),
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn keeps_the_milliseconds() {
        check_all(&FUNCTION, [0, -1, i64::MAX].map(|ms| ([Value::BigInt(ms)], Value::Timestamp(ms))));
    }
}
