//! JSON_KEYS: the names of a JSON object.

use super::prelude::*;
use serde_json::Value as Json;

use super::document;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "JSON_KEYS",
    spelling: "JSON_KEYS",
    category: Category::Json,
    description: "The names of the fields of a JSON object; null for other JSON.",
    examples: &[example("JSON_KEYS('{\"a\": 1, \"b\": 2}')", "[a, b]")],
    variants: &[ScalarVariant::plain(
        "The names.",
        &[param("jsonObj", ParamType::String, "The JSON text.")],
        Returns::Type(ParamType::Array(&ParamType::String)),
        |args| {
            let Some(Json::Object(fields)) = document::read(args.get(0)?)? else { return Ok(Value::Null) };
            Ok(Value::array(fields.keys().map(|name| Value::string(name.as_str())).collect()))
        },
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[s(r#"{"Red": 3, "Green": 5}"#)], strings(&["Red", "Green"]));
        check_all(&FUNCTION, [("{}", Value::array(vec![])), ("[]", NULL), ("", NULL)].map(|(x, y)| ([s(x)], y)));
        check_fails(&FUNCTION, &[s("not json")]);
    }
}
