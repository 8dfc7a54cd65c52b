//! JSON_ARRAY_LENGTH: the number of items of a JSON array.

use super::prelude::*;
use serde_json::Value as Json;

use super::document;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "JSON_ARRAY_LENGTH",
    spelling: "JSON_ARRAY_LENGTH",
    category: Category::Json,
    description: "How many items a JSON array has; null for other JSON.",
    examples: &[example("JSON_ARRAY_LENGTH('[1, 2, 3]')", "3")],
    variants: &[ScalarVariant::plain("The number of items.", &[param("json", ParamType::String, "The JSON text.")], INT, |args| {
        let Some(Json::Array(items)) = document::read(args.get(0)?)? else { return Ok(Value::Null) };
        i32::try_from(items.len()).map(Value::Int).map_err(|_| EvalError::new("the array is too long"))
    })],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(
            &FUNCTION,
            [("[[1,2],[3]]", Value::Int(2)), ("[]", Value::Int(0)), ("{}", NULL), ("12", NULL), ("", NULL)].map(|(x, y)| ([s(x)], y)),
        );
        check_fails(&FUNCTION, &[s("not json")]);
    }
}
