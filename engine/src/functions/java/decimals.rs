//! Decimals: fitting their type, rounding as ksqlDB does, and Java's `BigDecimal.toString`.

use std::str::FromStr;

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive};

/// The value with the type's scale (rounded half up), or `None` where it has more digits than the type.
pub fn fit_decimal(value: &BigDecimal, precision: u32, scale: u32) -> Option<BigDecimal> {
    let fitted = value.with_scale_round(i64::from(scale), RoundingMode::HalfUp);
    (fitted.digits() <= u64::from(precision)).then_some(fitted)
}

/// Rounds to `places` digits behind the point (in front of it where negative), a half towards positive infinity. The
/// scale stays.
pub fn round_half_ceiling(value: &BigDecimal, places: i64) -> BigDecimal {
    reduce(value, places, |value| {
        let half = BigDecimal::new(5.into(), places + 1);
        (value + half).with_scale_round(places, RoundingMode::Floor)
    })
}

/// Cuts to `places` digits behind the point. The scale stays.
pub fn truncate(value: &BigDecimal, places: i64) -> BigDecimal {
    reduce(value, places, |value| value.with_scale_round(places, RoundingMode::Down))
}

fn reduce(value: &BigDecimal, places: i64, to_places: impl FnOnce(&BigDecimal) -> BigDecimal) -> BigDecimal {
    let scale = value.fractional_digit_count();
    if places >= scale {
        return value.clone();
    }
    // So far left of the point nothing is left; the arithmetic would need as many digits as there are places.
    let whole_digits = i64::try_from(value.digits()).unwrap_or(i64::MAX).saturating_sub(scale);
    if places.saturating_neg() > whole_digits.max(0) {
        return BigDecimal::new(0.into(), scale);
    }
    to_places(value).with_scale(scale)
}

/// The decimal that a double's shortest spelling stands for; `None` for NaN and infinities.
pub fn decimal_of_double(value: f64) -> Option<BigDecimal> {
    if value.is_finite() { BigDecimal::from_str(&format!("{value:e}")).ok() } else { None }
}

/// The nearest double.
pub fn double_of_decimal(value: &BigDecimal) -> f64 {
    value.to_scientific_notation().parse().ok().or_else(|| value.to_f64()).unwrap_or(f64::NAN)
}

/// `BigDecimal.toString`: plain, but `1E+3` or `1E-7` where the exponent is positive or far below 0.
pub fn decimal_text(value: &BigDecimal) -> String {
    let (unscaled, scale) = value.as_bigint_and_exponent();
    let digits = unscaled.magnitude().to_string();
    let sign = if unscaled.sign() == bigdecimal::num_bigint::Sign::Minus { "-" } else { "" };
    let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let exponent = count - 1 - scale;
    if scale >= 0 && exponent >= -6 {
        if scale == 0 {
            return format!("{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = usize::try_from(scale + 1).unwrap_or(0));
        let point = padded.len() - usize::try_from(scale).unwrap_or(0);
        return format!("{sign}{}.{}", &padded[..point], &padded[point..]);
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let exponent = if exponent == 0 { String::new() } else { format!("E{exponent:+}") };
    format!("{sign}{first}{point}{rest}{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> BigDecimal {
        text.parse().unwrap()
    }

    #[test]
    fn halves_go_up_and_the_scale_stays() {
        for (value, places, rounded, cut) in [
            ("2.5", 0, "3.0", "2.0"),
            ("-2.5", 0, "-2.0", "-2.0"),
            ("-2.51", 0, "-3.00", "-2.00"),
            ("15.0", -1, "20.0", "10.0"),
            ("-15.0", -1, "-10.0", "-10.0"),
            ("12345.678", -1, "12350.000", "12340.000"),
            ("1.25", 9, "1.25", "1.25"),
            ("99.9", -2, "100.0", "0.0"),
            ("99.9", -3, "0.0", "0.0"),
            ("99.9", -2_000_000_000, "0.0", "0.0"),
        ] {
            assert_eq!(
                round_half_ceiling(&d(value), places).as_bigint_and_exponent(),
                d(rounded).as_bigint_and_exponent(),
                "{value} {places}"
            );
            assert_eq!(truncate(&d(value), places).as_bigint_and_exponent(), d(cut).as_bigint_and_exponent(), "{value} {places}");
        }
    }

    #[test]
    fn decimals_print_as_in_java() {
        for (value, text) in [
            ("1.50", "1.50"),
            ("1e3", "1E+3"),
            ("-0.001", "-0.001"),
            ("0.0000001", "1E-7"),
            ("0.000001", "0.000001"),
            ("123e-9", "1.23E-7"),
            ("12e5", "1.2E+6"),
            ("0", "0"),
            ("0.00", "0.00"),
            ("100", "100"),
        ] {
            assert_eq!(decimal_text(&d(value)), text);
        }
        assert_eq!(fit_decimal(&d("1234.5"), 4, 1), None);
        assert_eq!(fit_decimal(&d("123.45"), 4, 1), Some(d("123.5")));
        assert_eq!(double_of_decimal(&d("0.1")), 0.1);
        assert_eq!(decimal_of_double(1e300).map(|v| double_of_decimal(&v)), Some(1e300));
    }
}
