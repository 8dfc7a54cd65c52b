//! ARRAY_SORT: the items of an array in order.

use super::prelude::*;
use super::sets::{ARRAY, RESULT};
use crate::functions::java::java_cmp;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ARRAY_SORT",
    spelling: "array_sort",
    category: Category::Collections,
    description: "The items of an array in ascending order, or in that of the second argument: ASC, ASCENDING, DESC or DESCENDING. Nulls come last.",
    examples: &[example("ARRAY_SORT(ARRAY[3, NULL, 1])", "[1, 3, null]"), example("ARRAY_SORT(ARRAY[1, 3], 'DESC')", "[3, 1]")],
    variants: &[
        ScalarVariant::plain("In ascending order.", &[ARRAY], RESULT, |args| sort(args, false)),
        ScalarVariant::plain("In an order.", &[ARRAY, param("direction", ParamType::String, "ASC or DESC.")], RESULT, eval),
    ],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let direction: &str = args.get(1)?;
    match direction.to_ascii_uppercase().as_str() {
        "ASC" | "ASCENDING" => sort(args, false),
        "DESC" | "DESCENDING" => sort(args, true),
        _ => Ok(Value::Null),
    }
}

fn sort(args: &mut Args<'_>, descending: bool) -> Outcome {
    let mut items = args.get::<&[Value]>(0)?.to_vec();
    items.sort_by(|a, b| if descending && !a.is_null() && !b.is_null() { java_cmp(b, a) } else { java_cmp(a, b) });
    Ok(Value::array(items))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let mixed = || Value::array(vec![NULL, Value::Int(2), NULL, Value::Int(3)]);
        check(&FUNCTION, &[mixed()], Value::array(vec![Value::Int(2), Value::Int(3), NULL, NULL]));
        check(&FUNCTION, &[mixed(), s("descending")], Value::array(vec![Value::Int(3), Value::Int(2), NULL, NULL]));
        check(&FUNCTION, &[mixed(), s("sideways")], NULL);
        check(&FUNCTION, &[strings(&["b", "a", "B", "é", "漢", ""])], strings(&["", "B", "a", "b", "é", "漢"]));
    }
}
