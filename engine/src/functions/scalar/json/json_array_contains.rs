//! JSON_ARRAY_CONTAINS: whether a JSON array holds a value.

use super::prelude::*;
use std::fmt;

use serde::Deserializer;
use serde::de::{SeqAccess, Visitor};
use serde_json::Value as Json;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "JSON_ARRAY_CONTAINS",
    spelling: "JSON_ARRAY_CONTAINS",
    category: Category::Json,
    description: "Whether a JSON array holds a value of the same kind: a number with a fraction is a DOUBLE, one without an INT or BIGINT. Null stands for the JSON null. FALSE for other texts; what is no JSON behind the value does no harm.",
    examples: &[example("JSON_ARRAY_CONTAINS('[1, 2]', 2)", "true"), example("JSON_ARRAY_CONTAINS('[\"1\"]', 1)", "false")],
    variants: &[ScalarVariant::plain(
        "Whether the value is there.",
        &[param("json", ParamType::String, "The JSON text."), param("val", ParamType::Var('T'), "The value.")],
        BOOLEAN,
        eval,
    )
    .called_on_null()],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let Some(text) = args.opt::<&str>(0)? else { return Ok(Value::Null) };
    let mut search = Search { wanted: args.value(1), found: false };
    // What is wrong behind the value does no harm: nobody reads on.
    let _ = serde_json::Deserializer::from_str(text).deserialize_seq(&mut search);
    Ok(Value::Boolean(search.found))
}

/// Looks through an array until the value is found.
struct Search<'a> {
    wanted: &'a Value,
    found: bool,
}

impl<'de> Visitor<'de> for &mut Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while !self.found
            && let Some(item) = items.next_element::<Json>()?
        {
            self.found = equals(&item, self.wanted);
        }
        Ok(())
    }
}

fn equals(item: &Json, wanted: &Value) -> bool {
    match (item, wanted) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(a), Value::Boolean(b)) => a == b,
        (Json::String(a), Value::String(b)) => a.as_str() == b.as_str(),
        (Json::Number(a), Value::Int(b)) => a.as_str().parse() == Ok(*b),
        (Json::Number(a), Value::BigInt(b)) => a.as_str().parse() == Ok(*b),
        (Json::Number(a), Value::Double(b)) => a.as_str().contains(['.', 'e', 'E']) && a.as_str().parse() == Ok(*b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let calls = [
            ("[1,2]", Value::Int(1), true),
            ("[1]", s("1"), false),
            ("[\"1\"]", s("1"), true),
            ("[1.0]", dec("1.0"), false),
            ("[1.0]", Value::Double(1.0), true),
            ("[1]", Value::Double(1.0), false),
            ("[true]", Value::Boolean(true), true),
            ("[[1]]", Value::Int(1), false),
            ("{}", Value::Int(1), false),
            ("x", Value::Int(1), false),
            ("", Value::Int(1), false),
            ("[1, 2", Value::Int(2), true),
            ("[1, 2", Value::Int(3), false),
            ("[1, x, 2]", Value::Int(2), false),
            ("[[1], {\"a\": 1}, 2] x", Value::Int(2), true),
            ("[9999999999, 1]", Value::Int(1), true),
            ("[9999999999]", Value::BigInt(9_999_999_999), true),
            ("[null]", NULL, true),
            ("[\"null\"]", NULL, false),
        ];
        check_all(&FUNCTION, calls.map(|(x, v, y)| ([s(x), v], Value::Boolean(y))));
        check(&FUNCTION, &[NULL, Value::Int(1)], NULL);
    }
}
