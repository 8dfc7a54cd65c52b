//! ATTR: the value that all rows of a group share, null where they don't.

use super::support::{arg, bad_state, fields, items, peek, peek_items};
use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator};
use crate::functions::{Category, EvalError, ParamType, example, param};
use crate::types::{SqlType, Value};

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "ATTR",
    spelling: "ATTR",
    category: Category::Aggregate,
    description: "The value that is the same in all rows of a group; null where the rows differ. Null is a value like any other.",
    examples: &[example("ATTR(x) over 'a', 'a'", "a"), example("ATTR(x) over 'a', 'b'", "null")],
    variants: &[AggregateVariant::new("The one value.", &[param("colName", ParamType::Var('T'), "The values.")], build)],
};

fn build(call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    Ok(Box::new(Attr { sql_type: call.column(0)?.clone() }))
}

/// State: ARRAY<STRUCT<VALUE, COUNT>>, one item for each value that is there.
struct Attr {
    sql_type: SqlType,
}

fn change(state: &mut Value, value: &Value, by: i64) -> Result<(), EvalError> {
    let present = peek_items(state)?;
    let at = present.iter().position(|entry| peek::<2>(entry).is_ok_and(|[other, _]| other == value));
    let entries = items(state)?;
    let Some((at, entry)) = at.and_then(|at| Some((at, entries.get_mut(at)?))) else {
        if by > 0 {
            entries.push(Value::structure(vec![value.clone(), Value::BigInt(by)]));
        }
        return Ok(());
    };
    let [_, Value::BigInt(count)] = fields(entry)? else { return Err(bad_state()) };
    *count += by;
    if *count <= 0 {
        entries.remove(at);
    }
    Ok(())
}

impl Aggregator for Attr {
    fn state_type(&self) -> SqlType {
        SqlType::array(SqlType::structure([("VALUE".to_owned(), self.sql_type.clone()), ("COUNT".to_owned(), SqlType::BigInt)]))
    }

    fn return_type(&self) -> SqlType {
        self.sql_type.clone()
    }

    fn initial(&self) -> Value {
        Value::array(Vec::new())
    }

    fn add(&self, state: &mut Value, args: &[Value], _arrival: i64) -> Result<(), EvalError> {
        change(state, arg(args, 0), 1)
    }

    fn can_undo(&self) -> bool {
        true
    }

    fn undo(&self, state: &mut Value, args: &[Value]) -> Result<(), EvalError> {
        change(state, arg(args, 0), -1)
    }

    fn merge(&self, mut left: Value, right: Value) -> Result<Value, EvalError> {
        for entry in peek_items(&right)? {
            match peek(entry)? {
                [value, Value::BigInt(count)] => change(&mut left, value, *count)?,
                _ => return Err(bad_state()),
            }
        }
        Ok(left)
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        match peek_items(state)? {
            [only] => peek::<2>(only).map(|[value, _]| value.clone()),
            _ => Ok(Value::Null),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn only_a_shared_value_shows() {
        let attr = testing::build(&FUNCTION, &[SqlType::Int], &[]);
        let (one, two) = (Value::Int(1), Value::Int(2));
        assert_eq!(
            testing::column(&*attr, &[one.clone(), one.clone(), two.clone(), one.clone()]),
            [one.clone(), one.clone(), Value::Null, Value::Null]
        );
        assert_eq!(testing::column(&*attr, &[Value::Null, two.clone()]), [Value::Null, Value::Null]);
        testing::check_undo(&*attr, &[one.clone(), two.clone(), one.clone(), Value::Null]);
        let merged = attr.merge(testing::state(&*attr, &[(0, one.clone())]), testing::state(&*attr, &[(0, one.clone())])).unwrap();
        assert_eq!(attr.result(&merged), Ok(one));
    }
}
