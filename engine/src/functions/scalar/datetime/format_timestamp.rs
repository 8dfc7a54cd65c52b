//! FORMAT_TIMESTAMP: a timestamp as text by a pattern.

use super::prelude::*;
use super::times::{FORMAT, ZONE, formatter};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "FORMAT_TIMESTAMP",
    spelling: "format_timestamp",
    category: Category::DateTime,
    description: "The text of a timestamp by a pattern of Java's DateTimeFormatter.",
    examples: &[example("FORMAT_TIMESTAMP(FROM_UNIXTIME(0), 'yyyy-MM-dd HH:mm')", "1970-01-01 00:00")],
    variants: &[
        ScalarVariant::prepared("By a pattern.", &[VALUE, FORMAT], STRING, prepare),
        ScalarVariant::prepared("In a zone.", &[VALUE, FORMAT, ZONE], STRING, prepare),
    ],
};

const VALUE: Param = param("timestamp", ParamType::Timestamp, "The timestamp.");

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    formatter(call, |args, pattern, zone| Ok(pattern.format_timestamp(args.get::<Instant>(0)?.0, zone)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn formats() {
        let epoch = || Value::Timestamp(0);
        check_all(
            &FUNCTION,
            [("yyyy", "1970"), ("", ""), ("yyyy-MM-dd'T'HH:mm:ss'Z'", "1970-01-01T00:00:00Z")].map(|(p, text)| ([epoch(), s(p)], s(text))),
        );
        check(&FUNCTION, &[epoch(), s("VV z")], s("GMT GMT"));
        check(&FUNCTION, &[epoch(), s("VV z"), s("UTC")], s("UTC UTC"));
        check(&FUNCTION, &[epoch(), s("HH:mm"), s("+02:00")], s("02:00"));
        check(&FUNCTION, &[NULL, s("HH")], NULL);
        check(&FUNCTION, &[epoch(), s("HH"), NULL], NULL);
        for (pattern, zone) in [("HH", "PST"), ("HH", "Nowhere/City"), ("qqqqqqq", "UTC"), ("b", "UTC")] {
            check_fails(&FUNCTION, &[epoch(), s(pattern), s(zone)]);
        }
    }
}
