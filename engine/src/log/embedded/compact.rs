//! Compaction: of the records with one key only the last stays, and of tombstones in the end nothing.
//!
//! As Kafka's cleaner: the keys of what was written since the last time are gathered, up to a limit; then everything up
//! to there is written anew without the records that a later one of the same key replaces. Offsets stay as they are.

use std::collections::HashMap;

use rocksdb::WriteBatch;

use super::block::{Block, BlockBuilder};
use super::topic::Partition;
use super::{Inner, fatal, keys};
use crate::log::{Batch, LogError};
use crate::state::rocks::Family;

/// Records since the last time below which compaction isn't worth while.
const MIN_NEW_RECORDS: i64 = 1000;
/// Keys gathered at a time.
const MAX_KEYS: usize = 200_000;
/// Bytes of gathered keys at a time.
const MAX_KEY_BYTES: usize = 32 << 20;
/// Blocks are put together up to this size.
const BLOCK_BYTES: usize = 64 << 10;
/// Bytes of one write.
const WRITE_BYTES: usize = 1 << 20;

/// The last offset of each key.
type LastOffsets = HashMap<Box<[u8]>, i64, foldhash::fast::RandomState>;

impl Inner {
    /// Compacts a partition, if enough was written since the last time. Tombstones written before `tombstones_before_ms`
    /// leave.
    pub(super) fn compact(&self, partition: &Partition, tombstones_before_ms: i64, stop: &dyn Fn() -> bool) -> Result<(), LogError> {
        let note = keys::compacted(partition.topic_id, partition.index);
        let (start, next) = (partition.start(), partition.next());
        let (done, live) = self.compacted(&note)?;
        let done = done.max(start);
        // As much must be new as is old, so that each record is written anew twice on average, however long the log lives.
        if next - done < MIN_NEW_RECORDS.max(live) {
            return Ok(());
        }
        let (last, end) = self.last_offsets(partition, done, next)?;
        if end <= done {
            return Ok(());
        }
        let Some(live) = self.rewrite(partition, end, &last, tombstones_before_ms, stop)? else { return Ok(()) };
        let rocks = self.rocks();
        let mut batch = WriteBatch::default();
        batch.put_cf(rocks.family(Family::Meta).map_err(fatal)?, note, [end.to_be_bytes(), live.to_be_bytes()].concat());
        rocks.write(batch).map_err(fatal)
    }

    /// Up to where a partition was compacted, and how many records were left before that.
    fn compacted(&self, note: &[u8]) -> Result<(i64, i64), LogError> {
        let mut found = (0, 0);
        self.rocks()
            .get(Family::Meta, note, &mut |value| {
                if let Some((end, live)) = value.and_then(|value| value.split_first_chunk()) {
                    found = (i64::from_be_bytes(*end), live.try_into().map_or(0, i64::from_be_bytes));
                }
            })
            .map_err(fatal)?;
        Ok(found)
    }

    /// The last offset of each key from `from` on, and up to where the blocks were taken in.
    fn last_offsets(&self, partition: &Partition, from: i64, next: i64) -> Result<(LastOffsets, i64), LogError> {
        let mut last = LastOffsets::default();
        let mut bytes = 0;
        let mut end = from;
        self.scan_blocks(partition, from, &mut |base, value| {
            let Some(block) = Block::parse(base, value.to_vec()).filter(|block| block.end() <= next) else { return false };
            for record in (block.index_of(from)..block.len()).map(|index| block.record(index)) {
                if let Some(key) = record.key {
                    match last.get_mut(key) {
                        Some(offset) => *offset = record.offset.0,
                        None => {
                            bytes += key.len();
                            last.insert(key.into(), record.offset.0);
                        }
                    }
                }
            }
            end = end.max(block.end());
            last.len() < MAX_KEYS && bytes < MAX_KEY_BYTES
        })?;
        Ok((last, end))
    }

    /// Writes the blocks before `end` anew; how many records are left. `None`: it was stopped.
    fn rewrite(
        &self,
        partition: &Partition,
        end: i64,
        last: &LastOffsets,
        tombstones_before_ms: i64,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<i64>, LogError> {
        let mut gathered = BlockBuilder::default();
        // The blocks gathered: where they begin, and where the last one does.
        let mut span: Option<(i64, i64)> = None;
        let mut batch = WriteBatch::default();
        let mut result = Ok(());
        let mut stopped = false;
        let mut live = 0;
        self.scan_blocks(partition, partition.start(), &mut |base, value| {
            stopped = stop();
            let Some(block) = Block::parse(base, value.to_vec()).filter(|block| !stopped && block.end() <= end) else { return false };
            let (first, _) = span.unwrap_or((base, base));
            if block.end() - first > i64::from(u32::MAX) || gathered.bytes() >= BLOCK_BYTES {
                result = self.replace(partition, span.take(), &mut gathered, &mut batch);
            }
            let (first, _) = span.unwrap_or((base, base));
            let old = block.appended_ms() < tombstones_before_ms;
            gathered.append(first, &block, |index| {
                let record = block.record(index);
                let replaced = record.key.and_then(|key| last.get(key)).is_some_and(|last| *last > record.offset.0);
                let dead = old && record.value.is_none();
                let stays = !(replaced || dead);
                live += i64::from(stays);
                stays
            });
            span = Some((first, base));
            result.is_ok()
        })?;
        result?;
        if stopped {
            return Ok(None);
        }
        self.replace(partition, span, &mut gathered, &mut batch)?;
        self.rocks().write(batch).map_err(fatal)?;
        Ok(Some(live))
    }

    /// Puts what was gathered in the place of the blocks that it comes from.
    fn replace(
        &self,
        partition: &Partition,
        span: Option<(i64, i64)>,
        gathered: &mut BlockBuilder,
        batch: &mut WriteBatch,
    ) -> Result<(), LogError> {
        let Some((first, last)) = span else { return Ok(()) };
        let block = gathered.finish(first, None);
        let family = self.rocks().family(Family::Log).map_err(fatal)?;
        let key = |base| keys::block(partition.topic_id, partition.index, base);
        batch.delete_range_cf(family, key(first), key(last + 1));
        // The last block stays even if it is empty: the next offset is known by it.
        if !block.is_empty() || block.end() >= partition.next() {
            batch.put_cf(family, key(first), block.bytes());
        }
        if batch.size_in_bytes() >= WRITE_BYTES {
            self.rocks().write(std::mem::take(batch)).map_err(fatal)?;
        }
        Ok(())
    }
}
