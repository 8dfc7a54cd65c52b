//! The order of values: Java's `compareTo`.

use std::cmp::Ordering;

use crate::types::Value;

/// Compares two values of one type; null comes last. Doubles are in total order (`-0.0` before `0.0`, NaN last), strings
/// by UTF-16 units, bytes as signed numbers. Collections compare item by item.
pub fn java_cmp(a: &Value, b: &Value) -> Ordering {
    use Value::*;
    match (a, b) {
        (Null, Null) => Ordering::Equal,
        (Null, _) => Ordering::Greater,
        (_, Null) => Ordering::Less,
        (Boolean(a), Boolean(b)) => a.cmp(b),
        (Int(a), Int(b)) | (Time(a), Time(b)) | (Date(a), Date(b)) => a.cmp(b),
        (BigInt(a), BigInt(b)) | (Timestamp(a), Timestamp(b)) => a.cmp(b),
        (Double(a), Double(b)) => double_cmp(*a, *b),
        (Decimal(a), Decimal(b)) => a.cmp(b),
        (String(a), String(b)) => utf16_cmp(a, b),
        (Bytes(a), Bytes(b)) => a.iter().map(|b| b.cast_signed()).cmp(b.iter().map(|b| b.cast_signed())),
        (Array(a), Array(b)) => slice_cmp(a, b),
        (Struct(a), Struct(b)) => slice_cmp(a, b),
        _ => Ordering::Equal,
    }
}

fn slice_cmp(a: &[Value], b: &[Value]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| java_cmp(a, b)).find(|order| order.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// `Double.compare`: every NaN is the same and the largest.
fn double_cmp(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.total_cmp(&b),
    }
}

/// UTF-8 bytes sort like UTF-16 units but for characters beyond the first plane: their surrogates sort below U+E000.
fn utf16_cmp(a: &str, b: &str) -> Ordering {
    let (left, right) = (a.as_bytes(), b.as_bytes());
    let Some((a, b)) = left.iter().zip(right).find(|(a, b)| a != b) else { return left.len().cmp(&right.len()) };
    let supplementary = |byte: u8| byte >= 0xF0;
    match (supplementary(*a), supplementary(*b)) {
        (true, false) if *b >= 0xEE => Ordering::Less,
        (false, true) if *a >= 0xEE => Ordering::Greater,
        _ => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_sort_as_in_java() {
        let text = |text: &str| Value::string(text);
        let bytes = |bytes: &[u8]| Value::bytes(bytes);
        for (smaller, larger) in [
            (Value::Double(-0.0), Value::Double(0.0)),
            (Value::Double(f64::INFINITY), Value::Double(f64::NAN)),
            (text("10"), text("9")),
            (text(""), text("a")),
            (text("B"), text("a")),
            (text("z"), text("é")),
            (text("😀"), text("\u{E000}")),
            (text("\u{D7FF}"), text("😀")),
            (text("ab"), text("abc")),
            (bytes(&[0xFF]), bytes(&[0x01])),
            (bytes(&[]), bytes(&[0x80])),
            (Value::Boolean(false), Value::Boolean(true)),
            (Value::Int(-1), Value::Null),
        ] {
            assert_eq!(java_cmp(&smaller, &larger), Ordering::Less, "{smaller:?} {larger:?}");
            assert_eq!(java_cmp(&larger, &smaller), Ordering::Greater, "{smaller:?} {larger:?}");
        }
    }
}
