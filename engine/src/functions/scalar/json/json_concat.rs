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
    let mut joined: Option<Json> = None;
    for index in 0..args.values.len() {
        let Some(text) = args.opt(index)? else { return Ok(Value::Null) };
        let Some(next) = document::read(text)? else { return Ok(Value::Null) };
        joined = Some(match joined {
            Some(before) => join(before, next),
            None => next,
        });
    }
    Ok(joined.map_or(Value::Null, |json| Value::string(document::to_json(&json))))
}

fn join(left: Json, right: Json) -> Json {
    let items = |value| match value {
        Json::Array(items) => items,
        other => vec![other],
    };
    match (left, right) {
        (Json::Object(mut left), Json::Object(right)) => {
            left.extend(right);
            Json::Object(left)
        }
        (left, right) => {
            let mut left = items(left);
            left.extend(items(right));
            Json::Array(left)
        }
    }
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
        check_all(&FUNCTION, [(s("1"), s("")), (s("1"), NULL)].map(|(x, y)| ([x, y], NULL)));
        check_fails(&FUNCTION, &[s("{"), s("{}")]);
    }
}
