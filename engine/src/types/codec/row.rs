//! Rows: compact, and quick for numbers and short texts.
//!
//! A version byte, then the values one after the other. A value is a tag byte and what the tag asks for; small numbers
//! and the lengths of short texts stand in the tag itself.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use num_bigint::BigInt;

use super::{CodecError, Input, MAX_NESTING};
use crate::types::{MapValue, Text, Value};

/// First byte of every encoded row.
pub(super) const VERSION: u8 = 1;

pub(super) const NULL: u8 = 0;
pub(super) const FALSE: u8 = 1;
pub(super) const TRUE: u8 = 2;
pub(super) const INT: u8 = 3;
pub(super) const BIG_INT: u8 = 4;
pub(super) const DOUBLE: u8 = 5;
const DECIMAL: u8 = 6;
pub(super) const STRING: u8 = 7;
pub(super) const BYTES: u8 = 8;
pub(super) const TIME: u8 = 9;
pub(super) const DATE: u8 = 10;
pub(super) const TIMESTAMP: u8 = 11;
const ARRAY: u8 = 12;
const MAP: u8 = 13;
pub(super) const STRUCT: u8 = 14;
/// Tags that carry a number below 64: the length of a text, a BIGINT, an INT.
pub(super) const SHORT_STRING: u8 = 0x40;
pub(super) const SMALL_BIG_INT: u8 = 0x80;
pub(super) const SMALL_INT: u8 = 0xc0;
pub(super) const SMALL_MASK: u8 = 0x3f;
pub(super) const KIND_MASK: u8 = 0xc0;

/// Appends values to a buffer.
pub fn encode_values(values: &[Value], out: &mut Vec<u8>) {
    out.push(VERSION);
    for value in values {
        encode(value, out);
    }
}

/// As [`encode_values`] for a number and the values behind it: an entry of a store with its timestamp.
pub fn encode_entry(timestamp: i64, values: &[Value], out: &mut Vec<u8>) {
    out.push(VERSION);
    encode(&Value::BigInt(timestamp), out);
    for value in values {
        encode(value, out);
    }
}

/// Appends the values of an [`encode_entry`] to a vector and returns the timestamp. `wanted` says which of them are needed:
/// the others become nulls and cost no more than a step over them; those past its end are all needed.
///
/// # Errors
/// Where the bytes are no such entry; what was decoded before stays in the vector.
pub fn decode_entry(bytes: &[u8], wanted: &[bool], out: &mut Vec<Value>) -> Result<i64, CodecError> {
    let mut input = Input(bytes);
    if input.byte()? != VERSION {
        return Err(CodecError("unknown version"));
    }
    let timestamp = read_timestamp(&mut input)?;
    let mut wanted = wanted.iter();
    while !input.0.is_empty() {
        if wanted.next().is_none_or(|wanted| *wanted) {
            decode_to(&mut input, 0, out)?;
        } else {
            skip(&mut input, 0)?;
            out.push(Value::Null);
        }
    }
    Ok(timestamp)
}

/// What is needed of one value of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Nothing: it becomes null, and costs no more than a step over it.
    Nothing,
    Whole,
    /// One field of a STRUCT; null where that is null. The others cost no more than a step over them.
    Field(usize),
}

/// As [`decode_entry`], as much of each value as is needed; those past the end of `parts` are left out.
///
/// # Errors
/// As there.
pub fn decode_parts(bytes: &[u8], parts: &[Part], out: &mut Vec<Value>) -> Result<i64, CodecError> {
    let mut input = Input(bytes);
    if input.byte()? != VERSION {
        return Err(CodecError("unknown version"));
    }
    let timestamp = read_timestamp(&mut input)?;
    for part in parts {
        if input.0.is_empty() {
            break;
        }
        match part {
            Part::Whole => decode_to(&mut input, 0, out)?,
            Part::Field(index) => decode_field(&mut input, *index, out)?,
            Part::Nothing => {
                skip(&mut input, 0)?;
                out.push(Value::Null);
            }
        }
    }
    Ok(timestamp)
}

#[inline]
pub(super) fn read_timestamp(input: &mut Input<'_>) -> Result<i64, CodecError> {
    match input.byte()? {
        BIG_INT => read_number(input),
        tag if tag & KIND_MASK == SMALL_BIG_INT => Ok(i64::from(tag & SMALL_MASK)),
        _ => Err(CodecError("an entry lacks its timestamp")),
    }
}

fn decode_field(input: &mut Input<'_>, index: usize, out: &mut Vec<Value>) -> Result<(), CodecError> {
    let count = match input.byte()? {
        NULL => 0,
        STRUCT => read_count(input, 0)?,
        _ => return Err(CodecError("no STRUCT")),
    };
    if index >= count {
        out.push(Value::Null);
    }
    for place in 0..count {
        if place == index {
            decode_to(input, 1, out)?;
        } else {
            skip(input, 1)?;
        }
    }
    Ok(())
}

/// Appends the values of [`encode_values`] to a vector.
///
/// # Errors
/// Where the bytes are no such row; what was decoded before stays in the vector.
pub fn decode_values(bytes: &[u8], out: &mut Vec<Value>) -> Result<(), CodecError> {
    let mut input = Input(bytes);
    if input.byte()? != VERSION {
        return Err(CodecError("unknown version"));
    }
    while !input.0.is_empty() {
        decode_to(&mut input, 0, out)?;
    }
    Ok(())
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Boolean(value) => out.push(if *value { TRUE } else { FALSE }),
        Value::Int(value) => match small(i64::from(*value)) {
            Some(small) => out.push(SMALL_INT | small),
            None => number(INT, i64::from(*value), out),
        },
        Value::BigInt(value) => match small(*value) {
            Some(small) => out.push(SMALL_BIG_INT | small),
            None => number(BIG_INT, *value, out),
        },
        Value::Double(value) => {
            out.push(DOUBLE);
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        Value::Decimal(value) => {
            let (digits, scale) = value.as_bigint_and_scale();
            number(DECIMAL, scale, out);
            text(&digits.to_signed_bytes_be(), out);
        }
        Value::String(value) => {
            match i64::try_from(value.len()).ok().and_then(small) {
                Some(len) => out.push(SHORT_STRING | len),
                None => {
                    out.push(STRING);
                    length(value.len(), out);
                }
            }
            out.extend_from_slice(value.as_bytes());
        }
        Value::Bytes(value) => {
            out.push(BYTES);
            text(value, out);
        }
        Value::Time(value) => number(TIME, i64::from(*value), out),
        Value::Date(value) => number(DATE, i64::from(*value), out),
        Value::Timestamp(value) => number(TIMESTAMP, *value, out),
        Value::Array(items) => {
            out.push(ARRAY);
            length(items.len(), out);
            items.iter().for_each(|item| encode(item, out));
        }
        Value::Map(entries) => {
            out.push(MAP);
            length(entries.len(), out);
            for (key, value) in entries.iter() {
                encode(key, out);
                encode(value, out);
            }
        }
        Value::Struct(fields) => {
            out.push(STRUCT);
            length(fields.len(), out);
            fields.iter().for_each(|field| encode(field, out));
        }
    }
}

fn small(value: i64) -> Option<u8> {
    u8::try_from(value).ok().filter(|&value| value <= SMALL_MASK)
}

/// A tag and a number, small magnitudes in few bytes.
fn number(tag: u8, value: i64, out: &mut Vec<u8>) {
    out.push(tag);
    varint(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

fn text(bytes: &[u8], out: &mut Vec<u8>) {
    length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn length(len: usize, out: &mut Vec<u8>) {
    varint(len as u64, out);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a value: numbers, which are most values, are written where they stay rather than handed from one call to the next.
#[inline]
fn decode_to(input: &mut Input<'_>, depth: u32, out: &mut Vec<Value>) -> Result<(), CodecError> {
    let tag = input.byte()?;
    match (tag & KIND_MASK, tag) {
        (SMALL_BIG_INT, _) => out.push(Value::BigInt(i64::from(tag & SMALL_MASK))),
        (SMALL_INT, _) => out.push(Value::Int(i32::from(tag & SMALL_MASK))),
        (_, BIG_INT) => out.push(Value::BigInt(read_number(input)?)),
        (_, INT) => out.push(Value::Int(read_int(input)?)),
        _ => out.push(decode_other(tag, input, depth)?),
    }
    Ok(())
}

fn decode(input: &mut Input<'_>, depth: u32) -> Result<Value, CodecError> {
    let tag = input.byte()?;
    decode_other(tag, input, depth)
}

pub(super) fn decode_other(tag: u8, input: &mut Input<'_>, depth: u32) -> Result<Value, CodecError> {
    let small = tag & SMALL_MASK;
    match tag & KIND_MASK {
        SHORT_STRING => return string(input.bytes(usize::from(small))?),
        SMALL_BIG_INT => return Ok(Value::BigInt(i64::from(small))),
        SMALL_INT => return Ok(Value::Int(i32::from(small))),
        _ => {}
    }
    Ok(match tag {
        INT => Value::Int(read_int(input)?),
        BIG_INT => Value::BigInt(read_number(input)?),
        NULL => Value::Null,
        FALSE => Value::Boolean(false),
        TRUE => Value::Boolean(true),
        DOUBLE => Value::Double(f64::from_bits(u64::from_le_bytes(input.array()?))),
        DECIMAL => {
            let scale = read_number(input)?;
            let digits = BigInt::from_signed_bytes_be(read_text(input)?);
            Value::decimal(BigDecimal::new(digits, scale))
        }
        STRING => string(read_text(input)?)?,
        BYTES => Value::bytes(read_text(input)?),
        TIME => Value::Time(read_int(input)?),
        DATE => Value::Date(read_int(input)?),
        TIMESTAMP => Value::Timestamp(read_number(input)?),
        ARRAY => Value::Array(Arc::new(read_items(input, depth)?)),
        MAP => read_map(input, depth)?,
        STRUCT => Value::Struct(read_items(input, depth)?.into()),
        _ => return Err(CodecError("unknown tag")),
    })
}

/// Steps over a value, without a copy of anything.
#[inline]
pub(super) fn skip(input: &mut Input<'_>, depth: u32) -> Result<(), CodecError> {
    let tag = input.byte()?;
    match (tag & KIND_MASK, tag) {
        (SHORT_STRING, _) => drop(input.bytes(usize::from(tag & SMALL_MASK))?),
        (SMALL_BIG_INT | SMALL_INT, _) | (_, NULL | FALSE | TRUE) => {}
        (_, STRING | BYTES) => drop(read_text(input)?),
        (_, INT | BIG_INT | TIME | DATE | TIMESTAMP) => skip_varint(input)?,
        (_, DOUBLE) => drop(input.array::<8>()?),
        (_, DECIMAL) => {
            skip_varint(input)?;
            read_text(input)?;
        }
        (_, ARRAY | STRUCT) => {
            for _ in 0..read_count(input, depth)? {
                skip(input, depth + 1)?;
            }
        }
        (_, MAP) => {
            for _ in 0..read_count(input, depth)? {
                skip(input, depth + 1)?;
                skip(input, depth + 1)?;
            }
        }
        _ => return Err(CodecError("unknown tag")),
    }
    Ok(())
}

#[inline(always)]
fn read_varint(input: &mut Input<'_>) -> Result<u64, CodecError> {
    let mut value = 0;
    let mut bytes = input.0.iter();
    for shift in (0..64).step_by(7) {
        let byte = *bytes.next().ok_or(CodecError("ends too early"))?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            input.0 = bytes.as_slice();
            return Ok(value);
        }
    }
    Err(CodecError("number too long"))
}

/// Steps over a number.
#[inline(always)]
fn skip_varint(input: &mut Input<'_>) -> Result<(), CodecError> {
    let end = input.0.iter().take(10).position(|byte| *byte < 0x80).ok_or(CodecError("no end of a number"))?;
    input.0 = input.0.get(end + 1..).unwrap_or_default();
    Ok(())
}

#[inline(always)]
pub(super) fn read_number(input: &mut Input<'_>) -> Result<i64, CodecError> {
    let value = read_varint(input)?;
    Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
}

#[inline]
pub(super) fn read_int(input: &mut Input<'_>) -> Result<i32, CodecError> {
    i32::try_from(read_number(input)?).map_err(|_| CodecError("number too large"))
}

#[inline]
pub(super) fn read_text<'a>(input: &mut Input<'a>) -> Result<&'a [u8], CodecError> {
    let len = usize::try_from(read_varint(input)?).map_err(|_| CodecError("length too large"))?;
    input.bytes(len)
}

fn string(bytes: &[u8]) -> Result<Value, CodecError> {
    std::str::from_utf8(bytes).map(|text| Value::String(Text::from(text))).map_err(|_| CodecError("text is not UTF-8"))
}

/// A number of items; each takes a byte at least, so that a damaged count can't ask for much memory.
#[inline]
pub(super) fn read_count(input: &mut Input<'_>, depth: u32) -> Result<usize, CodecError> {
    if depth >= MAX_NESTING {
        return Err(CodecError("nested too deeply"));
    }
    let count = usize::try_from(read_varint(input)?).map_err(|_| CodecError("length too large"))?;
    if count > input.0.len() {
        return Err(CodecError("ends too early"));
    }
    Ok(count)
}

fn read_items(input: &mut Input<'_>, depth: u32) -> Result<Vec<Value>, CodecError> {
    let count = read_count(input, depth)?;
    (0..count).map(|_| decode(input, depth + 1)).collect()
}

fn read_map(input: &mut Input<'_>, depth: u32) -> Result<Value, CodecError> {
    let count = read_count(input, depth)?;
    let mut map = MapValue::default();
    for _ in 0..count {
        let key = decode(input, depth + 1)?;
        map.insert(key, decode(input, depth + 1)?);
    }
    Ok(Value::Map(Arc::new(map)))
}
