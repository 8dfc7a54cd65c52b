//! PARSE_TIMESTAMP: text by a pattern as a timestamp.

use super::prelude::*;
use super::times::{FORMAT, ZONE, parser};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "PARSE_TIMESTAMP",
    spelling: "parse_timestamp",
    category: Category::DateTime,
    description: "Reads a text by a pattern of Java's DateTimeFormatter as a timestamp. Parts that the pattern lacks are those of 1970-01-01T00:00.",
    examples: &[example("PARSE_TIMESTAMP('2021-02-28 12:30', 'yyyy-MM-dd HH:mm')", "2021-02-28T12:30:00.000")],
    variants: &[
        ScalarVariant::prepared("By a pattern.", &[TEXT, FORMAT], TIMESTAMP, prepare),
        ScalarVariant::prepared("In a zone, unless the text names one.", &[TEXT, FORMAT, ZONE], TIMESTAMP, prepare),
    ],
};

const TEXT: Param = param("formattedTimestamp", ParamType::String, "The text.");

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    parser(call, |text, pattern, zone| pattern.parse_timestamp_in(text, zone).map(Value::Timestamp))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn parses() {
        let calls = [
            ("2021-02-28 12:30:45", "yyyy-MM-dd HH:mm:ss", 1_614_515_445_000),
            ("2021-01-01T10:00:00+0200", "yyyy-MM-dd'T'HH:mm:ssX", 1_609_488_000_000),
            ("1 jan 2021", "d MMM yyyy", 1_609_459_200_000),
            ("01/02/21", "dd/MM/yy", 1_612_137_600_000),
            ("10:30", "HH:mm", 37_800_000),
            ("2021", "yyyy", 1_609_459_200_000),
        ];
        check_all(&FUNCTION, calls.map(|(text, p, ms)| ([s(text), s(p)], Value::Timestamp(ms))));
        check(&FUNCTION, &[s("2021-07-01 12:00"), s("yyyy-MM-dd HH:mm"), s("America/New_York")], Value::Timestamp(1_625_155_200_000));
        for (text, pattern) in [("", "yyyy"), ("2021-13-01", "yyyy-MM-dd"), ("2021-01-01", "bogus!")] {
            check_fails(&FUNCTION, &[s(text), s(pattern)]);
        }
    }
}
