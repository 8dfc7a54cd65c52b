//! What several aggregates share: access to states and arguments, constructors of the static data, limits.

use std::sync::Arc;

use super::{AggregateCall, AggregateVariant, Aggregator, EvalError};
use crate::functions::Param;
use crate::types::{SqlType, Value};

/// Builds an aggregator for a call.
pub type Build = fn(&AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String>;

impl AggregateVariant {
    /// A variant of column parameters alone.
    pub const fn new(description: &'static str, params: &'static [Param], build: Build) -> Self {
        AggregateVariant { description, params, constants: 0, variadic: None, build }
    }

    /// The last `count` parameters must be literals.
    pub const fn with_constants(mut self, count: usize) -> Self {
        self.constants = count;
        self
    }

    /// The parameter at `index` may repeat, also not at all.
    pub const fn variadic(mut self, index: usize) -> Self {
        self.variadic = Some(index);
        self
    }
}

impl AggregateCall<'_> {
    /// The type of a column argument.
    ///
    /// # Errors
    /// The call has no such argument.
    pub fn column(&self, index: usize) -> Result<&SqlType, String> {
        self.types.get(index).ok_or_else(|| format!("argument {} is missing", index + 1))
    }

    /// An INT literal of at least 1.
    ///
    /// # Errors
    /// It is missing, smaller, or no INT.
    pub fn count(&self, index: usize, name: &str) -> Result<usize, String> {
        match self.constants.get(index) {
            Some(Value::Int(count)) if *count >= 1 => usize::try_from(*count).map_err(|e| e.to_string()),
            _ => Err(format!("Failed to invoke UDAF factory method: {name} must be 1 or greater")),
        }
    }

    /// A BOOLEAN literal; `absent` where there is none.
    ///
    /// # Errors
    /// It is no BOOLEAN.
    pub fn flag(&self, index: usize, absent: bool) -> Result<bool, String> {
        match self.constants.get(index) {
            None => Ok(absent),
            Some(Value::Boolean(flag)) => Ok(*flag),
            Some(_) => Err(format!("literal {} must be TRUE or FALSE", index + 1)),
        }
    }

    /// A limit on the size of a state: the property `ksql.functions.<function>.limit`; none below 0.
    pub fn limit(&self, function: &str, default: usize) -> usize {
        let text = self.properties.get(&format!("ksql.functions.{function}.limit"));
        match text.and_then(|text| text.trim().parse::<i64>().ok()) {
            Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
            None => default,
        }
    }
}

/// A row's argument; null where it is missing.
pub fn arg(args: &[Value], index: usize) -> &Value {
    args.get(index).unwrap_or(&Value::Null)
}

/// The state is not what this aggregate writes: another version's, or a broken store.
pub fn bad_state() -> EvalError {
    EvalError::new("the state of the aggregate is not of its type")
}

/// An argument of a type that the aggregate was not built for.
pub fn bad_argument(value: &Value) -> EvalError {
    EvalError::new(format!("the aggregate can't take {value:?}"))
}

/// The fields of a STRUCT state, unshared.
pub fn fields<const N: usize>(state: &mut Value) -> Result<&mut [Value; N], EvalError> {
    match state {
        Value::Struct(fields) => Arc::make_mut(fields).try_into().map_err(|_| bad_state()),
        _ => Err(bad_state()),
    }
}

/// The fields of a STRUCT state.
pub fn peek<const N: usize>(state: &Value) -> Result<&[Value; N], EvalError> {
    match state {
        Value::Struct(fields) => (&**fields).try_into().map_err(|_| bad_state()),
        _ => Err(bad_state()),
    }
}

/// The items of an ARRAY state, unshared.
pub fn items(state: &mut Value) -> Result<&mut Vec<Value>, EvalError> {
    match state {
        Value::Array(items) => Ok(Arc::make_mut(items)),
        _ => Err(bad_state()),
    }
}

/// The items of an ARRAY state.
pub fn peek_items(state: &Value) -> Result<&[Value], EvalError> {
    match state {
        Value::Array(items) => Ok(items),
        _ => Err(bad_state()),
    }
}

/// A number as a double; `None` for null.
pub fn number(value: &Value) -> Result<Option<f64>, EvalError> {
    match value {
        Value::Null => Ok(None),
        Value::Int(v) => Ok(Some(f64::from(*v))),
        #[allow(clippy::cast_precision_loss)]
        Value::BigInt(v) => Ok(Some(*v as f64)),
        Value::Double(v) => Ok(Some(*v)),
        other => Err(bad_argument(other)),
    }
}
