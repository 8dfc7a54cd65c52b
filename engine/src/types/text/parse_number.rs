//! Text as numbers, as Java reads it.

use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::{BigDecimal, ToPrimitive};

/// Largest exponent that a decimal's text may carry; Java's own limit is that of an `int`.
const MAX_EXPONENT: i64 = i32::MAX as i64;

/// Digits that a decimal's text may have. A type has 10,000 at most, and the time to read them grows with their square.
const MAX_TEXT_DIGITS: usize = 20_000;

/// A DOUBLE as `Double.parseDouble` reads it: blanks around it, a sign, digits, an exponent, `NaN`, `Infinity`, and a
/// type letter behind (`1.5d`). (Hexadecimal floats are not read.)
pub fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let magnitude = match unsigned {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        _ => {
            let digits = unsigned.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(unsigned);
            // Rust would also read "inf" and "nan".
            if !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) || digits.starts_with(['+', '-']) {
                return None;
            }
            digits.parse::<f64>().ok()?
        }
    };
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// A DECIMAL of any precision as `new BigDecimal(text)` reads it; its scale is that of the text.
pub fn parse_decimal(text: &str) -> Option<BigDecimal> {
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    let (mantissa, exponent) = match unsigned.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (&unsigned[..at], parse_exponent(&unsigned[at + 1..])?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|b| *b == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &mantissa[..0]),
    };
    if whole.len() + fraction.len() > MAX_TEXT_DIGITS {
        return None;
    }
    if whole.is_empty() && fraction.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    let scale = i64::try_from(fraction.len()).ok()? - exponent;
    // 38 digits always fit an i128.
    let unscaled = if whole.len() + fraction.len() <= 38 {
        let value = whole.iter().chain(fraction).fold(0i128, |value, digit| value * 10 + i128::from(digit - b'0'));
        BigInt::from(if negative { -value } else { value })
    } else {
        let digits: Vec<u8> = whole.iter().chain(fraction).copied().collect();
        let value = BigInt::parse_bytes(&digits, 10)?;
        if negative { -value } else { value }
    };
    Some(BigDecimal::new(unscaled, scale))
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let exponent: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (exponent.abs() <= MAX_EXPONENT).then_some(exponent)
}

/// Digits before the point that a decimal may have where it is read, whatever its type; more are an exponent gone wrong.
const MAX_READ_DIGITS: u32 = 1_000;

/// A number from a payload as a DECIMAL of that scale. One that has more digits before the point than its type is taken as
/// it is, in every format: rounding may carry a number over its type's end (`CAST(999.9 AS DECIMAL(3, 0))` is 1000), and
/// what one query writes the next must be able to read.
///
/// # Errors
/// It has digits other than 0 behind the last that the scale has room for, or is beyond all measure.
pub fn read_decimal(value: &BigDecimal, precision: u32, scale: u32) -> Result<BigDecimal, String> {
    rescale(value, precision, scale, precision.max(MAX_READ_DIGITS + scale))
}

/// The same number as a DECIMAL of that precision and scale, without rounding.
///
/// # Errors
/// It has too many digits before the point, or digits other than 0 behind the last that the scale has room for.
pub fn fit_decimal(value: &BigDecimal, precision: u32, scale: u32) -> Result<BigDecimal, String> {
    rescale(value, precision, scale, precision)
}

/// The number as a DECIMAL of that precision and scale, if it has no more than `most` digits then.
fn rescale(value: &BigDecimal, precision: u32, scale: u32, most: u32) -> Result<BigDecimal, String> {
    let (unscaled, from_scale) = value.as_bigint_and_scale();
    let to_scale = i64::from(scale);
    if unscaled.sign() == Sign::NoSign {
        return Ok(BigDecimal::new(BigInt::from(0), to_scale));
    }
    let digits = match unscaled.to_i128() {
        Some(small) => i64::from(small.unsigned_abs().ilog10()) + 1,
        None => i64::try_from(value.digits()).unwrap_or(i64::MAX),
    };
    if digits - from_scale > i64::from(most) - to_scale {
        return Err(format!(
            "Numeric field overflow: A field with precision {precision} and scale {scale} must round to an absolute value less than 10^{}. Got {}",
            i64::from(precision) - to_scale,
            shown(value)
        ));
    }
    if from_scale <= to_scale {
        // At most `most` digits, as was just seen.
        let factor = BigInt::from(10).pow(u32::try_from(to_scale - from_scale).unwrap_or(0));
        return Ok(BigDecimal::new(&*unscaled * factor, to_scale));
    }
    let surplus = from_scale - to_scale;
    if surplus < digits
        && let Ok(surplus) = u32::try_from(surplus)
    {
        let factor = BigInt::from(10).pow(surplus);
        if (&*unscaled % &factor).sign() == Sign::NoSign {
            return Ok(BigDecimal::new(&*unscaled / factor, to_scale));
        }
    }
    Err(format!(
        "Cannot fit decimal '{}' into DECIMAL({precision}, {scale}) without rounding. (Requires {},{from_scale})",
        shown(value),
        digits.max(from_scale)
    ))
}

/// A decimal in an error text, however long its plain spelling would be.
fn shown(value: &BigDecimal) -> String {
    let mut text = String::new();
    super::write_decimal_short(value, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles() {
        for (text, expected) in [
            ("1", Some(1.0)),
            (" 1.5 ", Some(1.5)),
            ("-1e3", Some(-1000.0)),
            ("+.5", Some(0.5)),
            ("1.", Some(1.0)),
            ("1d", Some(1.0)),
            ("1e400", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("inf", None),
            ("nan", None),
            ("--1", None),
            ("+-1", None),
            ("1_000", None),
            ("", None),
            ("e5", None),
        ] {
            assert_eq!(parse_double(text), expected, "{text}");
        }
        assert!(parse_double("NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn decimals_of_any_spelling() {
        for (text, expected) in [
            ("1", Some(("1", 0))),
            ("-1.50", Some(("-150", 2))),
            ("+.5", Some(("5", 1))),
            ("1.", Some(("1", 0))),
            ("1e2", Some(("1", -2))),
            ("1.5E-3", Some(("15", 4))),
            ("12345678901234567890123456789012345678901234567890.1", Some(("123456789012345678901234567890123456789012345678901", 1))),
            ("", None),
            (".", None),
            ("1e", None),
            ("1_000", None),
            (" 1", None),
            ("NaN", None),
            ("1e99999999999", None),
        ] {
            let parsed = parse_decimal(text).map(|d| (d.as_bigint_and_scale().0.to_string(), d.as_bigint_and_scale().1));
            assert_eq!(parsed, expected.map(|(digits, scale)| (digits.to_string(), scale)), "{text}");
        }
    }

    #[test]
    fn decimals_of_more_digits_than_any_type_has() {
        assert!(parse_decimal(&"9".repeat(MAX_TEXT_DIGITS)).is_some());
        assert_eq!(parse_decimal(&format!("0.{}", "9".repeat(MAX_TEXT_DIGITS))), None);
    }

    #[test]
    fn decimals_that_outgrew_their_type_are_read_as_they_are() {
        let read = |text: &str| {
            read_decimal(&parse_decimal(text).unwrap(), 4, 2).map(|d| {
                let mut out = String::new();
                super::super::write_decimal(&d, &mut out);
                out
            })
        };
        for (text, expected) in [("100", "100.00"), ("-100.00", "-100.00"), ("12345678901234567890.5", "12345678901234567890.50")] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
        assert!(read("1e999").is_ok());
        for (text, reason) in [("1e1000", "overflow"), ("1e1000000000", "overflow"), ("1.234", "without rounding")] {
            assert!(read(text).unwrap_err().contains(reason), "{text}");
        }
    }

    #[test]
    fn decimals_fit_without_rounding_or_not_at_all() {
        let fit = |text: &str, precision, scale| {
            fit_decimal(&parse_decimal(text).unwrap(), precision, scale).map(|d| {
                let mut out = String::new();
                super::super::write_decimal(&d, &mut out);
                out
            })
        };
        for (text, precision, scale, expected) in [
            ("10", 6, 4, "10.0000"),
            ("-0.5", 4, 2, "-0.50"),
            ("1.5000", 4, 2, "1.50"),
            ("1e2", 4, 1, "100.0"),
            ("0e-1000000000", 4, 2, "0.00"),
            ("0e1000000000", 4, 2, "0.00"),
            ("99.99", 4, 2, "99.99"),
        ] {
            assert_eq!(fit(text, precision, scale).as_deref(), Ok(expected), "{text}");
        }
        for (text, reason) in [
            ("100", "Numeric field overflow: A field with precision 4 and scale 2 must round to an absolute value less than 10^2. Got 100"),
            ("1e1000000000", "overflow"),
            ("1.234", "Cannot fit decimal '1.234' into DECIMAL(4, 2) without rounding. (Requires 4,3)"),
            ("1e-1000000000", "without rounding"),
            ("123456789012345678901234567890123456789012345", "overflow"),
        ] {
            assert!(fit(text, 4, 2).unwrap_err().contains(reason), "{text}");
        }
    }
}
