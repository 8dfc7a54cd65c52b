//! ELT: the nth of several strings.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ELT",
    spelling: "elt",
    category: Category::String,
    description: "The nth of the further arguments, from 1; null where there is none.",
    examples: &[example("ELT(2, 'a', 'b')", "b")],
    variants: &[ScalarVariant::plain(
        "The nth string.",
        &[param("n", ParamType::Int, "Which of them, from 1."), param("args", ParamType::String, "The strings.")],
        STRING,
        eval,
    )
    .variadic(1)
    .called_on_null()],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let index = args.opt::<i32>(0)?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    Ok(index.map_or(Value::Null, |index| args.take(index)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(
            &FUNCTION,
            [(1, s("x")), (2, s("y")), (0, NULL), (3, NULL), (-1, NULL)].map(|(n, y)| ([Value::Int(n), s("x"), s("y")], y)),
        );
        check(&FUNCTION, &[NULL, s("x")], NULL);
    }
}
