//! ARRAY_REMOVE: an array without a value.

use super::prelude::*;
use super::sets::{ARRAY, RESULT};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ARRAY_REMOVE",
    spelling: "array_remove",
    category: Category::Collections,
    description: "The array without the items that equal the value; null removes nulls.",
    examples: &[example("ARRAY_REMOVE(ARRAY[1, 2, 1], 1)", "[2]")],
    variants: &[ScalarVariant::plain("Without a value.", &[ARRAY, param("element", ParamType::Var('T'), "The value.")], RESULT, eval)
        .called_on_null()],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let Some(items) = args.opt::<&[Value]>(0)? else { return Ok(Value::Null) };
    let unwanted = args.value(1);
    Ok(Value::array(items.iter().filter(|item| *item != unwanted).cloned().collect()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[ints(&[1, 2, 1]), Value::Int(1)], ints(&[2]));
        check(&FUNCTION, &[Value::array(vec![Value::Int(1), NULL]), NULL], ints(&[1]));
        check(&FUNCTION, &[NULL, Value::Int(1)], NULL);
    }
}
