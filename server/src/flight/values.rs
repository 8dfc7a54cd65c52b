//! Rows that a client sends, in the dialect's values: as JSON, in which rows are inserted, and as literals.

use serde_json::Value as Json;
use tidemill_engine::types::{SqlType, Value};
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
