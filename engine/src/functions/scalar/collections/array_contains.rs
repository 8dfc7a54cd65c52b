//! ARRAY_CONTAINS: whether an array holds a value.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ARRAY_CONTAINS",
    spelling: "ARRAY_CONTAINS",
    category: Category::Collections,
    description: "Whether the array holds the value; null is a value like any other. FALSE for a null array.",
    examples: &[example("ARRAY_CONTAINS(ARRAY[1, 2], 2)", "true")],
    variants: &[ScalarVariant::plain(
        "Whether the value is there.",
        &[param("array", ParamType::Array(&ParamType::Var('T')), "The array."), param("val", ParamType::Var('T'), "The value.")],
        BOOLEAN,
        |args| {
            let items: Option<&[Value]> = args.opt(0)?;
            Ok(Value::Boolean(items.is_some_and(|items| items.contains(args.value(1)))))
        },
    )
    .called_on_null()],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[ints(&[1, 2]), Value::Int(2)], Value::Boolean(true));
        check(&FUNCTION, &[Value::array(vec![NULL]), NULL], Value::Boolean(true));
        check(&FUNCTION, &[ints(&[1]), NULL], Value::Boolean(false));
        check(&FUNCTION, &[NULL, Value::Int(1)], Value::Boolean(false));
    }
}
