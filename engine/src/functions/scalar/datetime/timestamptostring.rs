//! TIMESTAMPTOSTRING: milliseconds since the epoch as text by a pattern.

use super::prelude::*;
use super::times::{FORMAT, ZONE, formatter};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "TIMESTAMPTOSTRING",
    spelling: "timestamptostring",
    category: Category::DateTime,
    description: "The text of milliseconds since the epoch by a pattern of Java's DateTimeFormatter. The older form of FORMAT_TIMESTAMP.",
    examples: &[example("TIMESTAMPTOSTRING(0, 'yyyy-MM-dd HH:mm')", "1970-01-01 00:00")],
    variants: &[
        ScalarVariant::prepared("By a pattern.", &[VALUE, FORMAT], STRING, prepare),
        ScalarVariant::prepared("In a zone.", &[VALUE, FORMAT, ZONE], STRING, prepare),
    ],
};

const VALUE: Param = param("epochMilli", ParamType::BigInt, "Milliseconds since the epoch.");

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    formatter(call, |args, pattern, zone| Ok(pattern.format_timestamp(args.get::<i64>(0)?, zone)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn formats() {
        check(
            &FUNCTION,
            &[Value::BigInt(1_526_075_913_000), s("yyyy-MM-dd HH:mm:ss zzz"), s("Europe/London")],
            s("2018-05-11 22:58:33 BST"),
        );
        check(&FUNCTION, &[Value::BigInt(i64::MIN), s("yyyy-MM-dd HH:mm:ss.SSS")], s("+292278994-08-17 07:12:55.192"));
        check(&FUNCTION, &[Value::BigInt(0), s("VV z")], s("GMT GMT"));
        check_fails(&FUNCTION, &[Value::BigInt(0), s("XX nope ]")]);
    }
}
