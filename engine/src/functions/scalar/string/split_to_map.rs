//! SPLIT_TO_MAP: a string of entries as a map.

use super::prelude::*;
use std::sync::Arc;

use crate::types::MapValue;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "SPLIT_TO_MAP",
    spelling: "split_to_map",
    category: Category::String,
    description: "Splits a string into entries and these into keys and values. Entries without a value are left out; of equal keys the last holds. Null where a delimiter is empty, or both are the same.",
    examples: &[example("SPLIT_TO_MAP('a=1&b=2', '&', '=')", "{a=1, b=2}")],
    variants: &[ScalarVariant::plain(
        "A map of strings.",
        &[
            param("input", ParamType::String, "The string."),
            param("entryDelimiter", ParamType::String, "What stands between entries."),
            param("kvDelimiter", ParamType::String, "What stands between key and value."),
        ],
        Returns::Type(ParamType::Map(&ParamType::String, &ParamType::String)),
        eval,
    )],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let (text, entries, pair): (&str, &str, &str) = (args.get(0)?, args.get(1)?, args.get(2)?);
    if entries.is_empty() || pair.is_empty() || entries == pair {
        return Ok(Value::Null);
    }
    let mut map = MapValue::default();
    for entry in text.split(entries) {
        let mut parts = entry.split(pair);
        if let (Some(key), Some(value)) = (parts.next(), parts.next()) {
            map.insert(Value::string(key), Value::string(value));
        }
    }
    Ok(Value::Map(Arc::new(map)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let of = |text: &str| [s(text), s("&"), s("=")];
        check(&FUNCTION, &of("a=1&a=2"), map(&[("a", s("2"))]));
        check(&FUNCTION, &of("a=1=2&b"), map(&[("a", s("1"))]));
        check(&FUNCTION, &of("=v&k="), map(&[("", s("v")), ("k", s(""))]));
        check(&FUNCTION, &of(""), map(&[]));
        for (entries, pair) in [("", "="), ("&", ""), ("=", "=")] {
            check(&FUNCTION, &[s("a=1"), s(entries), s(pair)], NULL);
        }
    }
}
