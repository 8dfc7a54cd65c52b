//! NULLIF: null where two values are equal.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "NULLIF",
    spelling: "NULLIF",
    category: Category::Conditional,
    description: "Null where both arguments are equal, else the first.",
    examples: &[example("NULLIF(1, 2)", "1"), example("NULLIF(1, 1)", "null")],
    variants: &[ScalarVariant::plain(
        "Null where the values are equal.",
        &[param("expr1", ParamType::Var('T'), "The value."), param("expr2", ParamType::Var('T'), "What becomes null.")],
        T,
        |args| Ok(if args.value(0) == args.value(1) { Value::Null } else { args.take(0) }),
    )
    .called_on_null()],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn equal_values_vanish() {
        check(&FUNCTION, &[s("x"), s("x")], NULL);
        check(&FUNCTION, &[s("x"), NULL], s("x"));
        check(&FUNCTION, &[NULL, s("x")], NULL);
    }
}
