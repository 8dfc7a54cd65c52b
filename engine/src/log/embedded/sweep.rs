//! The background sweep: removes what retention or compaction has done with. One thread for the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use rocksdb::WriteBatch;

use super::block::Block;
use super::topic::{Partition, Topic};
use super::{Inner, fatal, keys};
use crate::log::{LogError, TopicPartition};
use crate::state::rocks::Family;

/// How often the sweep runs.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// Blocks that one sweep removes from a partition by retention.
const MAX_EXPIRED_BLOCKS: usize = 4096;
/// Blocks of a partition from which on their disk space is freed at once.
const MIN_RECLAIMED_BLOCKS: usize = 256;

/// The thread, which ends when this is dropped.
pub(super) struct Sweeper {
    stop: Option<Sender<()>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sweeper {
    pub fn start(log: Arc<Inner>) -> std::io::Result<Self> {
        let (stop, stopped) = bounded::<()>(0);
        let stopping = Arc::new(AtomicBool::new(false));
        let flag = stopping.clone();
        let thread = std::thread::Builder::new().name("log-sweep".into()).spawn(move || {
            while stopped.recv_timeout(SWEEP_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if let Err(error) = log.sweep(&|| flag.load(Ordering::Acquire)) {
                    tracing::warn!(%error, "removing old records of the embedded log failed; it will be tried again");
                }
            }
        })?;
        Ok(Sweeper { stop: Some(stop), stopping, thread: Some(thread) })
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Inner {
    /// Goes over all topics once; ends early where `stop` says so.
    pub(super) fn sweep(&self, stop: &dyn Fn() -> bool) -> Result<(), LogError> {
        let now_ms = self.clock.now_ms();
        let topics: Vec<Arc<Topic>> = self.topics.read().by_name.values().cloned().collect();
        for topic in topics {
            let _held = topic.sweep.lock();
            let stop = || stop() || topic.is_deleted();
            for partition in &topic.partitions {
                if stop() {
                    break;
                }
                if let Some(retention_ms) = topic.cleanup.retention_ms {
                    let before_ms = now_ms.saturating_sub(retention_ms);
                    self.expire(partition, |block| block.max_timestamp() < before_ms && block.appended_ms() < before_ms)?;
                }
                let processed = TopicPartition { topic: topic.name.clone(), partition: partition.index };
                if let Some(before) = self.processed.lock().remove(&processed) {
                    self.expire(partition, |block| block.end() <= before.0)?;
                }
                if topic.cleanup.compact {
                    self.compact(partition, now_ms.saturating_sub(topic.cleanup.tombstone_ms), &stop)?;
                }
            }
        }
        while !stop()
            && let Some((from, to)) = self.next_deleted()
        {
            self.rocks().reclaim(Family::Log, &from, &to).map_err(fatal)?;
        }
        Ok(())
    }

    fn next_deleted(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        self.deleted.lock().pop()
    }

    /// Removes the blocks at the beginning of a partition that are done with.
    fn expire(&self, partition: &Partition, is_done: impl Fn(&Block) -> bool) -> Result<(), LogError> {
        let start = partition.start();
        let mut new_start = start;
        let mut blocks = 0;
        self.scan_blocks(partition, start, &mut |base, value| {
            let expired = Block::parse(base, value.to_vec()).filter(&is_done);
            if let Some(block) = &expired {
                new_start = new_start.max(block.end());
                blocks += 1;
            }
            expired.is_some() && blocks < MAX_EXPIRED_BLOCKS
        })?;
        if new_start == start {
            return Ok(());
        }
        let (id, index) = (partition.topic_id, partition.index);
        let rocks = self.rocks();
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(rocks.family(Family::Log).map_err(fatal)?, keys::block(id, index, 0), keys::block(id, index, new_start));
        batch.put_cf(rocks.family(Family::Meta).map_err(fatal)?, keys::start(id, index), new_start.to_be_bytes());
        rocks.write(batch).map_err(fatal)?;
        partition.start.store(new_start, Ordering::Release);
        if blocks >= MIN_RECLAIMED_BLOCKS {
            self.deleted.lock().push((keys::block(id, index, 0).to_vec(), keys::block(id, index, new_start).to_vec()));
        }
        partition.cached.lock().retain(|_, block| block.end() > new_start);
        Ok(())
    }
}
