//! AVG over INT, BIGINT and DOUBLE. The sum wraps around as SUM does; a group without values averages to 0.

use super::sum::{Sum, sum_of};
use super::support::{arg, bad_state, fields, number, peek};
use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator};
use crate::functions::{Category, EvalError, ParamType, example, param};
use crate::types::{SqlType, Value};

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "AVG",
    spelling: "AVG",
    category: Category::Aggregate,
    description: "The mean of the values that are not null, as a DOUBLE.",
    examples: &[example("AVG(x) over 1, 2, NULL", "1.5")],
    variants: &[
        AggregateVariant::new("Mean of INT.", &[param("val", ParamType::Int, "The values.")], build),
        AggregateVariant::new("Mean of BIGINT.", &[param("val", ParamType::BigInt, "The values.")], build),
        AggregateVariant::new("Mean of DOUBLE.", &[param("val", ParamType::Double, "The values.")], build),
    ],
};

fn build(call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    match call.column(0)? {
        SqlType::Decimal { .. } => Err("AVG does not take DECIMAL".to_owned()),
        numeric => Ok(Box::new(Avg { sum: sum_of(numeric)? })),
    }
}

/// State: STRUCT<SUM, COUNT>.
struct Avg {
    sum: Sum,
}

impl Avg {
    fn change(&self, state: &mut Value, value: &Value, add: bool) -> Result<(), EvalError> {
        if value.is_null() {
            return Ok(());
        }
        let [sum, count] = fields(state)?;
        self.sum.change(sum, value, add)?;
        match count {
            Value::BigInt(count) => *count += if add { 1 } else { -1 },
            _ => return Err(bad_state()),
        }
        Ok(())
    }
}

impl Aggregator for Avg {
    fn state_type(&self) -> SqlType {
        SqlType::structure([("SUM".to_owned(), self.sum.state_type()), ("COUNT".to_owned(), SqlType::BigInt)])
    }

    fn return_type(&self) -> SqlType {
        SqlType::Double
    }

    fn initial(&self) -> Value {
        Value::structure(vec![self.sum.initial(), Value::BigInt(0)])
    }

    fn add(&self, state: &mut Value, args: &[Value], _arrival: i64) -> Result<(), EvalError> {
        self.change(state, arg(args, 0), true)
    }

    fn can_undo(&self) -> bool {
        true
    }

    fn undo(&self, state: &mut Value, args: &[Value]) -> Result<(), EvalError> {
        self.change(state, arg(args, 0), false)
    }

    fn merge(&self, mut left: Value, right: Value) -> Result<Value, EvalError> {
        let [sum, count] = fields(&mut left)?;
        let [right_sum, right_count] = peek(&right)?;
        self.sum.change(sum, right_sum, true)?;
        match (count, right_count) {
            (Value::BigInt(count), Value::BigInt(more)) => *count += more,
            _ => return Err(bad_state()),
        }
        Ok(left)
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        let [sum, count] = peek(state)?;
        let (Some(sum), Some(count)) = (number(sum)?, number(count)?) else { return Err(bad_state()) };
        Ok(Value::Double(if count == 0.0 { 0.0 } else { sum / count }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn the_mean_passes_over_nulls() {
        let avg = testing::build(&FUNCTION, &[SqlType::Int], &[]);
        let got = testing::column(&*avg, &[Value::Null, Value::Int(1), Value::Int(2), Value::Int(2)]);
        assert_eq!(got, [0.0, 1.0, 1.5, 5.0 / 3.0].map(Value::Double));
        assert_eq!(testing::column(&*avg, &[Value::Int(i32::MAX), Value::Int(1)]).pop(), Some(Value::Double(-1_073_741_824.0)));
        testing::check_undo(&*avg, &[Value::Int(1), Value::Int(5), Value::Null]);
        let left = testing::state(&*avg, &[(0, Value::Int(1))]);
        let right = testing::state(&*avg, &[(1, Value::Int(4))]);
        assert_eq!(avg.merge(avg.merge(avg.initial(), left).unwrap(), right).and_then(|state| avg.result(&state)), Ok(Value::Double(2.5)));
        assert!(
            (FUNCTION.variants[0].build)(&AggregateCall {
                types: &[SqlType::Decimal { precision: 4, scale: 2 }],
                constants: &[],
                properties: &Default::default()
            })
            .is_err()
        );
    }
}
