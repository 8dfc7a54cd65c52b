//! COLLECT_LIST: all values of a group in order of arrival, nulls too.

use super::support::{arg, items, peek_items};
use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator, InState};
use crate::functions::{Category, EvalError, ParamType, example, param};
use crate::types::{SqlType, Value};

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "COLLECT_LIST",
    spelling: "COLLECT_LIST",
    category: Category::Aggregate,
    description: "All values of a group as an array, nulls too. The property ksql.functions.collect_list.limit bounds its length; later values are left out.",
    examples: &[example("COLLECT_LIST(x) over 1, NULL, 1", "[1, null, 1]")],
    variants: &[AggregateVariant::new("All values.", &[param("col", ParamType::Var('T'), "The values.")], build)],
};

fn build(call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    Ok(Box::new(CollectList { sql_type: call.column(0)?.clone(), limit: call.limit("collect_list", usize::MAX) }))
}

struct CollectList {
    sql_type: SqlType,
    /// Items.
    limit: usize,
}

impl Aggregator for CollectList {
    fn state_type(&self) -> SqlType {
        SqlType::array(self.sql_type.clone())
    }

    fn return_type(&self) -> SqlType {
        self.state_type()
    }

    fn initial(&self) -> Value {
        Value::array(Vec::new())
    }

    fn add(&self, state: &mut Value, args: &[Value], _arrival: i64) -> Result<(), EvalError> {
        if peek_items(state)?.len() < self.limit {
            items(state)?.push(arg(args, 0).clone());
        }
        Ok(())
    }

    fn can_undo(&self) -> bool {
        true
    }

    /// Takes out the value's last occurrence; nothing where the limit kept it out.
    fn undo(&self, state: &mut Value, args: &[Value]) -> Result<(), EvalError> {
        let value = arg(args, 0);
        if let Some(at) = peek_items(state)?.iter().rposition(|item| item == value) {
            items(state)?.remove(at);
        }
        Ok(())
    }

    fn merge(&self, mut left: Value, right: Value) -> Result<Value, EvalError> {
        let list = items(&mut left)?;
        let room = self.limit.saturating_sub(list.len());
        list.extend(peek_items(&right)?.iter().take(room).cloned());
        Ok(left)
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        Ok(state.clone())
    }

    fn result_in_state(&self) -> InState {
        InState::Whole
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn values_come_in_order_up_to_the_limit() {
        let ints = |values: &[i32]| Value::array(values.iter().map(|v| Value::Int(*v)).collect());
        let list = testing::build(&FUNCTION, &[SqlType::Int], &[]);
        let got = testing::column(&*list, &[Value::Int(1), Value::Null, Value::Int(1)]);
        assert_eq!(got.last(), Some(&Value::array(vec![Value::Int(1), Value::Null, Value::Int(1)])));
        testing::check_undo(&*list, &[Value::Int(3), Value::Int(5), Value::Null]);
        let mut state = ints(&[3, 5, 3]);
        list.undo(&mut state, &[Value::Int(3)]).unwrap();
        assert_eq!(state, ints(&[3, 5]));
        let short = testing::build_with(&FUNCTION, &[SqlType::Int], &[], &[("ksql.functions.collect_list.limit", "3")]);
        assert_eq!(testing::column(&*short, &[0, 1, 2, 3].map(Value::Int)).last(), Some(&ints(&[0, 1, 2])));
        assert_eq!(short.merge(ints(&[1, 2]), ints(&[3, 4])), Ok(ints(&[1, 2, 3])));
    }
}
