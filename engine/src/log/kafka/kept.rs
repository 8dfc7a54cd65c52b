//! Records that wait for a slow reader, copied.
//!
//! A fetched batch borrows from the response that it came in, which holds the records of many partitions: a few records that
//! wait would keep all of it. So what is small and still waits when the next batch comes is copied, once for all readers.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::log::{Batch, Offset, RecordRef};
use crate::row::Header;

/// Larger batches are not copied: a sixteenth of the largest response (`fetch.max.bytes`). So what waits keeps at most
/// sixteen times its own size.
pub(super) const MAX_KEPT_BYTES: usize = 512 << 10;

pub(super) struct KeptBatch {
    bytes: Box<[u8]>,
    records: Box<[Record]>,
    /// Of the records that have some.
    headers: BTreeMap<usize, Vec<Header>>,
}

struct Record {
    offset: Offset,
    timestamp: i64,
    keeps_time: bool,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
}

impl KeptBatch {
    pub(super) fn of(batch: &dyn Batch) -> KeptBatch {
        let mut bytes = Vec::new();
        let mut keep = |part: Option<&[u8]>| {
            part.map(|part| {
                let from = bytes.len();
                bytes.extend_from_slice(part);
                from..bytes.len()
            })
        };
        let records = (0..batch.len())
            .map(|index| {
                let RecordRef { offset, timestamp, key, value } = batch.record(index);
                Record { offset, timestamp, keeps_time: batch.keeps_time(index), key: keep(key), value: keep(value) }
            })
            .collect();
        let headers = (0..batch.len()).map(|index| (index, batch.headers(index))).filter(|(_, headers)| !headers.is_empty()).collect();
        KeptBatch { bytes: bytes.into_boxed_slice(), records, headers }
    }

    fn part(&self, range: &Option<Range<usize>>) -> Option<&[u8]> {
        range.as_ref().map(|range| self.bytes.get(range.clone()).unwrap_or_default())
    }
}

impl Batch for KeptBatch {
    fn len(&self) -> usize {
        self.records.len()
    }

    fn record(&self, index: usize) -> RecordRef<'_> {
        let Record { offset, timestamp, key, value, .. } = &self.records[index];
        RecordRef { offset: *offset, timestamp: *timestamp, key: self.part(key), value: self.part(value) }
    }

    fn headers(&self, index: usize) -> Vec<Header> {
        self.headers.get(&index).cloned().unwrap_or_default()
    }

    fn keeps_time(&self, index: usize) -> bool {
        self.records.get(index).is_none_or(|record| record.keeps_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Borrowed<'a>(&'a [(i64, Option<&'a str>, Option<&'a str>)]);

    impl Batch for Borrowed<'_> {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn record(&self, index: usize) -> RecordRef<'_> {
            let (offset, key, value) = self.0[index];
            RecordRef { offset: Offset(offset), timestamp: 10 * offset, key: key.map(str::as_bytes), value: value.map(str::as_bytes) }
        }

        fn headers(&self, index: usize) -> Vec<Header> {
            (index == 1).then(|| Header { key: "h".into(), value: Some(vec![7]) }).into_iter().collect()
        }
    }

    #[test]
    fn a_kept_batch_holds_what_the_fetched_one_held() {
        let records = [(3, Some("k"), Some("value")), (4, None, Some("")), (9, Some(""), None)];
        let fetched = Borrowed(&records);
        let kept = KeptBatch::of(&fetched);
        assert_eq!(kept.len(), 3);
        for index in 0..3 {
            let (one, other) = (fetched.record(index), kept.record(index));
            assert_eq!((one.offset, one.timestamp, one.key, one.value), (other.offset, other.timestamp, other.key, other.value));
            assert_eq!(fetched.headers(index), kept.headers(index));
        }
    }
}
