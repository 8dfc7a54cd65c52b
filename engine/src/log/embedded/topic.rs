//! A topic and its partitions, as the process knows them while it runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::block::Block;
use crate::log::{LogError, PartitionId, TopicInfo, TopicSpec};

/// Most partitions of one topic.
const MAX_PARTITIONS: u32 = 10_000;
/// Kafka's limit on a topic's name, bytes.
const MAX_NAME_BYTES: usize = 249;

/// A topic as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TopicRecord {
    pub id: u32,
    pub partitions: u32,
    pub replicas: u16,
    pub config: BTreeMap<String, String>,
}

/// How a topic's old records leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cleanup {
    /// `retention.ms`; `None`: records are kept (the default here).
    pub retention_ms: Option<i64>,
    /// Only the last record of a key is kept.
    pub compact: bool,
    /// `delete.retention.ms`: how long tombstones are kept where the topic is compacted.
    pub tombstone_ms: i64,
}

/// Kafka's default of `delete.retention.ms`.
const DEFAULT_TOMBSTONE_MS: i64 = 24 * 60 * 60 * 1000;

impl Cleanup {
    fn new(topic: &str, config: &BTreeMap<String, String>) -> Result<Self, LogError> {
        let bad = |name: &str, value: &str, allowed: &str| {
            LogError::Fatal(format!("topic '{topic}': {name} is '{value}', but must be {allowed}"))
        };
        let number = |name: &str| match config.get(name) {
            Some(value) => match value.trim().parse::<i64>() {
                Ok(number) if number >= -1 => Ok(Some(number)),
                _ => Err(bad(name, value, "a number of milliseconds, or -1 for no limit")),
            },
            None => Ok(None),
        };
        let policy = config.get("cleanup.policy").map_or("delete", String::as_str);
        let (mut delete, mut compact) = (false, false);
        for part in policy.split(',').map(str::trim) {
            match part {
                "delete" => delete = true,
                "compact" => compact = true,
                _ => return Err(bad("cleanup.policy", policy, "'delete', 'compact' or both")),
            }
        }
        Ok(Cleanup {
            retention_ms: number("retention.ms")?.filter(|ms| *ms >= 0 && delete),
            compact,
            tombstone_ms: number("delete.retention.ms")?.filter(|ms| *ms >= 0).unwrap_or(DEFAULT_TOMBSTONE_MS),
        })
    }
}

/// See the module.
pub(super) struct Topic {
    pub name: Arc<str>,
    pub record: TopicRecord,
    pub cleanup: Cleanup,
    pub partitions: Vec<Arc<Partition>>,
    pub deleted: AtomicBool,
    /// Held while old records are removed, and by the topic's deletion.
    pub sweep: Mutex<()>,
}

impl Topic {
    pub fn new(name: &str, record: TopicRecord) -> Result<Self, LogError> {
        let cleanup = Cleanup::new(name, &record.config)?;
        let count = PartitionId::try_from(record.partitions).unwrap_or(0);
        let partitions = (0..count).map(|index| Arc::new(Partition::new(record.id, index))).collect();
        Ok(Topic { name: name.into(), record, cleanup, partitions, deleted: AtomicBool::new(false), sweep: Mutex::new(()) })
    }

    /// Refuses what Kafka would refuse.
    pub fn check(spec: &TopicSpec) -> Result<(), LogError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let name = &spec.name;
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name == "." || name == ".." || !name.chars().all(legal) {
            let rule = "a topic's name has 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-'";
            return Err(LogError::Fatal(format!("topic '{name}' can't be created: {rule}")));
        }
        if !(1..=MAX_PARTITIONS).contains(&spec.partitions) {
            let count = spec.partitions;
            return Err(LogError::Fatal(format!("topic '{name}' can't have {count} partitions: 1 to {MAX_PARTITIONS} are possible")));
        }
        Cleanup::new(name, &spec.config).map(|_| ())
    }

    pub fn info(&self) -> TopicInfo {
        TopicInfo {
            name: self.name.to_string(),
            partitions: self.record.partitions,
            replicas: self.record.replicas,
            config: self.record.config.clone(),
        }
    }

    pub fn partition(&self, partition: PartitionId) -> Result<&Arc<Partition>, LogError> {
        let found = usize::try_from(partition).ok().and_then(|index| self.partitions.get(index));
        found.ok_or_else(|| LogError::UnknownTopic(format!("{}, partition {partition}", self.name)))
    }

    pub fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    pub fn gone(&self) -> LogError {
        LogError::Fatal(format!("topic '{}' has gone", self.name))
    }
}

/// One partition.
pub(super) struct Partition {
    pub topic_id: u32,
    pub index: PartitionId,
    /// Held from the choice of offsets until the records are visible.
    pub append: Mutex<()>,
    /// The next offset: records below it are visible.
    pub next: AtomicI64,
    /// The first offset that is kept.
    pub start: AtomicI64,
    /// Blocks by base offset: the newest ones, and what was read lately.
    pub cached: Mutex<BTreeMap<i64, Arc<Block>>>,
    readers: Mutex<Vec<Weak<Waiter>>>,
}

impl Partition {
    fn new(topic_id: u32, index: PartitionId) -> Self {
        Partition {
            topic_id,
            index,
            append: Mutex::new(()),
            next: AtomicI64::new(0),
            start: AtomicI64::new(0),
            cached: Mutex::new(BTreeMap::new()),
            readers: Mutex::new(Vec::new()),
        }
    }

    pub fn next(&self) -> i64 {
        // Together with the waiter's flag: a reader that goes to sleep sees what came, or is waked.
        self.next.load(Ordering::SeqCst)
    }

    pub fn start(&self) -> i64 {
        self.start.load(Ordering::Acquire)
    }

    /// The cached block that covers an offset.
    pub fn cached(&self, offset: i64) -> Option<Arc<Block>> {
        let cached = self.cached.lock();
        let (_, block) = cached.range(..=offset).next_back()?;
        (block.end() > offset).then(|| block.clone())
    }

    pub fn add_reader(&self, waiter: &Arc<Waiter>) {
        let mut readers = self.readers.lock();
        readers.retain(|reader| reader.strong_count() > 0);
        readers.push(Arc::downgrade(waiter));
    }

    /// Tells readers that found nothing that there is something now.
    pub fn wake(&self) {
        let waiting: Vec<Arc<Waiter>> =
            self.readers.lock().iter().filter_map(Weak::upgrade).filter(|waiter| waiter.waiting.swap(false, Ordering::SeqCst)).collect();
        for waiter in waiting {
            (waiter.wake)();
        }
    }
}

/// How a reader is told that something has come.
pub(super) struct Waiter {
    /// The last poll found nothing.
    pub waiting: AtomicBool,
    pub wake: Arc<dyn Fn() + Send + Sync>,
}
