//! The embedded log: topics in the process's own RocksDB, with nothing else to install.
//!
//! Topics have partitions, offsets, timestamps, headers and consumer groups as in Kafka, and survive restarts. A commit
//! writes its records, state and offsets in one piece: exactly once. Records become visible by the commit.
//!
//! What survives: a commit that has returned survives the end of the process, `kill -9` too; after a loss of power the
//! last moments may be missing, but never a part of a commit (with [`crate::state::StateLimits::fsync`] nothing is).
//!
//! Records leave by `retention.ms` (default here: never) and `cleanup.policy=compact`; other topic settings are kept and
//! shown, but have no effect. A record expires when both its timestamp and the time at which it was written are
//! `retention.ms` ago, so that replaying history is not lost to the first sweep (Kafka goes by the timestamp alone).

mod block;
mod cache;
mod compact;
mod keys;
#[cfg(test)]
mod kill_tests;
mod reader;
mod sweep;
#[cfg(test)]
mod tests;
mod topic;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rocksdb::WriteBatch;

use self::block::Block;
use self::cache::BlockCache;
use self::reader::EmbeddedReader;
use self::sweep::Sweeper;
use self::topic::{Partition, Topic, TopicRecord};
use self::writer::EmbeddedWriter;
use super::{
    Batch, GroupOffsets, Log, LogError, LogReader, LogWriter, Offset, OffsetSpec, Subscription, TopicHandle, TopicId, TopicIdentity,
    TopicInfo, TopicPartition, TopicSpec,
};
use crate::clock::Clock;
use crate::state::rocks::{Family, Rocks};
use crate::state::{StateDb, StateError};
use crate::types::codec::prefix_end;

/// See the module. A cheap handle; the background sweep ends with the last one.
#[derive(Clone)]
pub struct EmbeddedLog {
    inner: Arc<Inner>,
    /// Ends the sweep before the database is closed.
    _sweeper: Arc<Sweeper>,
}

/// What handles, readers, writers and the sweep share.
struct Inner {
    db: StateDb,
    rocks: Arc<Rocks>,
    clock: Arc<dyn Clock>,
    cluster_id: String,
    cache: BlockCache,
    topics: RwLock<Topics>,
    /// Ranges of blocks that were deleted and whose disk space the sweep is to free.
    deleted: Mutex<Vec<(Vec<u8>, Vec<u8>)>>,
    /// Records before these offsets may go.
    processed: Mutex<BTreeMap<TopicPartition, Offset>>,
}

#[derive(Default)]
struct Topics {
    by_name: BTreeMap<String, Arc<Topic>>,
    by_id: BTreeMap<u32, Arc<Topic>>,
    next_id: u32,
}

impl EmbeddedLog {
    /// Opens the log in a state's data folder and starts its sweep.
    ///
    /// # Errors
    /// `Fatal` where the state is in memory, or what is stored can't be read.
    pub fn open(db: StateDb, clock: Arc<dyn Clock>) -> Result<Self, LogError> {
        let rocks = db.rocks().cloned().ok_or_else(|| LogError::Fatal("the embedded log needs a data folder".into()))?;
        let cluster_id = cluster_id(&rocks)?;
        let topics = RwLock::new(load_topics(&rocks)?);
        let inner = Arc::new(Inner {
            db,
            rocks,
            clock,
            cluster_id,
            cache: BlockCache::default(),
            topics,
            deleted: Mutex::default(),
            processed: Mutex::default(),
        });
        inner.load_offsets()?;
        let sweeper = Sweeper::start(inner.clone()).map_err(|error| LogError::Fatal(format!("no thread for the log's sweep: {error}")))?;
        Ok(EmbeddedLog { inner, _sweeper: Arc::new(sweeper) })
    }

    /// Removes old records now, as the background sweep does now and then.
    pub fn sweep(&self) -> Result<(), LogError> {
        self.inner.sweep(&|| false)
    }
}

impl Inner {
    fn rocks(&self) -> &Rocks {
        &self.rocks
    }

    fn topic_by_name(&self, name: &str) -> Result<Arc<Topic>, LogError> {
        self.topics.read().by_name.get(name).cloned().ok_or_else(|| LogError::UnknownTopic(name.to_owned()))
    }

    fn topic_by_handle(&self, handle: TopicHandle) -> Result<Arc<Topic>, LogError> {
        let found = self.topics.read().by_id.get(&handle.0).cloned();
        found.ok_or_else(|| LogError::UnknownTopic(format!("(deleted, number {})", handle.0)))
    }

    fn partition(&self, tp: &TopicPartition) -> Result<Arc<Partition>, LogError> {
        self.topic_by_name(&tp.topic)?.partition(tp.partition).cloned()
    }

    /// Finds where each partition begins and ends.
    fn load_offsets(&self) -> Result<(), LogError> {
        for topic in self.topics.read().by_name.values() {
            for partition in &topic.partitions {
                let start = self.note(&keys::start(partition.topic_id, partition.index))?.unwrap_or(0);
                let mut next = start;
                let mut corrupt = false;
                self.scan_blocks(partition, i64::MAX, &mut |base, value| {
                    match Block::parse(base, value.to_vec()) {
                        Some(block) => next = next.max(block.end()),
                        None => corrupt = true,
                    }
                    true
                })?;
                if corrupt {
                    return Err(LogError::Fatal(format!(
                        "topic '{}': the last block of partition {} is corrupt",
                        topic.name, partition.index
                    )));
                }
                partition.start.store(start, Ordering::Release);
                partition.next.store(next, Ordering::Release);
            }
        }
        Ok(())
    }

    /// A number among the notes.
    fn note(&self, key: &[u8]) -> Result<Option<i64>, LogError> {
        let mut found = Ok(None);
        self.rocks
            .get(Family::Meta, key, &mut |value| {
                found = value.map(|value| value.try_into().map(i64::from_be_bytes)).transpose();
            })
            .map_err(fatal)?;
        found.map_err(|_| LogError::Fatal("corrupt offset in the embedded log".into()))
    }

    /// The first offset whose timestamp is at least `time`; the next offset if there is none.
    fn offset_at(&self, partition: &Partition, time: i64) -> Result<i64, LogError> {
        let next = partition.next();
        let mut found = None;
        self.scan_blocks(partition, partition.start(), &mut |base, value| {
            if let Some(block) = Block::parse(base, value.to_vec()).filter(|block| block.max_timestamp() >= time) {
                let from = block.index_of(partition.start());
                found = (from..block.len()).map(|index| block.record(index)).find(|record| record.timestamp >= time).map(|r| r.offset.0);
            }
            found.is_none()
        })?;
        Ok(found.filter(|offset| *offset < next).unwrap_or(next))
    }
}

fn fatal(error: StateError) -> LogError {
    LogError::Fatal(error.to_string())
}

fn cluster_id(rocks: &Rocks) -> Result<String, LogError> {
    let mut found = None;
    rocks
        .get(Family::Meta, keys::CLUSTER_ID, &mut |value| found = value.map(|v| String::from_utf8_lossy(v).into_owned()))
        .map_err(fatal)?;
    if let Some(id) = found {
        return Ok(id);
    }
    let id = uuid::Uuid::new_v4().to_string();
    let mut batch = WriteBatch::default();
    batch.put_cf(rocks.family(Family::Meta).map_err(fatal)?, keys::CLUSTER_ID, &id);
    rocks.write(batch).map_err(fatal)?;
    Ok(id)
}

fn load_topics(rocks: &Rocks) -> Result<Topics, LogError> {
    let mut topics = Topics { next_id: 1, ..Topics::default() };
    let mut failed = None;
    let (from, to) = keys::topics();
    rocks
        .scan(Family::Meta, &from, &to, &mut |key, value| {
            let record = keys::topic_name(key).zip(serde_json::from_slice::<TopicRecord>(value).ok());
            let topic = record
                .ok_or_else(|| "unreadable".to_owned())
                .and_then(|(name, record)| Topic::new(name, record).map_err(|e| e.to_string()));
            match topic {
                Ok(topic) => topics.insert(Arc::new(topic)),
                Err(error) => failed = Some(LogError::Fatal(format!("corrupt topic in the embedded log: {error}"))),
            }
            failed.is_none()
        })
        .map_err(fatal)?;
    rocks
        .get(Family::Meta, keys::NEXT_TOPIC_ID, &mut |value| {
            if let Some(id) = value.and_then(|value| <[u8; 4]>::try_from(value).ok()) {
                topics.next_id = topics.next_id.max(u32::from_be_bytes(id));
            }
        })
        .map_err(fatal)?;
    failed.map_or(Ok(topics), Err)
}

impl Topics {
    fn insert(&mut self, topic: Arc<Topic>) {
        self.next_id = self.next_id.max(topic.record.id.saturating_add(1));
        self.by_id.insert(topic.record.id, topic.clone());
        self.by_name.insert(topic.name.to_string(), topic);
    }
}

impl Log for EmbeddedLog {
    fn is_atomic(&self) -> bool {
        true
    }

    fn delete_before(&self, offsets: GroupOffsets) {
        self.inner.processed.lock().extend(offsets);
    }

    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn cluster_id(&self) -> String {
        self.inner.cluster_id.clone()
    }

    fn create_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        Topic::check(spec)?;
        let mut topics = self.inner.topics.write();
        if topics.by_name.contains_key(&spec.name) {
            return Err(LogError::TopicExists(spec.name.clone()));
        }
        let id = topics.next_id;
        let record = TopicRecord { id, partitions: spec.partitions, replicas: spec.replicas, config: spec.config.clone() };
        let json = serde_json::to_vec(&record).map_err(|error| LogError::Fatal(error.to_string()))?;
        let topic = Topic::new(&spec.name, record)?;
        let rocks = self.inner.rocks();
        let notes = rocks.family(Family::Meta).map_err(fatal)?;
        let mut batch = WriteBatch::default();
        batch.put_cf(notes, keys::topic(&spec.name), json);
        batch.put_cf(notes, keys::NEXT_TOPIC_ID, id.saturating_add(1).to_be_bytes());
        rocks.write(batch).map_err(fatal)?;
        topics.insert(Arc::new(topic));
        Ok(())
    }

    fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        let topic = {
            let mut topics = self.inner.topics.write();
            let topic = topics.by_name.remove(name).ok_or_else(|| LogError::UnknownTopic(name.to_owned()))?;
            topics.by_id.remove(&topic.record.id);
            topic
        };
        topic.deleted.store(true, Ordering::Release);
        // Whatever is being written or swept ends first; what comes later sees the mark.
        let _swept = topic.sweep.lock();
        let _held: Vec<_> = topic.partitions.iter().map(|partition| partition.append.lock()).collect();
        let rocks = self.inner.rocks();
        let notes = rocks.family(Family::Meta).map_err(fatal)?;
        let id = topic.record.id;
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(rocks.family(Family::Log).map_err(fatal)?, id.to_be_bytes(), id.saturating_add(1).to_be_bytes());
        batch.delete_cf(notes, keys::topic(name));
        for partition in &topic.partitions {
            batch.delete_cf(notes, keys::start(id, partition.index));
            batch.delete_cf(notes, keys::compacted(id, partition.index));
        }
        let (from, to) = keys::groups();
        rocks
            .scan(Family::Meta, &from, &to, &mut |key, _| {
                if keys::group_is_of(key, name) {
                    batch.delete_cf(notes, key);
                }
                true
            })
            .map_err(fatal)?;
        rocks.write(batch).map_err(fatal)?;
        self.inner.deleted.lock().push((id.to_be_bytes().to_vec(), id.saturating_add(1).to_be_bytes().to_vec()));
        for partition in &topic.partitions {
            partition.wake();
        }
        Ok(())
    }

    fn describe_topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        Ok(self.inner.topics.read().by_name.get(name).map(|topic| topic.info()))
    }

    fn identify(&self, names: &[&str]) -> Result<Vec<Option<TopicIdentity>>, LogError> {
        let topics = self.inner.topics.read();
        let identity =
            |topic: &Arc<Topic>| TopicIdentity { id: Some(TopicId(topic.record.id.into())), partitions: topic.record.partitions };
        Ok(names.iter().map(|name| topics.by_name.get(*name).map(identity)).collect())
    }

    fn list_topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        Ok(self.inner.topics.read().by_name.values().map(|topic| topic.info()).collect())
    }

    fn offsets(&self, partitions: &[TopicPartition], spec: OffsetSpec) -> Result<Vec<Offset>, LogError> {
        let find = |tp: &TopicPartition| {
            let partition = self.inner.partition(tp)?;
            let offset = match spec {
                OffsetSpec::Earliest => partition.start(),
                OffsetSpec::Latest => partition.next(),
                OffsetSpec::AtTimestamp(time) => self.inner.offset_at(&partition, time)?,
            };
            Ok(Offset(offset))
        };
        partitions.iter().map(find).collect()
    }

    fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, LogError> {
        partitions.iter().map(|tp| Ok(self.inner.note(&keys::group(group, tp))?.map(Offset))).collect()
    }

    fn delete_group(&self, group: &str) -> Result<(), LogError> {
        let prefix = keys::group_prefix(group);
        let end = prefix_end(&prefix).unwrap_or_default();
        self.inner.rocks().delete_range(Family::Meta, &prefix, &end).map_err(fatal)
    }

    fn topic(&self, name: &str) -> Result<(TopicHandle, u32), LogError> {
        let topic = self.inner.topic_by_name(name)?;
        Ok((TopicHandle(topic.record.id), topic.record.partitions))
    }

    fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn LogReader>, LogError> {
        Ok(Box::new(EmbeddedReader::new(self.inner.clone(), subscription)?))
    }

    fn writer(&self) -> Result<Box<dyn LogWriter>, LogError> {
        Ok(Box::new(EmbeddedWriter::new(self.inner.clone())))
    }

    fn ping(&self, _timeout: Duration) -> Result<(), LogError> {
        self.inner.rocks().get(Family::Meta, keys::NEXT_TOPIC_ID, &mut |_| {}).map_err(fatal)
    }
}
