//! The records that seal and end commits, in changelogs and in the service's topic of marks.

use serde::{Deserialize, Serialize};

use super::epoch::{self, Epoch, Life};
use super::restore::Positions;
use crate::log::{GroupOffsets, Offset, PartitionId, TopicPartition};
use crate::state::{StateBatch, StateDb};

/// What a record with an empty key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndKind {
    /// The commit's entries are in this changelog.
    Seal,
    /// The commit is whole, in all changelogs of the task.
    Mark,
}

/// The number of a task's commit: each attempt has the next one, over restarts as well.
pub(super) type CommitNumber = i64;

/// A task's commit, over all of its owners: a later owner's is later, whatever its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub(super) struct CommitId {
    pub epoch: Epoch,
    pub number: CommitNumber,
}

/// The record that seals or ends a commit in a changelog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub kind: EndKind,
    /// Who has written it; `None`: a version that knew no epochs.
    pub life: Option<Life>,
    /// 0 in what version 0.1.0 wrote.
    pub number: CommitNumber,
    /// `i64::MIN` where the store keeps no time.
    pub stream_time: i64,
    /// The next offset of each input partition.
    pub inputs: GroupOffsets,
}

/// Begins a record of this shape. Version 0.1.0 began with the stream time, which never begins like this.
const SHAPE: u8 = 0xC1;
/// Kinds; the first two have no life.
const MARK: u8 = 1;
const SEAL: u8 = 2;
const OWN_MARK: u8 = 3;
const OWN_SEAL: u8 = 4;

impl End {
    pub(super) fn epoch(&self) -> Epoch {
        self.life.map_or(0, |life| epoch::read(life.epoch))
    }

    /// The commit that it seals or ends.
    pub(super) fn commit(&self) -> CommitId {
        CommitId { epoch: self.epoch(), number: self.number }
    }

    /// Shape, kind, epoch and where it begins, number, stream time, then for each partition the length of the topic's name, the name, the partition, the
    /// offset; big-endian.
    pub(super) fn encode(&self) -> Vec<u8> {
        let kind = match (self.kind, self.life) {
            (EndKind::Mark, None) => MARK,
            (EndKind::Seal, None) => SEAL,
            (EndKind::Mark, Some(_)) => OWN_MARK,
            (EndKind::Seal, Some(_)) => OWN_SEAL,
        };
        let mut bytes = vec![SHAPE, kind];
        if let Some(Life { epoch, since }) = self.life {
            bytes.extend_from_slice(&epoch.to_be_bytes());
            bytes.extend_from_slice(&since.0.to_be_bytes());
        }
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.stream_time.to_be_bytes());
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

    /// `None`: these bytes end no commit.
    pub(super) fn decode(bytes: &[u8]) -> Option<End> {
        let (mut life, mut number, mut kind, mut bytes) = (None, 0, EndKind::Mark, bytes);
        if let [SHAPE, shape, rest @ ..] = bytes {
            let (own, rest) = match *shape {
                MARK | SEAL => (None, rest),
                OWN_MARK | OWN_SEAL => {
                    let (epoch, rest) = rest.split_first_chunk::<4>()?;
                    let (since, rest) = rest.split_first_chunk::<8>()?;
                    (Some(Life { epoch: u32::from_be_bytes(*epoch), since: Offset(i64::from_be_bytes(*since)) }), rest)
                }
                _ => return None,
            };
            let (own_number, rest) = rest.split_first_chunk::<8>()?;
            kind = if matches!(*shape, MARK | OWN_MARK) { EndKind::Mark } else { EndKind::Seal };
            (life, number, bytes) = (own, i64::from_be_bytes(*own_number), rest);
        }
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
        Some(End { kind, life, number, stream_time: i64::from_be_bytes(*stream_time), inputs })
    }
}

/// Under which positions the state remembers a task's last commit. No topic has such names.
pub(super) struct CommitPlace {
    number: TopicPartition,
    epoch: TopicPartition,
}

/// Bits of the commit's number that stand beside its epoch.
const NUMBER_BITS: u32 = 30;

impl CommitPlace {
    pub(super) fn new(sub_topology: usize, partition: PartitionId) -> Self {
        let place = |what: &str| TopicPartition { topic: format!("\0{what}-{sub_topology}").into(), partition };
        CommitPlace { number: place("commits"), epoch: place("epochs") }
    }

    /// The name under which all tasks of the sub-topology have theirs.
    pub(super) fn topic(&self) -> &str {
        &self.number.topic
    }

    pub(super) fn read(&self, positions: &Positions) -> Option<CommitId> {
        let number = positions.get(&self.number)?.0;
        // A version that knows no epochs counts on, and leaves this behind.
        let epoch = positions.get(&self.epoch).filter(|beside| beside.0 & MASK == number & MASK);
        let epoch = epoch.and_then(|beside| Epoch::try_from(beside.0 >> NUMBER_BITS).ok());
        Some(CommitId { epoch: epoch.unwrap_or_default(), number })
    }

    pub(super) fn write(&self, state: &StateDb, query: &str, commit: CommitId, batch: &mut StateBatch) {
        batch.set_position(state, query, &self.number, Offset(commit.number));
        let beside = i64::from(commit.epoch) << NUMBER_BITS | commit.number & MASK;
        batch.set_position(state, query, &self.epoch, Offset(beside));
    }
}

const MASK: i64 = (1 << NUMBER_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn input(topic: &str, partition: i32, next: i64) -> (TopicPartition, Offset) {
        (TopicPartition { topic: topic.into(), partition }, Offset(next))
    }

    #[test]
    fn ends_go_there_and_back() {
        let life = Some(Life { epoch: u32::MAX, since: Offset(i64::MAX) });
        for (kind, life) in [EndKind::Seal, EndKind::Mark].into_iter().flat_map(|kind| [(kind, None), (kind, life)]) {
            for inputs in [vec![], vec![input("a", 0, 0), input("größer", 41, i64::MAX)]] {
                let end = End { kind, life, number: 7, stream_time: -5, inputs };
                assert_eq!(End::decode(&end.encode()), Some(end));
            }
        }
        for (life, whole) in [(None, 18), (life, 30)] {
            let cut = End { kind: EndKind::Mark, life, number: 1, stream_time: 1, inputs: vec![input("a", 0, 0)] }.encode();
            for length in (0..cut.len()).filter(|length| *length != whole) {
                assert_eq!(End::decode(&cut[..length]), None, "{length}");
            }
        }
    }

    #[test]
    fn marks_of_the_first_version_are_read() {
        let mut old = 70_i64.to_be_bytes().to_vec();
        old.extend_from_slice(&[0, 1, b'a', 0, 0, 0, 3]);
        old.extend_from_slice(&9_i64.to_be_bytes());
        let mark = End { kind: EndKind::Mark, life: None, number: 0, stream_time: 70, inputs: vec![input("a", 3, 9)] };
        assert_eq!(End::decode(&old), Some(mark));
        assert_eq!(End::decode(&i64::MIN.to_be_bytes()).map(|end| end.stream_time), Some(i64::MIN));
    }
}
