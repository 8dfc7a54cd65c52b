//! DECIMAL: the types of results, and calculation that never rounds silently, as ksqlDB does it.
//!
//! A result that its type can't hold exactly is an error, which becomes null in the column. So a quotient with more
//! digits than its type has is null, too: 1 / 3 has no DECIMAL.

use std::sync::Arc;

use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive};

use crate::functions::EvalError;
use crate::types::SqlType;
use crate::types::text::{self, parse_decimal};

/// Least scale of a quotient.
const MIN_QUOTIENT_SCALE: u32 = 6;
/// How many digits a calculation moves the point at most; types have far fewer.
const MAX_SHIFT: u32 = 10_000;
/// Integers up to this magnitude are exact as DOUBLE.
const MAX_EXACT_DOUBLE: u64 = 1 << 53;
/// Powers of ten up to this one are exact as DOUBLE.
const MAX_EXACT_POWER: i64 = 22;

/// Precision and scale of a numeric type as a DECIMAL: INTEGER has 10 digits, BIGINT 19.
pub(super) fn digits_of(sql_type: &SqlType) -> Option<(u32, u32)> {
    match sql_type {
        SqlType::Int => Some((10, 0)),
        SqlType::BigInt => Some((19, 0)),
        SqlType::Decimal { precision, scale } => Some((*precision, *scale)),
        _ => None,
    }
}

/// The type of a literal: as many digits as written, at least one before the point; an exponent counts as the zeros that it
/// stands for.
pub(super) fn literal_type(value: &BigDecimal) -> SqlType {
    let (digits, scale) = (value.digits(), value.as_bigint_and_scale().1);
    let digits = if scale < 0 { digits.saturating_add(scale.unsigned_abs()) } else { digits };
    let scale = u32::try_from(scale.max(0)).unwrap_or(u32::MAX - 1);
    let digits = u32::try_from(digits).unwrap_or(u32::MAX);
    SqlType::Decimal { precision: digits.max(scale + 1), scale }
}

/// A type that holds both exactly.
pub(super) fn wider((p1, s1): (u32, u32), (p2, s2): (u32, u32)) -> SqlType {
    let scale = s1.max(s2);
    SqlType::Decimal { precision: (p1 - s1).max(p2 - s2) + scale, scale }
}

pub(super) fn sum_type((p1, s1): (u32, u32), (p2, s2): (u32, u32)) -> (u32, u32) {
    let scale = s1.max(s2);
    ((p1 - s1).max(p2 - s2) + scale + 1, scale)
}

pub(super) fn product_type((p1, s1): (u32, u32), (p2, s2): (u32, u32)) -> (u32, u32) {
    (p1 + p2 + 1, s1 + s2)
}

pub(super) fn quotient_type((p1, s1): (u32, u32), (p2, s2): (u32, u32)) -> (u32, u32) {
    let scale = MIN_QUOTIENT_SCALE.max(s1 + p2 + 1);
    (p1 - s1 + s2 + scale, scale)
}

pub(super) fn remainder_type((p1, s1): (u32, u32), (p2, s2): (u32, u32)) -> (u32, u32) {
    let scale = s1.max(s2);
    ((p1 - s1).min(p2 - s2) + scale, scale)
}

/// The same number with the scale of a type, if the type has room for it; never rounded.
pub(super) fn fit_exact(value: &BigDecimal, (precision, scale): (u32, u32)) -> Result<BigDecimal, EvalError> {
    text::fit_decimal(value, precision, scale).map_err(EvalError::new)
}

/// As [`fit_exact`] for a number that mostly has the type's scale already, so that nothing is to be done.
pub(super) fn settle(value: BigDecimal, (precision, scale): (u32, u32)) -> Result<BigDecimal, EvalError> {
    let (unscaled, own_scale) = value.as_bigint_and_scale();
    let fits =
        own_scale == i64::from(scale) && unscaled.to_i128().is_some_and(|small| small == 0 || small.unsigned_abs().ilog10() < precision);
    if fits { Ok(value) } else { fit_exact(&value, (precision, scale)) }
}

/// A decimal times a whole number.
pub(super) fn times(value: &BigDecimal, factor: i64, to: (u32, u32)) -> Result<BigDecimal, EvalError> {
    let (unscaled, scale) = value.as_bigint_and_scale();
    let product = match unscaled.to_i64() {
        Some(small) => BigInt::from(i128::from(small) * i128::from(factor)),
        None => &*unscaled * factor,
    };
    settle(BigDecimal::new(product, scale), to)
}

/// The number rounded half up to a type's scale. Rounding may carry into one digit more than the type has, as in ksqlDB:
/// 999.995 becomes 1000.00 as DECIMAL(5, 2).
///
/// # Errors
/// It has more digits before the point than the type has room for.
pub fn fit(value: &BigDecimal, precision: u32, scale: u32) -> Result<BigDecimal, EvalError> {
    if value.as_bigint_and_scale().1 <= i64::from(scale) {
        return fit_exact(value, (precision, scale));
    }
    // Cut off, it shows whether it has too many digits before the point.
    fit_exact(&value.with_scale_round(i64::from(scale), RoundingMode::Down), (precision, scale))?;
    Ok(value.with_scale_round(i64::from(scale), RoundingMode::HalfUp))
}

/// An exact quotient.
pub(super) fn divide(a: &BigDecimal, b: &BigDecimal, to: (u32, u32)) -> Result<BigDecimal, EvalError> {
    let ((a, a_scale), (b, b_scale)) = (a.as_bigint_and_scale(), b.as_bigint_and_scale());
    if b.sign() == Sign::NoSign {
        return Err(EvalError::new("Division by zero"));
    }
    // (a / 10^sa) / (b / 10^sb) = (a · 10^(scale + sb - sa) / b) / 10^scale
    let shift = i64::from(to.1) + b_scale - a_scale;
    let (numerator, denominator) =
        if shift >= 0 { (&*a * power_of_ten(shift)?, b.into_owned()) } else { (a.into_owned(), &*b * power_of_ten(-shift)?) };
    if (&numerator % &denominator).sign() != Sign::NoSign {
        return Err(EvalError::new("Rounding necessary: the quotient has more digits than its type"));
    }
    fit_exact(&BigDecimal::new(numerator / denominator, i64::from(to.1)), to)
}

/// What is left of a division in whole numbers; it has the sign of `a`.
pub(super) fn remainder(a: &BigDecimal, b: &BigDecimal, to: (u32, u32)) -> Result<BigDecimal, EvalError> {
    let ((a, a_scale), (b, b_scale)) = (a.as_bigint_and_scale(), b.as_bigint_and_scale());
    if b.sign() == Sign::NoSign {
        return Err(EvalError::new("Division by zero"));
    }
    let scale = a_scale.max(b_scale);
    let a = &*a * power_of_ten(scale - a_scale)?;
    let b = &*b * power_of_ten(scale - b_scale)?;
    // Java calculates the whole quotient with as many digits as the result's type has.
    let quotient = BigDecimal::new(&a / &b, 0);
    let digits = quotient.digits();
    if digits > u64::from(to.0) && quotient.normalized().digits() > u64::from(to.0) {
        return Err(EvalError::new("Division impossible: the whole quotient has more digits than the result's type"));
    }
    fit_exact(&BigDecimal::new(a % b, scale), to)
}

fn power_of_ten(exponent: i64) -> Result<BigInt, EvalError> {
    u32::try_from(exponent)
        .ok()
        .filter(|e| *e <= MAX_SHIFT)
        .map(|e| BigInt::from(10).pow(e))
        .ok_or_else(|| EvalError::new("Decimal out of range"))
}

/// The nearest DOUBLE.
pub(super) fn to_f64(value: &BigDecimal) -> f64 {
    let (unscaled, scale) = value.as_bigint_and_scale();
    if let Some(small) = unscaled.to_i64()
        && small.unsigned_abs() <= MAX_EXACT_DOUBLE
        && (0..=MAX_EXACT_POWER).contains(&scale)
    {
        // Both are exact, so the division rounds once.
        return small as f64 / 10f64.powi(scale as i32);
    }
    format!("{unscaled}e{}", scale.saturating_neg()).parse().unwrap_or(f64::NAN)
}

/// The DECIMAL that a DOUBLE prints as, as Java's `BigDecimal.valueOf` makes it.
pub(super) fn from_f64(value: f64) -> Result<Arc<BigDecimal>, EvalError> {
    parse_decimal(&format!("{value:e}"))
        .map(Arc::new)
        .ok_or_else(|| EvalError::new(format!("{} is no DECIMAL", text::to_text(|out| text::write_double(value, out)))))
}

/// The DOUBLE that prints as this number, if there is one: then comparing with either is the same.
pub(super) fn same_f64(value: &BigDecimal) -> Option<f64> {
    let double = to_f64(value);
    from_f64(double).ok().filter(|printed| **printed == *value).map(|_| double)
}

/// The whole part, wrapped to 64 bits as Java's `longValue` does.
pub(super) fn to_i64_wrapping(value: &BigDecimal) -> i64 {
    let whole = value.with_scale_round(0, RoundingMode::Down).as_bigint_and_scale().0.into_owned();
    whole.to_i64().unwrap_or_else(|| {
        let mut bytes = [if whole.sign() == Sign::Minus { 0xff } else { 0 }; 8];
        for (to, from) in bytes.iter_mut().zip(whole.to_signed_bytes_le()) {
            *to = from;
        }
        i64::from_le_bytes(bytes)
    })
}
