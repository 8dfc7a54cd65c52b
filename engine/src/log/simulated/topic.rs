//! A topic of the simulated log.

use std::collections::BTreeSet;
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

/// Numbers a transaction.
pub(super) type TransactionNumber = u64;

/// What readers see of a place in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Visible,
    /// Part of a transaction that has not come to its end here: it and what lies behind it can't be read yet.
    Open(TransactionNumber),
    /// Never to be seen: of a transaction that was aborted, or the record that ends one.
    Skipped,
}

#[derive(Clone)]
struct Slot {
    record: Arc<StoredRecord>,
    fate: Fate,
}

/// A partition: a record's index is its offset.
#[derive(Clone, Default)]
pub(super) struct Partition {
    slots: Vec<Slot>,
    /// Slots that are not visible.
    hidden: usize,
}

impl Partition {
    /// One past what can be read.
    pub fn end(&self) -> usize {
        let open = |slot: &Slot| matches!(slot.fate, Fate::Open(_));
        if self.hidden == 0 { self.slots.len() } else { self.slots.iter().position(open).unwrap_or(self.slots.len()) }
    }

    /// What can be read, from an offset on.
    pub fn from(&self, offset: usize) -> impl Iterator<Item = &Arc<StoredRecord>> {
        let readable = self.slots.get(offset..self.end().max(offset)).unwrap_or_default();
        readable.iter().filter(|slot| slot.fate == Fate::Visible).map(|slot| &slot.record)
    }

    /// What can be read, without the first so many records.
    pub fn behind(&self, seen: usize) -> Vec<Arc<StoredRecord>> {
        if self.hidden == 0 { self.from(seen).cloned().collect() } else { self.from(0).skip(seen).cloned().collect() }
    }

    fn push(&mut self, mut record: StoredRecord, fate: Fate) -> Offset {
        let offset = offset_of(self.slots.len());
        record.offset = offset;
        self.hidden += usize::from(fate != Fate::Visible);
        self.slots.push(Slot { record: Arc::new(record), fate });
        offset
    }

    /// Takes out what compaction does: values that a later record of their key replaces, and deletions from before a time.
    pub fn compact(&mut self, deletions_before_ms: i64) {
        let mut met = BTreeSet::new();
        for slot in self.slots.iter_mut().rev().filter(|slot| slot.fate == Fate::Visible) {
            let record = &slot.record;
            let is_forgotten = record.value.is_none() && record.timestamp < deletions_before_ms;
            if !met.insert(record.key.clone()) || is_forgotten {
                slot.fate = Fate::Skipped;
                self.hidden += 1;
            }
        }
    }

    /// A transaction comes to its end here.
    fn settle(&mut self, transaction: TransactionNumber, is_committed: bool) {
        let mut had_any = false;
        for slot in self.slots.iter_mut().filter(|slot| slot.fate == Fate::Open(transaction)) {
            had_any = true;
            slot.fate = if is_committed { Fate::Visible } else { Fate::Skipped };
            self.hidden -= usize::from(is_committed);
        }
        if had_any {
            self.push(StoredRecord::default(), Fate::Skipped);
        }
    }
}

/// A topic.
pub(super) struct Topic {
    pub info: TopicInfo,
    pub partitions: Vec<Partition>,
    /// Of each partition the first record that is not deleted; those before it stay for tests to look at.
    firsts: Vec<Offset>,
}

impl Topic {
    pub fn new(spec: &TopicSpec) -> Result<Self, LogError> {
        if spec.partitions == 0 {
            return Err(LogError::Fatal(format!("topic '{}' needs at least one partition", spec.name)));
        }
        let info = TopicInfo { name: spec.name.clone(), partitions: spec.partitions, replicas: spec.replicas, config: spec.config.clone() };
        let count = spec.partitions as usize;
        Ok(Topic { info, partitions: vec![Partition::default(); count], firsts: vec![Offset(0); count] })
    }

    /// Partitions are never taken away.
    pub fn grow(&mut self, partitions: u32) {
        self.info.partitions = self.info.partitions.max(partitions);
        self.partitions.resize(self.info.partitions as usize, Partition::default());
        self.firsts.resize(self.info.partitions as usize, Offset(0));
    }

    pub fn partition(&self, partition: &TopicPartition) -> Result<&Partition, LogError> {
        let found = usize::try_from(partition.partition).ok().and_then(|index| self.partitions.get(index));
        found.ok_or_else(|| no_partition(&partition.topic, partition.partition))
    }

    /// The first record of a partition that is not deleted.
    pub fn first(&self, partition: i32) -> Offset {
        usize::try_from(partition).ok().and_then(|index| self.firsts.get(index)).copied().unwrap_or_default()
    }

    /// Deletes the records of a partition before an offset.
    pub fn delete_before(&mut self, partition: &TopicPartition, before: Offset) {
        let Ok(end) = self.partition(partition).map(|records| offset_of(records.end())) else { return };
        if let Some(first) = usize::try_from(partition.partition).ok().and_then(|index| self.firsts.get_mut(index)) {
            *first = before.min(end).max(*first);
        }
    }

    /// Appends a record: visible at once, or with the end of a transaction.
    pub fn append(&mut self, partition: i32, record: StoredRecord, transaction: Option<TransactionNumber>) -> Result<Offset, LogError> {
        let found = usize::try_from(partition).ok().and_then(|index| self.partitions.get_mut(index));
        let records = found.ok_or_else(|| no_partition(&self.info.name, partition))?;
        Ok(records.push(record, transaction.map_or(Fate::Visible, Fate::Open)))
    }

    /// A transaction comes to its end in one partition.
    pub fn settle(&mut self, partition: i32, transaction: TransactionNumber, is_committed: bool) {
        if let Some(found) = usize::try_from(partition).ok().and_then(|index| self.partitions.get_mut(index)) {
            found.settle(transaction, is_committed);
        }
    }

    pub fn offset(&self, partition: &TopicPartition, spec: OffsetSpec) -> Result<Offset, LogError> {
        let records = self.partition(partition)?;
        let end = offset_of(records.end());
        Ok(match spec {
            OffsetSpec::Earliest => self.first(partition.partition),
            OffsetSpec::Latest => end,
            OffsetSpec::AtTimestamp(time) => records.from(0).find(|record| record.timestamp >= time).map_or(end, |r| r.offset),
        })
    }
}

pub(super) fn offset_of(index: usize) -> Offset {
    Offset(i64::try_from(index).unwrap_or(i64::MAX))
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
