//! What ROUND and TRUNC share: they differ in how a number loses its places.

use bigdecimal::BigDecimal;

use super::prelude::*;
use crate::functions::java::{decimal_of_double, double_of_decimal};

pub(super) const PLACES: Param =
    param("decimalPlaces", ParamType::Int, "How many decimal places stay; negative ones are left of the point.");

/// A number with so many decimal places.
pub(super) type Reduce = fn(&BigDecimal, i64) -> BigDecimal;

/// DECIMAL(p, s) becomes DECIMAL(p - s, 0).
pub(super) fn without_places(types: &[SqlType]) -> Result<SqlType, String> {
    match types.first() {
        Some(SqlType::Decimal { precision, scale }) => {
            Ok(SqlType::Decimal { precision: precision.saturating_sub(*scale).max(1), scale: 0 })
        }
        other => Err(format!("expected a DECIMAL, got {other:?}")),
    }
}

/// A DOUBLE (argument 0) to decimal places (argument 1).
pub(super) fn of_double(args: &mut Args<'_>, reduce: Reduce) -> Outcome {
    let (x, places): (f64, i32) = (args.get(0)?, args.get(1)?);
    let exact = decimal_of_double(x).ok_or_else(|| EvalError::new(format!("{x} has no decimal places")))?;
    Ok(Value::Double(double_of_decimal(&reduce(&exact, i64::from(places)))))
}

/// A DECIMAL (argument 0) to decimal places (argument 1, or none), in the scale of the result.
pub(super) fn of_decimal(call: &ConstArgs<'_>, reduce: Reduce) -> Result<Kernel, EvalError> {
    let SqlType::Decimal { scale, .. } = *call.return_type else { return Err(EvalError::new("the result is no DECIMAL")) };
    Ok(Box::new(move |args| {
        let value: &BigDecimal = args.get(0)?;
        let places: Option<i32> = args.opt(1)?;
        Ok(Value::decimal(reduce(value, places.map_or(0, i64::from)).with_scale(i64::from(scale))))
    }))
}
