//! STRINGTOTIMESTAMP: text by a pattern as milliseconds since the epoch.

use super::prelude::*;
use super::times::{FORMAT, ZONE, parser};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "STRINGTOTIMESTAMP",
    spelling: "stringtotimestamp",
    category: Category::DateTime,
    description: "Reads a text by a pattern of Java's DateTimeFormatter as milliseconds since the epoch. The older form of PARSE_TIMESTAMP.",
    examples: &[example("STRINGTOTIMESTAMP('1970-01-01 00:00', 'yyyy-MM-dd HH:mm')", "0")],
    variants: &[
        ScalarVariant::prepared("By a pattern.", &[TEXT, FORMAT], BIGINT, prepare),
        ScalarVariant::prepared("In a zone, unless the text names one.", &[TEXT, FORMAT, ZONE], BIGINT, prepare),
    ],
};

const TEXT: Param = param("formattedTimestamp", ParamType::String, "The text.");

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    parser(call, |text, pattern, zone| pattern.parse_timestamp_in(text, zone).map(Value::BigInt))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn parses() {
        check_all(
            &FUNCTION,
            ["2020-05-11T21:58:33Z", "2020-05-11T21:58:33z"]
                .map(|text| ([s(text), s("yyyy-MM-dd'T'HH:mm:ssX")], Value::BigInt(1_589_234_313_000))),
        );
        check(&FUNCTION, &[s("2019-08-27T13:31:09.2+0000"), s("yyyy-MM-dd'T'HH:mm:ss.SX")], Value::BigInt(1_566_912_669_200));
        check_fails(&FUNCTION, &[s("not a timestamp"), s("yyyy")]);
    }
}
