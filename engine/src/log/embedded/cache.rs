//! The budget of blocks in memory, over all partitions: first in, first out.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::block::Block;
use super::topic::Partition;

/// Blocks in memory, bytes.
const MAX_CACHED_BYTES: usize = 32 << 20;

/// Who is to go next.
#[derive(Default)]
pub(super) struct BlockCache {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<(Weak<Partition>, Arc<Block>)>,
    bytes: usize,
}

impl BlockCache {
    /// Keeps a block for the partition's readers.
    pub fn insert(&self, partition: &Arc<Partition>, block: Arc<Block>) {
        partition.cached.lock().insert(block.base(), block.clone());
        let mut evicted = Vec::new();
        {
            let mut queue = self.queue.lock();
            queue.bytes += block.bytes().len();
            queue.entries.push_back((Arc::downgrade(partition), block));
            while queue.bytes > MAX_CACHED_BYTES
                && let Some((partition, block)) = queue.entries.pop_front()
            {
                queue.bytes -= block.bytes().len();
                evicted.push((partition, block));
            }
        }
        for (partition, block) in evicted {
            if let Some(partition) = partition.upgrade() {
                let mut cached = partition.cached.lock();
                if cached.get(&block.base()).is_some_and(|held| Arc::ptr_eq(held, &block)) {
                    cached.remove(&block.base());
                }
            }
        }
    }
}
