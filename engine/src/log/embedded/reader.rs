//! Reading the embedded log: what is new comes from memory, older records from RocksDB.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Inner;
use super::block::{Block, BlockBuilder};
use super::keys;
use super::topic::{Partition, Topic, Waiter};
use crate::log::{ArrivedBatch, Batch, LogError, LogReader, Offset, Subscription};
use crate::state::rocks::Family;

/// Bytes that one read from RocksDB gathers (a larger block comes whole).
const READ_BYTES: usize = 256 << 10;

/// A reader. Nothing is fetched ahead: what isn't polled stays in the log, so back-pressure needs no more.
pub(super) struct EmbeddedReader {
    log: Arc<Inner>,
    lanes: Vec<Lane>,
    /// The lane to look at next.
    turn: usize,
    waiter: Arc<Waiter>,
    read_bytes: usize,
}

struct Lane {
    topic: Arc<Topic>,
    partition: Arc<Partition>,
    /// The next offset to hand out.
    position: i64,
}

impl EmbeddedReader {
    pub fn new(log: Arc<Inner>, subscription: Subscription) -> Result<Self, LogError> {
        let waiter = Arc::new(Waiter { waiting: AtomicBool::new(false), wake: subscription.wake });
        let mut lanes = Vec::with_capacity(subscription.partitions.len());
        for (tp, offset) in subscription.partitions {
            let topic = log.topic_by_name(&tp.topic)?;
            let partition = topic.partition(tp.partition)?.clone();
            partition.add_reader(&waiter);
            lanes.push(Lane { topic, partition, position: offset.0 });
        }
        Ok(EmbeddedReader { log, lanes, turn: 0, waiter, read_bytes: subscription.max_buffered_bytes.clamp(1, READ_BYTES) })
    }

    fn poll_once(&mut self, wanted: &dyn Fn(usize) -> bool) -> Result<Option<ArrivedBatch>, LogError> {
        let count = self.lanes.len();
        for _ in 0..count {
            let source = self.turn % count;
            self.turn = source + 1;
            if !wanted(source) {
                continue;
            }
            let lane = &mut self.lanes[source];
            if lane.topic.is_deleted() {
                return Err(lane.topic.gone());
            }
            while lane.position < lane.partition.next() {
                lane.position = lane.position.max(lane.partition.start());
                let Some(block) = read_block(&self.log, &lane.partition, lane.position, self.read_bytes)? else {
                    // Everything behind the position was deleted.
                    lane.position = lane.partition.next();
                    break;
                };
                let first = block.index_of(lane.position);
                lane.position = block.end().max(lane.position);
                if first < block.len() {
                    return Ok(Some(ArrivedBatch { source, batch: block, first }));
                }
            }
        }
        Ok(None)
    }
}

impl LogReader for EmbeddedReader {
    fn poll_from(&mut self, wanted: &dyn Fn(usize) -> bool) -> Result<Option<ArrivedBatch>, LogError> {
        self.waiter.waiting.store(false, Ordering::Release);
        if let Some(batch) = self.poll_once(wanted)? {
            return Ok(Some(batch));
        }
        // What comes between this and the second look wakes, or is found.
        self.waiter.waiting.store(true, Ordering::SeqCst);
        let found = self.poll_once(wanted);
        if !matches!(found, Ok(None)) {
            self.waiter.waiting.store(false, Ordering::Release);
        }
        found
    }

    fn caught_up(&self, source: usize) -> bool {
        self.lanes.get(source).is_none_or(|lane| lane.position >= lane.partition.next())
    }

    fn seek(&mut self, offsets: &[Offset]) -> Result<(), LogError> {
        if offsets.len() != self.lanes.len() {
            return Err(LogError::Fatal(format!("{} offsets for {} partitions", offsets.len(), self.lanes.len())));
        }
        for (lane, offset) in self.lanes.iter_mut().zip(offsets) {
            lane.position = offset.0;
        }
        Ok(())
    }
}

/// The block that covers an offset, or the first one behind it: from memory, or else from RocksDB with small neighbours
/// put together. `None`: there is nothing more.
fn read_block(log: &Inner, partition: &Arc<Partition>, offset: i64, bytes: usize) -> Result<Option<Arc<Block>>, LogError> {
    if let Some(block) = partition.cached(offset) {
        return Ok(Some(block));
    }
    let mut gathered = BlockBuilder::default();
    let mut base = None;
    let mut single = None;
    let mut corrupt = None;
    log.scan_blocks(partition, offset, &mut |at, value| {
        let Some(block) = Block::parse(at, value.to_vec()) else {
            corrupt = Some(at);
            return false;
        };
        if block.end() <= offset {
            return true;
        }
        let Some(base) = base else {
            base = Some(at);
            let enough = block.bytes().len() >= bytes;
            single = Some(block);
            return !enough;
        };
        // Offsets within a block count 32 bits.
        if block.end() - base > i64::from(u32::MAX) {
            return false;
        }
        if let Some(first) = single.take() {
            gathered.append(base, &first, |_| true);
        }
        gathered.append(base, &block, |_| true);
        gathered.bytes() < bytes
    })?;
    if let Some(at) = corrupt {
        return Err(LogError::Fatal(format!(
            "corrupt block at offset {at} of partition {} of topic {}",
            partition.index, partition.topic_id
        )));
    }
    let Some(base) = base else { return Ok(None) };
    let block = Arc::new(single.unwrap_or_else(|| gathered.finish(base, None)));
    log.cache.insert(partition, block.clone());
    Ok(Some(block))
}

impl Inner {
    /// Shows the blocks of a partition from the one that covers `offset` on, with their base offsets.
    pub(super) fn scan_blocks(&self, partition: &Partition, offset: i64, f: &mut dyn FnMut(i64, &[u8]) -> bool) -> Result<(), LogError> {
        let low = keys::partition(partition.topic_id, partition.index);
        let from = keys::block(partition.topic_id, partition.index, offset);
        let to = keys::block(partition.topic_id, partition.index, i64::MAX);
        self.rocks()
            .scan_around(Family::Log, &low, &from, &to, &mut |key, value| keys::base(key).is_none_or(|base| f(base, value)))
            .map_err(super::fatal)
    }
}
