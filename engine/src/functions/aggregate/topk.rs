//! TOPK: the largest values of a group, in descending order, alone or with other columns of their rows.

use super::top::Top;
use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator};
use crate::functions::{Category, Param, ParamType, example, param};
use crate::types::SqlType;

const SIZE: Param = param("k", ParamType::Int, "How many values to keep, at least 1.");
const OTHER: Param = param("col", ParamType::Any, "Columns of the row that go along as col0, col1, ….");

const fn sort(param_type: ParamType) -> Param {
    param("sort_col", param_type, "The values.")
}

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "TOPK",
    spelling: "TOPK",
    category: Category::Aggregate,
    description: "The k largest values of a group in descending order, equal ones each on its own. With further columns the items are structs of sort_col, col0, and so on. Nulls are passed over.",
    examples: &[example("TOPK(x, 2) over 1, 3, 3, 2", "[3, 3]")],
    variants: &[
        AggregateVariant::new("Largest INT values.", &[sort(ParamType::Int), SIZE], build).with_constants(1),
        AggregateVariant::new("Largest BIGINT values.", &[sort(ParamType::BigInt), SIZE], build).with_constants(1),
        AggregateVariant::new("Largest DOUBLE values.", &[sort(ParamType::Double), SIZE], build).with_constants(1),
        AggregateVariant::new("Largest STRING values.", &[sort(ParamType::String), SIZE], build).with_constants(1),
        AggregateVariant::new("Largest INT values with other columns.", &[sort(ParamType::Int), OTHER, OTHER, SIZE], build)
            .with_constants(1)
            .variadic(2),
        AggregateVariant::new("Largest BIGINT values with other columns.", &[sort(ParamType::BigInt), OTHER, OTHER, SIZE], build)
            .with_constants(1)
            .variadic(2),
        AggregateVariant::new("Largest DOUBLE values with other columns.", &[sort(ParamType::Double), OTHER, OTHER, SIZE], build)
            .with_constants(1)
            .variadic(2),
        AggregateVariant::new("Largest STRING values with other columns.", &[sort(ParamType::String), OTHER, OTHER, SIZE], build)
            .with_constants(1)
            .variadic(2),
    ],
};

fn build(call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    let (first, others) = call.types.split_first().ok_or("TOPK needs a column")?;
    let item_type = if others.is_empty() {
        first.clone()
    } else {
        let carried = others.iter().enumerate().map(|(index, sql_type)| (format!("col{index}"), sql_type.clone()));
        SqlType::structure(std::iter::once(("sort_col".to_owned(), first.clone())).chain(carried))
    };
    Ok(Box::new(Top { item_type, size: call.count(0, "k")?, distinct: false, carried: others.len() }))
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::types::Value;

    #[test]
    fn the_largest_come_first() {
        let top = testing::build(&FUNCTION, &[SqlType::Int], &[Value::Int(3)]);
        let ints = |values: &[i32]| Value::array(values.iter().map(|v| Value::Int(*v)).collect());
        let got = testing::column(&*top, &[1, 1, 2, 2, 0].map(Value::Int));
        assert_eq!(got, [ints(&[1]), ints(&[1, 1]), ints(&[2, 1, 1]), ints(&[2, 2, 1]), ints(&[2, 2, 1])]);
        assert_eq!(top.merge(ints(&[5, 3]), ints(&[4, 3])), Ok(ints(&[5, 4, 3])));
        assert_eq!(testing::column(&*top, &[Value::Null]), [ints(&[])]);
    }

    #[test]
    fn other_columns_go_along_and_equal_rows_keep_their_order() {
        let top = testing::build(&FUNCTION, &[SqlType::Int, SqlType::String], &[Value::Int(2)]);
        let item = |v: i32, name: &str| Value::structure(vec![Value::Int(v), Value::string(name)]);
        let rows: Vec<Vec<Value>> =
            [(3, "x"), (5, "y"), (4, "z"), (5, "w")].iter().map(|(v, name)| vec![Value::Int(*v), Value::string(*name)]).collect();
        let rows: Vec<&[Value]> = rows.iter().map(Vec::as_slice).collect();
        assert_eq!(testing::results(&*top, &rows).last(), Some(&Value::array(vec![item(5, "y"), item(5, "w")])));
        assert_eq!(top.return_type().to_string(), "ARRAY<STRUCT<`sort_col` INTEGER, `col0` STRING>>");
    }
}
