//! ARRAY_INTERSECT: the items that two arrays share.

use super::prelude::*;
use super::sets::{LEFT, RESULT, RIGHT, distinct, set_of};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ARRAY_INTERSECT",
    spelling: "array_intersect",
    category: Category::Collections,
    description: "The different items of the first array that are in the second too.",
    examples: &[example("ARRAY_INTERSECT(ARRAY[1, 2, 2], ARRAY[2, 3])", "[2]")],
    variants: &[ScalarVariant::plain("What both arrays have.", &[LEFT, RIGHT], RESULT, |args| {
        let other = set_of(args, 1)?;
        Ok(distinct(args.get::<&[Value]>(0)?.iter(), |item| other.contains(item)))
    })],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[ints(&[1, 2, 2, 3]), ints(&[2, 4])], ints(&[2]));
        check(&FUNCTION, &[Value::array(vec![Value::Int(1), NULL]), Value::array(vec![NULL, Value::Int(2)])], Value::array(vec![NULL]));
        check(&FUNCTION, &[NULL, ints(&[1])], NULL);
    }
}
