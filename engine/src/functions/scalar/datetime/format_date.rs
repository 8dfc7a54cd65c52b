//! FORMAT_DATE: a date as text by a pattern.

use super::prelude::*;
use super::times::{FORMAT, formatter};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "FORMAT_DATE",
    spelling: "format_date",
    category: Category::DateTime,
    description: "The text of a date by a pattern of Java's DateTimeFormatter.",
    examples: &[example("FORMAT_DATE(FROM_DAYS(0), 'yyyy-MM-dd')", "1970-01-01")],
    variants: &[ScalarVariant::prepared("By a pattern.", &[VALUE, FORMAT], STRING, prepare)],
};

const VALUE: Param = param("date", ParamType::Date, "The date.");

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    formatter(call, |args, pattern, _zone| Ok(pattern.format_date(args.get::<Days>(0)?.0)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn formats() {
        check_all(
            &FUNCTION,
            [(0, "EEE, MMM d yy", "Thu, Jan 1 70"), (-719_529, "yyyy-MM-dd", "0002-12-31"), (19_782, "DDD Q w", "060 1 9")]
                .map(|(days, p, text)| ([Value::Date(days), s(p)], s(text))),
        );
        check_fails(&FUNCTION, &[Value::Date(0), s("HH:mm")]);
    }
}
