//! What the lambda functions share.

use std::sync::Arc;

use super::prelude::*;
use crate::types::MapValue;

pub(super) const ARRAY: Param = param("array", ParamType::Array(&ParamType::Var('T')), "The array.");
pub(super) const MAP: Param = param("map", ParamType::Map(&ParamType::Var('K'), &ParamType::Var('V')), "The map.");

/// A map of entries, as Java collects them: a key twice or a null value is an error.
pub(super) fn collect(entries: impl Iterator<Item = Result<(Value, Value), EvalError>>) -> Outcome {
    let mut map = MapValue::default();
    for entry in entries {
        let (key, value) = entry?;
        if value.is_null() {
            return Err(EvalError::new(format!("the value of the key {key:?} is null")));
        }
        if map.contains_key(&key) {
            return Err(EvalError::new(format!("the key {key:?} is there twice")));
        }
        map.insert(key, value);
    }
    Ok(Value::Map(Arc::new(map)))
}
