//! DATETOSTRING: days since 1970-01-01 as text by a pattern.

use super::prelude::*;
use super::times::{FORMAT, formatter};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "DATETOSTRING",
    spelling: "datetostring",
    category: Category::DateTime,
    description: "The text of days since 1970-01-01 by a pattern of Java's DateTimeFormatter. The older form of FORMAT_DATE.",
    examples: &[example("DATETOSTRING(0, 'yyyy/MM/dd')", "1970/01/01")],
    variants: &[ScalarVariant::prepared("By a pattern.", &[VALUE, FORMAT], STRING, prepare)],
};

const VALUE: Param = param("epochDays", ParamType::Int, "Days since 1970-01-01.");

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    formatter(call, |args, pattern, _zone| Ok(pattern.format_date(args.get::<i32>(0)?)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn formats() {
        check_all(
            &FUNCTION,
            [(-365, "yyyy/MM/dd", "1969/01/01"), (1, "eeee", "Friday")].map(|(days, p, text)| ([Value::Int(days), s(p)], s(text))),
        );
        check_fails(&FUNCTION, &[Value::Int(0), s("HH")]);
    }
}
