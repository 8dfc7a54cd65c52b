//! Sources: records become rows.
//!
//! Out of a stream's topic comes every record that can be decoded, also those with a null key or a null value. Records
//! with a negative timestamp, and those that can't be decoded, are skipped and reported. A table skips null keys.

use std::sync::Arc;

use super::shared::{Share, Slab};
use super::{FatalError, NotYet, PassOver, Passed, ReadResult, RecordReader, Unread};
use crate::formats::topic::{ReadError, RecordPart, TopicReader};
use crate::formats::{Carried, TimestampExtractor, take_warnings};
use crate::letters::{self, LetterKind};
use crate::log::{Batch, RecordRef};
use crate::processing_log::{ProcessingError, ProcessingErrorKind};
use crate::row::{Header, Headers, Row};
use crate::task::{TaskContext, arrival_of};
use crate::types::{SqlType, Value, text};

/// What the record says besides its key and value.
pub(super) fn fill_meta(row: &mut Row, record: RecordRef<'_>, partition: i32, cx: &mut TaskContext) {
    row.meta.timestamp = record.timestamp;
    row.meta.partition = partition;
    row.meta.offset = record.offset.0;
    cx.arrival = arrival_of(record.offset.0);
}

/// Says in the processing log which record was bad, and ends the query where it is to end with it.
#[derive(Debug, Clone)]
pub(super) struct SourceErrors {
    pub query: Arc<str>,
    /// `KsqlTopic.Source.deserializer`.
    pub step: Arc<str>,
}

impl SourceErrors {
    #[cold]
    pub fn report(&self, cx: &mut TaskContext, error: &ReadError, record: RecordRef<'_>, partition: i32) -> ReadResult {
        if error.cause.is_not_yet() {
            return Err(Unread::NotYet(NotYet(error.cause.to_string())));
        }
        let (target, bytes) = match error.part {
            RecordPart::Key => ("key", record.key),
            RecordPart::Value => ("value", record.value),
        };
        let mut encoded = String::new();
        text::write_base64(bytes.unwrap_or_default(), &mut encoded);
        cx.report(ProcessingError {
            kind: ProcessingErrorKind::Deserialization,
            query_id: self.query.clone(),
            step: self.step.clone(),
            message: error.to_string(),
            cause: error.causes(),
            target: Some(target),
            topic: Some(error.topic.clone()),
            partition,
            offset: record.offset.0,
            record: Some(encoded),
        });
        if !cx.policy.ends_at_unreadable {
            return Ok(None);
        }
        let (topic, offset) = (&error.topic, record.offset.0);
        Err(Unread::Fatal(FatalError(format!(
            "{error}: {} (partition {partition} of topic '{topic}', offset {offset}), and ksql.fail.on.deserialization.error is true",
            error.cause
        ))))
    }

    /// The record has no time that it could be processed with.
    #[cold]
    fn report_time(&self, cx: &mut TaskContext, message: String, record: RecordRef<'_>, partition: i32) {
        cx.report(ProcessingError {
            kind: ProcessingErrorKind::RecordProcessing,
            query_id: self.query.clone(),
            step: self.step.clone(),
            message,
            cause: Vec::new(),
            target: None,
            topic: None,
            partition,
            offset: record.offset.0,
            record: None,
        });
    }
}

impl SourceErrors {
    /// Tells what the decoders had to say of a record that they read.
    #[inline]
    pub fn warn(&self, cx: &mut TaskContext, topic: &Arc<str>, record: RecordRef<'_>, partition: i32) {
        for message in take_warnings() {
            cx.warn(ProcessingError {
                kind: ProcessingErrorKind::Deserialization,
                query_id: self.query.clone(),
                step: self.step.clone(),
                message: format!("Topic {topic}: {message}"),
                cause: Vec::new(),
                target: None,
                topic: Some(topic.clone()),
                partition,
                offset: record.offset.0,
                record: None,
            });
        }
    }
}

/// A column that is filled from the record's headers.
pub(super) struct HeaderSlot {
    pub slot: usize,
    /// The header's key; `None` for a column of all headers.
    pub key: Option<String>,
    /// What its text stands for, where the column is more than bytes.
    pub text_of: Option<SqlType>,
}

impl HeaderSlot {
    fn value(&self, headers: &[Header]) -> Value {
        match (&self.key, &self.text_of) {
            (Some(key), Some(sql_type)) => letters::typed(key, sql_type, headers),
            (key, _) => header_value(key.as_deref(), headers),
        }
    }
}

/// Decodes the records of a stream's or table's topic.
pub(super) struct SourceReader {
    pub reader: TopicReader,
    pub timestamp: Option<TimestampExtractor>,
    pub headers: Vec<HeaderSlot>,
    pub is_table: bool,
    /// A record whose time can't be found ends the query (`ksql.timestamp.throw.on.invalid`).
    pub throw_on_invalid: bool,
    pub errors: SourceErrors,
    /// Where others may read the same.
    pub share: Option<Share>,
    /// The filter straight behind it.
    pub filter: Option<PassOver>,
}

/// What a record is, where that is a row and there is nothing to be said of it.
fn plain(
    reader: &mut TopicReader,
    timestamp: Option<&TimestampExtractor>,
    is_table: bool,
    partition: i32,
    record: RecordRef<'_>,
) -> Option<Row> {
    let mut row = Row { values: vec![Value::Null; reader.width()], ..Row::default() };
    let read = reader.read(record.key, record.value, &mut row);
    if !take_warnings().is_empty() || read.is_err() || is_table && !row.meta.has_key {
        return None;
    }
    (row.meta.timestamp, row.meta.partition, row.meta.offset) = (record.timestamp, partition, record.offset.0);
    if let Some(extractor) = timestamp {
        row.meta.timestamp = extractor.extract(&row).ok()?;
    }
    (row.meta.timestamp >= 0).then_some(row)
}

impl SourceReader {
    /// The slab with a record at hand, and its place there. `None`: it is to be read here.
    fn shared(&mut self, batch: &Arc<dyn Batch>, index: usize, cx: &TaskContext) -> Option<(&Slab, usize, Option<&PassOver>)> {
        let SourceReader { reader, timestamp, is_table, share, filter, .. } = self;
        let share = share.as_mut().filter(|share| !cx.reports_rows() && !share.is_alone())?;
        let width = reader.width();
        let mut decode = |record: RecordRef<'_>| plain(reader, timestamp.as_ref(), *is_table, cx.partition, record);
        let (slab, place) = share.slab(batch, index, width, &mut decode)?;
        Some((slab, place, filter.as_ref()))
    }

    /// The row of the record at hand, where it is shared.
    fn shared_row(&mut self, cx: &mut TaskContext) -> Option<Row> {
        self.share.as_ref()?;
        let (batch, index) = cx.record.as_ref()?;
        let (slab, place, _) = self.shared(batch, *index, cx)?;
        let shared = slab.row(place)?;
        let mut values = cx.buffers.take(shared.values.len());
        values.extend_from_slice(&shared.values);
        (cx.arrival, cx.carried) = (arrival_of(shared.meta.offset), Carried::default());
        Some(Row { values, old: None, meta: shared.meta.clone() })
    }
}

impl RecordReader for SourceReader {
    fn pass_over(&mut self, filter: PassOver) {
        self.filter = Some(filter);
    }

    fn passes_over(&self) -> bool {
        self.filter.is_some() && self.share.is_some()
    }

    fn passed(&mut self, batch: &Arc<dyn Batch>, first: usize, end: usize, cx: &TaskContext) -> Passed {
        match self.shared(batch, first, cx) {
            Some((slab, place, Some(filter))) => filter.passed(slab, place, end.saturating_sub(first)),
            _ => Passed::default(),
        }
    }

    fn read(&mut self, record: RecordRef<'_>, headers: Headers, partition: i32, cx: &mut TaskContext) -> ReadResult {
        if let Some(mut row) = self.shared_row(cx) {
            row.meta.headers = headers;
            return Ok(Some(row));
        }
        let mut row = Row { values: cx.buffers.take_nulls(self.reader.width()), ..Row::default() };
        let read = if cx.reports_rows() {
            // Reports bear all columns.
            cx.carried = Carried::default();
            self.reader.read(record.key, record.value, &mut row)
        } else {
            self.reader.read_carrying(record.key, record.value, &mut row, &mut cx.carried)
        };
        match &read {
            // It is read again, and then it is told what the decoders have to say.
            Err(error) if error.cause.is_not_yet() => drop(take_warnings()),
            _ => self.errors.warn(cx, self.reader.topic(), record, partition),
        }
        if let Err(error) = read {
            cx.recycle(row);
            return self.errors.report(cx, &error, record, partition);
        }
        if self.is_table && !row.meta.has_key {
            cx.leave_out_record(LetterKind::NullKey, "a row of a table needs a key");
            cx.recycle(row);
            return Ok(None);
        }
        fill_meta(&mut row, record, partition, cx);
        if let Some(extractor) = &self.timestamp {
            match extractor.extract(&row) {
                Ok(timestamp) => row.meta.timestamp = timestamp,
                Err(error) if self.throw_on_invalid => {
                    return Err(FatalError(format!("Fatal user code error in TimestampExtractor callback for record: {error}")).into());
                }
                Err(error) => {
                    self.errors.report_time(cx, error.to_string(), record, partition);
                    cx.recycle(row);
                    return Ok(None);
                }
            }
        }
        if row.meta.timestamp < 0 {
            let message = format!("Skipping record with the negative timestamp {}", row.meta.timestamp);
            self.errors.report_time(cx, message, record, partition);
            cx.recycle(row);
            return Ok(None);
        }
        if !self.headers.is_empty() {
            let found = cx.headers(&headers);
            for column in &self.headers {
                if let Some(slot) = row.values.get_mut(column.slot) {
                    *slot = column.value(&found);
                }
            }
        }
        row.meta.headers = headers;
        Ok(Some(row))
    }

    fn is_ready(&mut self, record: RecordRef<'_>) -> Result<(), NotYet> {
        self.reader.is_ready(record.key, record.value)
    }
}

/// All headers as structs of key and value, or the last one of a key.
pub fn header_value(key: Option<&str>, headers: &[Header]) -> Value {
    let bytes = |header: &Header| header.value.as_deref().map_or(Value::Null, Value::bytes);
    match key {
        Some(key) => headers.iter().rev().find(|h| h.key == key).map_or(Value::Null, bytes),
        None => Value::array(headers.iter().map(|h| Value::structure(vec![Value::string(h.key.as_str()), bytes(h)])).collect()),
    }
}
