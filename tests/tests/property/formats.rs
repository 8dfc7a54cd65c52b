//! Which formats there are, what each holds, and what becomes of a value that goes through one.

use tidemill_engine::formats::by_name;
use tidemill_engine::types::{Column, SqlType, Value};

use crate::random::Random;

const VALUE_FORMATS: &[&str] = &["JSON", "DELIMITED", "KAFKA", "AVRO", "PROTOBUF", "PROTOBUF_NOSR", "JSON_SR"];
const KEY_FORMATS: &[&str] = &["KAFKA", "JSON", "DELIMITED", "AVRO", "JSON_SR"];

/// Whether a format of that name can hold these columns.
pub fn holds(format: &str, columns: &[Column], is_key: bool) -> bool {
    by_name(format).is_some_and(|format| format.check_columns(columns, is_key).is_ok())
}

/// A format for values.
pub fn value_format(random: &mut Random, columns: &[Column], joins: bool) -> &'static str {
    let formats: Vec<&'static str> = VALUE_FORMATS.iter().copied().filter(|format| !joins || *format != "KAFKA").collect();
    pick(random, &formats, columns, false)
}

/// A format for keys.
pub fn key_format(random: &mut Random, columns: &[Column]) -> &'static str {
    pick(random, KEY_FORMATS, columns, true)
}

fn pick(random: &mut Random, formats: &[&'static str], columns: &[Column], is_key: bool) -> &'static str {
    let able: Vec<&'static str> = formats.iter().copied().filter(|format| holds(format, columns, is_key)).collect();
    random.pick::<&'static str>(&able)
}

/// Whether nulls and empty texts come back from a format as they went in, at any depth.
pub fn keeps_nulls(format: &str) -> bool {
    !format.starts_with("PROTOBUF")
}

/// What a reader gets of a column that was written in a format.
pub fn as_read(format: &str, sql_type: &SqlType, value: &Value) -> Value {
    if format.starts_with("PROTOBUF") && value.is_null() {
        return match sql_type {
            SqlType::Boolean => Value::Boolean(false),
            SqlType::Int => Value::Int(0),
            SqlType::BigInt => Value::BigInt(0),
            SqlType::Double => Value::Double(0.0),
            SqlType::String => Value::string(""),
            SqlType::Bytes => Value::bytes([]),
            SqlType::Array(_) => Value::array(Vec::new()),
            SqlType::Map(..) => Value::Map(Default::default()),
            // Messages of their own, which may be absent.
            SqlType::Decimal { .. } | SqlType::Time | SqlType::Date | SqlType::Timestamp | SqlType::Struct(_) => Value::Null,
        };
    }
    match value {
        // Nothing stands between two commas.
        Value::String(text) if format == "DELIMITED" && text.is_empty() => Value::Null,
        Value::Bytes(bytes) if format == "DELIMITED" && bytes.is_empty() => Value::Null,
        other => other.clone(),
    }
}
