//! Specs of KAFKA: one value as Kafka's own serializers write it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value as Json, json};
use tidemill_engine::types::{Column, SqlType};

use super::text_of;

/// The bytes of a spec; without a column, of a text.
pub(super) fn to_bytes(spec: &Json, column: Option<&Column>) -> Result<Vec<u8>, String> {
    let number = || spec.as_i64().or_else(|| spec.as_str().and_then(|s| s.parse().ok())).ok_or_else(|| format!("{spec} is no number"));
    Ok(match column.map(|c| &c.sql_type) {
        Some(SqlType::Int) => i32::try_from(number()?).map_err(|e| e.to_string())?.to_be_bytes().to_vec(),
        Some(SqlType::BigInt) => number()?.to_be_bytes().to_vec(),
        Some(SqlType::Double) => spec.as_f64().ok_or_else(|| format!("{spec} is no number"))?.to_be_bytes().to_vec(),
        Some(SqlType::Bytes) => BASE64.decode(text_of(spec)).map_err(|e| e.to_string())?,
        _ => text_of(spec).into_bytes(),
    })
}

/// What a spec would say of the bytes.
pub(super) fn to_json(bytes: &[u8], columns: &[Column]) -> Result<Json, String> {
    let wrong = || format!("{} bytes for {columns:?}", bytes.len());
    Ok(match columns.first().map(|c| &c.sql_type) {
        Some(SqlType::Int) => json!(i32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
        Some(SqlType::BigInt) => json!(i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
        Some(SqlType::Double) => json!(f64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
        Some(SqlType::Bytes) => Json::String(BASE64.encode(bytes)),
        _ => Json::String(String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string())?),
    })
}
