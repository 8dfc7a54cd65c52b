//! FIELD: the position of a string among others.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "FIELD",
    spelling: "field",
    category: Category::String,
    description: "The position from 1 of the first argument among the others; 0 where it is not there or null.",
    examples: &[example("FIELD('b', 'a', 'b')", "2")],
    variants: &[ScalarVariant::plain(
        "The position.",
        &[param("str", ParamType::String, "What is looked for."), param("args", ParamType::String, "Where it is looked for.")],
        INT,
        eval,
    )
    .variadic(1)
    .called_on_null()],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let wanted = args.value(0);
    let found = if wanted.is_null() { None } else { args.rest(1).iter().position(|other| other == wanted) };
    Ok(Value::Int(found.and_then(|index| i32::try_from(index + 1).ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[s("b"), s("a"), NULL, s("b")], Value::Int(3));
        check(&FUNCTION, &[s("A"), s("a")], Value::Int(0));
        check(&FUNCTION, &[NULL, NULL], Value::Int(0));
    }
}
