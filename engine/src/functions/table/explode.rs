//! EXPLODE: a row for each item of an array.

use super::{TableFunction, TableVariant};
use crate::functions::{Category, EvalError, Param, ParamType, Returns, example, param};
use crate::types::{SqlType, Value};

pub static FUNCTION: TableFunction = TableFunction {
    name: "EXPLODE",
    spelling: "explode",
    category: Category::Table,
    description: "A row for each item of an array, nulls too; none for an empty array or null.",
    examples: &[example("EXPLODE(ARRAY[1, 2])", "1, then 2")],
    variants: &[
        TableVariant {
            description: "A row for each DECIMAL.",
            params: &[param("input", ParamType::Array(&ParamType::Decimal), "The array.")],
            returns: Returns::By(item_type),
            eval,
        },
        TableVariant { description: "A row for each item.", params: &[LIST], returns: Returns::Type(ParamType::Var('T')), eval },
    ],
};

const LIST: Param = param("list", ParamType::Array(&ParamType::Var('T')), "The array.");

fn item_type(types: &[SqlType]) -> Result<SqlType, String> {
    match types.first() {
        Some(SqlType::Array(item)) => Ok(SqlType::clone(item)),
        other => Err(format!("EXPLODE takes an ARRAY, not {other:?}")),
    }
}

fn eval(args: &[Value]) -> Result<Vec<Value>, EvalError> {
    match args.first() {
        Some(Value::Array(items)) => Ok(items.to_vec()),
        Some(Value::Null) | None => Ok(Vec::new()),
        Some(other) => Err(EvalError::new(format!("EXPLODE takes an ARRAY, not {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_become_rows() {
        let items = vec![Value::Int(1), Value::Null];
        assert_eq!(eval(&[Value::array(items.clone())]), Ok(items));
        assert_eq!(eval(&[Value::Null]), Ok(vec![]));
        assert!(eval(&[Value::Int(1)]).is_err());
        let decimal = SqlType::Decimal { precision: 4, scale: 2 };
        assert_eq!(item_type(&[SqlType::array(decimal.clone())]), Ok(decimal));
    }
}
