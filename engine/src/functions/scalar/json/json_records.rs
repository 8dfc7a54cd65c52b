//! JSON_RECORDS: a JSON object as a map.

use super::prelude::*;
use std::sync::Arc;

use serde_json::Value as Json;

use super::document;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "JSON_RECORDS",
    spelling: "JSON_RECORDS",
    category: Category::Json,
    description: "The fields of a JSON object as a map of names to texts: strings as they are, the rest as JSON. Null for other JSON.",
    examples: &[example("JSON_RECORDS('{\"a\": \"x\", \"b\": [1]}')", "{a=x, b=[1]}")],
    variants: &[ScalarVariant::plain(
        "A map of names and texts.",
        &[param("jsonObj", ParamType::String, "The JSON text.")],
        Returns::Type(ParamType::Map(&ParamType::String, &ParamType::String)),
        |args| {
            let Some(Json::Object(fields)) = document::read(args.get(0)?)? else { return Ok(Value::Null) };
            let entries = fields.iter().map(|(name, value)| (Value::string(name.as_str()), Value::string(document::text_of(value))));
            Ok(Value::Map(Arc::new(entries.collect())))
        },
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(
            &FUNCTION,
            &[s(r#"{"a":{"b":[1, 2]},"n":null,"s":"x"}"#)],
            map(&[("a", s(r#"{"b":[1,2]}"#)), ("n", s("null")), ("s", s("x"))]),
        );
        check_all(&FUNCTION, [("{}", map(&[])), ("[10]", NULL), ("null", NULL), ("", NULL)].map(|(x, y)| ([s(x)], y)));
    }
}
