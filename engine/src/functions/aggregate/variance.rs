//! The common part of STDDEV_SAMP and STDDEV_SAMPLE: the sample variance of a group, updated value by value (Youngs and
//! Cramer), so that large values lose no digits.

use super::support::{arg, bad_state, fields, number, peek};
use super::{AggregateCall, Aggregator};
use crate::functions::{EvalError, Param, ParamType, param};
use crate::types::{SqlType, Value};

pub(super) static INT: [Param; 1] = [param("val", ParamType::Int, "The values.")];
pub(super) static BIGINT: [Param; 1] = [param("val", ParamType::BigInt, "The values.")];
pub(super) static DOUBLE: [Param; 1] = [param("val", ParamType::Double, "The values.")];

pub(super) fn build(call: &AggregateCall<'_>, square_root: bool) -> Result<Box<dyn Aggregator>, String> {
    call.column(0)?;
    Ok(Box::new(Variance { square_root }))
}

/// State: STRUCT<SUM, COUNT, M2>, M2 being the sum of squared distances from the mean.
struct Variance {
    square_root: bool,
}

fn read(state: &Value) -> Result<(f64, i64, f64), EvalError> {
    match peek(state)? {
        [Value::Double(sum), Value::BigInt(count), Value::Double(m2)] => Ok((*sum, *count, *m2)),
        _ => Err(bad_state()),
    }
}

fn write(state: &mut Value, (sum, count, m2): (f64, i64, f64)) -> Result<(), EvalError> {
    let [s, c, m] = fields(state)?;
    (*s, *c, *m) = (Value::Double(sum), Value::BigInt(count), Value::Double(m2));
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn as_double(count: i64) -> f64 {
    count as f64
}

/// What a value adds to M2 where `count` and `sum` include it.
fn share(value: f64, sum: f64, count: i64) -> f64 {
    if count < 2 {
        return 0.0;
    }
    let count = as_double(count);
    (count * value - sum).powi(2) / (count * (count - 1.0))
}

impl Aggregator for Variance {
    fn state_type(&self) -> SqlType {
        SqlType::structure([("SUM".to_owned(), SqlType::Double), ("COUNT".to_owned(), SqlType::BigInt), ("M2".to_owned(), SqlType::Double)])
    }

    fn return_type(&self) -> SqlType {
        SqlType::Double
    }

    fn initial(&self) -> Value {
        Value::structure(vec![Value::Double(0.0), Value::BigInt(0), Value::Double(0.0)])
    }

    fn add(&self, state: &mut Value, args: &[Value], _arrival: i64) -> Result<(), EvalError> {
        let Some(value) = number(arg(args, 0))? else { return Ok(()) };
        let (sum, count, m2) = read(state)?;
        let (sum, count) = (sum + value, count + 1);
        write(state, (sum, count, m2 + share(value, sum, count)))
    }

    fn can_undo(&self) -> bool {
        true
    }

    fn undo(&self, state: &mut Value, args: &[Value]) -> Result<(), EvalError> {
        let Some(value) = number(arg(args, 0))? else { return Ok(()) };
        let (sum, count, m2) = read(state)?;
        write(state, (sum - value, count - 1, m2 - share(value, sum, count)))
    }

    fn merge(&self, mut left: Value, right: Value) -> Result<Value, EvalError> {
        let (a, b) = (read(&left)?, read(&right)?);
        let (n, m) = (as_double(a.1), as_double(b.1));
        let between = if a.1 == 0 || b.1 == 0 { 0.0 } else { (m / n * a.0 - b.0).powi(2) * n / (m * (m + n)) };
        write(&mut left, (a.0 + b.0, a.1 + b.1, a.2 + b.2 + between))?;
        Ok(left)
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        let (_, count, m2) = read(state)?;
        let variance = if count < 2 { 0.0 } else { m2 / as_double(count - 1) };
        Ok(Value::Double(if self.square_root { variance.sqrt() } else { variance }))
    }
}
