//! What a server says of sources and values, as types and values.

use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bigdecimal::BigDecimal;
use serde_json::Value as Json;
use tidemill_engine::catalog::{Catalog, SourceKind};
use tidemill_engine::types::text::{fit_decimal, parse_date, parse_time, parse_timestamp};
use tidemill_engine::types::{Column, MapValue, SqlType, Value};
use tidemill_parser::ast::{ColumnRole, CreateSource, ExprKind};

use crate::sqltest::stage::Shape;

/// A source from its description.
pub fn shape(name: &str, prefix: &str, description: &Json) -> Result<Shape, String> {
    let mut columns = Vec::new();
    let mut key_count = 0;
    for field in description["fields"].as_array().into_iter().flatten() {
        let column = Column::new(field["name"].as_str().unwrap_or_default(), sql_type(&field["schema"])?);
        if field["type"].as_str() == Some("KEY") {
            columns.insert(key_count, column);
            key_count += 1;
        } else {
            columns.push(column);
        }
    }
    Ok(Shape {
        name: name.to_owned(),
        topic: description["topic"].as_str().unwrap_or_default().replace(prefix, ""),
        order: columns.iter().map(|column| column.name.clone()).collect(),
        columns,
        key_count,
        is_windowed: description["windowType"].is_string(),
    })
}

fn sql_type(schema: &Json) -> Result<SqlType, String> {
    let member = || sql_type(&schema["memberSchema"]);
    let number = |name: &str| schema["parameters"][name].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
    Ok(match schema["type"].as_str().unwrap_or_default() {
        "BOOLEAN" => SqlType::Boolean,
        "INTEGER" => SqlType::Int,
        "BIGINT" => SqlType::BigInt,
        "DOUBLE" => SqlType::Double,
        "STRING" => SqlType::String,
        "BYTES" => SqlType::Bytes,
        "TIME" => SqlType::Time,
        "DATE" => SqlType::Date,
        "TIMESTAMP" => SqlType::Timestamp,
        "DECIMAL" => SqlType::Decimal { precision: number("precision"), scale: number("scale") },
        "ARRAY" => SqlType::array(member()?),
        "MAP" => SqlType::Map(Arc::new(SqlType::String), Arc::new(member()?)),
        "STRUCT" => {
            let fields = schema["fields"].as_array().into_iter().flatten();
            let fields: Vec<(String, SqlType)> = fields
                .map(|field| Ok((field["name"].as_str().unwrap_or_default().to_owned(), sql_type(&field["schema"])?)))
                .collect::<Result<_, String>>()?;
            SqlType::structure(fields)
        }
        other => return Err(format!("the server names a type that is not known here: {other}")),
    })
}

/// A value as the server writes it in rows.
pub fn value(json: &Json, sql_type: &SqlType) -> Result<Value, String> {
    let wrong = || format!("the server sent {json} for {sql_type}");
    let text = || json.as_str().ok_or_else(wrong);
    Ok(match (json, sql_type) {
        (Json::Null, _) => Value::Null,
        (_, SqlType::Boolean) => Value::Boolean(json.as_bool().ok_or_else(wrong)?),
        (_, SqlType::Int) => Value::Int(json.as_i64().and_then(|n| i32::try_from(n).ok()).ok_or_else(wrong)?),
        (_, SqlType::BigInt) => Value::BigInt(json.as_i64().ok_or_else(wrong)?),
        (Json::String(text), SqlType::Double) => Value::Double(text.parse().map_err(|_| wrong())?),
        (_, SqlType::Double) => Value::Double(json.as_f64().ok_or_else(wrong)?),
        (_, SqlType::Decimal { precision, scale }) => {
            let digits = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
            let number = BigDecimal::from_str(&digits).map_err(|_| wrong())?;
            Value::Decimal(Arc::new(fit_decimal(&number, *precision, *scale)?))
        }
        (_, SqlType::String) => Value::string(text()?),
        (_, SqlType::Bytes) => Value::bytes(BASE64_STANDARD.decode(text()?).map_err(|_| wrong())?),
        (_, SqlType::Time) => Value::Time(parse_time(text()?).ok_or_else(wrong)?),
        (_, SqlType::Date) => Value::Date(parse_date(text()?).ok_or_else(wrong)?),
        (_, SqlType::Timestamp) => Value::Timestamp(parse_timestamp(text()?).ok_or_else(wrong)?),
        (Json::Array(items), SqlType::Array(item)) => Value::array(items.iter().map(|v| value(v, item)).collect::<Result<_, _>>()?),
        (Json::Object(entries), SqlType::Map(_, item)) => {
            let entries = entries.iter().map(|(k, v)| Ok((Value::string(k.as_str()), value(v, item)?)));
            Value::Map(Arc::new(entries.collect::<Result<MapValue, String>>()?))
        }
        (Json::Object(found), SqlType::Struct(fields)) => {
            let values = fields.iter().map(|f| value(found.get(&*f.name).unwrap_or(&Json::Null), &f.sql_type));
            Value::structure(values.collect::<Result<_, _>>()?)
        }
        _ => return Err(wrong()),
    })
}

/// Compares a declaration with a source's description: its type, its columns, its topic and formats where they are named.
pub fn compare(declared: &CreateSource, prefix: &str, description: &Json) -> Result<(), String> {
    let name = &declared.name.name;
    let same = |what: &str, expected: &str, actual: &str| match expected.eq_ignore_ascii_case(actual) {
        true => Ok(()),
        false => Err(format!("Expected {what} does not match actual for source {name}.\n\tExpected: {expected}\n\tActual: {actual}")),
    };
    same("type", SourceKind::from(declared.kind).upper(), description["type"].as_str().unwrap_or_default())?;
    if !declared.columns.is_empty() {
        let shape = shape(name, prefix, description)?;
        let catalog = Catalog::default();
        let shown = |column: &str, sql_type: &SqlType, is_key: bool| format!("`{column}` {sql_type}{}", if is_key { " KEY" } else { "" });
        let mut expected: Vec<(bool, String)> = Vec::new();
        for column in &declared.columns {
            let is_key = matches!(column.role, ColumnRole::Key | ColumnRole::PrimaryKey);
            let sql_type = catalog.resolve_type(&column.data_type).map_err(|e| e.to_string())?;
            expected.push((!is_key, shown(&column.name.name, &sql_type, is_key)));
        }
        expected.sort_by_key(|(is_value, _)| *is_value);
        let expected: Vec<String> = expected.into_iter().map(|(_, text)| text).collect();
        let actual = shape.columns.iter().enumerate().map(|(at, column)| shown(&column.name, &column.sql_type, at < shape.key_count));
        same("schema", &expected.join(", "), &actual.collect::<Vec<_>>().join(", "))?;
    }
    let property = |name: &str| match &declared.properties.get(name)?.value.kind {
        ExprKind::String(text) => Some(text.as_str()),
        _ => None,
    };
    let described = |field: &str| description[field].as_str().unwrap_or_default().replace(prefix, "");
    for (what, names, field) in [
        ("kafka topic", &["KAFKA_TOPIC"][..], "topic"),
        ("key format", &["KEY_FORMAT", "FORMAT"], "keyFormat"),
        ("value format", &["VALUE_FORMAT", "FORMAT"], "valueFormat"),
        ("timestamp column", &["TIMESTAMP"], "timestamp"),
    ] {
        if let Some(expected) = names.iter().find_map(|name| property(name)) {
            same(what, expected, &described(field))?;
        }
    }
    Ok(())
}
