//! Rows that come one after the other for the same stream or table: over `/inserts-stream`, by COPY, in Arrow's batches. They are
//! encoded as they come, by one encoder, and written together.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::json_row::{meant, value_of};
use super::row_encoder::{EncodedRows, RowEncoder};
use super::{Engine, EngineError, Token};
use crate::catalog::{Source, SourceKind};
use crate::log::{AppendError, TopicPartition};
use crate::types::{Schema, Value};

/// Bytes that are to be written before more are added.
const FULL_BYTES: usize = 1 << 20;

/// Where rows go, and those that are not yet written.
pub struct Inserting {
    engine: Arc<Engine>,
    source: Arc<Source>,
    /// The columns that stand in a record.
    schema: Schema,
    /// Made for the first row.
    encoder: Option<RowEncoder>,
    rows: EncodedRows,
    /// Where rows were written.
    written: BTreeSet<TopicPartition>,
}

/// Not all rows could be written that were added.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{error}")]
pub struct Unwritten {
    /// How many were, from the first on.
    pub written: usize,
    /// Why the next was not.
    pub error: EngineError,
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
        self.check_writable(&source.format.topic)?;
        let (engine, source, schema) = (self.clone(), source.clone(), source.record_schema());
        Ok(Inserting { engine, source, schema, encoder: None, rows: EncodedRows::default(), written: BTreeSet::new() })
    }
}

impl Inserting {
    /// Where the rows go.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// These rows, as INSERT INTO would take them. (ksqlDB's insert API takes rows for SOURCE streams and tables, too.)
    ///
    /// # Errors
    /// They are for a SOURCE stream or table.
    pub fn as_insert_into(self) -> Result<Self, EngineError> {
        if self.source.read_only {
            let Source { kind, name, .. } = &*self.source;
            return Err(EngineError::user(format!("Cannot insert values into read-only {}: {name}", kind.lower())));
        }
        Ok(self)
    }

    /// The columns of a row.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Adds a row by its columns' names. Members that are no columns are left out, as ksqlDB has it.
    ///
    /// # Errors
    /// A value that does not fit its column, a key that is missing; the row is left out then.
    pub fn push_object(&mut self, object: &Map<String, Json>) -> Result<(), EngineError> {
        let values = self.schema.columns().map(|column| value_of(object, column).map_err(EngineError::user));
        let values = values.collect::<Result<_, _>>()?;
        self.push_keyed(values)
    }

    /// As [`Self::push`], where no column of the key may be null.
    ///
    /// # Errors
    /// As there; a key that is missing.
    pub fn push_keyed(&mut self, values: Vec<Value>) -> Result<(), EngineError> {
        if let Some(column) = self.schema.key.iter().zip(&values).find_map(|(column, value)| value.is_null().then_some(column)) {
            return Err(EngineError::user(format!("Key field must be specified: {}", column.name)));
        }
        self.push(values, None)
    }

    /// Adds a row by its values, in the order of [`Self::schema`], and its ROWTIME where that is given.
    ///
    /// # Errors
    /// A table's row without a key, values that the format has no way to write, a schema that the registry refuses; the row is left
    /// out then.
    pub fn push(&mut self, values: Vec<Value>, timestamp: Option<i64>) -> Result<(), EngineError> {
        let source = &self.source;
        if source.kind == SourceKind::Table && values.iter().take(self.schema.key.len()).all(Value::is_null) {
            let message = "The primary key of a table can not be null: its compacted topic cannot accept message without key.";
            return Err(EngineError::user(format!("Failed to insert values into '{}'. {message}", source.name)));
        }
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(RowEncoder::new(source, &*self.engine.registry)?),
        };
        self.rows.push(encoder.encode(values)?, timestamp);
        Ok(())
    }

    /// Positions behind all that was written.
    ///
    /// # Errors
    /// The log is away.
    pub fn token(&self) -> Result<Token, EngineError> {
        self.engine.token_after(&self.written)
    }

    /// Rows that are not yet written.
    pub fn waiting(&self) -> usize {
        self.rows.len()
    }

    /// Whether so many bytes wait that they are to be written before more are added.
    pub fn is_full(&self) -> bool {
        self.rows.bytes() >= FULL_BYTES
    }

    /// Writes what waits, in its order: all is durable once this returns. How many rows that were.
    ///
    /// # Errors
    /// A log that is away, or refuses a record. None waits any more.
    pub fn write(&mut self) -> Result<usize, Unwritten> {
        let count = self.rows.len();
        if count == 0 {
            return Ok(0);
        }
        let wrote = self.engine.inserts.write(&self.source.format.topic, &self.rows.rows(), self.engine.clock.now_ms());
        self.rows.clear();
        wrote.map(|partitions| self.written.extend(partitions)).map(|()| count).map_err(|AppendError { written, beyond, error }| {
            let mut error = EngineError::from(error);
            if beyond > 0 {
                error.message = format!("{}. Of the rows behind it, {beyond} are written or may be", error.message.trim_end_matches('.'));
            }
            Unwritten { written, error }
        })
    }
}
