//! CORRELATION: Pearson's coefficient of two columns.

use super::support::{arg, bad_state, fields, number, peek};
use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator};
use crate::functions::{Category, EvalError, Param, ParamType, example, param};
use crate::types::{SqlType, Value};

const fn pair(param_type: ParamType) -> [Param; 2] {
    [param("x", param_type, "The one column."), param("y", param_type, "The other column.")]
}

static INT: [Param; 2] = pair(ParamType::Int);
static BIGINT: [Param; 2] = pair(ParamType::BigInt);
static DOUBLE: [Param; 2] = pair(ParamType::Double);

const DESCRIPTION: &str = "Pearson's correlation.";

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "CORRELATION",
    spelling: "CORRELATION",
    category: Category::Aggregate,
    description: "Pearson's correlation of two columns, from -1 to 1, over the rows in which neither is null; NaN while one of them does not vary.",
    examples: &[example("CORRELATION(x, y) over (1, 2), (2, 4)", "1.0")],
    variants: &[
        AggregateVariant::new(DESCRIPTION, &INT, build),
        AggregateVariant::new(DESCRIPTION, &BIGINT, build),
        AggregateVariant::new(DESCRIPTION, &DOUBLE, build),
    ],
};

fn build(call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    call.column(1)?;
    Ok(Box::new(Correlation))
}

/// State: STRUCT of sums: x, x², y, y², xy, and the number of rows.
struct Correlation;

type Sums = [f64; 6];

fn read(state: &Value) -> Result<Sums, EvalError> {
    let values: &[Value; 6] = peek(state)?;
    let mut sums = [0.0; 6];
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum = number(value)?.ok_or_else(bad_state)?;
    }
    Ok(sums)
}

/// Adds `more`, times `sign`, to the state.
fn change(state: &mut Value, more: Sums, sign: f64) -> Result<(), EvalError> {
    let sums = read(state)?;
    let values: &mut [Value; 6] = fields(state)?;
    for ((value, sum), more) in values.iter_mut().zip(sums).zip(more) {
        *value = Value::Double(sum + sign * more);
    }
    Ok(())
}

/// What a row adds; `None` where a value is null.
fn row(args: &[Value]) -> Result<Option<Sums>, EvalError> {
    Ok(match (number(arg(args, 0))?, number(arg(args, 1))?) {
        (Some(x), Some(y)) => Some([x, x * x, y, y * y, x * y, 1.0]),
        _ => None,
    })
}

impl Aggregator for Correlation {
    fn state_type(&self) -> SqlType {
        SqlType::structure(["SUM_X", "SUM_X2", "SUM_Y", "SUM_Y2", "SUM_XY", "COUNT"].map(|name| (name.to_owned(), SqlType::Double)))
    }

    fn return_type(&self) -> SqlType {
        SqlType::Double
    }

    fn initial(&self) -> Value {
        Value::structure(vec![Value::Double(0.0); 6])
    }

    fn add(&self, state: &mut Value, args: &[Value], _arrival: i64) -> Result<(), EvalError> {
        row(args)?.map_or(Ok(()), |sums| change(state, sums, 1.0))
    }

    fn can_undo(&self) -> bool {
        true
    }

    fn undo(&self, state: &mut Value, args: &[Value]) -> Result<(), EvalError> {
        row(args)?.map_or(Ok(()), |sums| change(state, sums, -1.0))
    }

    fn merge(&self, mut left: Value, right: Value) -> Result<Value, EvalError> {
        change(&mut left, read(&right)?, 1.0)?;
        Ok(left)
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        let [x, x2, y, y2, xy, n] = read(state)?;
        Ok(Value::Double((n * xy - x * y) / ((n * x2 - x * x).sqrt() * (n * y2 - y * y).sqrt())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn correlation_needs_variation() {
        let correlation = testing::build(&FUNCTION, &[SqlType::Double, SqlType::Double], &[]);
        let d = Value::Double;
        let rows: [&[Value]; 5] = [&[d(1.0), d(2.0)], &[d(2.0), d(4.0)], &[Value::Null, d(1.0)], &[d(3.0), d(5.0)], &[d(4.0), Value::Null]];
        let got: Vec<f64> = testing::results(&*correlation, &rows).iter().map(|v| number(v).unwrap().unwrap()).collect();
        assert!(got[0].is_nan());
        for (got, expected) in got[1..].iter().zip([1.0, 1.0, 0.981_980_506_061_965_7, 0.981_980_506_061_965_7]) {
            assert!((got - expected).abs() < 1e-12, "{got}");
        }
        let mut state = correlation.initial();
        correlation.add(&mut state, rows[0], 0).unwrap();
        correlation.undo(&mut state, rows[0]).unwrap();
        assert_eq!(state, correlation.initial());
    }
}
