//! CUBE_EXPLODE: a row for each way of replacing items of an array by null.

use super::{TableFunction, TableVariant};
use crate::functions::{Category, EvalError, ParamType, Returns, example, param};
use crate::types::Value;

/// Items that can be left out or kept: there are 2^n rows.
const MAX_ITEMS: usize = 16;

pub static FUNCTION: TableFunction = TableFunction {
    name: "CUBE_EXPLODE",
    spelling: "cube_explode",
    category: Category::Table,
    description: "All arrays that come of an array by replacing some of its items by null, all nulls first: for n items that are not null 2^n rows, n at most 16.",
    examples: &[example("CUBE_EXPLODE(ARRAY[1, 2])", "[null, null], then [null, 2], then [1, null], then [1, 2]")],
    variants: &[TableVariant {
        description: "All combinations.",
        params: &[param("columns", ParamType::Array(&ParamType::Var('T')), "The array.")],
        returns: Returns::Type(ParamType::Array(&ParamType::Var('T'))),
        eval,
    }],
};

fn eval(args: &[Value]) -> Result<Vec<Value>, EvalError> {
    let items = match args.first() {
        Some(Value::Array(items)) => items,
        Some(Value::Null) | None => return Ok(Vec::new()),
        Some(other) => return Err(EvalError::new(format!("CUBE_EXPLODE takes an ARRAY, not {other:?}"))),
    };
    // The last item changes from row to row, the first one half-way.
    let free: Vec<usize> = items.iter().enumerate().rev().filter(|(_, item)| !item.is_null()).map(|(index, _)| index).collect();
    if free.len() > MAX_ITEMS {
        return Err(EvalError::new(format!("CUBE_EXPLODE takes at most {MAX_ITEMS} items that are not null, not {}", free.len())));
    }
    let combination = |bits: usize| {
        let kept = |index: usize| free.iter().position(|place| *place == index).is_some_and(|bit| bits >> bit & 1 == 1);
        Value::array(items.iter().enumerate().map(|(index, item)| if kept(index) { item.clone() } else { Value::Null }).collect())
    };
    Ok((0..1 << free.len()).map(combination).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_combinations_in_order() {
        let rows = |items: &[Value]| eval(&[Value::array(items.to_vec())]).unwrap();
        let (one, two, null) = (Value::Int(1), Value::Int(2), Value::Null);
        let array = |a: &Value, b: &Value| Value::array(vec![a.clone(), b.clone()]);
        assert_eq!(rows(&[one.clone(), two.clone()]), [array(&null, &null), array(&null, &two), array(&one, &null), array(&one, &two)]);
        assert_eq!(rows(&[one.clone(), null.clone()]), [array(&null, &null), array(&one, &null)]);
        assert_eq!(rows(&[]), [Value::array(vec![])]);
        assert_eq!(eval(&[Value::Null]), Ok(vec![]));
        assert!(eval(&[Value::array(vec![Value::Int(1); 17])]).is_err());
    }
}
