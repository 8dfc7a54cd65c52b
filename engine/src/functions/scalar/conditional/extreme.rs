//! The common part of GREATEST and LEAST.

use std::cmp::Ordering;

use bigdecimal::BigDecimal;

use super::prelude::*;
use crate::functions::java::java_cmp;

pub(super) const fn values(param_type: ParamType) -> [Param; 2] {
    [param("val", param_type, "The first value."), param("valArr", param_type, "Further values.")]
}

/// The argument that stands in `wanted` order to all others; nulls are passed over.
pub(super) fn pick(args: &mut Args<'_>, wanted: Ordering) -> Outcome {
    let mut best = Value::Null;
    for value in args.values.iter_mut().filter(|value| !value.is_null()) {
        if best.is_null() || java_cmp(value, &best) == wanted {
            best = std::mem::take(value);
        }
    }
    Ok(best)
}

/// The same for decimals, whose result has the common type of the arguments.
pub(super) fn prepare_decimal(call: &ConstArgs<'_>, wanted: Ordering) -> Result<Kernel, EvalError> {
    let SqlType::Decimal { scale, .. } = *call.return_type else { return Err(EvalError::new("the result is no DECIMAL")) };
    Ok(Box::new(move |args| {
        Ok(match pick(args, wanted)? {
            Value::Decimal(best) => Value::decimal(BigDecimal::with_scale(&best, i64::from(scale))),
            other => other,
        })
    }))
}

/// The smallest DECIMAL that holds all argument types.
pub(super) fn common_decimal(types: &[SqlType]) -> Result<SqlType, String> {
    let (mut whole, mut places) = (0, 0);
    for sql_type in types {
        if let SqlType::Decimal { precision, scale } = sql_type {
            whole = whole.max(precision.saturating_sub(*scale));
            places = places.max(*scale);
        }
    }
    if whole + places == 0 {
        Err("expected a DECIMAL".to_owned())
    } else {
        Ok(SqlType::Decimal { precision: whole + places, scale: places })
    }
}
