//! MAP_VALUES: the values of a map.

use super::prelude::*;
use crate::types::MapValue;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "MAP_VALUES",
    spelling: "map_values",
    category: Category::Collections,
    description: "The values of a map as an array.",
    examples: &[example("MAP_VALUES(MAP('a' := 1))", "[1]")],
    variants: &[ScalarVariant::plain(
        "The values.",
        &[param("input", ParamType::Map(&ParamType::Var('K'), &ParamType::Var('V')), "The map.")],
        Returns::Type(ParamType::Array(&ParamType::Var('V'))),
        |args| Ok(Value::array(args.get::<&MapValue>(0)?.values().cloned().collect())),
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[map(&[("a", Value::Int(1)), ("b", NULL)])], Value::array(vec![Value::Int(1), NULL]));
        check(&FUNCTION, &[map(&[])], Value::array(vec![]));
        check(&FUNCTION, &[NULL], NULL);
    }
}
