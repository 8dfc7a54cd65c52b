//! FORMAT_TIME: a time as text by a pattern.

use super::prelude::*;
use super::times::{FORMAT, formatter};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "FORMAT_TIME",
    spelling: "format_time",
    category: Category::DateTime,
    description: "The text of a time by a pattern of Java's DateTimeFormatter.",
    examples: &[example("FORMAT_TIME(PARSE_TIME('12:30', 'HH:mm'), 'h:mm a')", "12:30 PM")],
    variants: &[ScalarVariant::prepared("By a pattern.", &[VALUE, FORMAT], STRING, prepare)],
};

const VALUE: Param = param("time", ParamType::Time, "The time.");

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    formatter(call, |args, pattern, _zone| Ok(pattern.format_time(args.get::<TimeOfDay>(0)?.0)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn formats() {
        check_all(
            &FUNCTION,
            [(65_000, "HH_mm_ss_SSS", "00_01_05_000"), (1_234_567, "HHmmss'AAAAA'", "002034AAAAA"), (43_200_000, "h:mm a", "12:00 PM")]
                .map(|(ms, p, text)| ([Value::Time(ms), s(p)], s(text))),
        );
        check_fails(&FUNCTION, &[Value::Time(0), s("yyyy")]);
    }
}
