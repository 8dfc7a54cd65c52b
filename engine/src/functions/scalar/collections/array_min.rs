//! ARRAY_MIN: the smallest item of an array.

use super::prelude::*;
use std::cmp::Ordering;

use super::sets::ARRAY;
use crate::functions::java::java_cmp;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ARRAY_MIN",
    spelling: "array_min",
    category: Category::Collections,
    description: "The smallest item of an array that is not null; null where there is none.",
    examples: &[example("ARRAY_MIN(ARRAY[3, NULL, 1])", "1")],
    variants: &[ScalarVariant::plain("The smallest item.", &[ARRAY], T, |args| {
        let items: &[Value] = args.get(0)?;
        let best = items
            .iter()
            .filter(|item| !item.is_null())
            .reduce(|best, item| if java_cmp(item, best) == Ordering::Less { item } else { best });
        Ok(best.cloned().unwrap_or_default())
    })],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[Value::array(vec![NULL, Value::Int(2), NULL, Value::Int(1)])], Value::Int(1));
        check(&FUNCTION, &[strings(&["foo", "fo", "Food", "F"])], s("F"));
        check(&FUNCTION, &[ints(&[])], NULL);
        check(&FUNCTION, &[Value::array(vec![NULL])], NULL);
    }
}
