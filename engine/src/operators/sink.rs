//! The end of a query: rows become records of a topic, partitioned by Java's murmur2 over the serialized key (of a
//! windowed table: without the window).
//!
//! Stream: a null value is written as such. Table: a row without a value is a tombstone; one without a key is left out.
//! Where the sink has a timestamp column the record carries that time. The headers are those of the record that brought
//! the row about. A row that can't be written is reported and left out. Without state; on replay the same records are written again (and only counted once where the log is atomic).

use super::exprs::Origin;
use super::{FatalError, Operator, Output, Port};
use crate::formats::TimestampExtractor;
use crate::formats::topic::TopicWriter;
use crate::letters::LetterKind;
use crate::log::{OutRecord, TopicHandle, partition_for};
use crate::processing_log::{ProcessingError, ProcessingErrorKind};
use crate::row::Row;

pub(super) struct Sink {
    pub writer: TopicWriter,
    pub timestamp: Option<TimestampExtractor>,
    pub topic: TopicHandle,
    pub partitions: u32,
    pub is_table: bool,
    pub origin: Origin,
}

impl Operator for Sink {
    fn process(&mut self, _port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        if self.is_table && !row.meta.has_key {
            out.cx.leave_out_record(LetterKind::NullKey, "a row of a table needs a key");
            return Ok(());
        }
        let timestamp = match &self.timestamp {
            None => row.meta.timestamp,
            Some(extractor) => match extractor.extract(&row) {
                Ok(timestamp) => timestamp,
                Err(error) => {
                    self.origin.report(out.cx, &row.meta, error.to_string(), "");
                    return Ok(());
                }
            },
        };
        match self.writer.write_carrying(&row, &out.cx.carried) {
            Ok(encoded) => {
                let partition = partition_for(encoded.partition_key(), self.partitions, &mut out.cx.null_key_counter);
                let headers = &out.cx.headers(&row.meta.headers);
                let bytes = encoded.key.map_or(0, <[u8]>::len) + encoded.value.map_or(0, <[u8]>::len);
                out.cx.send(self.topic, OutRecord { partition, timestamp, key: encoded.key, value: encoded.value, headers })?;
                out.cx.counts.rows_out += 1;
                out.cx.counts.bytes_out += bytes as u64;
            }
            Err(error) => out.cx.report(ProcessingError {
                kind: ProcessingErrorKind::Serialization,
                query_id: self.origin.query.clone(),
                step: self.origin.step.clone(),
                message: error.to_string(),
                cause: vec![error.cause.to_string()],
                target: Some(if error.part == crate::formats::topic::RecordPart::Key { "key" } else { "value" }),
                topic: Some(error.topic.clone()),
                partition: row.meta.partition,
                offset: row.meta.offset,
                record: None,
            }),
        }
        out.cx.recycle(row);
        Ok(())
    }
}
