//! What a commit writes to a store's changelog, and what it says about the input that the store then includes.
//!
//! A commit's records are the changed entries, then one with an empty key: its mark. The mark carries the stream time and the
//! next offset of each input partition of the task, so that a store which is restored up to a mark knows where to read on:
//! neither a record before that place nor one behind it is counted twice or left out. Records behind the last mark belong
//! to a commit that never came to its end. A commit that changes one store of a task marks the others as well.

use crate::log::{GroupOffsets, LogError, LogWriter, Offset, OutRecord, PartitionId, TopicHandle, TopicPartition};
use crate::state::{FrozenOverlay, Store};

/// Where a store's changes go besides its own database.
pub(super) struct Changelog {
    pub partition: TopicPartition,
    pub handle: TopicHandle,
    /// The next offset: the changelog has one writer, so it is counted, not asked for. Never past the real one.
    pub position: Offset,
    /// The position behind the last commit that succeeded.
    pub committed: Offset,
}

impl Changelog {
    pub(super) fn new(partition: TopicPartition, handle: TopicHandle, end: Offset) -> Self {
        Changelog { partition, handle, position: end, committed: end }
    }

    /// Sends a commit's changes.
    pub(super) fn append(&mut self, writer: &mut dyn LogWriter, frozen: &FrozenOverlay, now_ms: i64) -> Result<(), LogError> {
        let mut result = Ok(());
        frozen.for_each_change(&mut |key: &[u8], value: Option<&[u8]>| {
            if result.is_ok() {
                result = self.send(writer, key, value, now_ms);
            }
        });
        result
    }

    /// Sends a commit's mark. All that the commit stands for must have been delivered: what is missing from a topic when
    /// the mark is there will never be written.
    pub(super) fn mark(&mut self, writer: &mut dyn LogWriter, store: &Store, inputs: &GroupOffsets, now_ms: i64) -> Result<(), LogError> {
        let mark = Mark { stream_time: store.stream_time(), inputs: inputs.clone() }.encode();
        self.send(writer, &[], Some(&mark), now_ms)
    }

    fn send(&mut self, writer: &mut dyn LogWriter, key: &[u8], value: Option<&[u8]>, now_ms: i64) -> Result<(), LogError> {
        let partition: PartitionId = self.partition.partition;
        writer.send(self.handle, OutRecord { partition, timestamp: now_ms, key: Some(key), value, headers: &[] })?;
        self.position.0 += 1;
        Ok(())
    }

    /// Names the changelog where it is the topic that can't be written.
    pub(super) fn refusal(&self, error: LogError) -> LogError {
        match error {
            LogError::Retriable(_) | LogError::Undeliverable { .. } => error,
            other => LogError::Undeliverable { topic: self.partition.topic.to_string(), reason: other.to_string() },
        }
    }

    pub(super) fn commit_succeeded(&mut self) {
        self.committed = self.position;
    }

    /// The commit failed. Some of its records may have been delivered: from the last commit on, all are read again.
    pub(super) fn roll_back(&mut self) {
        self.position = self.committed;
    }
}

/// The record that ends a commit in a changelog.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// `i64::MIN` where the store keeps no time.
    pub stream_time: i64,
    /// The next offset of each input partition.
    pub inputs: GroupOffsets,
}

impl Mark {
    /// Stream time, then for each partition the length of the topic's name, the name, the partition, the offset; big-endian.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.stream_time.to_be_bytes().to_vec();
        for (input, next) in &self.inputs {
            // Kafka's names have at most 249 bytes.
            let name = input.topic.as_bytes();
            let Ok(length) = u16::try_from(name.len()) else { continue };
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(&input.partition.to_be_bytes());
            bytes.extend_from_slice(&next.0.to_be_bytes());
        }
        bytes
    }

    /// `None`: these bytes are no mark.
    pub(super) fn decode(bytes: &[u8]) -> Option<Mark> {
        let (stream_time, mut rest) = bytes.split_first_chunk::<8>()?;
        let mut inputs = GroupOffsets::new();
        while !rest.is_empty() {
            let (length, tail) = rest.split_first_chunk::<2>()?;
            let (name, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            let (partition, tail) = tail.split_first_chunk::<4>()?;
            let (next, tail) = tail.split_first_chunk::<8>()?;
            let topic = std::str::from_utf8(name).ok()?.into();
            inputs.push((TopicPartition { topic, partition: i32::from_be_bytes(*partition) }, Offset(i64::from_be_bytes(*next))));
            rest = tail;
        }
        Some(Mark { stream_time: i64::from_be_bytes(*stream_time), inputs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_there_and_back() {
        let input = |topic: &str, partition, next| (TopicPartition { topic: topic.into(), partition }, Offset(next));
        for inputs in [vec![], vec![input("a", 0, 0), input("größer", 41, i64::MAX)]] {
            let mark = Mark { stream_time: -5, inputs };
            let bytes = mark.encode();
            assert_eq!(Mark::decode(&bytes), Some(mark));
        }
        let cut = Mark { stream_time: 1, inputs: vec![input("a", 0, 0)] }.encode();
        for length in (0..cut.len()).filter(|length| *length != 8) {
            assert_eq!(Mark::decode(&cut[..length]), None, "{length}");
        }
    }
}
