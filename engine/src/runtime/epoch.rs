//! Who has written what of a changelog.
//!
//! Each process that runs the service's queries has an epoch, one higher than any before it (see [`super::marks`]). A changelog's
//! records bear it: the entries in the low bits of their timestamps, which then say when they were written to the second, and no
//! more; the ends of commits in full. Before a task runs, its owner writes down from which offset on a changelog is its own. What
//! stands behind that place and bears another epoch was written late, by a process that had been replaced: it never counts.
//!
//! A changelog remembers its last owners, so that what came late in the time of one of them is known for ever, and not only until
//! the next one has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ends::CommitId;
use crate::log::{Offset, TopicId};

/// See the module. 0: written by a version that knew no epochs.
pub(super) type Epoch = u32;

/// The bits of a timestamp that bear the epoch: a thousand owners have to come and go until two look alike.
const TAG_BITS: u32 = 10;
const TAG_MASK: i64 = (1 << TAG_BITS) - 1;
/// Owners of a changelog that are remembered.
const MOST_LIVES: usize = 16;

/// The timestamp of a record of an epoch, not later than now.
pub(super) fn stamp(now_ms: i64, epoch: Epoch) -> i64 {
    if epoch == 0 {
        return now_ms;
    }
    let stamp = (now_ms & !TAG_MASK) | tag(epoch);
    if stamp > now_ms && stamp > TAG_MASK { stamp - (1 << TAG_BITS) } else { stamp }
}

fn tag(epoch: Epoch) -> i64 {
    i64::from(epoch) & TAG_MASK
}

/// An owner's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Life {
    pub epoch: Epoch,
    /// From here on the changelog is its own.
    pub since: Offset,
}

/// The last owners of a changelog, the first one first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lives(Vec<Life>);

impl Lives {
    pub fn last(&self) -> Option<&Life> {
        self.0.last()
    }

    /// An owner begins. Where offsets have begun anew, or its epoch is not the highest, what was known is of another topic.
    pub fn begin(&mut self, life: Life) {
        self.0.retain(|known| known.since <= life.since && known.epoch <= life.epoch);
        if self.0.last().is_none_or(|last| last.epoch < life.epoch) {
            self.0.push(life);
        }
        let surplus = self.0.len().saturating_sub(MOST_LIVES);
        self.0.drain(..surplus);
    }

    /// Whether an entry at an offset was not written by who owned the changelog then. `timestamp`: as its writer gave it, where
    /// that is known.
    pub fn is_foreign(&self, offset: Offset, timestamp: Option<i64>) -> bool {
        let (Some(life), Some(timestamp)) = (self.0.iter().rfind(|life| life.since <= offset), timestamp) else { return false };
        read(life.epoch) > 0 && timestamp & TAG_MASK != tag(life.epoch)
    }
}

/// What a task's owner writes down before the task runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    pub epoch: Epoch,
    /// The commit that it goes on from; `None`: it has found none.
    pub base: Option<CommitId>,
    /// By topic; the partition is the task's.
    pub changelogs: BTreeMap<Arc<str>, OwnedChangelog>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OwnedChangelog {
    /// Of the topic, where it was known: offsets mean nothing in another one of its name.
    pub id: Option<TopicId>,
    pub lives: Lives,
}

impl Owner {
    /// The owners of a changelog's records, where it is still the same topic.
    pub fn lives(&self, topic: &str, id: Option<TopicId>) -> Lives {
        let known = self.changelogs.get(topic);
        let known = known.filter(|known| known.id.is_none() || id.is_none() || known.id == id);
        known.map(|known| known.lives.clone()).unwrap_or_default()
    }

    /// Whether a folder's state includes a commit that this owner, who came later, did not find: its process had been replaced by
    /// the time that it made it.
    pub fn has_not_seen(&self, commit: CommitId) -> bool {
        commit.epoch > 0 && commit.epoch < self.epoch && Some(commit) > self.base
    }
}

#[cfg(test)]
thread_local! {
    static IS_IGNORED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// For those who want to see what epochs are good for: nobody looks at them while `f` runs, on this thread.
#[cfg(test)]
pub(super) fn ignored<R>(f: impl FnOnce() -> R) -> R {
    IS_IGNORED.set(true);
    let result = f();
    IS_IGNORED.set(false);
    result
}

/// An epoch as it is read.
pub(super) fn read(epoch: Epoch) -> Epoch {
    #[cfg(test)]
    if IS_IGNORED.get() {
        return 0;
    }
    epoch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lives(all: &[(Epoch, i64)]) -> Lives {
        let mut lives = Lives::default();
        all.iter().for_each(|(epoch, since)| lives.begin(Life { epoch: *epoch, since: Offset(*since) }));
        lives
    }

    #[test]
    fn stamps_are_of_the_last_seconds() {
        let now = 1_790_000_000_123;
        for epoch in [1, 5, 122, 123, 124, 1_023, 1_024, 1_025, u32::MAX] {
            let stamp = stamp(now, epoch);
            assert!(stamp <= now && stamp > now - 2_048, "{epoch}: {stamp}");
            assert_eq!(stamp & TAG_MASK, i64::from(epoch) % 1_024);
        }
        assert_eq!(stamp(now, 0), now);
        assert!(stamp(0, 7) >= 0, "no broker takes a time before 1970");
    }

    #[test]
    fn each_owner_has_its_stretch() {
        let lives = lives(&[(3, 10), (7, 20)]);
        let at = |offset, epoch| lives.is_foreign(Offset(offset), Some(stamp(5_000_000, epoch)));
        assert!(!at(9, 2) && !at(9, 7), "nobody's");
        assert!(!at(10, 3) && at(10, 2) && at(19, 7));
        assert!(!at(20, 7) && at(20, 3) && at(1_000, 2));
        assert!(!lives.is_foreign(Offset(20), None), "the log's own time says nothing");
    }

    #[test]
    fn tags_come_again_after_a_thousand_owners() {
        let lives = lives(&[(1_023, 10), (1_024, 20), (1_025, 30)]);
        let at = |offset, epoch| lives.is_foreign(Offset(offset), Some(stamp(5_000_000, epoch)));
        assert!(!at(15, 1_023) && !at(25, 1_024) && !at(35, 1_025));
        assert!(at(25, 1_023) && at(35, 1_024) && at(35, 1_023));
        assert!(!at(35, 1), "the first of them looks like the last");
    }

    #[test]
    fn what_is_known_of_another_topic_is_forgotten() {
        let mut begun = lives(&[(3, 10), (7, 2_000)]);
        begun.begin(Life { epoch: 8, since: Offset(100) });
        assert_eq!(begun, lives(&[(3, 10), (8, 100)]));
        // The same process again: its first place holds.
        begun.begin(Life { epoch: 8, since: Offset(300) });
        assert_eq!(begun, lives(&[(3, 10), (8, 100)]));
        let many: Vec<(Epoch, i64)> = (1..100).map(|epoch| (epoch, i64::from(epoch))).collect();
        assert_eq!(lives(&many).0.len(), MOST_LIVES);
        let id = |id| Some(TopicId(id));
        let owned = OwnedChangelog { id: id(1), lives: begun.clone() };
        let owner = Owner { changelogs: BTreeMap::from([("c".into(), owned)]), ..Owner::default() };
        assert_eq!([owner.lives("c", id(1)), owner.lives("c", None)], [begun.clone(), begun]);
        assert_eq!([owner.lives("c", id(2)), owner.lives("d", id(1))], [Lives::default(), Lives::default()]);
    }

    #[test]
    fn who_was_replaced_may_have_more_than_its_successor_found() {
        let commit = |epoch, number| CommitId { epoch, number };
        let owner = Owner { epoch: 7, base: Some(commit(3, 40)), ..Owner::default() };
        assert!(!owner.has_not_seen(commit(3, 40)) && !owner.has_not_seen(commit(2, 90)) && !owner.has_not_seen(commit(7, 99)));
        assert!(owner.has_not_seen(commit(3, 41)) && owner.has_not_seen(commit(4, 1)));
        assert!(!owner.has_not_seen(commit(0, 900)), "a version that knows no epochs went on");
    }
}
