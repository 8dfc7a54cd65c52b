//! ARRAY_MAX: the largest item of an array.

use super::prelude::*;
use std::cmp::Ordering;

use super::sets::ARRAY;
use crate::functions::java::java_cmp;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ARRAY_MAX",
    spelling: "array_max",
    category: Category::Collections,
    description: "The largest item of an array that is not null; null where there is none.",
    examples: &[example("ARRAY_MAX(ARRAY[3, NULL, 1])", "3")],
    variants: &[ScalarVariant::plain("The largest item.", &[ARRAY], T, |args| {
        let items: &[Value] = args.get(0)?;
        let best = items
            .iter()
            .filter(|item| !item.is_null())
            .reduce(|best, item| if java_cmp(item, best) == Ordering::Greater { item } else { best });
        Ok(best.cloned().unwrap_or_default())
    })],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[Value::array(vec![NULL, Value::Int(2), NULL, Value::Int(1)])], Value::Int(2));
        check(&FUNCTION, &[strings(&["foo", "fo", "Food", "F"])], s("foo"));
        check(&FUNCTION, &[ints(&[])], NULL);
        check(&FUNCTION, &[Value::array(vec![NULL])], NULL);
    }
}
