//! Rows as Protocol Buffers messages, by the schema (proto3) that the format PROTOBUF gives their columns: a field a column,
//! numbered from 1; nulls, zeros, empty strings and FALSE are left out.

use tidemill_engine::types::text::{to_text, write_date};
use tidemill_engine::types::{SqlType, Value};

/// Wire types: how the bytes of a field are to be read.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;

/// Milliseconds.
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const NANOS_PER_MS: i64 = 1_000_000;

/// Appends the message of a row.
pub fn message(values: &[Value], types: &[SqlType], out: &mut Vec<u8>) {
    for ((value, sql_type), number) in values.iter().zip(types).zip(1..) {
        field(number, value, sql_type, out);
    }
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn tag(number: u64, wire_type: u64, out: &mut Vec<u8>) {
    varint(number << 3 | wire_type, out);
}

/// A whole number; negative ones take ten bytes. Zero is left out.
fn integer(number: u64, value: i64, out: &mut Vec<u8>) {
    if value != 0 {
        tag(number, VARINT, out);
        varint(value as u64, out);
    }
}

fn bytes(number: u64, value: &[u8], out: &mut Vec<u8>) {
    tag(number, LENGTH, out);
    varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// A message within a message; one without fields is not null, so it is written all the same.
fn nested(number: u64, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    bytes(number, &inner, out);
}

fn field(number: u64, value: &Value, sql_type: &SqlType, out: &mut Vec<u8>) {
    match value {
        Value::Null | Value::Boolean(false) => {}
        Value::Boolean(true) => integer(number, 1, out),
        Value::Int(n) => integer(number, i64::from(*n), out),
        Value::BigInt(n) => integer(number, *n, out),
        Value::Double(n) if n.to_bits() == 0 => {}
        Value::Double(n) => {
            tag(number, FIXED64, out);
            out.extend_from_slice(&n.to_le_bytes());
        }
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => bytes(number, text.as_bytes(), out),
        Value::Bytes(value) if value.is_empty() => {}
        Value::Bytes(value) => bytes(number, value, out),
        Value::Decimal(value) => nested(number, out, |out| {
            let (unscaled, scale) = value.as_bigint_and_exponent();
            bytes(1, &unscaled.to_signed_bytes_be(), out);
            let digits = unscaled.to_string().trim_start_matches('-').len();
            integer(2, i64::try_from(digits).unwrap_or(i64::MAX), out);
            integer(3, scale, out);
        }),
        Value::Date(days) => nested(number, out, |out| {
            let text = to_text(|out| write_date(*days, out));
            let mut parts = text.rsplitn(3, '-').map(|part| part.parse().unwrap_or(0)).collect::<Vec<i64>>();
            parts.reverse();
            for (part, number) in parts.into_iter().zip(1..) {
                integer(number, part, out);
            }
        }),
        Value::Time(ms) => nested(number, out, |out| {
            let ms = i64::from(*ms);
            integer(1, ms / HOUR, out);
            integer(2, ms % HOUR / MINUTE, out);
            integer(3, ms % MINUTE / SECOND, out);
            integer(4, ms % SECOND * NANOS_PER_MS, out);
        }),
        Value::Timestamp(ms) => nested(number, out, |out| {
            integer(1, ms.div_euclid(SECOND), out);
            integer(2, ms.rem_euclid(SECOND) * NANOS_PER_MS, out);
        }),
        Value::Struct(values) => nested(number, out, |out| {
            let SqlType::Struct(fields) = sql_type else { return };
            for ((value, field_type), number) in values.iter().zip(fields.iter()).zip(1..) {
                field(number, value, &field_type.sql_type, out);
            }
        }),
        Value::Array(items) => {
            let SqlType::Array(item_type) = sql_type else { return };
            for item in items.iter() {
                element(number, item, item_type, out);
            }
        }
        Value::Map(entries) => {
            let SqlType::Map(key_type, value_type) = sql_type else { return };
            for (key, value) in entries.iter() {
                nested(number, out, |out| {
                    field(1, key, key_type, out);
                    field(2, value, value_type, out);
                });
            }
        }
    }
}

/// An item of a repeated field, which must stand there even where it is a zero or a null.
fn element(number: u64, item: &Value, item_type: &SqlType, out: &mut Vec<u8>) {
    let before = out.len();
    field(number, item, item_type, out);
    if out.len() > before {
        return;
    }
    match item_type {
        SqlType::Boolean | SqlType::Int | SqlType::BigInt => {
            tag(number, VARINT, out);
            varint(0, out);
        }
        SqlType::Double => {
            tag(number, FIXED64, out);
            out.extend_from_slice(&0f64.to_le_bytes());
        }
        _ => bytes(number, b"", out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(values: &[Value], types: &[SqlType]) -> String {
        let mut out = Vec::new();
        message(values, types, &mut out);
        out.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn rows_are_proto3_messages() {
        let decimal = Value::decimal("123.450".parse().expect("a decimal"));
        for (value, sql_type, expected) in [
            (Value::string("a"), SqlType::String, "0a0161"),
            (Value::BigInt(-1), SqlType::BigInt, "08ffffffffffffffffff01"),
            (Value::Int(300), SqlType::Int, "08ac02"),
            (Value::Int(0), SqlType::Int, ""),
            (Value::Null, SqlType::Int, ""),
            (Value::Double(1.5), SqlType::Double, "09000000000000f83f"),
            (decimal, SqlType::Decimal { precision: 7, scale: 3 }, "0a090a0301e23a10061803"),
            (Value::Date(18_321), SqlType::Date, "0a0708e40f1002181d"),
            (Value::Time(36_672_000), SqlType::Time, "0a06080a100b180c"),
            (Value::Timestamp(-1), SqlType::Timestamp, "0a1108ffffffffffffffffff0110c08faedc03"),
            (Value::array(vec![Value::Int(1), Value::Int(0)]), SqlType::array(SqlType::Int), "08010800"),
        ] {
            assert_eq!(hex(&[value], std::slice::from_ref(&sql_type)), expected, "{sql_type}");
        }
    }
}
