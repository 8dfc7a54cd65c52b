//! NUMERIC in its binary form: digits to the base of 10,000, the place of the first, a sign, how many decimals are shown.

use bigdecimal::BigDecimal;
use bytes::{Buf, BufMut, Bytes, BytesMut};

const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xC000;
/// Decimal digits of one.
const DIGITS: usize = 4;
/// Digits before or behind the point that are written; no value here has as many.
const MOST_DIGITS: i64 = 4_000;

/// Writes a decimal.
pub fn write(value: &BigDecimal, out: &mut BytesMut) {
    let value = if value.fractional_digit_count().abs() > MOST_DIGITS { &value.with_scale(0) } else { value };
    // All digits of the scale, no exponent.
    let value = if value.fractional_digit_count() < 0 { &value.with_scale(0) } else { value };
    let (number, scale) = value.as_bigint_and_exponent();
    let text = number.to_string();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.as_str()),
    };
    let scale = usize::try_from(scale).unwrap_or(0);
    // A leading zero's worth of digits before the point, so that it can be found.
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let whole = format!("{whole:0>width$}", width = whole.len().div_ceil(DIGITS) * DIGITS);
    let fraction = format!("{fraction:0<width$}", width = fraction.len().div_ceil(DIGITS) * DIGITS);
    let group = |group: &[u8]| group.iter().fold(0_u16, |number, digit| number * 10 + u16::from(digit - b'0'));
    let mut groups: Vec<u16> = whole.as_bytes().chunks(DIGITS).chain(fraction.as_bytes().chunks(DIGITS)).map(group).collect();
    let mut weight = i16::try_from(whole.len() / DIGITS).unwrap_or(i16::MAX) - 1;
    let leading = groups.iter().take_while(|group| **group == 0).count();
    if leading == groups.len() {
        (groups, weight) = (Vec::new(), 0);
    } else {
        groups.drain(..leading);
        weight -= i16::try_from(leading).unwrap_or(0);
        while groups.last() == Some(&0) {
            groups.pop();
        }
    }
    out.put_u16(u16::try_from(groups.len()).unwrap_or(u16::MAX));
    out.put_i16(weight);
    out.put_u16(if is_negative { NEGATIVE } else { 0 });
    out.put_u16(u16::try_from(scale).unwrap_or(u16::MAX));
    groups.into_iter().for_each(|group| out.put_u16(group));
}

/// Reads a decimal as the text of a literal; `None`: it is no number.
pub fn read(mut bytes: Bytes) -> Option<String> {
    let count = usize::from(bytes.try_get_u16().ok()?);
    let weight = bytes.try_get_i16().ok()?;
    let sign = bytes.try_get_u16().ok()?;
    let scale = usize::from(bytes.try_get_u16().ok()?);
    if bytes.len() != 2 * count || sign >= NOT_A_NUMBER || i64::from(weight).abs() > MOST_DIGITS || scale > MOST_DIGITS as usize {
        return None;
    }
    let groups: Vec<u16> = (0..count).map_while(|_| bytes.try_get_u16().ok()).collect();
    if groups.iter().any(|group| *group > 9_999) {
        return None;
    }
    let group = |at: i64| usize::try_from(at).ok().and_then(|at| groups.get(at)).copied().unwrap_or(0);
    let weight = i64::from(weight);
    let mut whole: String = (0..=weight).map(|at| format!("{:04}", group(at))).collect();
    let first_behind = weight + 1;
    let behind = scale.div_ceil(DIGITS) as i64;
    let mut fraction: String = (0..behind).map(|n| format!("{:04}", group(first_behind + n))).collect();
    fraction.truncate(scale);
    whole = whole.trim_start_matches('0').to_owned();
    if whole.is_empty() {
        whole.push('0');
    }
    let sign = if sign == NEGATIVE { "-" } else { "" };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_went() {
        for text in ["0", "1", "-1", "10000", "9999.9999", "0.00001", "-123456789.0120", "1.50", "100000000", "0.10", "-0.5", "70000.0007"]
        {
            let mut out = BytesMut::new();
            write(&text.parse().expect("a decimal"), &mut out);
            assert_eq!(read(out.freeze()).as_deref(), Some(text), "{text}");
        }
        // As PostgreSQL writes it.
        let mut out = BytesMut::new();
        write(&"12345.678".parse().expect("a decimal"), &mut out);
        assert_eq!(&out[..], [0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 9, 41, 26, 124]);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bytes in [&b""[..], b"\0\x01\0\0\0\0\0\0", b"\0\0\0\0\xC0\0\0\0", b"\0\x01\0\0\0\0\0\0\xff\xff", b"\0\0\x7f\xff\0\0\0\0"] {
            assert_eq!(read(Bytes::from_static(bytes)), None, "{bytes:?}");
        }
    }
}
