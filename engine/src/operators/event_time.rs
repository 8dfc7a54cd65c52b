//! The event time of a record before the record itself is processed: what orders the partitions of a task, where a
//! source's time stands in a column (`WITH (TIMESTAMP = 'col')`).

use super::{NotYet, RecordClock};
use crate::formats::TimestampExtractor;
use crate::formats::topic::TopicReader;
use crate::log::RecordRef;
use crate::row::Row;

/// Decodes nothing but the column of the time.
pub(super) struct ColumnClock {
    reader: TopicReader,
    extractor: TimestampExtractor,
    row: Row,
}

impl ColumnClock {
    /// `reader` reads the column that `extractor` asks for.
    pub fn new(reader: TopicReader, extractor: TimestampExtractor) -> Self {
        ColumnClock { reader, extractor, row: Row::default() }
    }
}

impl RecordClock for ColumnClock {
    fn time(&mut self, record: RecordRef<'_>) -> Result<i64, NotYet> {
        self.row.meta.timestamp = record.timestamp;
        // A record without a time is skipped by its source, so nothing has to wait for it.
        match self.reader.read(record.key, record.value, &mut self.row) {
            Ok(()) => Ok(self.extractor.extract(&self.row).unwrap_or(i64::MIN)),
            Err(error) if error.cause.is_not_yet() => Err(NotYet(error.cause.to_string())),
            Err(_) => Ok(i64::MIN),
        }
    }
}
