//! Rows that a client sends, in the dialect's values: as JSON, in which rows are inserted, and as literals.

use serde_json::Value as Json;
use tidemill_engine::engine::json_column_value;
use tidemill_engine::types::{Column, SqlType, Value};
use tonic::Status;

use crate::rows::RowWriter;

/// A row as JSON, spelled as everywhere.
pub fn json(row: &[Value], writer: &RowWriter) -> Vec<Json> {
    let mut out = Vec::new();
    writer.row(row, &mut out);
    match serde_json::from_slice(&out) {
        Ok(Json::Array(values)) => values,
        _ => Vec::new(),
    }
}

/// A value of a batch's column `index` as one of the column that it is for: what that column's JSON may be, it may be as well, and keeps
/// what is lost there (milliseconds of a TIME).
///
/// # Errors
/// It is of another kind.
pub fn of_column(value: Value, index: usize, column: &Column, writer: &RowWriter) -> Result<Value, String> {
    Ok(match (&column.sql_type, value) {
        (_, Value::Null) => Value::Null,
        (SqlType::BigInt, Value::Int(number)) => Value::BigInt(i64::from(number)),
        (SqlType::Double, Value::Int(number)) => Value::Double(f64::from(number)),
        (SqlType::Double, Value::Double(number)) if number.is_finite() => Value::Double(number),
        (SqlType::Boolean, value @ Value::Boolean(_))
        | (SqlType::Int, value @ Value::Int(_))
        | (SqlType::BigInt, value @ Value::BigInt(_))
        | (SqlType::String, value @ Value::String(_))
        | (SqlType::Bytes, value @ Value::Bytes(_))
        | (SqlType::Date, value @ Value::Date(_))
        | (SqlType::Time, value @ Value::Time(_))
        | (SqlType::Timestamp, value @ Value::Timestamp(_)) => value,
        // All others by way of JSON.
        (_, value) => {
            let mut json = Vec::new();
            writer.value(index, &value, &mut json);
            json_column_value(&serde_json::from_slice(&json).unwrap_or_default(), column)?
        }
    })
}

/// The literal that stands for a value in a statement's text.
///
/// # Errors
/// There is none for values of that type.
pub fn literal(value: &Json, sql_type: &SqlType) -> Result<String, Status> {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    Ok(match (sql_type, value) {
        (_, Json::Null) => "NULL".to_owned(),
        (_, Json::Bool(value)) => if *value { "TRUE" } else { "FALSE" }.to_owned(),
        (_, Json::Number(number)) => {
            let text = number.to_string();
            // A negative number binds weaker than what may stand before it.
            if text.starts_with('-') { format!("({text})") } else { text }
        }
        (SqlType::String | SqlType::Bytes | SqlType::Date | SqlType::Time | SqlType::Timestamp | SqlType::Double, Json::String(text)) => {
            match sql_type {
                SqlType::String => quoted(text),
                SqlType::Bytes => format!("TO_BYTES({}, 'base64')", quoted(text)),
                other => format!("CAST({} AS {other})", quoted(text)),
            }
        }
        _ => return Err(Status::invalid_argument(format!("a parameter can't be of type {sql_type}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What need not go by way of JSON becomes what it would become there.
    #[test]
    fn a_value_fits_a_column_as_its_json_does() {
        let decimal = |text: &str| Value::decimal(text.parse().expect("a decimal"));
        let given = [
            (SqlType::Boolean, Value::Boolean(true)),
            (SqlType::Int, Value::Int(-7)),
            (SqlType::BigInt, Value::BigInt(7)),
            (SqlType::BigInt, Value::BigInt(i64::MAX)),
            (SqlType::Double, Value::Double(1.5)),
            (SqlType::Double, Value::Double(f64::NAN)),
            (SqlType::Decimal { precision: 5, scale: 2 }, decimal("1.50")),
            (SqlType::String, Value::string("2026-11-27")),
            (SqlType::String, Value::string("AQI=")),
            (SqlType::Bytes, Value::bytes(vec![1, 2])),
            (SqlType::Date, Value::Date(3)),
            (SqlType::Time, Value::Time(86_399_000)),
            (SqlType::Timestamp, Value::Timestamp(1_700_000_000_123)),
            (SqlType::array(SqlType::Int), Value::array(vec![Value::Int(1), Value::Null])),
            (SqlType::Int, Value::Null),
        ];
        for (given_type, value) in &given {
            let writer = RowWriter::new(vec![given_type.clone()]);
            for sql_type in given.iter().map(|(sql_type, _)| sql_type) {
                let column = Column::new("C", sql_type.clone());
                let by_json = json_column_value(&json(std::slice::from_ref(value), &writer)[0], &column);
                assert_eq!(of_column(value.clone(), 0, &column, &writer), by_json, "{value:?} of {given_type} for {sql_type}");
            }
        }
    }

    #[test]
    fn literals_stand_for_values_and_nothing_else() {
        let of = |value: Value, sql_type: SqlType| {
            let writer = RowWriter::new(vec![sql_type.clone()]);
            literal(&json(&[value], &writer)[0], &sql_type).expect("a literal")
        };
        assert_eq!(of(Value::string("it's"), SqlType::String), "'it''s'");
        assert_eq!(of(Value::BigInt(-5), SqlType::BigInt), "(-5)");
        assert_eq!(of(Value::Boolean(true), SqlType::Boolean), "TRUE");
        assert_eq!(of(Value::Null, SqlType::Int), "NULL");
        assert_eq!(of(Value::Date(0), SqlType::Date), "CAST('1970-01-01' AS DATE)");
        assert_eq!(of(Value::bytes(vec![1, 2]), SqlType::Bytes), "TO_BYTES('AQI=', 'base64')");
        assert!(literal(&serde_json::json!([1]), &SqlType::array(SqlType::Int)).is_err());
    }
}
