//! Whether what stands behind a state's place in a changelog still tells all that was deleted since.
//!
//! A compacted topic forgets a deletion some time after it has taken the deleted value out (`delete.retention.ms`): who has read the
//! value must have come to the end of the topic by then. A folder that was left for longer, while another server went on with its
//! tasks or before its own last records were read again, would keep for ever what was deleted meanwhile. Such a state is read anew
//! from the first record.
//!
//! It is in time where it was whole, or its restore began, not too long ago; or where nothing older stands behind its place.

use std::collections::BTreeSet;

use super::Positions;
use crate::log::{Log, LogError, Offset, OffsetSpec, PartitionId, TopicPartition};

/// How long changelogs keep deletions, `delete.retention.ms`.
pub(in crate::runtime) const KEPT: (&str, &str) = ("delete.retention.ms", "86400000");
/// A state may be so much older than what is read now, milliseconds. Half of what is kept: clocks differ, and reading takes its time.
const MAX_AGE_MS: i64 = 12 * 60 * 60 * 1000;

/// Under which position the state remembers when a task's restore began that has not come to its end. No topic has such a name.
pub(in crate::runtime) struct Begun(TopicPartition);

impl Begun {
    pub fn new(sub_topology: usize, partition: PartitionId) -> Self {
        Begun(TopicPartition { topic: format!("\0restores-{sub_topology}").into(), partition })
    }

    /// The position, as it is written.
    pub(super) fn at(&self, now_ms: i64) -> (&TopicPartition, Offset) {
        (&self.0, Offset(now_ms))
    }

    /// When it was, where that is in time.
    pub(super) fn read(&self, positions: &Positions, now_ms: i64) -> Option<i64> {
        let begun = positions.get(&self.0)?.0;
        (begun..begun.saturating_add(MAX_AGE_MS)).contains(&now_ms).then_some(begun)
    }
}

/// Of changelogs and the places up to which a state includes them, those that may have lost deletions behind it.
pub(super) fn outlived(log: &dyn Log, tails: &[(&TopicPartition, Offset)], now_ms: i64) -> Result<BTreeSet<TopicPartition>, LogError> {
    if tails.is_empty() {
        return Ok(BTreeSet::new());
    }
    let changelogs: Vec<TopicPartition> = tails.iter().map(|(changelog, _)| (*changelog).clone()).collect();
    let young = log.offsets(&changelogs, OffsetSpec::AtTimestamp(now_ms.saturating_sub(MAX_AGE_MS)))?;
    // What lies between may be gone, so it is not looked at.
    let old = tails.iter().zip(young).filter(|((_, position), young)| young > position);
    Ok(old.map(|((changelog, _), _)| (*changelog).clone()).collect())
}
