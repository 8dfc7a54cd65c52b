//! Event time from a column: `WITH (TIMESTAMP = 'col', TIMESTAMP_FORMAT = 'pattern')`.
//!
//! Called by sources after a record is decoded, and by sinks before a row is written.

use super::DecodeError;
use crate::functions::time_format::TimePattern;
use crate::plan::TimestampColumn;
use crate::row::Row;
use crate::types::{Schema, SqlType, Value};

/// Finds a row's event time in one of its columns.
pub struct TimestampExtractor {
    column: String,
    slot: usize,
    in_value: bool,
    /// For a STRING column.
    pattern: Option<TimePattern>,
}

impl TimestampExtractor {
    /// # Errors
    /// No such column, a column of a type that is no time, or a pattern where none can be. The text is for the user.
    pub fn new(timestamp: &TimestampColumn, schema: &Schema) -> Result<Self, String> {
        let name = &timestamp.column;
        let slot = schema
            .slot(name)
            .ok_or_else(|| format!("The TIMESTAMP column set in the WITH clause does not exist in the schema: '{name}'"))?;
        let sql_type = schema.column(slot).map(|c| &c.sql_type);
        let pattern = match (sql_type, &timestamp.format) {
            (Some(SqlType::BigInt | SqlType::Timestamp), None) => None,
            (Some(SqlType::String), Some(pattern)) => Some(TimePattern::compile(pattern)?),
            (Some(SqlType::String), None) => {
                return Err(format!("A String timestamp field ({name}) requires 'TIMESTAMP_FORMAT' to be set"));
            }
            (Some(SqlType::BigInt | SqlType::Timestamp), Some(_)) => {
                return Err(format!("'TIMESTAMP_FORMAT' set, however, column '{name}' is not of type STRING"));
            }
            (found, _) => {
                let found = found.map_or("nothing", SqlType::base_name);
                return Err(format!(
                    "Timestamp column, {name}, should be LONG(INT64), TIMESTAMP, or a String with a TIMESTAMP_FORMAT specified; it is {found}"
                ));
            }
        };
        Ok(TimestampExtractor { column: name.clone(), slot, in_value: slot >= schema.key.len(), pattern })
    }

    /// The row's event time, milliseconds since the epoch, never negative. A row without a value (a tombstone) whose
    /// column stands in the value keeps its own timestamp.
    ///
    /// # Errors
    /// The column is null, not a time, or before 1970: the row is to be left out, and this goes to the processing log.
    pub fn extract(&self, row: &Row) -> Result<i64, DecodeError> {
        if self.in_value && !row.meta.has_value {
            return Ok(row.meta.timestamp);
        }
        let ms = match (row.values.get(self.slot), &self.pattern) {
            (Some(Value::BigInt(ms) | Value::Timestamp(ms)), _) => *ms,
            (Some(Value::String(text)), Some(pattern)) => pattern.parse_timestamp(text).map_err(|reason| self.failed(&reason))?,
            (Some(Value::Null) | None, _) => return Err(self.failed("it is null")),
            (Some(_), _) => return Err(self.failed("it is not a time")),
        };
        if ms < 0 { Err(self.failed("it is negative")) } else { Ok(ms) }
    }

    #[cold]
    fn failed(&self, reason: &str) -> DecodeError {
        DecodeError::new(format!("Failed to extract timestamp from row: column {}: {reason}", self.column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::RowMeta;
    use crate::types::Column;

    fn schema(sql_type: SqlType) -> Schema {
        Schema { key: vec![Column::new("K", SqlType::BigInt)], value: vec![Column::new("T", sql_type)] }
    }

    fn column(name: &str, format: Option<&str>) -> TimestampColumn {
        TimestampColumn { column: name.into(), format: format.map(Into::into) }
    }

    fn row(value: Value, has_value: bool) -> Row {
        Row { values: vec![Value::BigInt(7), value], old: None, meta: RowMeta { timestamp: 5, has_value, ..RowMeta::default() } }
    }

    #[test]
    fn numbers_and_timestamps() {
        let of_value = TimestampExtractor::new(&column("T", None), &schema(SqlType::Timestamp)).unwrap();
        assert_eq!(of_value.extract(&row(Value::Timestamp(123), true)), Ok(123));
        assert_eq!(of_value.extract(&row(Value::Null, false)), Ok(5), "a tombstone keeps its timestamp");
        for (value, reason) in [(Value::Null, "it is null"), (Value::Timestamp(-1), "it is negative"), (Value::Int(1), "it is not a time")]
        {
            let error = of_value.extract(&row(value, true)).unwrap_err();
            assert!(error.to_string().starts_with("Failed to extract timestamp from row") && error.to_string().contains(reason), "{error}");
        }
        let of_key = TimestampExtractor::new(&column("K", None), &schema(SqlType::Int)).unwrap();
        assert_eq!(of_key.extract(&row(Value::Null, false)), Ok(7));
    }

    #[test]
    fn texts_by_their_pattern() {
        let pattern = Some("yyyy-MM-dd'T'HH:mm:ssX");
        let extractor = TimestampExtractor::new(&column("T", pattern), &schema(SqlType::String)).unwrap();
        for (text, expected) in [
            ("2018-05-11T21:58:33Z", Ok(1_526_075_913_000)),
            ("2018-05-11T23:58:33+02", Ok(1_526_075_913_000)),
            ("not a timestamp", Err(())),
        ] {
            assert_eq!(extractor.extract(&row(Value::string(text), true)).map_err(drop), expected, "{text}");
        }
        assert!(TimestampExtractor::new(&column("T", Some("yyyy {")), &schema(SqlType::String)).is_err());
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (name, format, sql_type, reason) in [
            ("X", None, SqlType::BigInt, "does not exist in the schema: 'X'"),
            ("T", None, SqlType::String, "requires 'TIMESTAMP_FORMAT'"),
            ("T", Some("yyyy"), SqlType::BigInt, "is not of type STRING"),
            ("T", None, SqlType::Int, "should be LONG(INT64)"),
        ] {
            let error = TimestampExtractor::new(&column(name, format), &schema(sql_type)).err().unwrap();
            assert!(error.contains(reason), "{error}");
        }
    }
}
