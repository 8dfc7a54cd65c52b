//! Between a case's JSON specs and the bytes of a topic, by the topic's format.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value as Json, json};
use tidemill_engine::plan::WindowedKey;
use tidemill_engine::row::Window;
use tidemill_engine::types::{Column, SqlType};

use super::case::WindowSpec;

/// One side (key or value) of a topic: its format and columns.
#[derive(Debug, Clone)]
pub struct Side {
    /// Upper case.
    pub format: String,
    pub columns: Vec<Column>,
    /// Keys of a source: how their windows stand behind them.
    pub window: Option<WindowedKey>,
}

impl Side {
    /// The bytes that a spec stands for; null stays null.
    pub fn to_bytes(&self, spec: &Json) -> Result<Option<Vec<u8>>, String> {
        if spec.is_null() && self.format != "JSON" {
            return Ok(None);
        }
        match self.format.as_str() {
            _ if spec.is_null() => Ok(None),
            "JSON" => Ok(Some(spec.to_string().into_bytes())),
            "DELIMITED" => Ok(Some(text_of(spec).into_bytes())),
            "KAFKA" => self.kafka_bytes(spec).map(Some),
            "NONE" => Ok(None),
            other => Err(format!("format {other} is not built")),
        }
    }

    fn kafka_bytes(&self, spec: &Json) -> Result<Vec<u8>, String> {
        let sql_type = self.columns.first().map(|c| &c.sql_type);
        let number = || spec.as_i64().or_else(|| spec.as_str().and_then(|s| s.parse().ok())).ok_or_else(|| format!("{spec} is no number"));
        Ok(match sql_type {
            Some(SqlType::Int) => i32::try_from(number()?).map_err(|e| e.to_string())?.to_be_bytes().to_vec(),
            Some(SqlType::BigInt) => number()?.to_be_bytes().to_vec(),
            Some(SqlType::Double) => spec.as_f64().ok_or_else(|| format!("{spec} is no number"))?.to_be_bytes().to_vec(),
            Some(SqlType::Bytes) => BASE64.decode(text_of(spec)).map_err(|e| e.to_string())?,
            _ => text_of(spec).into_bytes(),
        })
    }

    /// What a spec would say of these bytes.
    pub fn to_json(&self, bytes: Option<&[u8]>) -> Result<Json, String> {
        let Some(bytes) = bytes else { return Ok(Json::Null) };
        let text = || String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string());
        match self.format.as_str() {
            "JSON" => serde_json::from_slice(bytes).map_err(|e| format!("no JSON: {e}")),
            "DELIMITED" => Ok(Json::String(text()?)),
            "KAFKA" => self.kafka_json(bytes),
            "NONE" => Ok(Json::Null),
            other => Err(format!("format {other} is not built")),
        }
    }

    fn kafka_json(&self, bytes: &[u8]) -> Result<Json, String> {
        let wrong = || format!("{} bytes for {:?}", bytes.len(), self.columns);
        Ok(match self.columns.first().map(|c| &c.sql_type) {
            Some(SqlType::Int) => json!(i32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
            Some(SqlType::BigInt) => json!(i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
            Some(SqlType::Double) => json!(f64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?)),
            Some(SqlType::Bytes) => Json::String(BASE64.encode(bytes)),
            _ => Json::String(String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string())?),
        })
    }
}

fn text_of(spec: &Json) -> String {
    match spec {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A key's bytes with its window behind.
pub fn with_window(mut key: Vec<u8>, window: &WindowSpec) -> Vec<u8> {
    if window.is_session {
        key.extend(window.end.to_be_bytes());
    }
    key.extend(window.start.to_be_bytes());
    key
}

/// Parts a windowed key.
pub fn without_window(key: &[u8], kind: WindowedKey) -> Option<(&[u8], Window)> {
    let long = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).ok().map(i64::from_be_bytes);
    match kind {
        WindowedKey::Time { size_ms: size } => {
            let (key, start) = key.split_at_checked(key.len().checked_sub(8)?)?;
            let start = long(start)?;
            Some((key, Window { start, end: start.saturating_add(size) }))
        }
        WindowedKey::Session => {
            let (key, bounds) = key.split_at_checked(key.len().checked_sub(16)?)?;
            Some((key, Window { end: long(&bounds[..8])?, start: long(&bounds[8..])? }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_stand_behind_keys() {
        let time = WindowSpec { start: 5, end: 15, is_session: false };
        let key = with_window(b"k".to_vec(), &time);
        assert_eq!(without_window(&key, WindowedKey::Time { size_ms: 10 }), Some((&b"k"[..], Window { start: 5, end: 15 })));
        let session = WindowSpec { start: 5, end: 9, is_session: true };
        let key = with_window(b"k".to_vec(), &session);
        assert_eq!(without_window(&key, WindowedKey::Session), Some((&b"k"[..], Window { start: 5, end: 9 })));
        assert_eq!(without_window(b"short", WindowedKey::Session), None);
    }
}
