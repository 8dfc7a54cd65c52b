//! The common part of MIN and MAX: the smallest or largest value of a group in Java's order. Nulls are passed over.

use std::cmp::Ordering;

use super::support::arg;
use super::{AggregateCall, Aggregator, InState};
use crate::functions::java::java_cmp;
use crate::functions::{EvalError, Param, ParamType, param};
use crate::types::{SqlType, Value};

/// Types that have an order, one parameter list each.
pub(super) static PARAMS: [[Param; 1]; 9] = [
    [param("val", ParamType::Int, "The values.")],
    [param("val", ParamType::BigInt, "The values.")],
    [param("val", ParamType::Double, "The values.")],
    [param("val", ParamType::Decimal, "The values.")],
    [param("val", ParamType::Date, "The values.")],
    [param("val", ParamType::Time, "The values.")],
    [param("val", ParamType::Timestamp, "The values.")],
    [param("val", ParamType::String, "The values.")],
    [param("val", ParamType::Bytes, "The values.")],
];

/// An aggregator that keeps the value which stands in `wanted` order to all others.
pub(super) fn build(call: &AggregateCall<'_>, wanted: Ordering) -> Result<Box<dyn Aggregator>, String> {
    Ok(Box::new(Extreme { sql_type: call.column(0)?.clone(), wanted }))
}

struct Extreme {
    sql_type: SqlType,
    wanted: Ordering,
}

impl Aggregator for Extreme {
    fn state_type(&self) -> SqlType {
        self.sql_type.clone()
    }

    fn return_type(&self) -> SqlType {
        self.sql_type.clone()
    }

    fn initial(&self) -> Value {
        Value::Null
    }

    fn add(&self, state: &mut Value, args: &[Value], _arrival: i64) -> Result<(), EvalError> {
        let value = arg(args, 0);
        if !value.is_null() && (state.is_null() || java_cmp(value, state) == self.wanted) {
            *state = value.clone();
        }
        Ok(())
    }

    fn merge(&self, left: Value, right: Value) -> Result<Value, EvalError> {
        Ok(match (left, right) {
            (Value::Null, other) | (other, Value::Null) => other,
            (left, right) if java_cmp(&right, &left) == self.wanted => right,
            (left, _) => left,
        })
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        Ok(state.clone())
    }

    fn result_in_state(&self) -> InState {
        InState::Whole
    }
}
