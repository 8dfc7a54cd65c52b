//! JSON_CONCAT: JSON texts joined.

use super::prelude::*;
use serde_json::Value as Json;

use super::document;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "JSON_CONCAT",
    spelling: "JSON_CONCAT",
    category: Category::Json,
    description: "Joins JSON texts: objects into one whose later fields replace earlier ones of the same name, anything else into an array. Null where one is null or no JSON.",
    examples: &[example("JSON_CONCAT('{\"a\": 1}', '{\"b\": 2}')", "{\"a\":1,\"b\":2}"), example("JSON_CONCAT('[1]', '2')", "[1,2]")],
    variants: &[ScalarVariant::plain("Joined JSON.", &[param("jsonStrings", ParamType::String, "The JSON texts.")], STRING, eval)
        .variadic(0)
        .called_on_null()],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let mut parts = Vec::with_capacity(args.values.len());
    for index in 0..args.values.len() {
        let Some(text) = args.opt(index)? else { return Ok(Value::Null) };
        let Some(part) = document::read(text)? else { return Ok(Value::Null) };
        parts.push(part);
    }
    joined(parts).map_or(Ok(Value::Null), |json| document::to_plain_json(&json).map(Value::string))
}

/// What all parts decide: one that is no object makes a list of everything.
fn joined(parts: Vec<Json>) -> Option<Json> {
    if parts.len() < 2 {
        return parts.into_iter().next();
    }
    if parts.iter().all(Json::is_object) {
        let fields = parts.into_iter().flat_map(|part| match part {
            Json::Object(fields) => fields,
            _ => serde_json::Map::new(),
        });
        return Some(Json::Object(fields.collect()));
    }
    let items = parts.into_iter().flat_map(|part| match part {
        Json::Array(items) => items,
        other => vec![other],
    });
    Some(Json::Array(items.collect()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let calls = [
            ("{\"a\":1}", "{\"a\":2}", "{\"a\":2}"),
            ("[1]", "{\"a\":1}", "[1,{\"a\":1}]"),
            ("1", "2", "[1,2]"),
            ("null", "null", "[null,null]"),
            ("[1, [2]]", "[[[3]], [[[4]]]]", "[1,[2],[[3]],[[[4]]]]"),
            ("{\"a\":{\"b\":1}}", "{\"a\":{\"c\":2}}", "{\"a\":{\"c\":2}}"),
        ];
        check_all(&FUNCTION, calls.map(|(x, y, z)| ([s(x), s(y)], s(z))));
        check(&FUNCTION, &[s("[1]"), s("2"), s("[1]")], s("[1,2,1]"));
        check(&FUNCTION, &[s("{\"a\":1}"), s("{\"b\":2}"), s("{\"a\":3}")], s("{\"a\":3,\"b\":2}"));
        check(&FUNCTION, &[s("{\"a\":1}"), s("{\"b\":2}"), s("3")], s("[{\"a\":1},{\"b\":2},3]"));
        check(&FUNCTION, &[s("{\"a\":1.50e3}")], s("{\"a\":1500}"));
        check_fails(&FUNCTION, &[s("1e10000")]);
        check_all(&FUNCTION, [(s("1"), s("")), (s("1"), NULL)].map(|(x, y)| ([x, y], NULL)));
        check_fails(&FUNCTION, &[s("{"), s("{}")]);
    }
}
