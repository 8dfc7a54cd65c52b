//! IFNULL: a value, or another where it is null.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "IFNULL",
    spelling: "IFNULL",
    category: Category::Conditional,
    description: "The first argument, or the second where the first is null.",
    examples: &[example("IFNULL(CAST(NULL AS INT), 7)", "7")],
    variants: &[ScalarVariant::plain(
        "A value, or another where it is null.",
        &[param("expression", ParamType::Var('T'), "The value."), param("altValue", ParamType::Var('T'), "What stands for null.")],
        T,
        |args| Ok(if args.value(0).is_null() { args.take(1) } else { args.take(0) }),
    )
    .called_on_null()],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn replaces_null() {
        check(&FUNCTION, &[NULL, Value::Int(7)], Value::Int(7));
        check(&FUNCTION, &[s(""), s("x")], s(""));
        check(&FUNCTION, &[NULL, NULL], NULL);
    }
}
