//! Values shown where they are stored: numbers as they are read, texts as the bytes of the entry. Who puts them into columns needs no
//! [`Value`] of each.

use super::row::{
    BIG_INT, BYTES, DATE, DOUBLE, FALSE, INT, KIND_MASK, NULL, SHORT_STRING, SMALL_BIG_INT, SMALL_INT, SMALL_MASK, STRING, STRUCT, TIME,
    TIMESTAMP, TRUE, VERSION, decode_other, read_count, read_int, read_number, read_text, read_timestamp, skip,
};
use super::{CodecError, Input, Part};
use crate::types::Value;

/// A value of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored<'a> {
    Null,
    Boolean(bool),
    Int(i32),
    BigInt(i64),
    /// The bits of a DOUBLE.
    Double(u64),
    /// Milliseconds of the day.
    Time(i32),
    /// Days since 1970-01-01.
    Date(i32),
    /// Milliseconds since the epoch, UTC.
    Timestamp(i64),
    String(&'a str),
    Bytes(&'a [u8]),
    /// What is made of parts, decimals and collections, as a value.
    Made(Value),
}

/// As [`super::decode_parts`], of which each part that is needed is shown with its place among the parts, in order; what lies past the
/// end of the entry is null.
///
/// # Errors
/// As there; parts may have been shown before.
#[inline]
pub fn visit_parts<'a>(bytes: &'a [u8], parts: &[Part], mut f: impl FnMut(usize, Stored<'a>)) -> Result<i64, CodecError> {
    let mut input = Input(bytes);
    if input.byte()? != VERSION {
        return Err(CodecError("unknown version"));
    }
    let timestamp = read_timestamp(&mut input)?;
    for (place, part) in parts.iter().enumerate() {
        match part {
            Part::Nothing if input.0.is_empty() => {}
            Part::Nothing => skip(&mut input, 0)?,
            _ if input.0.is_empty() => f(place, Stored::Null),
            Part::Whole => f(place, read(&mut input, 0)?),
            Part::Field(index) => f(place, read_field(&mut input, *index)?),
        }
    }
    Ok(timestamp)
}

#[inline]
fn read<'a>(input: &mut Input<'a>, depth: u32) -> Result<Stored<'a>, CodecError> {
    let tag = input.byte()?;
    let small = tag & SMALL_MASK;
    Ok(match (tag & KIND_MASK, tag) {
        (SMALL_BIG_INT, _) => Stored::BigInt(i64::from(small)),
        (SMALL_INT, _) => Stored::Int(i32::from(small)),
        (SHORT_STRING, _) => Stored::String(utf8(input.bytes(usize::from(small))?)?),
        (_, NULL) => Stored::Null,
        (_, FALSE) => Stored::Boolean(false),
        (_, TRUE) => Stored::Boolean(true),
        (_, INT) => Stored::Int(read_int(input)?),
        (_, BIG_INT) => Stored::BigInt(read_number(input)?),
        (_, DOUBLE) => Stored::Double(u64::from_le_bytes(input.array()?)),
        (_, TIME) => Stored::Time(read_int(input)?),
        (_, DATE) => Stored::Date(read_int(input)?),
        (_, TIMESTAMP) => Stored::Timestamp(read_number(input)?),
        (_, STRING) => Stored::String(utf8(read_text(input)?)?),
        (_, BYTES) => Stored::Bytes(read_text(input)?),
        _ => Stored::Made(decode_other(tag, input, depth)?),
    })
}

#[inline]
fn read_field<'a>(input: &mut Input<'a>, index: usize) -> Result<Stored<'a>, CodecError> {
    let count = match input.byte()? {
        NULL => 0,
        STRUCT => read_count(input, 0)?,
        _ => return Err(CodecError("no STRUCT")),
    };
    let mut found = Stored::Null;
    for place in 0..count {
        if place == index {
            found = read(input, 1)?;
        } else {
            skip(input, 1)?;
        }
    }
    Ok(found)
}

fn utf8(bytes: &[u8]) -> Result<&str, CodecError> {
    std::str::from_utf8(bytes).map_err(|_| CodecError("text is not UTF-8"))
}

impl From<Stored<'_>> for Value {
    fn from(stored: Stored<'_>) -> Value {
        match stored {
            Stored::Null => Value::Null,
            Stored::Boolean(value) => Value::Boolean(value),
            Stored::Int(value) => Value::Int(value),
            Stored::BigInt(value) => Value::BigInt(value),
            Stored::Double(bits) => Value::Double(f64::from_bits(bits)),
            Stored::Time(value) => Value::Time(value),
            Stored::Date(value) => Value::Date(value),
            Stored::Timestamp(value) => Value::Timestamp(value),
            Stored::String(text) => Value::string(text),
            Stored::Bytes(bytes) => Value::bytes(bytes),
            Stored::Made(value) => value,
        }
    }
}
