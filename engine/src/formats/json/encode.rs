//! SQL values as JSON, as ksqlDB writes them: members in the order of the schema and null where a column is, DOUBLE as
//! Java prints it (`NaN` and infinities as strings), DECIMAL as a number with all digits of its scale, BYTES as base64,
//! DATE, TIME and TIMESTAMP as numbers. No blanks.

use super::plain_run::plain_run;
use crate::formats::{Carried, EncodeError, Encoder, Layout};
use crate::types::text::{TextOut, write_base64, write_decimal, write_double, write_i32, write_i64};
use crate::types::{SqlType, Value};

pub(super) struct JsonEncoder {
    fields: Vec<Member>,
    /// The only column stands without an object around it.
    unwrapped: bool,
}

/// A column with everything that stands before its value: the brace or comma, its name, the colon.
struct Member {
    before: Box<[u8]>,
    sql_type: SqlType,
    slot: usize,
    carried: Option<usize>,
}

impl JsonEncoder {
    pub(super) fn new(layout: &Layout) -> Result<Self, String> {
        let fields = layout.fields.iter().enumerate().map(|(i, field)| {
            let mut before = vec![if i == 0 { b'{' } else { b',' }];
            write_json_string(&field.column.name, &mut before);
            before.push(b':');
            let slot = field.slot.ok_or("a column to write has no slot")?;
            Ok(Member { before: before.into(), sql_type: field.column.sql_type.clone(), slot, carried: field.carried })
        });
        Ok(JsonEncoder { fields: fields.collect::<Result<_, String>>()?, unwrapped: layout.unwrapped && layout.fields.len() == 1 })
    }
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        self.encode_carrying(row, &Carried::default(), out)
    }

    fn encode_carrying(&mut self, row: &[Value], carried: &Carried, out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        if let ([only], true) = (self.fields.as_slice(), self.unwrapped) {
            let value = row.get(only.slot).unwrap_or(&Value::Null);
            if value.is_null() {
                return Ok(false);
            }
            write_json(value, &only.sql_type, out)?;
            return Ok(true);
        }
        for member in &self.fields {
            out.extend_from_slice(&member.before);
            if let Some(bytes) = member.carried.and_then(|index| carried.get(index)) {
                out.extend_from_slice(bytes);
                continue;
            }
            write_json(row.get(member.slot).unwrap_or(&Value::Null), &member.sql_type, out)?;
        }
        out.extend_from_slice(if self.fields.is_empty() { b"{}" } else { b"}" });
        Ok(true)
    }
}

/// Appends a value of that type. (The type names the fields of structs; scalars are written by what they are.)
///
/// # Errors
/// A key in a map that is no string (null becomes `"null"`), or a value that is not of its type.
#[inline]
pub fn write_json(value: &Value, sql_type: &SqlType, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(v) => out.extend_from_slice(if *v { b"true" } else { b"false" }),
        Value::Int(v) | Value::Time(v) | Value::Date(v) => write_i32(*v, out),
        Value::BigInt(v) | Value::Timestamp(v) => write_i64(*v, out),
        Value::Double(v) if v.is_finite() => write_double(*v, out),
        Value::Double(v) => quoted(out, |out| write_double(*v, out)),
        Value::Decimal(v) => write_decimal(v, out),
        Value::String(v) => write_json_string(v, out),
        Value::Bytes(v) => quoted(out, |out| write_base64(v, out)),
        Value::Array(items) => {
            let SqlType::Array(item_type) = sql_type else { return Err(not_of_its_type(sql_type)) };
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_json(item, item_type, out)?;
            }
            out.push(b']');
        }
        Value::Map(entries) => {
            let SqlType::Map(_, item_type) = sql_type else { return Err(not_of_its_type(sql_type)) };
            out.push(b'{');
            for (i, (key, item)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                match key {
                    Value::String(key) => write_json_string(key, out),
                    // As Jackson writes it.
                    Value::Null => out.extend_from_slice(b"\"null\""),
                    _ => return Err(EncodeError::new("a map with a key that is no string can't be written as JSON")),
                }
                out.push(b':');
                write_json(item, item_type, out)?;
            }
            out.push(b'}');
        }
        Value::Struct(values) => {
            let SqlType::Struct(fields) = sql_type else { return Err(not_of_its_type(sql_type)) };
            out.push(b'{');
            for (i, (value, field)) in values.iter().zip(fields.iter()).enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_json_string(&field.name, out);
                out.push(b':');
                write_json(value, &field.sql_type, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Appends a JSON string: quotes, and escapes where they are needed (quotes, backslashes, control characters).
pub fn write_json_string(text: &str, out: &mut impl TextOut) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push_ascii(b"\"");
    let bytes = text.as_bytes();
    let mut start = 0;
    loop {
        let (end, _) = plain_run(bytes, start);
        // A run ends before an ASCII character, so this is a whole number of characters.
        out.push_text(text.get(start..end).unwrap_or_default());
        let Some(special) = bytes.get(end) else { break };
        match special {
            b'"' => out.push_ascii(b"\\\""),
            b'\\' => out.push_ascii(b"\\\\"),
            b'\n' => out.push_ascii(b"\\n"),
            b'\r' => out.push_ascii(b"\\r"),
            b'\t' => out.push_ascii(b"\\t"),
            0x08 => out.push_ascii(b"\\b"),
            0x0c => out.push_ascii(b"\\f"),
            control => out.push_ascii(&[b'\\', b'u', b'0', b'0', HEX[usize::from(control >> 4)], HEX[usize::from(control & 15)]]),
        }
        start = end + 1;
    }
    out.push_ascii(b"\"");
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

#[cold]
fn not_of_its_type(sql_type: &SqlType) -> EncodeError {
    EncodeError::new(format!("a value is not of its column's type {sql_type}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::types::text::parse_decimal;

    fn json(value: &Value, sql_type: &SqlType) -> String {
        let mut out = Vec::new();
        write_json(value, sql_type, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_as_ksqldb_writes_them() {
        use SqlType as T;
        let cases: Vec<(Value, T, &str)> = vec![
            (Value::Null, T::Int, "null"),
            (Value::Boolean(false), T::Boolean, "false"),
            (Value::Int(-1), T::Int, "-1"),
            (Value::BigInt(i64::MAX), T::BigInt, "9223372036854775807"),
            (Value::Double(100.0), T::Double, "100.0"),
            (Value::Double(1e21), T::Double, "1.0E21"),
            (Value::Double(f64::NAN), T::Double, "\"NaN\""),
            (Value::Double(f64::NEG_INFINITY), T::Double, "\"-Infinity\""),
            (Value::decimal(parse_decimal("10.0000").unwrap()), T::Decimal { precision: 6, scale: 4 }, "10.0000"),
            (Value::string("é\"\\\n\u{1f}/"), T::String, "\"é\\\"\\\\\\n\\u001F/\""),
            (Value::bytes(&b"{"[..]), T::Bytes, "\"ew==\""),
            (Value::Date(-1), T::Date, "-1"),
            (Value::Time(86_399_999), T::Time, "86399999"),
            (Value::Timestamp(1_709_164_800_123), T::Timestamp, "1709164800123"),
            (Value::array(vec![Value::Int(1), Value::Null]), T::array(T::Int), "[1,null]"),
            (Value::Map(Arc::new([(Value::string("k"), Value::Int(1))].into_iter().collect())), T::map(T::String, T::Int), "{\"k\":1}"),
            (
                Value::structure(vec![Value::Null, Value::array(vec![])]),
                T::structure([("A".to_string(), T::Int), ("b\"".to_string(), T::array(T::String))]),
                "{\"A\":null,\"b\\\"\":[]}",
            ),
        ];
        for (value, sql_type, expected) in cases {
            assert_eq!(json(&value, &sql_type), expected);
        }
    }

    #[test]
    fn strings_of_every_length_and_character_survive() {
        for length in 0..20 {
            for special in ['"', '\\', '\u{0}', '\t', 'é', '😀', 'z'] {
                let text: String = ["x".repeat(length), special.to_string(), "y".repeat(20 - length)].concat();
                let mut out = String::new();
                write_json_string(&text, &mut out);
                assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
            }
        }
    }

    #[test]
    fn maps_need_text_keys() {
        let sql_type = SqlType::map(SqlType::String, SqlType::Int);
        let map = |key| Value::Map(Arc::new([(key, Value::Int(1))].into_iter().collect()));
        assert_eq!(json(&map(Value::Null), &sql_type), "{\"null\":1}");
        let map = map(Value::Int(1));
        assert!(write_json(&map, &sql_type, &mut Vec::new()).is_err());
        assert!(write_json(&map, &SqlType::Int, &mut Vec::new()).is_err());
    }
}
