//! Numbers of a JSON text, and what Java makes of them as INT, BIGINT, DOUBLE, DECIMAL and STRING.

use bigdecimal::BigDecimal;

use crate::types::Text;
use crate::types::text::{parse_decimal, to_text, write_decimal_short};

/// A number as it stands in the text, its syntax checked: ASCII.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    text: &'a str,
    /// It has neither a point nor an exponent.
    is_integer: bool,
}

impl<'a> Number<'a> {
    /// The number that `bytes` begin with, or where it stops to be one.
    pub(super) fn scan(bytes: &'a [u8]) -> Result<Self, usize> {
        let mut at = usize::from(bytes.first() == Some(&b'-'));
        let digits = |at: usize| bytes.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
        let whole = digits(at);
        // A leading 0 stands alone.
        if whole == 0 || (whole > 1 && bytes.get(at) == Some(&b'0')) {
            return Err(at + usize::from(whole > 1));
        }
        at += whole;
        let mut is_integer = true;
        if bytes.get(at) == Some(&b'.') {
            is_integer = false;
            let fraction = digits(at + 1);
            at += 1 + fraction;
            if fraction == 0 {
                return Err(at);
            }
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            is_integer = false;
            at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let exponent = digits(at);
            at += exponent;
            if exponent == 0 {
                return Err(at);
            }
        }
        let text = bytes.get(..at).and_then(|text| std::str::from_utf8(text).ok()).ok_or(at)?;
        Ok(Number { text, is_integer })
    }

    /// The whole number of up to 18 digits that `bytes` begin with, and its length; `None` for any other number.
    #[inline(always)]
    pub(super) fn short_integer(bytes: &[u8]) -> Option<(i64, usize)> {
        let (negative, digits) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            all => (false, all),
        };
        let mut value = 0u64;
        let mut count = 0;
        // Eight digits at a time, whatever their number: a loop over single ones would end at a place that no processor
        // foresees.
        while let Some(chunk) = digits.get(count..).and_then(|rest| rest.first_chunk::<8>()) {
            let (part, part_digits) = leading_digits(chunk);
            value = value.wrapping_mul(POWERS_OF_TEN.get(part_digits).copied().unwrap_or(0)).wrapping_add(part);
            count += part_digits;
            if part_digits < 8 || count > 18 {
                break;
            }
        }
        let mut next = digits.get(count).copied().unwrap_or(0);
        while next.is_ascii_digit() && count <= 18 {
            value = value.wrapping_mul(10).wrapping_add(u64::from(next - b'0'));
            count += 1;
            next = digits.get(count).copied().unwrap_or(0);
        }
        if count == 0 || count > 18 || matches!(next, b'.' | b'e' | b'E') || (count > 1 && digits.first() == Some(&b'0')) {
            return None;
        }
        let value = i64::try_from(value).ok()?;
        Some((if negative { -value } else { value }, count + usize::from(negative)))
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn is_integer(&self) -> bool {
        self.is_integer
    }

    /// The whole part, cut to its lowest 64 bits, as `BigDecimal.longValue` does. (`intValue` is the lowest 32 of these.)
    pub(super) fn to_i64(self) -> i64 {
        let (negative, unsigned) = match self.text.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, self.text),
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        // An exponent past an i64 leaves nothing of the lowest 64 bits, or nothing at all.
        let exponent: i64 = exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 });
        let whole_digits = usize::try_from((whole.len() as i64).saturating_add(exponent)).unwrap_or(0);
        let digits = whole.bytes().chain(fraction.bytes());
        let mut value = digits.take(whole_digits).fold(0i64, |value, digit| value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')));
        // 10^64 is a multiple of 2^64.
        for _ in 0..whole_digits.saturating_sub(whole.len() + fraction.len()).min(64) {
            value = value.wrapping_mul(10);
        }
        if negative { value.wrapping_neg() } else { value }
    }

    /// Whether the whole part fits 64 bits, so that [`Self::to_i64`] cuts nothing off.
    pub(super) fn fits_i64(self) -> bool {
        // 2^63 is a DOUBLE; what lies below it as one has a smaller whole part.
        const LIMIT: f64 = 9_223_372_036_854_775_808.0;
        if self.is_integer { self.text.parse::<i64>().is_ok() } else { self.to_f64().abs() < LIMIT }
    }

    pub(super) fn to_f64(self) -> f64 {
        // Rust reads every JSON number; too large ones become infinite, as in Java.
        self.text.parse().unwrap_or(f64::NAN)
    }

    /// `None`: its exponent is past Java's limit.
    pub(super) fn to_decimal(self) -> Option<BigDecimal> {
        parse_decimal(self.text)
    }

    /// The text that a STRING column takes: Java's spelling of the number.
    pub(super) fn to_text(self) -> Option<Text> {
        if self.is_integer {
            return Some(Text::from(if self.text == "-0" { "0" } else { self.text }));
        }
        let decimal = self.to_decimal()?;
        Some(to_text(|out| write_decimal_short(&decimal, out)))
    }
}

const POWERS_OF_TEN: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The number that the ASCII digits at the beginning of a chunk spell, and how many they are (0 to 8).
#[inline(always)]
fn leading_digits(chunk: &[u8; 8]) -> (u64, usize) {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let values = u64::from_le_bytes(*chunk) ^ ZEROS;
    // The high bit of each byte that is no digit; the lowest of them is right.
    let others = (values.wrapping_add(0x7676_7676_7676_7676) | values) & HIGHS;
    let bits = others.trailing_zeros() & !7;
    if bits == 0 {
        return (0, 0);
    }
    // Move the digits up: what comes in below are zeros, leading ones.
    let ones = values << (64 - bits);
    let pairs = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    ((fours.wrapping_mul(10_000) + (fours >> 32)) & 0xffff_ffff, (bits / 8) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number<'_> {
        Number::scan(text.as_bytes()).unwrap()
    }

    #[test]
    fn numbers_cut_to_64_bits_as_java_cuts_them() {
        for (text, value) in [
            ("0", 0),
            ("-7", -7),
            ("1.9", 1),
            ("-1.9", -1),
            ("0.99", 0),
            ("1e3", 1000),
            ("12.345e2", 1234),
            ("12345e-2", 123),
            ("1e-9999999999999999999999", 0),
            ("1e64", 0),
            ("1e99999999999999999999999", 0),
            ("9223372036854775807", i64::MAX),
            ("9223372036854775808", i64::MIN),
            ("-9223372036854775808", i64::MIN),
            ("18446744073709551617", 1),
            ("1e19", 10_000_000_000_000_000_000u64 as i64),
        ] {
            assert_eq!(number(text).to_i64(), value, "{text}");
        }
        assert_eq!(number("99999999999").to_i64() as i32, 1_215_752_191);
        for (text, fits) in [
            ("9223372036854775807", true),
            ("-9223372036854775808", true),
            ("9223372036854775808", false),
            ("1.9", true),
            ("1e18", true),
            ("1e19", false),
            ("-1e400", false),
        ] {
            assert_eq!(number(text).fits_i64(), fits, "{text}");
        }
    }

    #[test]
    fn short_integers() {
        for (text, expected) in [
            ("0,", Some((0, 1))),
            ("-12]", Some((-12, 3))),
            ("12345678", Some((12_345_678, 8))),
            ("1582971072345}", Some((1_582_971_072_345, 13))),
            ("123456789012345678", Some((123_456_789_012_345_678, 18))),
            ("1234567890123456789", None),
            ("12345678901234567890123456789", None),
            ("1.5", None),
            ("12345678e3", None),
            ("01", None),
            ("-", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(Number::short_integer(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn numbers_as_text() {
        for (text, expected) in [
            ("12", "12"),
            ("-0", "0"),
            ("1.50", "1.50"),
            ("1e2", "1E+2"),
            ("0.0000001", "1E-7"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
        ] {
            assert_eq!(number(text).to_text().unwrap(), expected);
        }
        assert_eq!(number("1e99999999999").to_text(), None);
    }

    #[test]
    fn leading_digits_of_every_count() {
        for (chunk, expected) in [
            (b"12345678", (12_345_678, 8)),
            (b"00000000", (0, 8)),
            (b"99999999", (99_999_999, 8)),
            (b"1234567/", (1_234_567, 7)),
            (b"123456:9", (123_456, 6)),
            (b"7,\"b\":12", (7, 1)),
            (b"42}\xff\xff\xff\xff\xff", (42, 2)),
            (b"9\xb1123456", (9, 1)),
            (b"a2345678", (0, 0)),
        ] {
            assert_eq!(leading_digits(chunk), expected, "{}", chunk.escape_ascii());
        }
    }
}
