//! The common part of LATEST_BY_OFFSET and EARLIEST_BY_OFFSET: values with their arrival, so that merged sessions stay in
//! the order in which rows came.

use super::support::{arg, bad_state, items, peek, peek_items};
use super::{AggregateCall, Aggregator, InState};
use crate::functions::{EvalError, Param, ParamType, param};
use crate::types::{SqlType, Value};

/// Which end of the arrivals is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Latest,
    Earliest,
}

const COLUMN: Param = param("column", ParamType::Var('T'), "The values.");
const LATEST_COUNT: Param = param("latestN", ParamType::Int, "How many values to keep, at least 1.");
const EARLIEST_COUNT: Param = param("earliestN", ParamType::Int, "How many values to keep, at least 1.");
const IGNORE_NULLS: Param = param("ignoreNulls", ParamType::Boolean, "Whether nulls are passed over; TRUE where it is not given.");

pub(super) static ONE: [Param; 1] = [COLUMN];
pub(super) static ONE_NULLS: [Param; 2] = [COLUMN, IGNORE_NULLS];
pub(super) static LATEST: [Param; 2] = [COLUMN, LATEST_COUNT];
pub(super) static LATEST_NULLS: [Param; 3] = [COLUMN, LATEST_COUNT, IGNORE_NULLS];
pub(super) static EARLIEST: [Param; 2] = [COLUMN, EARLIEST_COUNT];
pub(super) static EARLIEST_NULLS: [Param; 3] = [COLUMN, EARLIEST_COUNT, IGNORE_NULLS];

/// Builds the variant that keeps one value; the literal, if any, is the flag.
pub(super) fn build_one(call: &AggregateCall<'_>, end: End) -> Result<Box<dyn Aggregator>, String> {
    Ok(Box::new(One { sql_type: call.column(0)?.clone(), end, ignore_nulls: call.flag(0, true)? }))
}

/// Builds the variant that keeps several; literals are their number and the flag.
pub(super) fn build_many(call: &AggregateCall<'_>, end: End, name: &str) -> Result<Box<dyn Aggregator>, String> {
    Ok(Box::new(Many { sql_type: call.column(0)?.clone(), end, count: call.count(0, name)?, ignore_nulls: call.flag(1, true)? }))
}

fn entry_type(sql_type: &SqlType) -> SqlType {
    SqlType::structure([("SEQ".to_owned(), SqlType::BigInt), ("VAL".to_owned(), sql_type.clone())])
}

fn entry(arrival: i64, value: &Value) -> Value {
    Value::structure(vec![Value::BigInt(arrival), value.clone()])
}

fn arrival_of(entry: &Value) -> Result<i64, EvalError> {
    match peek(entry)? {
        [Value::BigInt(arrival), _] => Ok(*arrival),
        _ => Err(bad_state()),
    }
}

fn value_of(entry: &Value) -> Result<Value, EvalError> {
    let [_, value] = peek(entry)?;
    Ok(value.clone())
}

/// State: STRUCT<SEQ, VAL>, null while there is no value.
struct One {
    sql_type: SqlType,
    end: End,
    ignore_nulls: bool,
}

impl Aggregator for One {
    fn state_type(&self) -> SqlType {
        entry_type(&self.sql_type)
    }

    fn return_type(&self) -> SqlType {
        self.sql_type.clone()
    }

    fn initial(&self) -> Value {
        Value::Null
    }

    fn add(&self, state: &mut Value, args: &[Value], arrival: i64) -> Result<(), EvalError> {
        let value = arg(args, 0);
        let passed_over = (self.ignore_nulls && value.is_null()) || (self.end == End::Earliest && !state.is_null());
        if !passed_over {
            *state = entry(arrival, value);
        }
        Ok(())
    }

    fn merge(&self, left: Value, right: Value) -> Result<Value, EvalError> {
        Ok(match (left, right) {
            (Value::Null, other) | (other, Value::Null) => other,
            (left, right) => {
                let right_is_later = arrival_of(&right)? >= arrival_of(&left)?;
                if right_is_later == (self.end == End::Latest) { right } else { left }
            }
        })
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        if state.is_null() { Ok(Value::Null) } else { value_of(state) }
    }

    fn result_in_state(&self) -> InState {
        InState::Field(1)
    }
}

/// State: ARRAY<STRUCT<SEQ, VAL>> in order of arrival.
struct Many {
    sql_type: SqlType,
    end: End,
    count: usize,
    ignore_nulls: bool,
}

impl Many {
    /// Drops what is too much.
    fn trim(&self, entries: &mut Vec<Value>) {
        match self.end {
            End::Earliest => entries.truncate(self.count),
            End::Latest => {
                let extra = entries.len().saturating_sub(self.count);
                entries.drain(..extra);
            }
        }
    }
}

impl Aggregator for Many {
    fn state_type(&self) -> SqlType {
        SqlType::array(entry_type(&self.sql_type))
    }

    fn return_type(&self) -> SqlType {
        SqlType::array(self.sql_type.clone())
    }

    fn initial(&self) -> Value {
        Value::array(Vec::new())
    }

    fn add(&self, state: &mut Value, args: &[Value], arrival: i64) -> Result<(), EvalError> {
        let value = arg(args, 0);
        let full = self.end == End::Earliest && peek_items(state)?.len() >= self.count;
        if full || (self.ignore_nulls && value.is_null()) {
            return Ok(());
        }
        let entries = items(state)?;
        entries.push(entry(arrival, value));
        self.trim(entries);
        Ok(())
    }

    fn merge(&self, mut left: Value, right: Value) -> Result<Value, EvalError> {
        let entries = items(&mut left)?;
        entries.extend_from_slice(peek_items(&right)?);
        let mut keyed = entries.drain(..).map(|entry| Ok((arrival_of(&entry)?, entry))).collect::<Result<Vec<_>, EvalError>>()?;
        keyed.sort_by_key(|(arrival, _)| *arrival);
        entries.extend(keyed.into_iter().map(|(_, entry)| entry));
        self.trim(entries);
        Ok(left)
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        peek_items(state)?.iter().map(value_of).collect::<Result<Vec<_>, _>>().map(Value::array)
    }
}
