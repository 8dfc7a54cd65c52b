//! ARRAY_UNION: the items of two arrays, each once.

use super::prelude::*;
use super::sets::{LEFT, RESULT, RIGHT, distinct};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ARRAY_UNION",
    spelling: "array_union",
    category: Category::Collections,
    description: "The different items of both arrays, those of the first in front.",
    examples: &[example("ARRAY_UNION(ARRAY[1, 2], ARRAY[2, 3])", "[1, 2, 3]")],
    variants: &[ScalarVariant::plain("What either array has.", &[LEFT, RIGHT], RESULT, |args| {
        Ok(distinct(args.get::<&[Value]>(0)?.iter().chain(args.get::<&[Value]>(1)?), |_| true))
    })],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[ints(&[1, 2, 2, 3]), ints(&[2, 4])], ints(&[1, 2, 3, 4]));
        check(&FUNCTION, &[ints(&[]), ints(&[1])], ints(&[1]));
        check(&FUNCTION, &[ints(&[1]), NULL], NULL);
    }
}
