//! Rows that come as JSON objects. A value must have the kind of its column: nothing is read out of a text but what JSON has no kind
//! for (decimals, bytes as base64, dates and times).

use serde_json::{Map, Value as Json};

use crate::types::text::{fit_decimal, parse_base64, parse_date, parse_decimal, parse_time, parse_timestamp};
use crate::types::{Column, SqlType, Value};

/// The name that a column or a field of an object goes by: in upper case, unless it is quoted.
pub(super) fn meant(name: &str) -> String {
    for quote in ['`', '"'] {
        if let Some(inner) = name.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.to_owned();
        }
    }
    name.to_uppercase()
}

/// The value that an object has for a column; null where it has none.
pub(super) fn value_of(object: &Map<String, Json>, column: &Column) -> Result<Value, String> {
    let found = object.iter().find(|(name, _)| meant(name) == column.name).map(|(_, value)| value);
    found.map_or(Ok(Value::Null), |value| json_column_value(value, column))
}

/// A value of JSON as one of a column.
///
/// # Errors
/// It is of another kind.
pub fn json_column_value(value: &Json, column: &Column) -> Result<Value, String> {
    converted(value, &column.sql_type)
        .ok_or_else(|| format!("Can't coerce a field of type {} into type {}: column `{}`", kind_of(value), column.sql_type, column.name))
}

fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "NULL",
        Json::Bool(_) => "BOOLEAN",
        Json::Number(number) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => "INTEGER",
        Json::Number(number) if number.as_i64().is_some() => "BIGINT",
        Json::Number(_) => "DOUBLE",
        Json::String(_) => "STRING",
        Json::Array(_) => "ARRAY",
        Json::Object(_) => "MAP or STRUCT",
    }
}

/// `None`: the value is of another kind than the type.
pub fn converted(value: &Json, sql_type: &SqlType) -> Option<Value> {
    Some(match (sql_type, value) {
        (_, Json::Null) => Value::Null,
        (SqlType::Boolean, Json::Bool(value)) => Value::Boolean(*value),
        (SqlType::Int, Json::Number(number)) => Value::Int(i32::try_from(number.as_i64()?).ok()?),
        (SqlType::BigInt, Json::Number(number)) => Value::BigInt(number.as_i64()?),
        (SqlType::Double, Json::Number(number)) => Value::Double(number.as_f64().filter(|number| number.is_finite())?),
        (SqlType::Decimal { precision, scale }, Json::Number(_) | Json::String(_)) => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Value::decimal(fit_decimal(&parse_decimal(&text)?, *precision, *scale).ok()?)
        }
        (SqlType::String, Json::String(text)) => Value::string(text.as_str()),
        (SqlType::Bytes, Json::String(text)) => Value::bytes(parse_base64(text.as_bytes())?),
        (SqlType::Date, Json::String(text)) => Value::Date(parse_date(text)?),
        (SqlType::Time, Json::String(text)) => Value::Time(parse_time(text)?),
        (SqlType::Timestamp, Json::String(text)) => Value::Timestamp(parse_timestamp(text)?),
        (SqlType::Array(item), Json::Array(values)) => {
            Value::array(values.iter().map(|value| converted(value, item)).collect::<Option<_>>()?)
        }
        (SqlType::Map(key, item), Json::Object(entries)) if **key == SqlType::String => {
            let entries = entries.iter().map(|(key, value)| Some((Value::string(key.as_str()), converted(value, item)?)));
            Value::Map(std::sync::Arc::new(entries.collect::<Option<_>>()?))
        }
        (SqlType::Struct(fields), Json::Object(object)) => {
            let value_of = |name: &str| object.iter().find(|(given, _)| meant(given) == name).map_or(&Json::Null, |(_, value)| value);
            Value::structure(fields.iter().map(|field| converted(value_of(&field.name), &field.sql_type)).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_upper_case_unless_they_are_quoted() {
        assert_eq!([meant("a"), meant("`a`"), meant("\"aB\""), meant("`")], ["A", "a", "aB", "`"].map(str::to_owned));
    }

    #[test]
    fn values_have_the_kind_of_their_column() {
        let decimal = SqlType::Decimal { precision: 5, scale: 2 };
        for (sql_type, given, expected) in [
            (SqlType::Int, json!(5), Some(Value::Int(5))),
            (SqlType::Int, json!(99_999_999_999_i64), None),
            (SqlType::Int, json!(1.5), None),
            (SqlType::Int, json!("5"), None),
            (SqlType::BigInt, json!(99_999_999_999_i64), Some(Value::BigInt(99_999_999_999))),
            (SqlType::Double, json!(1), Some(Value::Double(1.0))),
            (SqlType::String, json!(5), None),
            (SqlType::String, Json::Null, Some(Value::Null)),
            (SqlType::Bytes, json!("aGk="), Some(Value::bytes(b"hi".to_vec()))),
            (SqlType::Bytes, json!("!!"), None),
            (SqlType::Date, json!("1970-01-02"), Some(Value::Date(1))),
            (SqlType::Date, json!("x"), None),
            (decimal.clone(), json!("1.25"), Some(Value::decimal("1.25".parse().expect("a decimal")))),
            (decimal, json!(12345.6), None),
            (SqlType::Array(SqlType::Int.into()), json!([1, null]), Some(Value::array(vec![Value::Int(1), Value::Null]))),
            (SqlType::Map(SqlType::String.into(), SqlType::Int.into()), json!({"a": "x"}), None),
        ] {
            assert_eq!(converted(&given, &sql_type), expected, "{given} as {sql_type}");
        }
    }
}
