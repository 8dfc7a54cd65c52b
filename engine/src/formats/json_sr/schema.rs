//! The JSON Schema that ksqlDB registers for columns: what Connect's converter makes of optional fields.
//!
//! Nulls are a `oneOf`, types that JSON does not have are told by `connect.type` and the title, the order of columns by
//! `connect.index`. A MAP is an array of its entries, since its keys may be null as well. Members stand in the order in which
//! Confluent's library prints them, so that the same columns make the same text.

use super::{DATE, DECIMAL, TIME, TIMESTAMP, java_order};
use crate::formats::write_json_string;
use crate::types::{Column, SqlType};

/// The schema's text.
pub(super) fn of_columns(columns: &[Column], unwrapped: bool) -> String {
    match columns {
        [only] if unwrapped => optional(&only.sql_type, None),
        _ => object(columns.iter().map(|column| (&*column.name, &column.sql_type))),
    }
}

/// A value or null.
fn optional(sql_type: &SqlType, index: Option<usize>) -> String {
    let index = index.map(|index| format!("\"connect.index\":{index},")).unwrap_or_default();
    format!("{{{index}\"oneOf\":[{{\"type\":\"null\"}},{}]}}", required(sql_type))
}

fn required(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Boolean => r#"{"type":"boolean"}"#.to_owned(),
        SqlType::Int => r#"{"type":"integer","connect.type":"int32"}"#.to_owned(),
        SqlType::BigInt => r#"{"type":"integer","connect.type":"int64"}"#.to_owned(),
        SqlType::Double => r#"{"type":"number","connect.type":"float64"}"#.to_owned(),
        SqlType::String => r#"{"type":"string"}"#.to_owned(),
        SqlType::Bytes => r#"{"type":"string","connect.type":"bytes"}"#.to_owned(),
        SqlType::Date => logical(DATE, "int32"),
        SqlType::Time => logical(TIME, "int32"),
        SqlType::Timestamp => logical(TIMESTAMP, "int64"),
        SqlType::Decimal { precision, scale } => format!(
            "{{\"type\":\"number\",\"title\":\"{DECIMAL}\",\"connect.version\":1,\"connect.type\":\"bytes\",\
             \"connect.parameters\":{{\"scale\":\"{scale}\",\"connect.decimal.precision\":\"{precision}\"}}}}"
        ),
        SqlType::Array(item) => format!("{{\"type\":\"array\",\"items\":{}}}", optional(item, None)),
        SqlType::Map(key, value) => {
            let entry = object([("key", &**key), ("value", &**value)]);
            format!("{{\"type\":\"array\",\"connect.type\":\"map\",\"items\":{entry}}}")
        }
        SqlType::Struct(fields) => object(fields.iter().map(|field| (&*field.name, &field.sql_type))),
    }
}

fn logical(name: &str, of: &str) -> String {
    format!("{{\"type\":\"integer\",\"title\":\"{name}\",\"connect.version\":1,\"connect.type\":\"{of}\"}}")
}

fn object<'c>(fields: impl IntoIterator<Item = (&'c str, &'c SqlType)>) -> String {
    let mut fields: Vec<(&str, (usize, &SqlType))> =
        fields.into_iter().enumerate().map(|(index, (name, sql_type))| (name, (index, sql_type))).collect();
    if fields.is_empty() {
        return r#"{"type":"object"}"#.to_owned();
    }
    java_order::sort(&mut fields);
    let mut text = String::from(r#"{"type":"object","properties":{"#);
    for (position, (name, (index, sql_type))) in fields.into_iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        write_json_string(name, &mut text);
        text.push(':');
        text.push_str(&optional(sql_type, Some(index)));
    }
    text.push_str("}}");
    text
}
