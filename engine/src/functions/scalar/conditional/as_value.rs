//! AS_VALUE: a copy of a key column among the value columns.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "AS_VALUE",
    spelling: "AS_VALUE",
    category: Category::Other,
    description: "The argument as it is. In a projection it copies a key column into the value.",
    examples: &[example("AS_VALUE(5)", "5")],
    variants: &[ScalarVariant::plain("A copy.", &[param("keyColumn", ParamType::Var('T'), "The key column.")], T, |args| Ok(args.take(0)))
        .called_on_null()],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn copies() {
        check_all(&FUNCTION, [Value::Int(5), NULL, ints(&[1])].map(|value| ([value.clone()], value)));
    }
}
