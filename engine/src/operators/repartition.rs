//! The way of rows between two sub-topologies: a topic of the query's own.
//!
//! A stream's row is a record of the topic's formats. A grouped table's change is one record, too: its value is the new
//! row (null where there is none), and the old row, which the aggregation has to undo, travels in a header in the same
//! format, last behind the record's own headers.

use super::origin::Origin;
use super::source::{SourceErrors, fill_meta};
use super::{FatalError, NotYet, Operator, Output, Port, ReadResult, RecordReader};
use crate::formats::topic::{TopicReader, TopicWriter};
use crate::log::{OutRecord, RecordRef, TopicHandle, partition_for};
use crate::row::{Header, Headers, Row};
use crate::task::TaskContext;

/// The header that carries the old row.
const OLD_ROW: &str = "tidemill.old";

/// Writes rows to the topic.
pub(super) struct RepartitionSink {
    pub writer: TopicWriter,
    /// `None`: nobody behind the topic wants the old rows.
    pub old_writer: Option<TopicWriter>,
    pub topic: TopicHandle,
    pub partitions: u32,
    /// Records go to the partition that their rows name, where there is one.
    pub by_partition: bool,
    /// Whether a replay writes the same of a record, so that it may be told by where it came from.
    pub has_origin: bool,
    /// A value with its origin.
    pub value: Vec<u8>,
}

impl Operator for RepartitionSink {
    fn process(&mut self, _port: Port, mut row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        let mut headers = out.cx.headers(&row.meta.headers).into_owned();
        if let (Some(old), Some(old_writer)) = (row.old.take(), &mut self.old_writer) {
            let mut meta = row.meta.clone();
            meta.has_value = true;
            let old = Row { values: old, old: None, meta };
            let encoded = old_writer.write(&old).map_err(|e| FatalError(e.to_string()))?;
            headers.push(Header { key: OLD_ROW.to_owned(), value: encoded.value.map(<[u8]>::to_vec) });
            out.cx.recycle(old);
        }
        let encoded = self.writer.write(&row).map_err(|e| FatalError(e.to_string()))?;
        let origin = if self.has_origin { out.cx.origins.next() } else { None };
        let named = self.by_partition.then_some(row.meta.partition);
        let partition = named.filter(|named| is_among(*named, self.partitions)).unwrap_or_else(|| {
            let key = encoded.partition_key();
            match &origin {
                // Where there is no key, it goes to the same partition the next time as well.
                Some(origin) => partition_for(key, self.partitions, &mut origin.spread()),
                None => partition_for(key, self.partitions, &mut out.cx.null_key_counter),
            }
        });
        let value = match origin {
            Some(origin) => {
                self.value.clear();
                self.value.extend_from_slice(encoded.value.unwrap_or_default());
                origin.append(encoded.value.is_none(), &mut self.value);
                Some(self.value.as_slice())
            }
            None => encoded.value,
        };
        let record = OutRecord { partition, timestamp: row.meta.timestamp, key: encoded.key, value, headers: &headers };
        out.cx.send(self.topic, record)?;
        out.cx.recycle(row);
        Ok(())
    }
}

/// Whether a topic of so many partitions has this one.
fn is_among(partition: i32, partitions: u32) -> bool {
    u32::try_from(partition).is_ok_and(|partition| partition < partitions)
}

/// Reads them back.
pub(super) struct RepartitionReader {
    pub reader: TopicReader,
    pub is_table: bool,
    pub errors: SourceErrors,
}

impl RecordReader for RepartitionReader {
    fn read(&mut self, record: RecordRef<'_>, headers: Headers, partition: i32, cx: &mut TaskContext) -> ReadResult {
        let (value, origin) = if cx.origins.is_on() { Origin::split(record.value) } else { (record.value, None) };
        let record = RecordRef { value, ..record };
        let mut row = Row { values: cx.buffers.take_nulls(self.reader.width()), ..Row::default() };
        if let Err(error) = self.reader.read(record.key, record.value, &mut row) {
            return self.errors.report(cx, &error, record, partition);
        }
        // Only now: a record that can't be read yet comes again.
        if origin.is_some_and(|origin| !cx.origins.is_new(self.reader.topic(), &origin)) {
            cx.recycle(row);
            return Ok(None);
        }
        fill_meta(&mut row, record, partition, cx);
        if !self.is_table {
            row.meta.headers = headers;
            return Ok(Some(row));
        }
        let found = cx.headers(&headers).into_owned();
        if let Some((old_value, own)) = found.split_last().filter(|(last, _)| last.key == OLD_ROW) {
            let mut old = Row { values: cx.buffers.take_nulls(self.reader.width()), ..Row::default() };
            if let Err(error) = self.reader.read(record.key, old_value.value.as_deref(), &mut old) {
                return self.errors.report(cx, &error, record, partition);
            }
            row.old = Some(old.values);
            row.meta.headers = if own.is_empty() { Headers::None } else { Headers::Own(own.into()) };
        } else {
            row.meta.headers = headers;
        }
        Ok(Some(row))
    }

    fn is_ready(&mut self, record: RecordRef<'_>) -> Result<(), NotYet> {
        self.reader.is_ready(record.key, record.value)
    }
}
