//! JSON_ITEMS: the items of a JSON array as texts.

use super::prelude::*;
use serde_json::Value as Json;

use super::document;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "JSON_ITEMS",
    spelling: "JSON_ITEMS",
    category: Category::Json,
    description: "The items of a JSON array, each as JSON text; null for other JSON.",
    examples: &[example("JSON_ITEMS('[1, {\"a\": 2}]')", "[1, {\"a\":2}]")],
    variants: &[ScalarVariant::plain(
        "The items.",
        &[param("json", ParamType::String, "The JSON text.")],
        Returns::Type(ParamType::Array(&ParamType::String)),
        |args| {
            let Some(Json::Array(items)) = document::read(args.get(0)?)? else { return Ok(Value::Null) };
            Ok(Value::array(items.iter().map(|item| Value::string(document::to_json(item))).collect()))
        },
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[s(r#"[{"type": "A"}, "x", 1.0]"#)], strings(&[r#"{"type":"A"}"#, "\"x\"", "1.0"]));
        check_all(&FUNCTION, [("[]", Value::array(vec![])), ("{}", NULL)].map(|(x, y)| ([s(x)], y)));
    }
}
