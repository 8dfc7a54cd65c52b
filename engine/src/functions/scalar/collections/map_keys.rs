//! MAP_KEYS: the keys of a map.

use super::prelude::*;
use crate::types::MapValue;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "MAP_KEYS",
    spelling: "map_keys",
    category: Category::Collections,
    description: "The keys of a map as an array.",
    examples: &[example("MAP_KEYS(MAP('a' := 1))", "[a]")],
    variants: &[ScalarVariant::plain(
        "The keys.",
        &[param("input", ParamType::Map(&ParamType::Var('K'), &ParamType::Var('V')), "The map.")],
        Returns::Type(ParamType::Array(&ParamType::Var('K'))),
        |args| Ok(Value::array(args.get::<&MapValue>(0)?.keys().cloned().collect())),
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[map(&[("a", Value::Int(1)), ("b", NULL)])], strings(&["a", "b"]));
        check(&FUNCTION, &[map(&[])], Value::array(vec![]));
        check(&FUNCTION, &[NULL], NULL);
    }
}
