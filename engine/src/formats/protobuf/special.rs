//! Messages that stand for a single value: dates, times and decimals.

use bigdecimal::BigDecimal;
use num_bigint::BigInt;

use super::cursor::{Cursor, Read, Wire, bad};
use crate::types::Value;
use crate::types::text::{days_from_civil, days_in_month, read_decimal, to_text, write_double};

/// The longest number of a decimal, bytes.
const MAX_DECIMAL_BYTES: usize = 4096;
pub(super) const NANOS_PER_MS: i64 = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temporal {
    Date,
    Time,
    Timestamp,
}

impl Temporal {
    /// Days, milliseconds of the day, or milliseconds since the epoch.
    pub fn read(self, body: &[u8]) -> Read<i64> {
        let [first, second, third, fourth] = numbers(body)?;
        match self {
            Temporal::Date => {
                let (year, month, day) = (i64::from(first as i32), u32::try_from(second), u32::try_from(third));
                match (month, day) {
                    (Ok(month @ 1..=12), Ok(day)) if year > 0 && (1..=days_in_month(year, month)).contains(&day) => {
                        Ok(days_from_civil(year, month, day))
                    }
                    _ => Err(bad(format!("{first}-{second}-{third} is no date"))),
                }
            }
            Temporal::Time => {
                if !((0..24).contains(&first) && (0..60).contains(&second) && (0..60).contains(&third) && is_nanos(fourth)) {
                    return Err(bad(format!("{first}:{second}:{third} and {fourth} nanoseconds is no time of a day")));
                }
                Ok(((first * 60 + second) * 60 + third) * 1_000 + fourth / NANOS_PER_MS)
            }
            Temporal::Timestamp => {
                let ms = first.checked_mul(1_000).and_then(|ms| ms.checked_add(second / NANOS_PER_MS));
                ms.filter(|_| is_nanos(second)).ok_or_else(|| bad(format!("{first} seconds and {second} nanoseconds is no timestamp")))
            }
        }
    }
}

fn is_nanos(nanos: i64) -> bool {
    (0..1_000_000_000).contains(&nanos)
}

/// The varints of the fields 1 to 4; zero where one is absent.
fn numbers(body: &[u8]) -> Read<[i64; 4]> {
    let mut numbers = [0; 4];
    let mut cursor = Cursor::new(body);
    while !cursor.is_at_end() {
        let (number, wire) = cursor.tag()?;
        match numbers.get_mut(number as usize - 1) {
            Some(place) if wire == Wire::Varint => *place = cursor.varint()? as i64,
            _ => cursor.skip(number, wire)?,
        }
    }
    Ok(numbers)
}

/// `confluent.type.Decimal`: an unscaled number, big-endian in two's complement, its precision and its scale.
pub(super) fn decimal(body: &[u8], precision: u32, scale: u32) -> Read<Value> {
    let mut unscaled: &[u8] = &[];
    let mut written_scale = 0;
    let mut cursor = Cursor::new(body);
    while !cursor.is_at_end() {
        match cursor.tag()? {
            (1, Wire::Sized) => unscaled = cursor.sized()?,
            (3, Wire::Varint) => written_scale = cursor.varint()? as i32,
            (number, wire) => cursor.skip(number, wire)?,
        }
    }
    if unscaled.len() > MAX_DECIMAL_BYTES {
        return Err(bad(format!("a decimal has more than {MAX_DECIMAL_BYTES} bytes")));
    }
    let number = BigDecimal::new(BigInt::from_signed_bytes_be(unscaled), i64::from(written_scale));
    Ok(Value::decimal(read_decimal(&number, precision, scale).map_err(bad)?))
}

/// A float as Java spells it: with no more digits than a float has.
pub(super) fn float_text(number: f32) -> Value {
    let double = if number.is_finite() { number.to_string().parse().unwrap_or(f64::from(number)) } else { f64::from(number) };
    Value::String(to_text(|out| write_double(double, out)))
}
