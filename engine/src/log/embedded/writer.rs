//! Writing the embedded log: everything of a commit in one write to RocksDB.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rocksdb::WriteBatch;

use super::block::{Block, BlockBuilder, MAX_BLOCK_BYTES, MAX_RECORD_BYTES};
use super::topic::{Partition, Topic};
use super::{Inner, fatal, keys};
use crate::log::{Commit, LogError, LogWriter, OutRecord, PartitionId, TopicHandle};
use crate::state::rocks::{Family, fill};

/// A worker's writer: what was sent waits in memory until the commit.
pub(super) struct EmbeddedWriter {
    log: Arc<Inner>,
    /// One for each partition ever written to, with its buffers.
    pending: Vec<Pending>,
    index: HashMap<(TopicHandle, PartitionId), usize, foldhash::fast::FixedState>,
}

struct Pending {
    topic: Arc<Topic>,
    partition: Arc<Partition>,
    full: Vec<Block>,
    builder: BlockBuilder,
}

impl EmbeddedWriter {
    pub fn new(log: Arc<Inner>) -> Self {
        EmbeddedWriter { log, pending: Vec::new(), index: HashMap::default() }
    }

    fn pending(&mut self, topic: TopicHandle, partition: PartitionId) -> Result<&mut Pending, LogError> {
        let index = match self.index.get(&(topic, partition)) {
            Some(index) => *index,
            None => {
                let found = self.log.topic_by_handle(topic)?;
                let place = found.partition(partition)?.clone();
                self.pending.push(Pending { topic: found, partition: place, full: Vec::new(), builder: BlockBuilder::default() });
                self.index.insert((topic, partition), self.pending.len() - 1);
                self.pending.len() - 1
            }
        };
        Ok(&mut self.pending[index])
    }

    fn clear(&mut self) {
        for pending in &mut self.pending {
            pending.full.clear();
            pending.builder.clear();
        }
        // Deleted topics are not remembered for ever.
        if self.pending.iter().any(|pending| pending.topic.is_deleted()) {
            self.pending.clear();
            self.index.clear();
        }
    }

    fn try_commit(&mut self, commit: &Commit) -> Result<(), LogError> {
        commit.state.check().map_err(fatal)?;
        let now_ms = self.log.clock.now_ms();
        let mut changed: Vec<&mut Pending> =
            self.pending.iter_mut().filter(|pending| !pending.builder.is_empty() || !pending.full.is_empty()).collect();
        // Always in the same order, so that two commits never wait for each other.
        changed.sort_by_key(|pending| (pending.partition.topic_id, pending.partition.index));
        let partitions: Vec<(Arc<Topic>, Arc<Partition>)> =
            changed.iter().map(|pending| (pending.topic.clone(), pending.partition.clone())).collect();
        let held: Vec<_> = partitions.iter().map(|(_, partition)| partition.append.lock()).collect();
        if let Some((topic, _)) = partitions.iter().find(|(topic, _)| topic.is_deleted()) {
            return Err(topic.gone());
        }

        let rocks = self.log.rocks();
        let mut batch = WriteBatch::default();
        let family = rocks.family(Family::Log).map_err(fatal)?;
        let mut published: Vec<Vec<Arc<Block>>> = Vec::with_capacity(changed.len());
        for pending in changed {
            if !pending.builder.is_empty() {
                pending.full.push(pending.builder.finish(0, Some(now_ms)));
            }
            let mut base = pending.partition.next();
            let place = &pending.partition;
            published.push(Vec::with_capacity(pending.full.len()));
            for mut block in pending.full.drain(..) {
                block.set_base(base);
                batch.put_cf(family, keys::block(place.topic_id, place.index, base), block.bytes());
                base = block.end();
                if let Some(blocks) = published.last_mut() {
                    blocks.push(Arc::new(block));
                }
            }
        }
        let notes = rocks.family(Family::Meta).map_err(fatal)?;
        for (group, offsets) in &commit.offsets {
            for (partition, offset) in offsets {
                batch.put_cf(notes, keys::group(group, partition), offset.0.to_be_bytes());
            }
        }
        let part = commit.state.part(&self.log.db);
        fill(&mut batch, rocks.family(Family::State).map_err(fatal)?, &part);
        if !batch.is_empty() {
            rocks.write(batch).map_err(fatal)?;
        }
        part.mark_written();
        for ((_, partition), blocks) in partitions.iter().zip(published) {
            if let Some(end) = blocks.last().map(|block| block.end()) {
                for block in blocks {
                    self.log.cache.insert(partition, block);
                }
                partition.next.store(end, Ordering::SeqCst);
            }
        }
        drop(held);
        for (_, partition) in &partitions {
            partition.wake();
        }
        commit.state.write_others(&self.log.db).map_err(fatal)
    }
}

impl LogWriter for EmbeddedWriter {
    fn send(&mut self, topic: TopicHandle, record: OutRecord<'_>) -> Result<(), LogError> {
        let bytes = record.key.map_or(0, <[u8]>::len)
            + record.value.map_or(0, <[u8]>::len)
            + record.headers.iter().map(|h| h.key.len() + h.value.as_ref().map_or(0, Vec::len) + 8).sum::<usize>();
        if bytes > MAX_RECORD_BYTES {
            return Err(LogError::Fatal(format!("a record of {bytes} bytes: the embedded log takes {MAX_RECORD_BYTES} at most")));
        }
        let pending = self.pending(topic, record.partition)?;
        pending.builder.push(&record);
        if pending.builder.bytes() >= MAX_BLOCK_BYTES {
            let now_ms = self.log.clock.now_ms();
            let pending = self.pending(topic, record.partition)?;
            pending.full.push(pending.builder.finish(0, Some(now_ms)));
        }
        Ok(())
    }

    fn hint_idle(&mut self) {
        // Records, state and offsets become visible together, by the commit.
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        let result = self.try_commit(&commit);
        self.clear();
        result
    }
}
