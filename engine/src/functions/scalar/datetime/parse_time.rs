//! PARSE_TIME: text by a pattern as a time.

use super::prelude::*;
use super::times::{FORMAT, parser};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "PARSE_TIME",
    spelling: "parse_time",
    category: Category::DateTime,
    description: "Reads a text by a pattern of Java's DateTimeFormatter as a time.",
    examples: &[example("PARSE_TIME('00:01:05', 'HH:mm:ss')", "00:01:05")],
    variants: &[ScalarVariant::prepared("By a pattern.", &[TEXT, FORMAT], TIME, prepare)],
};

const TEXT: Param = param("formattedTime", ParamType::String, "The text.");

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    parser(call, |text, pattern, _zone| pattern.parse_time(text).map(Value::Time))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn parses() {
        check_all(
            &FUNCTION,
            [("00:01:05Lit", "HH:mm:ss'Lit'", 65_000), ("01:00:00 Pm", "hh:mm:ss a", 46_800_000)]
                .map(|(text, p, ms)| ([s(text), s(p)], Value::Time(ms))),
        );
        check_fails(&FUNCTION, &[s("2022 12"), s("yyyy HH")]);
    }
}
