//! EXTRACTJSONFIELD: what a path leads to in a JSON text.

use super::document;
use super::json_path::JsonPath;
use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "EXTRACTJSONFIELD",
    spelling: "EXTRACTJSONFIELD",
    category: Category::Json,
    description: "What a path such as $.a[0] leads to in a JSON text: strings as they are, the rest as JSON. Null where the path leads nowhere.",
    examples: &[example("EXTRACTJSONFIELD('{\"a\": [1, 2]}', '$.a[1]')", "2")],
    variants: &[ScalarVariant::prepared(
        "A field or item.",
        &[param("input", ParamType::String, "The JSON text."), param("path", ParamType::String, "The path.")],
        STRING,
        |call| {
            let paths = Memo::new(call.constant(1), JsonPath::parse);
            Ok(Box::new(move |args| {
                let path = paths.get(args.get(1)?)?;
                let text: &str = args.get(0)?;
                // No JSON at all is empty text for the path to everything, nothing for all others.
                let Some(json) = document::read(text)? else {
                    return Ok(if args.value(1) == &Value::string("$") { Value::string("") } else { Value::Null });
                };
                Ok(path.follow(&json).map_or(Value::Null, |found| Value::string(document::text_of(found))))
            }))
        },
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let document = r#"{"a":1,"b":"x","c":[1,2,{"d":null}],"e":{"f":1.50,"":"q"}}"#;
        let calls = [
            ("$.a", s("1")),
            ("$.b", s("x")),
            ("$.c", s(r#"[1,2,{"d":null}]"#)),
            ("$.c[9]", NULL),
            ("$.c[2].d", s("null")),
            ("$.e.f", s("1.50")),
            ("$", s(document)),
            ("$[1]", NULL),
        ];
        check_all(&FUNCTION, calls.map(|(path, y)| ([s(document), s(path)], y)));
        check_all(&FUNCTION, [("\"str\"", "str"), ("null", "null"), ("", ""), ("1e3", "1E+3")].map(|(x, y)| ([s(x), s("$")], s(y))));
        check(&FUNCTION, &[s(""), s("$.a")], NULL);
        check(&FUNCTION, &[s(r#"{"a":1,"a":2}"#), s("$.a")], s("2"));
        check_fails(&FUNCTION, &[s("not json"), s("$.a")]);
        check_fails(&FUNCTION, &[s("{}"), s("a")]);
    }
}
