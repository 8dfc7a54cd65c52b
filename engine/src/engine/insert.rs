//! INSERT INTO … VALUES: rows written straight to a topic.

use std::sync::Arc;

use parking_lot::Mutex;
use tidemill_parser::ast::InsertValues;

use super::{Engine, EngineError, SessionProperties};
use crate::analyze::{self, InsertRow};
use crate::catalog::SourceKind;
use crate::expr::text::write_value;
use crate::formats::register_insert;
use crate::formats::topic::{RecordPart, TopicWriter};
use crate::log::{Log, LogError, OutRecord, partition_for};
use crate::registry::SchemaRegistry;
use crate::row::Row;
use crate::types::{Column, Value};

/// Writes rows; shared by all who insert.
pub(super) struct Inserter {
    log: Arc<dyn Log>,
    null_keys: Mutex<u32>,
}

/// A row as bytes, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedInsert {
    pub topic: String,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// ROWTIME where it was given.
    pub timestamp: Option<i64>,
}

impl Engine {
    /// Writes one row; it is durable once this returns.
    ///
    /// # Errors
    /// The statement is wrong, or the log is away.
    pub fn insert_values(&self, insert: &InsertValues, session: &SessionProperties) -> Result<(), EngineError> {
        let catalog = self.catalog();
        let topics = self.topic_lookup();
        let row = analyze::insert_values(insert, &self.context(&catalog, session, &topics))?;
        self.check_writable(&row.source.format.topic)?;
        let encoded = encode(&row, &*self.registry)?;
        self.inserts.write(&encoded, self.clock.now_ms())?;
        Ok(())
    }
}

/// Encodes a row in the formats of its source.
pub fn encode(row: &InsertRow, registry: &dyn SchemaRegistry) -> Result<EncodedInsert, EngineError> {
    let source = &row.source;
    let schema = source.record_schema();
    let mut format = source.format.clone();
    register_insert(source, &mut format, registry).map_err(|error| {
        let error = EngineError::from(error);
        EngineError { message: format!("Failed to insert values into '{}'. {}", source.name, error.message), ..error }
    })?;
    let mut writer = TopicWriter::new(&format, &schema).map_err(EngineError::user)?;
    let mut out = Row { values: row.key.iter().chain(&row.value).cloned().collect(), ..Row::default() };
    out.meta.has_key = row.key.iter().any(|v| !v.is_null());
    // A table's row without any value is a row of nulls, not a tombstone, unless its one column stands unwrapped.
    out.meta.has_value = source.kind == SourceKind::Stream || !source.format.value.unwrapped || row.value.iter().any(|v| *v != Value::Null);
    let encoded = writer.write(&out).map_err(|error| {
        let (values, columns) = match error.part {
            RecordPart::Key => (&row.key, &schema.key),
            RecordPart::Value => (&row.value, &schema.value),
        };
        let (part, shown, cause) = (error.part, shown(values, columns, error.part), error.cause);
        EngineError::user(format!("Failed to insert values into '{}'. Could not serialize {part}: {shown}. {cause}", source.name))
    })?;
    Ok(EncodedInsert {
        topic: source.format.topic.clone(),
        key: encoded.key.map(<[u8]>::to_vec),
        value: encoded.value.map(<[u8]>::to_vec),
        timestamp: row.timestamp,
    })
}

/// Values as ksqlDB shows them here: `[ 1 | 5L | 'x' ]` of a row, `[1, 'x']` of a key.
fn shown(values: &[Value], columns: &[Column], part: RecordPart) -> String {
    let (open, between, close) = if part == RecordPart::Key { ("[", ", ", "]") } else { ("[ ", " | ", " ]") };
    let mut text = String::from(open);
    for (index, (value, column)) in values.iter().zip(columns).enumerate() {
        text.push_str(if index == 0 { "" } else { between });
        let (before, after) = match value {
            Value::String(_) => ("'", "'"),
            Value::BigInt(_) => ("", "L"),
            _ => ("", ""),
        };
        text.push_str(before);
        write_value(value, &column.sql_type, &mut text);
        text.push_str(after);
    }
    text + close
}

impl Inserter {
    pub(super) fn new(log: Arc<dyn Log>) -> Self {
        Inserter { log, null_keys: Mutex::new(0) }
    }

    pub(super) fn write(&self, insert: &EncodedInsert, now_ms: i64) -> Result<(), LogError> {
        match self.write_once(insert, now_ms) {
            // What was known of the topic held no more: it may have been made anew.
            Err(LogError::UnknownTopic(_)) => self.write_once(insert, now_ms),
            done => done,
        }
    }

    fn write_once(&self, insert: &EncodedInsert, now_ms: i64) -> Result<(), LogError> {
        let (topic, partitions) = self.log.known_topic(&insert.topic)?;
        let partition = partition_for(insert.key.as_deref(), partitions, &mut self.null_keys.lock());
        let timestamp = insert.timestamp.unwrap_or(now_ms);
        let (key, value) = (insert.key.as_deref(), insert.value.as_deref());
        self.log.append(topic, OutRecord { partition, timestamp, key, value, headers: &[] })
    }
}
