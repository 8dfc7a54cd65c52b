//! Keys: byte order is the order of the values, column by column; null comes first. No key is a prefix of another one of
//! the same columns, so that a range over one key's windows never meets another key's.
//!
//! A value is a tag byte and a body that says by itself where it ends: numbers have a fixed width with the sign flipped,
//! texts are escaped (`00` becomes `00 ff`) and closed by `00 01`, collections are closed by `00`, which is below every
//! tag. A map, whose order is no part of its identity, stands with its entries sorted. Texts are ordered by code point.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use num_bigint::{BigInt, Sign};

use super::{CodecError, Input, MAX_NESTING, from_ordered, to_ordered};
use crate::row::Window;
use crate::types::{MapValue, Text, Value};

/// Closes a collection.
const END: u8 = 0x00;
const NULL: u8 = 0x01;
const FALSE: u8 = 0x02;
const TRUE: u8 = 0x03;
const INT: u8 = 0x10;
const BIG_INT: u8 = 0x11;
const DOUBLE: u8 = 0x12;
const DECIMAL: u8 = 0x13;
const TIME: u8 = 0x14;
const DATE: u8 = 0x15;
const TIMESTAMP: u8 = 0x16;
const STRING: u8 = 0x20;
const BYTES: u8 = 0x21;
const ARRAY: u8 = 0x30;
const MAP: u8 = 0x31;
const STRUCT: u8 = 0x32;

/// Follows a `00` of a text.
const ESCAPED: u8 = 0xff;
/// Follows the `00` that closes a text.
const CLOSED: u8 = 0x01;

/// What [`encode_window`] appends.
const WINDOW_BYTES: usize = 16;

/// Sign of a decimal.
const NEGATIVE: u8 = 0x00;
const ZERO: u8 = 0x01;
const POSITIVE: u8 = 0x02;

/// Appends a key. A key of no columns is empty, which a store refuses.
pub fn encode_key(values: &[Value], out: &mut Vec<u8>) {
    for value in values {
        encode(value, out);
    }
}

/// Appends a key and its window: ordered by key, then start, then end.
pub fn encode_windowed_key(values: &[Value], window: Window, out: &mut Vec<u8>) {
    encode_key(values, out);
    encode_window(window, out);
}

/// Appends a window's start and end, 16 bytes.
pub fn encode_window(window: Window, out: &mut Vec<u8>) {
    out.extend_from_slice(&to_ordered(window.start));
    out.extend_from_slice(&to_ordered(window.end));
}

/// Appends the values of [`encode_key`] to a vector.
///
/// # Errors
/// Where the bytes are no key; what was decoded before stays in the vector.
pub fn decode_key(bytes: &[u8], out: &mut Vec<Value>) -> Result<(), CodecError> {
    let mut input = Input(bytes);
    while !input.0.is_empty() {
        let tag = input.byte()?;
        out.push(decode(tag, &mut input, 0)?);
    }
    Ok(())
}

/// As [`decode_key`]; each value is shown with its place.
///
/// # Errors
/// As there; values may have been shown before.
pub fn visit_key(bytes: &[u8], mut f: impl FnMut(usize, Value)) -> Result<(), CodecError> {
    let mut input = Input(bytes);
    let mut place = 0;
    while !input.0.is_empty() {
        let tag = input.byte()?;
        f(place, decode(tag, &mut input, 0)?);
        place += 1;
    }
    Ok(())
}

/// Appends the values of [`encode_windowed_key`] to a vector and returns the window.
///
/// # Errors
/// Where the bytes are no windowed key.
pub fn decode_windowed_key(bytes: &[u8], out: &mut Vec<Value>) -> Result<Window, CodecError> {
    let window = window_of(bytes)?;
    decode_key(key_of_windowed(bytes), out)?;
    Ok(window)
}

/// The key of an [`encode_windowed_key`], without its window.
pub fn key_of_windowed(bytes: &[u8]) -> &[u8] {
    bytes.get(..bytes.len().saturating_sub(WINDOW_BYTES)).unwrap_or_default()
}

/// The window of an [`encode_windowed_key`].
///
/// # Errors
/// As there.
pub fn window_of(bytes: &[u8]) -> Result<Window, CodecError> {
    let too_short = CodecError("no window in the key");
    let (rest, end) = bytes.split_last_chunk().ok_or(too_short)?;
    let (_, start) = rest.split_last_chunk().ok_or(too_short)?;
    Ok(Window { start: from_ordered(*start), end: from_ordered(*end) })
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Boolean(value) => out.push(if *value { TRUE } else { FALSE }),
        Value::Int(value) => int(INT, *value, out),
        Value::Time(value) => int(TIME, *value, out),
        Value::Date(value) => int(DATE, *value, out),
        Value::BigInt(value) => big_int(BIG_INT, *value, out),
        Value::Timestamp(value) => big_int(TIMESTAMP, *value, out),
        Value::Double(value) => {
            // As `f64::total_cmp` orders: the bits of negative numbers are turned round.
            let bits = value.to_bits().cast_signed();
            big_int(DOUBLE, bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed(), out);
        }
        Value::Decimal(value) => {
            out.push(DECIMAL);
            decimal(value, out);
        }
        Value::String(value) => {
            out.push(STRING);
            text(value.as_bytes(), out);
        }
        Value::Bytes(value) => {
            out.push(BYTES);
            text(value, out);
        }
        Value::Array(items) => {
            out.push(ARRAY);
            encode_key(items, out);
            out.push(END);
        }
        Value::Struct(fields) => {
            out.push(STRUCT);
            encode_key(fields, out);
            out.push(END);
        }
        Value::Map(entries) => {
            out.push(MAP);
            map(entries, out);
            out.push(END);
        }
    }
}

fn int(tag: u8, value: i32, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&(value ^ i32::MIN).to_be_bytes());
}

fn big_int(tag: u8, value: i64, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&to_ordered(value));
}

fn text(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(zero) = memchr::memchr(0, rest) {
        let (head, tail) = rest.split_at(zero + 1);
        out.extend_from_slice(head);
        out.push(ESCAPED);
        rest = tail;
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[END, CLOSED]);
}

/// Sign, then magnitude and digits as of 0.ddd × 10^magnitude (complemented for negative numbers), then the scale, which
/// keeps 1.0 and 1.00 apart.
fn decimal(value: &BigDecimal, out: &mut Vec<u8>) {
    let (digits, scale) = value.as_bigint_and_scale();
    let sign = match digits.sign() {
        Sign::Minus => NEGATIVE,
        Sign::NoSign => ZERO,
        Sign::Plus => POSITIVE,
    };
    out.push(sign);
    if sign != ZERO {
        let text = digits.magnitude().to_str_radix(10);
        let magnitude = i64::try_from(text.len()).unwrap_or(i64::MAX).saturating_sub(scale);
        let start = out.len();
        out.extend_from_slice(&to_ordered(magnitude));
        out.extend_from_slice(text.trim_end_matches('0').as_bytes());
        out.push(END);
        if sign == NEGATIVE {
            out.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
        }
    }
    out.extend_from_slice(&to_ordered(scale));
}

fn map(entries: &MapValue, out: &mut Vec<u8>) {
    let mut encoded: Vec<Vec<u8>> = entries
        .iter()
        .map(|(key, value)| {
            let mut entry = Vec::new();
            encode(key, &mut entry);
            encode(value, &mut entry);
            entry
        })
        .collect();
    encoded.sort_unstable();
    encoded.iter().for_each(|entry| out.extend_from_slice(entry));
}

fn decode(tag: u8, input: &mut Input<'_>, depth: u32) -> Result<Value, CodecError> {
    Ok(match tag {
        NULL => Value::Null,
        FALSE => Value::Boolean(false),
        TRUE => Value::Boolean(true),
        INT => Value::Int(read_int(input)?),
        TIME => Value::Time(read_int(input)?),
        DATE => Value::Date(read_int(input)?),
        BIG_INT => Value::BigInt(from_ordered(input.array()?)),
        TIMESTAMP => Value::Timestamp(from_ordered(input.array()?)),
        DOUBLE => {
            let bits = from_ordered(input.array()?);
            Value::Double(f64::from_bits((bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()).cast_unsigned()))
        }
        DECIMAL => read_decimal(input)?,
        STRING => {
            let bytes = read_text(input)?;
            let text = std::str::from_utf8(&bytes).map_err(|_| CodecError("text is not UTF-8"))?;
            Value::String(Text::from(text))
        }
        BYTES => Value::bytes(read_text(input)?),
        ARRAY => Value::Array(Arc::new(read_items(input, depth)?)),
        STRUCT => Value::Struct(read_items(input, depth)?.into()),
        MAP => {
            let mut entries = MapValue::default();
            let mut items = read_items(input, depth)?.into_iter();
            while let Some(key) = items.next() {
                entries.insert(key, items.next().ok_or(CodecError("key without a value"))?);
            }
            Value::Map(Arc::new(entries))
        }
        _ => return Err(CodecError("unknown tag")),
    })
}

fn read_int(input: &mut Input<'_>) -> Result<i32, CodecError> {
    Ok(i32::from_be_bytes(input.array()?) ^ i32::MIN)
}

fn read_text<'a>(input: &mut Input<'a>) -> Result<std::borrow::Cow<'a, [u8]>, CodecError> {
    let mut text = std::borrow::Cow::Borrowed(&[][..]);
    loop {
        let zero = memchr::memchr(0, input.0).ok_or(CodecError("ends too early"))?;
        let part = input.bytes(zero + 2)?;
        match (part.last(), part.get(..zero), part.get(..=zero)) {
            (Some(&CLOSED), Some(body), _) if text.is_empty() => return Ok(body.into()),
            (Some(&CLOSED), Some(body), _) => {
                text.to_mut().extend_from_slice(body);
                return Ok(text);
            }
            (Some(&ESCAPED), _, Some(body)) => text.to_mut().extend_from_slice(body),
            _ => return Err(CodecError("bad escape")),
        }
    }
}

fn read_decimal(input: &mut Input<'_>) -> Result<Value, CodecError> {
    let sign = input.byte()?;
    if sign > POSITIVE {
        return Err(CodecError("unknown sign"));
    }
    let mut digits = BigInt::from(0);
    let mut magnitude = 0;
    let mut stripped = 0;
    if sign != ZERO {
        let flip = if sign == NEGATIVE { u8::MAX } else { 0 };
        magnitude = from_ordered(input.array()?.map(|byte: u8| byte ^ flip));
        let len = input.0.iter().position(|byte| byte ^ flip == END).ok_or(CodecError("ends too early"))?;
        let text: Vec<u8> = input.bytes(len + 1)?.iter().take(len).map(|byte| byte ^ flip).collect();
        digits = BigInt::parse_bytes(&text, 10).ok_or(CodecError("no digits"))?;
        stripped = i64::try_from(len).unwrap_or(i64::MAX);
    }
    let scale = from_ordered(input.array()?);
    if sign != ZERO {
        // Zeros at the end were left out; the scale says how many.
        let zeros = magnitude.checked_add(scale).and_then(|len| len.checked_sub(stripped)).ok_or(CodecError("bad scale"))?;
        let zeros = u32::try_from(zeros).ok().filter(|zeros| *zeros <= MAX_ZEROS).ok_or(CodecError("bad scale"))?;
        digits *= BigInt::from(10).pow(zeros);
    }
    if sign == NEGATIVE {
        digits = -digits;
    }
    Ok(Value::decimal(BigDecimal::new(digits, scale)))
}

/// Zeros at the end of a decimal's digits that are believed.
const MAX_ZEROS: u32 = 100_000;

fn read_items(input: &mut Input<'_>, depth: u32) -> Result<Vec<Value>, CodecError> {
    if depth >= MAX_NESTING {
        return Err(CodecError("nested too deeply"));
    }
    let mut items = Vec::new();
    loop {
        match input.byte()? {
            END => return Ok(items),
            tag => items.push(decode(tag, input, depth + 1)?),
        }
    }
}
