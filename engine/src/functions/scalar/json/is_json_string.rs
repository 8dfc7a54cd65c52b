//! IS_JSON_STRING: whether a text is JSON.

use super::document;
use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "IS_JSON_STRING",
    spelling: "IS_JSON_STRING",
    category: Category::Json,
    description: "Whether the text begins with a JSON value; FALSE for null and empty text.",
    examples: &[example("IS_JSON_STRING('[1, 2]')", "true"), example("IS_JSON_STRING('abc')", "false")],
    variants: &[ScalarVariant::plain("Whether it is JSON.", &[param("json", ParamType::String, "The JSON text.")], BOOLEAN, |args| {
        let text: Option<&str> = args.opt(0)?;
        Ok(Value::Boolean(text.is_some_and(|text| matches!(document::read(text), Ok(Some(_))))))
    })
    .called_on_null()],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(
            &FUNCTION,
            [("{}", true), ("null", true), (" 1 ", true), ("1 2", true), ("", false), ("{a:1}", false), ("[1,]", false), ("NaN", false)]
                .map(|(x, y)| ([s(x)], Value::Boolean(y))),
        );
        check(&FUNCTION, &[NULL], Value::Boolean(false));
    }
}
