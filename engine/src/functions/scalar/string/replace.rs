//! REPLACE: all occurrences of a text replaced.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "REPLACE",
    spelling: "replace",
    category: Category::String,
    description: "The string with each occurrence of a text replaced by another.",
    examples: &[example("REPLACE('anaconda', 'a', 'o')", "onocondo")],
    variants: &[ScalarVariant::plain(
        "Replaces a text.",
        &[
            param("str", ParamType::String, "The string."),
            param("oldStr", ParamType::String, "What is replaced."),
            param("newStr", ParamType::String, "What takes its place."),
        ],
        STRING,
        |args| Ok(Value::string(args.get::<&str>(0)?.replace(args.get::<&str>(1)?, args.get(2)?))),
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[s("anaconda"), s("a"), s("o")], s("onocondo"));
        check(&FUNCTION, &[s("ab"), s(""), s("-")], s("-a-b-"));
        check(&FUNCTION, &[s("a"), NULL, s("o")], NULL);
    }
}
