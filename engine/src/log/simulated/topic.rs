//! A topic of the simulated log.

use std::sync::Arc;

use crate::log::{Batch, LogError, Offset, OffsetSpec, OutRecord, RecordRef, TopicInfo, TopicPartition, TopicSpec};
use crate::row::Header;

/// A record as the simulated log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredRecord {
    /// Given by the log.
    pub offset: Offset,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<Header>,
}

impl From<OutRecord<'_>> for StoredRecord {
    fn from(record: OutRecord<'_>) -> Self {
        StoredRecord {
            offset: Offset(0),
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.to_vec(),
        }
    }
}

/// A topic: a record's index in its partition is its offset.
pub(super) struct Topic {
    pub info: TopicInfo,
    pub partitions: Vec<Vec<Arc<StoredRecord>>>,
    /// Of each partition the first record that is not deleted; those before it stay for tests to look at.
    firsts: Vec<Offset>,
}

impl Topic {
    pub fn new(spec: &TopicSpec) -> Result<Self, LogError> {
        if spec.partitions == 0 {
            return Err(LogError::Fatal(format!("topic '{}' needs at least one partition", spec.name)));
        }
        let info = TopicInfo { name: spec.name.clone(), partitions: spec.partitions, replicas: spec.replicas, config: spec.config.clone() };
        Ok(Topic { info, partitions: vec![Vec::new(); spec.partitions as usize], firsts: vec![Offset(0); spec.partitions as usize] })
    }

    /// Partitions are never taken away.
    pub fn grow(&mut self, partitions: u32) {
        self.info.partitions = self.info.partitions.max(partitions);
        self.partitions.resize(self.info.partitions as usize, Vec::new());
        self.firsts.resize(self.info.partitions as usize, Offset(0));
    }

    pub fn partition(&self, partition: &TopicPartition) -> Result<&[Arc<StoredRecord>], LogError> {
        let found = usize::try_from(partition.partition).ok().and_then(|index| self.partitions.get(index));
        found.map(Vec::as_slice).ok_or_else(|| no_partition(&partition.topic, partition.partition))
    }

    /// The first record of a partition that is not deleted.
    pub fn first(&self, partition: i32) -> Offset {
        usize::try_from(partition).ok().and_then(|index| self.firsts.get(index)).copied().unwrap_or_default()
    }

    /// Deletes the records of a partition before an offset.
    pub fn delete_before(&mut self, partition: &TopicPartition, before: Offset) {
        let Ok(end) = self.partition(partition).map(end) else { return };
        if let Some(first) = usize::try_from(partition.partition).ok().and_then(|index| self.firsts.get_mut(index)) {
            *first = before.min(end).max(*first);
        }
    }

    pub fn append(&mut self, partition: i32, mut record: StoredRecord) -> Result<Offset, LogError> {
        let found = usize::try_from(partition).ok().and_then(|index| self.partitions.get_mut(index));
        let records = found.ok_or_else(|| no_partition(&self.info.name, partition))?;
        let offset = end(records);
        record.offset = offset;
        records.push(Arc::new(record));
        Ok(offset)
    }

    pub fn offset(&self, partition: &TopicPartition, spec: OffsetSpec) -> Result<Offset, LogError> {
        let records = self.partition(partition)?;
        Ok(match spec {
            OffsetSpec::Earliest => self.first(partition.partition),
            OffsetSpec::Latest => end(records),
            OffsetSpec::AtTimestamp(time) => records.iter().find(|record| record.timestamp >= time).map_or(end(records), |r| r.offset),
        })
    }
}

fn end(records: &[Arc<StoredRecord>]) -> Offset {
    Offset(i64::try_from(records.len()).unwrap_or(i64::MAX))
}

fn no_partition(topic: &str, partition: i32) -> LogError {
    LogError::UnknownTopic(format!("{topic}, partition {partition}"))
}

/// Records that lie next to each other in a partition.
pub(super) struct SimulatedBatch(pub Vec<Arc<StoredRecord>>);

impl Batch for SimulatedBatch {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn record(&self, index: usize) -> RecordRef<'_> {
        let record = &self.0[index];
        RecordRef { offset: record.offset, timestamp: record.timestamp, key: record.key.as_deref(), value: record.value.as_deref() }
    }

    fn headers(&self, index: usize) -> Vec<Header> {
        self.0[index].headers.clone()
    }
}
