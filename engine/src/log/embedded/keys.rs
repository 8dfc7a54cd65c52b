//! Where the embedded log keeps things in RocksDB.
//!
//! Blocks: topic id (4) | partition (4) | base offset (8), big-endian, in the family of the log. All else is in the family
//! of notes, by a first letter; `f` is taken by the folder's own id.

use crate::log::{PartitionId, TopicPartition};

/// The next topic id.
pub(super) const NEXT_TOPIC_ID: &[u8] = b"n";
/// The log's own id.
pub(super) const CLUSTER_ID: &[u8] = b"i";
/// A topic by name, as JSON.
const TOPIC: u8 = b't';
/// A group's offset of a partition.
const GROUP: u8 = b'g';
/// The first offset of a partition whose beginning was deleted.
const START: u8 = b's';
/// How far a partition is compacted.
const COMPACTED: u8 = b'c';

pub(super) fn topic(name: &str) -> Vec<u8> {
    [&[TOPIC], name.as_bytes()].concat()
}

/// Bounds of all topics.
pub(super) fn topics() -> ([u8; 1], [u8; 1]) {
    ([TOPIC], [TOPIC + 1])
}

/// The name in a key of [`topic`].
pub(super) fn topic_name(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(1..)?).ok()
}

/// What every block of a partition begins with.
pub(super) fn partition(topic_id: u32, partition: PartitionId) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&topic_id.to_be_bytes());
    key[4..].copy_from_slice(&partition.to_be_bytes());
    key
}

/// The key of the block that begins at an offset; of negative ones that at 0.
pub(super) fn block(topic_id: u32, partition_id: PartitionId, base: i64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&partition(topic_id, partition_id));
    key[8..].copy_from_slice(&base.max(0).to_be_bytes());
    key
}

/// The base offset in a block's key.
pub(super) fn base(key: &[u8]) -> Option<i64> {
    key.last_chunk().map(|base| i64::from_be_bytes(*base))
}

pub(super) fn start(topic_id: u32, partition_id: PartitionId) -> Vec<u8> {
    [&[START], &partition(topic_id, partition_id)[..]].concat()
}

pub(super) fn compacted(topic_id: u32, partition_id: PartitionId) -> Vec<u8> {
    [&[COMPACTED], &partition(topic_id, partition_id)[..]].concat()
}

/// The offset of a group.
pub(super) fn group(group_id: &str, partition: &TopicPartition) -> Vec<u8> {
    let mut key = group_prefix(group_id);
    key.extend_from_slice(partition.topic.as_bytes());
    key.push(0);
    key.extend_from_slice(&partition.partition.to_be_bytes());
    key
}

/// What all offsets of a group begin with.
pub(super) fn group_prefix(group_id: &str) -> Vec<u8> {
    let len = u16::try_from(group_id.len()).unwrap_or(u16::MAX);
    [&[GROUP], &len.to_be_bytes()[..], group_id.as_bytes()].concat()
}

/// Bounds of all groups.
pub(super) fn groups() -> ([u8; 1], [u8; 1]) {
    ([GROUP], [GROUP + 1])
}

/// Whether a group's offset is one of a topic.
pub(super) fn group_is_of(key: &[u8], topic: &str) -> bool {
    let Some(len) = key.get(1..).and_then(|rest| rest.first_chunk::<2>()) else { return false };
    let rest = key.get(3 + usize::from(u16::from_be_bytes(*len))..).unwrap_or_default();
    rest.len() == topic.len() + 5 && rest.starts_with(topic.as_bytes()) && rest.get(topic.len()) == Some(&0)
}
