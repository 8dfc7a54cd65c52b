//! STRINGTODATE: text by a pattern as days since 1970-01-01.

use super::prelude::*;
use super::times::{FORMAT, parser};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "STRINGTODATE",
    spelling: "stringtodate",
    category: Category::DateTime,
    description: "Reads a text by a pattern of Java's DateTimeFormatter as days since 1970-01-01. The older form of PARSE_DATE.",
    examples: &[example("STRINGTODATE('1970/01/02', 'yyyy/MM/dd')", "1")],
    variants: &[ScalarVariant::prepared("By a pattern.", &[TEXT, FORMAT], INT, prepare)],
};

const TEXT: Param = param("formattedDate", ParamType::String, "The text.");

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    parser(call, |text, pattern, _zone| pattern.parse_whole_date(text).map(Value::Int))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn parses() {
        check_all(
            &FUNCTION,
            [("1969/01/01", "yyyy/MM/dd", -365), ("2024/02/30", "yyyy/MM/dd", 19_782), ("01-Jan-2022", "dd-MMM-yyyy", 18_993)]
                .map(|(text, p, days)| ([s(text), s(p)], Value::Int(days))),
        );
        check_fails(&FUNCTION, &[s("x"), s("yyyy/MM/dd")]);
    }
}
