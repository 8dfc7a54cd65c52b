//! HISTOGRAM: how often each string occurs in a group.

use std::sync::Arc;

use super::support::{arg, bad_argument, bad_state};
use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator};
use crate::functions::{Category, EvalError, ParamType, example, param};
use crate::types::{MapValue, SqlType, Value};

/// Different values that are counted; later ones are left out.
const MAX_ENTRIES: usize = 1000;

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "HISTOGRAM",
    spelling: "histogram",
    category: Category::Aggregate,
    description: "A map from each value of a group to how often it occurs; null counts as 'null'. At most 1000 different values are counted.",
    examples: &[example("HISTOGRAM(x) over 'a', 'b', 'a'", "{a=2, b=1}")],
    variants: &[AggregateVariant::new("Counts of each value.", &[param("val", ParamType::String, "The values.")], build)],
};

fn build(_call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    Ok(Box::new(Histogram))
}

/// State: the map itself.
struct Histogram;

fn counts(state: &mut Value) -> Result<&mut MapValue, EvalError> {
    match state {
        Value::Map(map) => Ok(Arc::make_mut(map)),
        _ => Err(bad_state()),
    }
}

fn count_in(map: &mut MapValue, key: Value, by: i64) -> Result<(), EvalError> {
    let full = map.len() >= MAX_ENTRIES;
    match map.get_mut(&key) {
        Some(Value::BigInt(count)) => *count += by,
        Some(_) => return Err(bad_state()),
        None if !full => {
            map.insert(key, Value::BigInt(by));
        }
        None => {}
    }
    Ok(())
}

fn key(args: &[Value]) -> Result<Value, EvalError> {
    match arg(args, 0) {
        Value::Null => Ok(Value::string("null")),
        text @ Value::String(_) => Ok(text.clone()),
        other => Err(bad_argument(other)),
    }
}

impl Aggregator for Histogram {
    fn state_type(&self) -> SqlType {
        SqlType::map(SqlType::String, SqlType::BigInt)
    }

    fn return_type(&self) -> SqlType {
        self.state_type()
    }

    fn initial(&self) -> Value {
        Value::Map(Arc::default())
    }

    fn add(&self, state: &mut Value, args: &[Value], _arrival: i64) -> Result<(), EvalError> {
        count_in(counts(state)?, key(args)?, 1)
    }

    fn can_undo(&self) -> bool {
        true
    }

    /// A value that is no longer there leaves the map.
    fn undo(&self, state: &mut Value, args: &[Value]) -> Result<(), EvalError> {
        let (map, key) = (counts(state)?, key(args)?);
        match map.get_mut(&key) {
            Some(Value::BigInt(count)) if *count > 1 => *count -= 1,
            Some(_) => {
                map.shift_remove(&key);
            }
            None => {}
        }
        Ok(())
    }

    fn merge(&self, mut left: Value, right: Value) -> Result<Value, EvalError> {
        let Value::Map(right) = right else { return Err(bad_state()) };
        let map = counts(&mut left)?;
        for (key, count) in right.iter() {
            match count {
                Value::BigInt(count) => count_in(map, key.clone(), *count)?,
                _ => return Err(bad_state()),
            }
        }
        Ok(left)
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        Ok(state.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    fn map(entries: &[(&str, i64)]) -> Value {
        Value::Map(Arc::new(entries.iter().map(|(key, count)| (Value::string(*key), Value::BigInt(*count))).collect()))
    }

    #[test]
    fn values_are_counted_and_uncounted() {
        let histogram = testing::build(&FUNCTION, &[SqlType::String], &[]);
        let rows = [Value::string("x"), Value::Null, Value::string("x")];
        assert_eq!(testing::column(&*histogram, &rows), [map(&[("x", 1)]), map(&[("x", 1), ("null", 1)]), map(&[("x", 2), ("null", 1)])]);
        testing::check_undo(&*histogram, &rows);
        assert_eq!(histogram.merge(map(&[("a", 1)]), map(&[("a", 2), ("b", 1)])), Ok(map(&[("a", 3), ("b", 1)])));
        let many: Vec<Value> = (0..=MAX_ENTRIES).map(|i| Value::string(i.to_string())).collect();
        assert!(matches!(testing::column(&*histogram, &many).last(), Some(Value::Map(map)) if map.len() == MAX_ENTRIES));
    }
}
