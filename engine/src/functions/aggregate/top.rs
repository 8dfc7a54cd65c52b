//! The common part of TOPK and TOPKDISTINCT: a short list of the largest values, in descending order.

use std::cmp::Ordering;

use super::Aggregator;
use super::support::{arg, bad_state, items, peek_items};
use crate::functions::EvalError;
use crate::functions::java::java_cmp;
use crate::types::{SqlType, Value};

/// State: ARRAY of the largest items; an item is a value, or STRUCT<sort_col, col0, …> where other columns go along.
pub(super) struct Top {
    pub item_type: SqlType,
    /// Items kept.
    pub size: usize,
    pub distinct: bool,
    /// Columns that go along; 0: items are plain values.
    pub carried: usize,
}

impl Top {
    /// What items are sorted by.
    fn rank<'v>(&self, item: &'v Value) -> Result<&'v Value, EvalError> {
        if self.carried == 0 {
            return Ok(item);
        }
        match item {
            Value::Struct(fields) => Ok(arg(fields, 0)),
            _ => Err(bad_state()),
        }
    }

    /// Puts an item behind those that are as large; drops what no longer has room.
    fn insert(&self, state: &mut Value, item: Value) -> Result<(), EvalError> {
        let rank = self.rank(&item)?;
        let present = peek_items(state)?;
        let mut at = present.len();
        for (index, other) in present.iter().enumerate() {
            match java_cmp(self.rank(other)?, rank) {
                Ordering::Equal if self.distinct => return Ok(()),
                Ordering::Less => {
                    at = index;
                    break;
                }
                _ => {}
            }
        }
        if at < self.size {
            let list = items(state)?;
            list.insert(at, item);
            list.truncate(self.size);
        }
        Ok(())
    }
}

impl Aggregator for Top {
    fn state_type(&self) -> SqlType {
        SqlType::array(self.item_type.clone())
    }

    fn return_type(&self) -> SqlType {
        self.state_type()
    }

    fn initial(&self) -> Value {
        Value::array(Vec::new())
    }

    fn add(&self, state: &mut Value, args: &[Value], _arrival: i64) -> Result<(), EvalError> {
        let value = arg(args, 0);
        if value.is_null() {
            return Ok(());
        }
        let item = if self.carried == 0 { value.clone() } else { Value::structure(args.iter().take(self.carried + 1).cloned().collect()) };
        self.insert(state, item)
    }

    fn merge(&self, mut left: Value, right: Value) -> Result<Value, EvalError> {
        peek_items(&right)?.iter().try_for_each(|item| self.insert(&mut left, item.clone()))?;
        Ok(left)
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        Ok(state.clone())
    }
}
