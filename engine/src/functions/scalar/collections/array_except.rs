//! ARRAY_EXCEPT: the items of one array that another lacks.

use super::prelude::*;
use super::sets::{LEFT, RESULT, RIGHT, distinct, set_of};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ARRAY_EXCEPT",
    spelling: "array_except",
    category: Category::Collections,
    description: "The different items of the first array that are not in the second.",
    examples: &[example("ARRAY_EXCEPT(ARRAY[1, 2, 3, 1], ARRAY[2])", "[1, 3]")],
    variants: &[ScalarVariant::plain("What the second array lacks.", &[LEFT, RIGHT], RESULT, |args| {
        let other = set_of(args, 1)?;
        Ok(distinct(args.get::<&[Value]>(0)?.iter(), |item| !other.contains(item)))
    })],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[ints(&[0, 0, 1, 0, -1]), ints(&[1, -2])], ints(&[0, -1]));
        check(&FUNCTION, &[Value::array(vec![Value::Int(1), NULL]), Value::array(vec![NULL, Value::Int(2)])], ints(&[1]));
        check(&FUNCTION, &[ints(&[1]), NULL], NULL);
    }
}
