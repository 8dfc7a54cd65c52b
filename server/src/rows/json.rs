//! Rows as JSON arrays, written straight into a buffer.
//!
//! At the top a value is spelled as a user reads it: decimals with the digits of their scale, dates and times as ISO
//! text. Inside arrays, maps and structs ksqlDB writes other spellings, and so do we: decimals without trailing zeros, a
//! date as its day number, a time and a timestamp as milliseconds.

use tidemill_engine::types::text::{
    write_base64, write_date, write_decimal, write_double, write_i32, write_i64, write_time, write_timestamp,
};
use tidemill_engine::types::{SqlType, Value};

/// Writes rows of columns of certain types.
#[derive(Debug, Clone)]
pub struct RowWriter {
    types: Vec<SqlType>,
}

impl RowWriter {
    pub fn new(types: Vec<SqlType>) -> Self {
        RowWriter { types }
    }

    /// Types of the columns.
    pub fn types(&self) -> &[SqlType] {
        &self.types
    }

    /// Appends `[v1,v2,…]`.
    pub fn row(&self, values: &[Value], out: &mut Vec<u8>) {
        out.push(b'[');
        for (i, (value, sql_type)) in values.iter().zip(&self.types).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            top(value, sql_type, out);
        }
        out.push(b']');
    }

    /// Appends the value of one column.
    pub fn value(&self, column: usize, value: &Value, out: &mut Vec<u8>) {
        if let Some(sql_type) = self.types.get(column) {
            top(value, sql_type, out);
        }
    }
}

fn top(value: &Value, sql_type: &SqlType, out: &mut Vec<u8>) {
    match value {
        Value::Decimal(decimal) => write_decimal(decimal, out),
        Value::Time(ms) => quoted(out, |out| write_time(*ms, out)),
        Value::Date(days) => quoted(out, |out| write_date(*days, out)),
        Value::Timestamp(ms) => quoted(out, |out| write_timestamp(*ms, out)),
        other => nested(other, sql_type, out),
    }
}

fn nested(value: &Value, sql_type: &SqlType, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Int(number) | Value::Time(number) | Value::Date(number) => write_i32(*number, out),
        Value::BigInt(number) | Value::Timestamp(number) => write_i64(*number, out),
        Value::Double(number) if number.is_finite() => write_double(*number, out),
        Value::Double(number) => quoted(out, |out| write_double(*number, out)),
        Value::Decimal(decimal) => write_decimal(&decimal.normalized(), out),
        Value::String(text) => string(text, out),
        Value::Bytes(bytes) => quoted(out, |out| write_base64(bytes, out)),
        Value::Array(items) => {
            let item_type = match sql_type {
                SqlType::Array(item) => item,
                other => other,
            };
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                nested(item, item_type, out);
            }
            out.push(b']');
        }
        Value::Map(entries) => {
            let (key_type, value_type) = match sql_type {
                SqlType::Map(key, value) => (&**key, &**value),
                other => (other, other),
            };
            out.push(b'{');
            for (i, (key, value)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                map_key(key, key_type, out);
                out.push(b':');
                nested(value, value_type, out);
            }
            out.push(b'}');
        }
        Value::Struct(values) => {
            let fields = match sql_type {
                SqlType::Struct(fields) => &fields[..],
                _ => &[],
            };
            out.push(b'{');
            for (i, (field, value)) in fields.iter().zip(values.iter()).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                string(&field.name, out);
                out.push(b':');
                nested(value, &field.sql_type, out);
            }
            out.push(b'}');
        }
    }
}

/// A member's name must be a string, so whatever is none is put in quotes.
fn map_key(key: &Value, key_type: &SqlType, out: &mut Vec<u8>) {
    match key {
        Value::String(text) => string(text, out),
        other => {
            let mut text = Vec::new();
            nested(other, key_type, &mut text);
            match String::from_utf8(text) {
                Ok(text) if text.starts_with('"') => out.extend_from_slice(text.as_bytes()),
                Ok(text) => string(&text, out),
                Err(_) => out.extend_from_slice(b"\"\""),
            }
        }
    }
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

/// Appends a JSON string.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let short: Option<u8> = match byte {
            b'"' | b'\\' => Some(*byte),
            b'\n' => Some(b'n'),
            b'\r' => Some(b'r'),
            b'\t' => Some(b't'),
            8 => Some(b'b'),
            12 => Some(b'f'),
            0..=31 => None,
            _ => continue,
        };
        out.extend_from_slice(bytes.get(plain..at).unwrap_or_default());
        plain = at + 1;
        out.push(b'\\');
        match short {
            Some(letter) => out.push(letter),
            None => {
                let digit = |n: u8| HEX.get(usize::from(n & 15)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[b'u', b'0', b'0', digit(byte >> 4), digit(*byte)]);
            }
        }
    }
    out.extend_from_slice(bytes.get(plain..).unwrap_or_default());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_engine::types::MapValue;

    fn written(sql_type: SqlType, value: Value) -> String {
        let mut out = Vec::new();
        RowWriter::new(vec![sql_type]).row(&[value], &mut out);
        String::from_utf8(out).expect("JSON is text")
    }

    fn decimal(text: &str) -> Value {
        Value::decimal(text.parse().expect("a decimal"))
    }

    #[test]
    fn values_are_spelled_as_ksqldb_does() {
        let dec = SqlType::Decimal { precision: 7, scale: 3 };
        let nest = SqlType::structure([("Z".to_owned(), dec.clone()), ("D".to_owned(), SqlType::Date)]);
        let map = SqlType::map(SqlType::String, SqlType::Date);
        let mut entries = MapValue::default();
        entries.insert(Value::string("d"), Value::Date(18262));
        for (sql_type, value, expected) in [
            (SqlType::Double, Value::Double(100.0), "[100.0]"),
            (SqlType::Double, Value::Double(1e21), "[1.0E21]"),
            (SqlType::Double, Value::Double(f64::NAN), "[\"NaN\"]"),
            (dec.clone(), decimal("123.450"), "[123.450]"),
            (SqlType::Time, Value::Time(36_660_000), "[\"10:11\"]"),
            (SqlType::Date, Value::Date(18321), "[\"2020-02-29\"]"),
            (SqlType::Timestamp, Value::Timestamp(-1), "[\"1969-12-31T23:59:59.999\"]"),
            (SqlType::Bytes, Value::bytes(*b"hello"), "[\"aGVsbG8=\"]"),
            (SqlType::array(SqlType::Int), Value::array(vec![Value::Int(1), Value::Null]), "[[1,null]]"),
            (nest, Value::structure(vec![decimal("1.500"), Value::Date(1)]), "[{\"Z\":1.5,\"D\":1}]"),
            (map, Value::Map(std::sync::Arc::new(entries)), "[{\"d\":18262}]"),
            (SqlType::String, Value::string("é\"q\n\u{1}"), "[\"é\\\"q\\n\\u0001\"]"),
        ] {
            assert_eq!(written(sql_type, value), expected);
        }
    }
}
