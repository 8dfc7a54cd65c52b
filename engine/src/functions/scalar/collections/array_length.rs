//! ARRAY_LENGTH: the number of items of an array.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ARRAY_LENGTH",
    spelling: "ARRAY_LENGTH",
    category: Category::Collections,
    description: "How many items the array has, nulls too.",
    examples: &[example("ARRAY_LENGTH(ARRAY[1, NULL, 3])", "3")],
    variants: &[ScalarVariant::plain(
        "The number of items.",
        &[param("array", ParamType::Array(&ParamType::Var('T')), "The array.")],
        INT,
        |args| {
            let items: &[Value] = args.get(0)?;
            i32::try_from(items.len()).map(Value::Int).map_err(|_| EvalError::new("the array is too long"))
        },
    )],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(&FUNCTION, [(ints(&[3, 1]), Value::Int(2)), (ints(&[]), Value::Int(0)), (NULL, NULL)].map(|(x, y)| ([x], y)));
    }
}
