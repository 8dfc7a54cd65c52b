//! Rows that are inserted, as records of their topic: one encoder for as many as there are.

use std::sync::Arc;

use super::EngineError;
use crate::catalog::{Source, SourceKind};
use crate::expr::text::write_value;
use crate::formats::register_insert;
use crate::formats::topic::{Encoded, RecordPart, TopicWriter};
use crate::registry::SchemaRegistry;
use crate::row::Row;
use crate::types::{Column, Schema, Value};

/// Encodes rows in the formats of their source.
pub(super) struct RowEncoder {
    source: Arc<Source>,
    schema: Schema,
    writer: TopicWriter,
    /// What is encoded.
    row: Row,
}

impl RowEncoder {
    /// Registers the schemas of rows, where the formats have any.
    ///
    /// # Errors
    /// The registry refuses a schema, or is away.
    pub fn new(source: &Arc<Source>, registry: &dyn SchemaRegistry) -> Result<Self, EngineError> {
        let schema = source.record_schema();
        let mut format = source.format.clone();
        register_insert(source, &mut format, registry).map_err(|error| {
            let error = EngineError::from(error);
            EngineError { message: format!("Failed to insert values into '{}'. {}", source.name, error.message), ..error }
        })?;
        let writer = TopicWriter::new(&format, &schema).map_err(EngineError::user)?;
        Ok(RowEncoder { source: source.clone(), schema, writer, row: Row::default() })
    }

    /// A row by its values: of the key's columns, then of those that stand in the record's value ([`Source::record_schema`]).
    ///
    /// # Errors
    /// The formats have no way to write them.
    pub fn encode(&mut self, values: Vec<Value>) -> Result<Encoded<'_>, EngineError> {
        let RowEncoder { source, schema, writer, row } = self;
        let (key, value) = values.split_at_checked(schema.key.len()).unwrap_or((&values, &[]));
        row.meta.has_key = key.iter().any(|v| !v.is_null());
        // A table's row without any value is a row of nulls, not a tombstone, unless its one column stands unwrapped.
        row.meta.has_value = source.kind == SourceKind::Stream || !source.format.value.unwrapped || value.iter().any(|v| !v.is_null());
        row.values = values;
        writer.write(row).map_err(|error| {
            let (key, value) = row.values.split_at_checked(schema.key.len()).unwrap_or((&row.values, &[]));
            let (values, columns) = match error.part {
                RecordPart::Key => (key, &schema.key),
                RecordPart::Value => (value, &schema.value),
            };
            let (part, shown, cause) = (error.part, shown(values, columns, error.part), error.cause);
            EngineError::user(format!("Failed to insert values into '{}'. Could not serialize {part}: {shown}. {cause}", source.name))
        })
    }
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

/// Records in few allocations, before they are written.
#[derive(Default)]
pub(super) struct EncodedRows {
    bytes: Vec<u8>,
    rows: Vec<Place>,
}

/// Where a record lies among the bytes.
struct Place {
    start: usize,
    /// Where its key ends; `None`: it has none.
    key_end: Option<usize>,
    value_end: Option<usize>,
    timestamp: Option<i64>,
}

/// A record before it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct EncodedRow<'a> {
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// ROWTIME where it was given.
    pub timestamp: Option<i64>,
}

impl EncodedRows {
    pub fn push(&mut self, record: Encoded<'_>, timestamp: Option<i64>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record.key.unwrap_or_default());
        let key_end = record.key.map(|_| self.bytes.len());
        self.bytes.extend_from_slice(record.value.unwrap_or_default());
        let value_end = record.value.map(|_| self.bytes.len());
        self.rows.push(Place { start, key_end, value_end, timestamp });
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn rows(&self) -> Vec<EncodedRow<'_>> {
        let row = |place: &Place| {
            let part = |from, to| self.bytes.get(from..to).unwrap_or_default();
            let key = place.key_end.map(|end| part(place.start, end));
            let value = place.value_end.map(|end| part(place.key_end.unwrap_or(place.start), end));
            EncodedRow { key, value, timestamp: place.timestamp }
        };
        self.rows.iter().map(row).collect()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_lie_one_behind_the_other() {
        let mut rows = EncodedRows::default();
        let given = [(Some("k"), Some("value")), (None, Some("v")), (Some("key"), None), (None, None), (Some(""), Some(""))];
        for (index, (key, value)) in given.into_iter().enumerate() {
            rows.push(Encoded::plain(key.map(str::as_bytes), value.map(str::as_bytes)), i64::try_from(index).ok());
        }
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let found: Vec<_> = rows.rows().into_iter().map(|row| (text(row.key), text(row.value))).collect();
        let given = given.map(|(key, value)| (key.map(str::to_owned), value.map(str::to_owned)));
        assert_eq!(found, given);
        rows.clear();
        assert!(rows.rows().is_empty() && rows.bytes() == 0);
    }
}
