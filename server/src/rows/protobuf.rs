//! Rows as Protocol Buffers messages, and the schema (proto3) that clients read them by. Both follow Kafka Connect's
//! mapping: a field a column, numbered from 1; nulls, zeros, empty strings and FALSE are left out.

use std::fmt::Write;

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

/// The schema of rows with these columns.
pub fn schema<'a>(columns: impl Iterator<Item = (&'a str, &'a SqlType)>) -> String {
    let mut schema = Schema::default();
    let message = schema.message(&columns.collect::<Vec<_>>(), 0);
    let imports: String = schema.imports.iter().fold(String::new(), |mut text, import| {
        let _ = writeln!(text, "import \"{import}\";");
        text
    });
    let parted = if imports.is_empty() { "" } else { "\n" };
    format!("syntax = \"proto3\";\n\n{imports}{parted}{message}")
}

/// What is gathered while messages are written.
#[derive(Default)]
struct Schema {
    messages: u32,
    imports: Vec<&'static str>,
}

impl Schema {
    fn message(&mut self, columns: &[(&str, &SqlType)], depth: usize) -> String {
        self.messages += 1;
        let indent = "  ".repeat(depth);
        let mut fields = format!("{indent}message ConnectDefault{} {{\n", self.messages);
        let mut inner = Vec::new();
        for ((name, sql_type), number) in columns.iter().zip(1..) {
            let name_of_type = self.type_name(sql_type, depth, &mut inner);
            let _ = writeln!(fields, "{indent}  {name_of_type} {name} = {number}{};", parameters(sql_type, &indent));
        }
        for message in inner {
            fields.push('\n');
            fields.push_str(&message);
        }
        let _ = writeln!(fields, "{indent}}}");
        fields
    }

    fn type_name(&mut self, sql_type: &SqlType, depth: usize, inner: &mut Vec<String>) -> String {
        let plain = match sql_type {
            SqlType::Boolean => "bool",
            SqlType::Int => "int32",
            SqlType::BigInt => "int64",
            SqlType::Double => "double",
            SqlType::String => "string",
            SqlType::Bytes => "bytes",
            SqlType::Decimal { .. } => self.imported("confluent/type/decimal.proto", "confluent.type.Decimal"),
            SqlType::Date => self.imported("google/type/date.proto", "google.type.Date"),
            SqlType::Time => self.imported("google/type/timeofday.proto", "google.type.TimeOfDay"),
            SqlType::Timestamp => self.imported("google/protobuf/timestamp.proto", "google.protobuf.Timestamp"),
            SqlType::Array(item) => return format!("repeated {}", self.type_name(item, depth, inner)),
            SqlType::Map(key, value) => {
                return format!("map<{}, {}>", self.type_name(key, depth, inner), self.type_name(value, depth, inner));
            }
            SqlType::Struct(fields) => {
                let columns: Vec<(&str, &SqlType)> = fields.iter().map(|f| (&*f.name, &f.sql_type)).collect();
                let name = format!("ConnectDefault{}", self.messages + 1);
                inner.push(self.message(&columns, depth + 1));
                return name;
            }
        };
        plain.to_owned()
    }

    fn imported(&mut self, file: &'static str, name: &'static str) -> &'static str {
        if !self.imports.contains(&file) {
            self.imports.push(file);
        }
        name
    }
}

/// Precision and scale, which a DECIMAL's message does not have.
fn parameters(sql_type: &SqlType, indent: &str) -> String {
    let SqlType::Decimal { precision, scale } = sql_type else { return String::new() };
    let entry = |value: &dyn std::fmt::Display, key: &str| {
        format!("{indent}      {{\n{indent}        value: \"{value}\",\n{indent}        key: \"{key}\"\n{indent}      }}")
    };
    format!(
        " [(confluent.field_meta) = {{\n{indent}    params: [\n{},\n{}\n{indent}    ]\n{indent}  }}]",
        entry(precision, "precision"),
        entry(scale, "scale")
    )
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

    #[test]
    fn schemas_name_what_they_import() {
        let inner = SqlType::structure([("X".to_owned(), SqlType::Int)]);
        let columns = [("K", SqlType::String), ("D", SqlType::Date), ("S", inner), ("A", SqlType::array(SqlType::BigInt))];
        let expected = "syntax = \"proto3\";\n\nimport \"google/type/date.proto\";\n\nmessage ConnectDefault1 {\n  string K = 1;\n  \
                        google.type.Date D = 2;\n  ConnectDefault2 S = 3;\n  repeated int64 A = 4;\n\n  message ConnectDefault2 {\n    \
                        int32 X = 1;\n  }\n}\n";
        assert_eq!(schema(columns.iter().map(|(n, t)| (*n, t))), expected);
    }
}
