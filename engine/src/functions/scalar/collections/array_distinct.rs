//! ARRAY_DISTINCT: the different items of an array.

use super::prelude::*;
use super::sets::{ARRAY, RESULT, distinct};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ARRAY_DISTINCT",
    spelling: "array_distinct",
    category: Category::Collections,
    description: "The different items of an array in order of their first occurrence; null is one of them.",
    examples: &[example("ARRAY_DISTINCT(ARRAY[3, 1, 3])", "[3, 1]")],
    variants: &[ScalarVariant::plain("Each item once.", &[ARRAY], RESULT, |args| Ok(distinct(args.get::<&[Value]>(0)?.iter(), |_| true)))],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[Value::array(vec![NULL, Value::Int(2), NULL, Value::Int(2)])], Value::array(vec![NULL, Value::Int(2)]));
        check(&FUNCTION, &[ints(&[])], ints(&[]));
        check(&FUNCTION, &[Value::array(vec![ints(&[1]), ints(&[1]), ints(&[])])], Value::array(vec![ints(&[1]), ints(&[])]));
    }
}
