//! SUM over INT, BIGINT, DOUBLE and DECIMAL. Nulls add nothing; a group without values sums to 0.

use bigdecimal::BigDecimal;

use super::support::{arg, bad_argument, bad_state};
use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator, InState};
use crate::functions::java::fit_decimal;
use crate::functions::{Category, EvalError, ParamType, example, param};
use crate::types::{SqlType, Value};

/// How many digits a decimal's state has beyond its type's: room for more rows than a group can have, so that a sum past
/// the type is null only as long as it is.
const SPARE_DIGITS: u32 = 19;

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "SUM",
    spelling: "SUM",
    category: Category::Aggregate,
    description: "Adds the values of a group. Nulls count as 0. INT and BIGINT wrap around; a DECIMAL sum that its type can't hold is null.",
    examples: &[example("SUM(x) over 1, 2, NULL", "3")],
    variants: &[
        AggregateVariant::new("Sum of INT.", &[param("val", ParamType::Int, "The values.")], build),
        AggregateVariant::new("Sum of BIGINT.", &[param("val", ParamType::BigInt, "The values.")], build),
        AggregateVariant::new("Sum of DOUBLE.", &[param("val", ParamType::Double, "The values.")], build),
        AggregateVariant::new("Sum of DECIMAL.", &[param("val", ParamType::Decimal, "The values.")], build),
    ],
};

fn build(call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    sum_of(call.column(0)?).map(|sum| Box::new(sum) as Box<dyn Aggregator>)
}

/// The sum of values of a numeric type. SUM_LIST uses it too.
pub(super) fn sum_of(sql_type: &SqlType) -> Result<Sum, String> {
    if sql_type.is_numeric() { Ok(Sum { sql_type: sql_type.clone() }) } else { Err(format!("SUM does not take {sql_type}")) }
}

/// Invariant: `sql_type` is numeric.
pub(super) struct Sum {
    sql_type: SqlType,
}

impl Sum {
    /// Adds a value, or takes it away; null does nothing.
    pub(super) fn change(&self, state: &mut Value, value: &Value, add: bool) -> Result<(), EvalError> {
        match (&mut *state, value) {
            (_, Value::Null) => {}
            (Value::Int(sum), Value::Int(v)) => *sum = if add { sum.wrapping_add(*v) } else { sum.wrapping_sub(*v) },
            (Value::BigInt(sum), Value::BigInt(v)) => *sum = if add { sum.wrapping_add(*v) } else { sum.wrapping_sub(*v) },
            (Value::Double(sum), Value::Double(v)) => *sum = if add { *sum + v } else { *sum - v },
            (Value::Decimal(sum), Value::Decimal(v)) => *state = Value::decimal(if add { &**sum + &**v } else { &**sum - &**v }),
            (Value::Int(_) | Value::BigInt(_) | Value::Double(_) | Value::Decimal(_), other) => return Err(bad_argument(other)),
            _ => return Err(bad_state()),
        }
        Ok(())
    }
}

impl Aggregator for Sum {
    fn state_type(&self) -> SqlType {
        match self.sql_type {
            SqlType::Decimal { precision, scale } => SqlType::Decimal { precision: precision + SPARE_DIGITS, scale },
            ref simple => simple.clone(),
        }
    }

    fn return_type(&self) -> SqlType {
        self.sql_type.clone()
    }

    fn initial(&self) -> Value {
        match self.sql_type {
            SqlType::BigInt => Value::BigInt(0),
            SqlType::Double => Value::Double(0.0),
            SqlType::Decimal { scale, .. } => Value::decimal(BigDecimal::new(0.into(), i64::from(scale))),
            _ => Value::Int(0),
        }
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
        self.change(&mut left, &right, true)?;
        Ok(left)
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        match (state, &self.sql_type) {
            (Value::Decimal(sum), SqlType::Decimal { precision, scale }) => {
                fit_decimal(sum, *precision, *scale).map(Value::decimal).ok_or_else(|| {
                    EvalError::new(format!("Numeric field overflow: a sum with precision {precision} and scale {scale} can't hold {sum}"))
                })
            }
            _ => Ok(state.clone()),
        }
    }

    fn result_in_state(&self) -> InState {
        // A decimal's state has spare digits.
        if matches!(self.sql_type, SqlType::Decimal { .. }) { InState::Computed } else { InState::Whole }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    fn decimal(text: &str) -> Value {
        Value::decimal(text.parse().unwrap())
    }

    #[test]
    fn sums_keep_the_type_of_their_values() {
        let int = testing::build(&FUNCTION, &[SqlType::Int], &[]);
        assert_eq!(
            testing::column(&*int, &[Value::Null, Value::Int(i32::MAX), Value::Int(1)]),
            [Value::Int(0), Value::Int(i32::MAX), Value::Int(i32::MIN)]
        );
        let big = testing::build(&FUNCTION, &[SqlType::BigInt], &[]);
        assert_eq!(
            testing::column(&*big, &[Value::BigInt(i64::MAX), Value::BigInt(1)]),
            [Value::BigInt(i64::MAX), Value::BigInt(i64::MIN)]
        );
        let double = testing::build(&FUNCTION, &[SqlType::Double], &[]);
        assert_eq!(testing::column(&*double, &[Value::Double(5.4), Value::Double(100.1)]), [Value::Double(5.4), Value::Double(105.5)]);
        for (aggregator, values) in [
            (&int, [Value::Int(3), Value::Int(5), Value::Null]),
            (&big, [Value::BigInt(3), Value::BigInt(i64::MIN), Value::Null]),
            (&double, [Value::Double(3.0), Value::Double(5.0), Value::Null]),
        ] {
            testing::check_undo(&**aggregator, &values);
        }
    }

    #[test]
    fn a_decimal_sum_past_its_type_is_null_until_it_fits_again() {
        let sum = testing::build(&FUNCTION, &[SqlType::Decimal { precision: 4, scale: 1 }], &[]);
        let got = testing::column(&*sum, &[decimal("500.9"), decimal("300.8"), decimal("400.8"), decimal("-300.0")]);
        assert_eq!(got, [decimal("500.9"), decimal("801.7"), Value::Null, decimal("902.5")]);
        assert_eq!(sum.result(&sum.initial()), Ok(decimal("0.0")));
        testing::check_undo(&*sum, &[decimal("1.5"), decimal("999.9")]);
    }
}
