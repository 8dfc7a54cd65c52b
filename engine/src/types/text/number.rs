//! Numbers as Java prints them.

use bigdecimal::num_bigint::Sign;
use bigdecimal::{BigDecimal, ToPrimitive};

use super::TextOut;

/// Appends an INT.
#[inline]
pub fn write_i32(value: i32, out: &mut impl TextOut) {
    out.push_ascii(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a BIGINT.
#[inline]
pub fn write_i64(value: i64, out: &mut impl TextOut) {
    out.push_ascii(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a DOUBLE as `Double.toString` does: `100.0`, `1.0E21`, `1.5E-7`, `NaN`, `Infinity`, `-0.0`.
pub fn write_double(value: f64, out: &mut impl TextOut) {
    if !value.is_finite() {
        return out.push_text(match (value.is_nan(), value > 0.0) {
            (true, _) => "NaN",
            (false, true) => "Infinity",
            (false, false) => "-Infinity",
        });
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return out.push_ascii(ryu::Buffer::new().format_finite(value).as_bytes());
    }
    if magnitude < 1e-320 {
        // With so few bits left, Java prefers two digits that are nearer to one that is shorter (4.9E-324, not 5E-324).
        let two_digits = format!("{value:.1e}");
        if two_digits.parse() == Ok(value) {
            return write_scientific(two_digits.as_bytes(), out);
        }
    }
    write_scientific(ryu::Buffer::new().format_finite(value).as_bytes(), out);
}

/// A FLOAT of a foreign schema as Java prints it: the few digits that tell it from other floats, which are fewer than those of
/// the same DOUBLE.
pub fn write_float(value: f32, out: &mut impl TextOut) {
    write_double(value.to_string().parse().unwrap_or(f64::from(value)), out);
}

/// Rewrites a number in any spelling (`1e21`, `12345678.9`, `0.0001`) as `d.dddE±x`.
fn write_scientific(text: &[u8], out: &mut impl TextOut) {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        all => (false, all),
    };
    let (mantissa, exponent) = match text.iter().position(|b| *b == b'e') {
        Some(at) => (&text[..at], std::str::from_utf8(&text[at + 1..]).ok().and_then(|e| e.parse::<i32>().ok()).unwrap_or(0)),
        None => (text, 0),
    };
    let point = mantissa.iter().position(|b| *b == b'.').unwrap_or(mantissa.len());
    // At most 17 digits matter; a plain spelling below 1e16 adds a few zeros.
    let mut digits = [0u8; 32];
    let mut count = 0;
    for digit in mantissa.iter().filter(|b| **b != b'.').take(digits.len()) {
        digits[count] = *digit;
        count += 1;
    }
    let leading = digits[..count].iter().take_while(|b| **b == b'0').count();
    let digits = &digits[leading.min(count)..count];
    let trailing = digits.iter().rev().take_while(|b| **b == b'0').count();
    let digits = &digits[..digits.len() - trailing];
    let Some((first, rest)) = digits.split_first() else {
        return out.push_text("0.0");
    };
    if negative {
        out.push_text("-");
    }
    out.push_ascii(&[*first]);
    out.push_text(".");
    out.push_ascii(if rest.is_empty() { b"0".as_slice() } else { rest });
    out.push_text("E");
    write_i32(exponent + point as i32 - 1 - leading as i32, out);
}

/// Appends a DECIMAL with all the digits of its scale and no exponent, as `BigDecimal.toPlainString` does.
pub fn write_decimal(value: &BigDecimal, out: &mut impl TextOut) {
    let (unscaled, scale) = value.as_bigint_and_scale();
    match unscaled.to_i128() {
        Some(small) => {
            if small < 0 {
                out.push_text("-");
            }
            write_digits(itoa::Buffer::new().format(small.unsigned_abs()).as_bytes(), scale, out);
        }
        None => {
            if unscaled.sign() == Sign::Minus {
                out.push_text("-");
            }
            write_digits(unscaled.magnitude().to_str_radix(10).as_bytes(), scale, out);
        }
    }
}

/// Digits of an unscaled, unsigned number with the point put in.
fn write_digits(digits: &[u8], scale: i64, out: &mut impl TextOut) {
    if scale <= 0 {
        out.push_ascii(digits);
        if digits != b"0" {
            zeros(scale.unsigned_abs(), out);
        }
        return;
    }
    let places = usize::try_from(scale).unwrap_or(usize::MAX);
    if digits.len() > places {
        let (whole, fraction) = digits.split_at(digits.len() - places);
        out.push_ascii(whole);
        out.push_text(".");
        out.push_ascii(fraction);
    } else {
        out.push_text("0.");
        zeros((places - digits.len()) as u64, out);
        out.push_ascii(digits);
    }
}

fn zeros(mut count: u64, out: &mut impl TextOut) {
    const ZEROS: &[u8; 32] = &[b'0'; 32];
    while count > 0 {
        let block = count.min(ZEROS.len() as u64);
        out.push_ascii(&ZEROS[..block as usize]);
        count -= block;
    }
}

/// Appends a DECIMAL as `BigDecimal.toString` does: plain where the exponent is small, else `1E+2`, `1.5E-10`.
pub fn write_decimal_short(value: &BigDecimal, out: &mut impl TextOut) {
    let (unscaled, scale) = value.as_bigint_and_scale();
    let digits = unscaled.magnitude().to_str_radix(10);
    let exponent = digits.len() as i64 - 1 - scale;
    if scale >= 0 && exponent >= -6 {
        return write_decimal(value, out);
    }
    if unscaled.sign() == Sign::Minus {
        out.push_text("-");
    }
    let (first, rest) = digits.split_at(1);
    out.push_text(first);
    if !rest.is_empty() {
        out.push_text(".");
        out.push_text(rest);
    }
    if exponent != 0 {
        out.push_text(if exponent > 0 { "E+" } else { "E" });
        write_i64(exponent, out);
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use bigdecimal::num_bigint::BigInt;

    use super::*;

    #[test]
    fn doubles_print_as_java_prints_them() {
        let cases: &[(f64, &str)] = &[
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (100.0, "100.0"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (0.00012345, "1.2345E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (-123_456_789.0, "-1.23456789E8"),
            (1e16, "1.0E16"),
            (1e21, "1.0E21"),
            (1.5e-7, "1.5E-7"),
            (1.0 / 3.0, "0.3333333333333333"),
            (1e23, "1.0E23"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (5e-324, "4.9E-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in cases {
            let mut out = String::new();
            write_double(*value, &mut out);
            assert_eq!(out, *text);
        }
    }

    #[test]
    fn decimals_keep_their_scale() {
        for (unscaled, scale, text) in [
            ("0", 2, "0.00"),
            ("5", 2, "0.05"),
            ("-5", 2, "-0.05"),
            ("150", 2, "1.50"),
            ("-12345", 0, "-12345"),
            ("7", -3, "7000"),
            ("0", -3, "0"),
            ("123456789012345678901234567890123456789012345", 5, "1234567890123456789012345678901234567890.12345"),
            ("-123456789012345678901234567890123456789012345", 44, "-1.23456789012345678901234567890123456789012345"),
            ("1", 40, "0.0000000000000000000000000000000000000001"),
        ] {
            let value = BigDecimal::new(BigInt::from_str(unscaled).unwrap(), scale);
            let mut out = Vec::new();
            write_decimal(&value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn decimals_in_short() {
        for (text, expected) in [
            ("1e2", "1E+2"),
            ("1.50", "1.50"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1E-7"),
            ("-12.5e10", "-1.25E+11"),
            ("0", "0"),
            ("0e3", "0E+3"),
        ] {
            let mut out = String::new();
            write_decimal_short(&crate::types::text::parse_decimal(text).unwrap(), &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn integers() {
        let mut out = String::new();
        write_i64(i64::MIN, &mut out);
        write_i32(7, &mut out);
        assert_eq!(out, "-92233720368547758087");
    }
}
