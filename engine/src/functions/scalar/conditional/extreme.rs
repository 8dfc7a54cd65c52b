//! The common part of GREATEST and LEAST.

use std::cmp::Ordering;

use super::prelude::*;
use crate::functions::java::java_cmp;

pub(super) const fn values(param_type: ParamType) -> [Param; 2] {
    [param("val", param_type, "The first value."), param("valArr", param_type, "Further values.")]
}

/// The argument that stands in `wanted` order to all others, the first of equal ones; nulls are passed over. A decimal
/// keeps its own digits, as in ksqlDB, although the result's type has room for more.
pub(super) fn pick(args: &mut Args<'_>, wanted: Ordering) -> Outcome {
    let mut best = Value::Null;
    for value in args.values.iter_mut().filter(|value| !value.is_null()) {
        if best.is_null() || java_cmp(value, &best) == wanted {
            best = std::mem::take(value);
        }
    }
    Ok(best)
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
