//! AS_MAP: a map from an array of keys and one of values.

use super::prelude::*;
use std::sync::Arc;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "AS_MAP",
    spelling: "AS_MAP",
    category: Category::Collections,
    description: "A map from the items of one array to those of another; keys without a value map to null.",
    examples: &[example("AS_MAP(ARRAY['a', 'b'], ARRAY[1, 2])", "{a=1, b=2}")],
    variants: &[ScalarVariant::plain(
        "A map of keys and values.",
        &[
            param("keys", ParamType::Array(&ParamType::String), "The keys."),
            param("values", ParamType::Array(&ParamType::Var('V')), "The values."),
        ],
        Returns::Type(ParamType::Map(&ParamType::String, &ParamType::Var('V'))),
        |args| {
            let values: &[Value] = args.get(1)?;
            let missing = std::iter::repeat(&Value::Null);
            let keys: &[Value] = args.get(0)?;
            Ok(Value::Map(Arc::new(keys.iter().cloned().zip(values.iter().chain(missing).cloned()).collect())))
        },
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[strings(&["a", "b"]), ints(&[1])], map(&[("a", Value::Int(1)), ("b", NULL)]));
        check(&FUNCTION, &[strings(&["a", "a"]), ints(&[1, 2])], map(&[("a", Value::Int(2))]));
        check(&FUNCTION, &[NULL, ints(&[1])], NULL);
    }
}
