//! Rows that come one after the other for the same stream or table, as JSON objects (`/inserts-stream`).

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::insert::encode;
use super::json_row::{meant, value_of};
use super::{Engine, EngineError};
use crate::analyze::InsertRow;
use crate::catalog::{Source, SourceKind};
use crate::types::Value;

/// Where rows go.
pub struct Inserting {
    engine: Arc<Engine>,
    source: Arc<Source>,
}

impl Engine {
    /// Prepares to write rows. `target` is a name as a statement has it: quoted, or in any case of letters.
    ///
    /// # Errors
    /// There is no such stream or table, or rows can't be written there.
    pub fn inserting(self: &Arc<Self>, target: &str) -> Result<Inserting, EngineError> {
        let (catalog, name) = (self.catalog(), meant(target));
        let Some(source) = catalog.source(&name) else {
            let hint = match catalog.near_source(&name) {
                Some(near) if near.eq_ignore_ascii_case(&name) => {
                    format!("\nDid you mean \"{near}\"? Hint: wrap the source name in double quotes to make it case-sensitive.")
                }
                Some(near) => format!("\nDid you mean {near}?"),
                None => String::new(),
            };
            return Err(EngineError::user(format!("Cannot insert values into an unknown stream/table: `{name}`{hint}")));
        };
        if source.is_windowed() {
            return Err(EngineError::user(format!("Cannot insert values into windowed {}: {name}", source.kind.lower())));
        }
        if source.read_only {
            return Err(EngineError::user(format!("Cannot insert values into read-only {}: {name}", source.kind.lower())));
        }
        self.check_writable(&source.format.topic)?;
        Ok(Inserting { engine: self.clone(), source: source.clone() })
    }
}

impl Inserting {
    /// Writes one row; it is durable once this returns. Members that are no columns are left out, as ksqlDB has it.
    ///
    /// # Errors
    /// A value that does not fit its column, a key that is missing, a log that is away.
    pub fn insert(&self, object: &Map<String, Json>) -> Result<(), EngineError> {
        let source = &self.source;
        let schema = source.record_schema();
        let values = |columns: &[crate::types::Column]| -> Result<Vec<_>, EngineError> {
            columns.iter().map(|column| value_of(object, column).map_err(EngineError::user)).collect()
        };
        let (key, value) = (values(&schema.key)?, values(&schema.value)?);
        if let Some(column) = schema.key.iter().zip(&key).find_map(|(column, value)| value.is_null().then_some(column)) {
            return Err(EngineError::user(format!("Key field must be specified: {}", column.name)));
        }
        self.insert_row(key, value, None)
    }

    /// Where the rows go.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Writes one row by its values: of the key's columns, of those that stand in the record's value
    /// ([`Source::record_schema`]), and ROWTIME where it is given. It is durable once this returns.
    ///
    /// # Errors
    /// A table's row without a key, values that the format has no way to write, a log that is away.
    pub fn insert_row(&self, key: Vec<Value>, value: Vec<Value>, timestamp: Option<i64>) -> Result<(), EngineError> {
        let source = &self.source;
        if source.kind == SourceKind::Table && key.iter().all(Value::is_null) {
            let message = "The primary key of a table can not be null: its compacted topic cannot accept message without key.";
            return Err(EngineError::user(format!("Failed to insert values into '{}'. {message}", source.name)));
        }
        let row = InsertRow { source: source.clone(), key, value, timestamp };
        let encoded = encode(&row, &*self.engine.registry)?;
        self.engine.inserts.write(&encoded, self.engine.clock.now_ms())?;
        Ok(())
    }
}
