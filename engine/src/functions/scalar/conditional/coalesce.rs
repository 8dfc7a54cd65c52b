//! COALESCE: the first value that is not null.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "COALESCE",
    spelling: "COALESCE",
    category: Category::Conditional,
    description: "The first argument that is not null; null where all are.",
    examples: &[example("COALESCE(NULL, 'a', 'b')", "a")],
    variants: &[ScalarVariant::plain(
        "The first value that is not null.",
        &[param("first", ParamType::Var('T'), "The first value."), param("others", ParamType::Var('T'), "Further values.")],
        T,
        |args| Ok(args.values.iter_mut().find(|value| !value.is_null()).map(std::mem::take).unwrap_or_default()),
    )
    .variadic(1)
    .called_on_null()],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn first_of_many() {
        check(&FUNCTION, &[NULL, Value::Int(2), Value::Int(3)], Value::Int(2));
        check(&FUNCTION, &[NULL, NULL], NULL);
        check(&FUNCTION, &[ints(&[])], ints(&[]));
    }
}
