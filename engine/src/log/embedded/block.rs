//! Blocks: records of one partition that were committed together, as they lie in RocksDB and in memory.
//!
//! A block is written and cached as it is, and a record is found in it without any parsing: header, then a table with one
//! entry of fixed size for each record, then the bytes of keys, values and headers. All numbers are little-endian.
//! ```text
//! header  version u8 · 3 bytes · records u32 · span u32 · 4 bytes · min time i64 · max time i64 · appended at i64
//! entry   timestamp i64 · offset less base u32 · start u32 · key u32 · value u32 · headers u32   (lengths; MAX: null)
//! ```
//! `span` is how many offsets the block covers from its base on; compaction leaves gaps.

use crate::log::{Batch, Offset, OutRecord, RecordRef};
use crate::row::Header;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 40;
const ENTRY_BYTES: usize = 28;
/// Length of a key or value that is null.
const NULL: u32 = u32::MAX;

/// Bytes at which a writer begins a new block.
pub(super) const MAX_BLOCK_BYTES: usize = 256 << 10;
/// Largest record, key, value and headers together.
pub(super) const MAX_RECORD_BYTES: usize = 64 << 20;

/// A block whose every length was checked.
pub(super) struct Block {
    base: i64,
    count: usize,
    bytes: Vec<u8>,
}

/// One entry of the table.
struct Entry {
    timestamp: i64,
    delta: u32,
    start: u32,
    key: u32,
    value: u32,
    headers: u32,
}

impl Block {
    /// Takes bytes from the disk; `None` where they are no block.
    pub fn parse(base: i64, bytes: Vec<u8>) -> Option<Block> {
        if *bytes.first()? != VERSION || bytes.len() < HEADER_BYTES {
            return None;
        }
        let count = usize::try_from(u32_at(&bytes, 4)).ok()?;
        let data = bytes.len().checked_sub(HEADER_BYTES)?.checked_sub(count.checked_mul(ENTRY_BYTES)?)?;
        let block = Block { base, count, bytes };
        let mut last = None;
        for index in 0..count {
            let entry = block.entry(index);
            let lengths = [entry.start, non_null(entry.key), non_null(entry.value), entry.headers];
            let end: u64 = lengths.into_iter().map(u64::from).sum();
            if end > data as u64 || last.is_some_and(|last| entry.delta <= last) || entry.delta >= block.span() {
                return None;
            }
            last = Some(entry.delta);
        }
        Some(block)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn base(&self) -> i64 {
        self.base
    }

    /// The offset behind the last one that the block covers.
    pub fn end(&self) -> i64 {
        self.base.saturating_add(i64::from(self.span()))
    }

    /// Gives a fresh block its place.
    pub fn set_base(&mut self, base: i64) {
        self.base = base;
    }

    pub fn max_timestamp(&self) -> i64 {
        i64_at(&self.bytes, 24)
    }

    /// Wall clock when the block was written, milliseconds.
    pub fn appended_ms(&self) -> i64 {
        i64_at(&self.bytes, 32)
    }

    /// Index of the first record at or behind an offset; `len()` if there is none.
    pub fn index_of(&self, offset: i64) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if self.base + i64::from(self.entry(middle).delta) < offset { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn span(&self) -> u32 {
        u32_at(&self.bytes, 8)
    }

    fn entry(&self, index: usize) -> Entry {
        let at = HEADER_BYTES + index * ENTRY_BYTES;
        let entry = &self.bytes[at..at + ENTRY_BYTES];
        Entry {
            timestamp: i64_at(entry, 0),
            delta: u32_at(entry, 8),
            start: u32_at(entry, 12),
            key: u32_at(entry, 16),
            value: u32_at(entry, 20),
            headers: u32_at(entry, 24),
        }
    }

    fn data(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES + self.count * ENTRY_BYTES..]
    }

    /// The encoded headers of a record.
    fn raw_headers(&self, entry: &Entry) -> &[u8] {
        let start = entry.start as usize + non_null(entry.key) as usize + non_null(entry.value) as usize;
        &self.data()[start..start + entry.headers as usize]
    }
}

impl Batch for Block {
    fn len(&self) -> usize {
        self.count
    }

    fn record(&self, index: usize) -> RecordRef<'_> {
        assert!(index < self.count, "record {index} of {}", self.count);
        let entry = self.entry(index);
        let data = self.data();
        let value_start = entry.start as usize + non_null(entry.key) as usize;
        RecordRef {
            offset: Offset(self.base + i64::from(entry.delta)),
            timestamp: entry.timestamp,
            key: (entry.key != NULL).then(|| &data[entry.start as usize..value_start]),
            value: (entry.value != NULL).then(|| &data[value_start..value_start + entry.value as usize]),
        }
    }

    fn headers(&self, index: usize) -> Vec<Header> {
        assert!(index < self.count, "record {index} of {}", self.count);
        let mut rest = self.raw_headers(&self.entry(index));
        std::iter::from_fn(|| next_header(&mut rest)).collect()
    }
}

fn next_header(rest: &mut &[u8]) -> Option<Header> {
    let mut take = |len: usize| {
        let (bytes, tail) = rest.split_at_checked(len)?;
        *rest = tail;
        Some(bytes)
    };
    let len = u32_at(take(4)?, 0) as usize;
    let key = String::from_utf8_lossy(take(len)?).into_owned();
    let value = match u32_at(take(4)?, 0) {
        NULL => None,
        len => Some(take(len as usize)?.to_vec()),
    };
    Some(Header { key, value })
}

fn non_null(len: u32) -> u32 {
    if len == NULL { 0 } else { len }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |chunk| i64::from_le_bytes(*chunk))
}

/// Gathers records into a block; keeps its buffers for the next one.
#[derive(Default)]
pub(super) struct BlockBuilder {
    table: Vec<u8>,
    data: Vec<u8>,
    count: u32,
    span: u32,
    min_timestamp: i64,
    max_timestamp: i64,
    appended_ms: i64,
}

impl BlockBuilder {
    pub fn is_empty(&self) -> bool {
        self.span == 0
    }

    pub fn bytes(&self) -> usize {
        self.table.len() + self.data.len()
    }

    /// Adds a record at the next offset. The record must be within [`MAX_RECORD_BYTES`].
    pub fn push(&mut self, record: &OutRecord<'_>) {
        let start = self.data.len();
        self.data.extend_from_slice(record.key.unwrap_or_default());
        self.data.extend_from_slice(record.value.unwrap_or_default());
        let headers_start = self.data.len();
        for header in record.headers {
            push_text(header.key.as_bytes(), &mut self.data);
            match &header.value {
                Some(value) => push_text(value, &mut self.data),
                None => self.data.extend_from_slice(&NULL.to_le_bytes()),
            }
        }
        let entry = Entry {
            timestamp: record.timestamp,
            delta: self.span,
            start: narrow(start),
            key: record.key.map_or(NULL, |key| narrow(key.len())),
            value: record.value.map_or(NULL, |value| narrow(value.len())),
            headers: narrow(self.data.len() - headers_start),
        };
        self.push_entry(&entry);
        self.span += 1;
    }

    /// Adds those records of a block that `keep` wants, under their own offsets. The first block that is added gives the
    /// new block its base; each must begin where the one before ended, or behind.
    pub fn append(&mut self, base: i64, block: &Block, mut keep: impl FnMut(usize) -> bool) {
        let shift = u32::try_from(block.base - base).unwrap_or(u32::MAX);
        for index in (0..block.count).filter(|&index| keep(index)) {
            let old = block.entry(index);
            let headers = block.raw_headers(&old);
            let body = non_null(old.key) as usize + non_null(old.value) as usize;
            let start = narrow(self.data.len());
            self.data.extend_from_slice(&block.data()[old.start as usize..old.start as usize + body]);
            self.data.extend_from_slice(headers);
            self.push_entry(&Entry { start, delta: old.delta.saturating_add(shift), ..old });
        }
        self.span = shift.saturating_add(block.span());
        self.appended_ms = self.appended_ms.max(block.appended_ms());
    }

    fn push_entry(&mut self, entry: &Entry) {
        self.table.extend_from_slice(&entry.timestamp.to_le_bytes());
        for number in [entry.delta, entry.start, entry.key, entry.value, entry.headers] {
            self.table.extend_from_slice(&number.to_le_bytes());
        }
        if self.count == 0 {
            (self.min_timestamp, self.max_timestamp) = (entry.timestamp, entry.timestamp);
        }
        self.min_timestamp = self.min_timestamp.min(entry.timestamp);
        self.max_timestamp = self.max_timestamp.max(entry.timestamp);
        self.count += 1;
    }

    /// The block, and an empty builder. `now_ms` is when fresh records are written; those of other blocks keep theirs.
    pub fn finish(&mut self, base: i64, now_ms: Option<i64>) -> Block {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.bytes());
        bytes.extend_from_slice(&[VERSION, 0, 0, 0]);
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.extend_from_slice(&self.span.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.min_timestamp.to_le_bytes());
        bytes.extend_from_slice(&self.max_timestamp.to_le_bytes());
        bytes.extend_from_slice(&now_ms.unwrap_or(self.appended_ms).to_le_bytes());
        bytes.extend_from_slice(&self.table);
        bytes.extend_from_slice(&self.data);
        let block = Block { base, count: self.count as usize, bytes };
        self.clear();
        block
    }

    pub fn clear(&mut self) {
        self.table.clear();
        self.data.clear();
        (self.count, self.span, self.appended_ms) = (0, 0, 0);
    }
}

fn push_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&narrow(text.len()).to_le_bytes());
    out.extend_from_slice(text);
}

/// Lengths within a block: [`MAX_RECORD_BYTES`] and [`MAX_BLOCK_BYTES`] keep them far below.
fn narrow(len: usize) -> u32 {
    match u32::try_from(len) {
        Ok(len) => len,
        Err(_) => panic!("4 GiB in one block"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> Block {
        let mut builder = BlockBuilder::default();
        let headers = [Header { key: "h".into(), value: Some(vec![1, 2]) }, Header { key: "h".into(), value: None }];
        for (timestamp, key, value) in [(5, Some(&b"k"[..]), Some(&b"value"[..])), (-3, None, Some(b"")), (9, Some(b""), None)] {
            let headers = if timestamp == 9 { &headers[..] } else { &[] };
            builder.push(&OutRecord { partition: 0, timestamp, key, value, headers });
        }
        builder.finish(100, Some(77))
    }

    /// Offset, timestamp, key, value and number of headers.
    type Seen = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

    fn records(block: &Block) -> Vec<Seen> {
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        (0..block.len())
            .map(|i| (block.record(i), block.headers(i)))
            .map(|(r, headers)| (r.offset.0, r.timestamp, owned(r.key), owned(r.value), headers.len()))
            .collect()
    }

    #[test]
    fn records_come_back() {
        let block = block();
        let parsed = Block::parse(100, block.bytes().to_vec()).unwrap();
        assert_eq!(records(&parsed), records(&block));
        assert_eq!(records(&parsed)[0], (100, 5, Some(b"k".to_vec()), Some(b"value".to_vec()), 0));
        assert_eq!(records(&parsed)[2], (102, 9, Some(vec![]), None, 2));
        assert_eq!((parsed.end(), parsed.max_timestamp(), parsed.appended_ms()), (103, 9, 77));
        assert_eq!(parsed.headers(2)[0], Header { key: "h".into(), value: Some(vec![1, 2]) });
        assert_eq!([99, 100, 101, 102, 103].map(|offset| parsed.index_of(offset)), [0, 0, 1, 2, 3]);
    }

    #[test]
    fn blocks_are_put_together_with_gaps() {
        let mut builder = BlockBuilder::default();
        builder.append(100, &block(), |index| index != 1);
        let mut second = block();
        second.set_base(110);
        builder.append(100, &second, |index| index == 0);
        let merged = builder.finish(100, None);
        let merged = Block::parse(100, merged.bytes().to_vec()).unwrap();
        assert_eq!(records(&merged).iter().map(|r| r.0).collect::<Vec<_>>(), [100, 102, 110]);
        assert_eq!((merged.end(), merged.appended_ms(), merged.headers(1).len()), (113, 77, 2));
    }

    #[test]
    fn damaged_bytes_are_no_block() {
        let bytes = block().bytes().to_vec();
        for len in 0..bytes.len() {
            assert!(Block::parse(0, bytes[..len].to_vec()).is_none(), "{len}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x81;
            // Whatever is accepted can be read without a panic.
            if let Some(block) = Block::parse(0, damaged) {
                records(&block);
            }
        }
    }
}
