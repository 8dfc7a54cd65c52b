//! ARRAY_CONCAT: two arrays one behind the other.

use super::prelude::*;
use super::sets::{LEFT, RESULT, RIGHT};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ARRAY_CONCAT",
    spelling: "array_concat",
    category: Category::Collections,
    description: "The items of both arrays; a null array adds nothing, two make null.",
    examples: &[example("ARRAY_CONCAT(ARRAY[1], ARRAY[1, 2])", "[1, 1, 2]")],
    variants: &[ScalarVariant::plain("Both arrays.", &[LEFT, RIGHT], RESULT, eval).called_on_null()],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    Ok(match (args.opt::<&[Value]>(0)?, args.opt::<&[Value]>(1)?) {
        (Some(left), Some(right)) => Value::array([left, right].concat()),
        (Some(_), None) => args.take(0),
        (None, _) => args.take(1),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[ints(&[1, 2]), ints(&[2])], ints(&[1, 2, 2]));
        check(&FUNCTION, &[NULL, ints(&[1])], ints(&[1]));
        check(&FUNCTION, &[ints(&[1]), NULL], ints(&[1]));
        check(&FUNCTION, &[NULL, NULL], NULL);
    }
}
