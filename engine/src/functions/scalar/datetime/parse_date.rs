//! PARSE_DATE: text by a pattern as a date.

use super::prelude::*;
use super::times::{FORMAT, parser};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "PARSE_DATE",
    spelling: "parse_date",
    category: Category::DateTime,
    description: "Reads a text by a pattern of Java's DateTimeFormatter as a date.",
    examples: &[example("PARSE_DATE('11/05/2019', 'dd/MM/yyyy')", "2019-05-11")],
    variants: &[ScalarVariant::prepared("By a pattern.", &[TEXT, FORMAT], DATE, prepare)],
};

const TEXT: Param = param("formattedDate", ParamType::String, "The text.");

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    parser(call, |text, pattern, _zone| pattern.parse_date(text).map(Value::Date))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn parses() {
        check_all(
            &FUNCTION,
            [("2018-05-11Lit", "yyyy-MM-dd'Lit'", 17_662), ("01-JAN-2022", "dd-MMM-yyyy", 18_993), ("JAN-2022", "MMM-yyyy", 18_993)]
                .map(|(text, p, days)| ([s(text), s(p)], Value::Date(days))),
        );
        check_fails(&FUNCTION, &[s("2022-01-01 12"), s("yyyy-MM-dd HH")]);
    }
}
