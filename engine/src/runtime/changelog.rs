//! What a commit writes to a store's changelog, and what it says about the input that the store then includes.
//!
//! A commit's records are the changed entries, then records with an empty key. The *mark* ends the commit. It carries the
//! commit's number, the stream time and the next offset of each input partition of the task, so that a store which is
//! restored up to a mark knows where to read on: neither a record before that place nor one behind it is counted twice or
//! left out. A commit that changes one store of a task marks the others as well.
//!
//! A task with several changelogs first *seals* the commit in each of them. Only when all entries and seals have arrived
//! does any mark go out. So a mark in one changelog says that its commit is whole in all of them, whether or not the others
//! have theirs: these are restored up to their seals. Marks need not be written in one piece.
//!
//! What stands behind the newest commit that is marked anywhere belongs to a commit that never came to its end. Nothing can
//! take it out of the topic, so its keys are *owed*: the next commit writes them again, with the values that hold. So are those
//! that a process which was replaced has written late (see [`super::epoch`]).

use super::changelog_head::Head;
use super::ends::{CommitNumber, End, EndKind};
use super::epoch::{Epoch, Life, stamp};
use crate::log::{GroupOffsets, LogError, LogWriter, Offset, OutRecord, PartitionId, TopicHandle, TopicPartition};
use crate::state::{FrozenOverlay, StateError, Store};

/// Where a store's changes go besides its own database.
pub(super) struct Changelog {
    pub partition: TopicPartition,
    pub handle: TopicHandle,
    /// Whose it is, and from where on.
    life: Life,
    /// The next offset: the changelog has one writer, so it is counted, not asked for. Never past the real one.
    pub position: Offset,
    /// The position behind the last commit that succeeded.
    committed: Offset,
    /// Records that end transactions of this process, which stand somewhere behind the first records of these and are not
    /// counted in `committed` yet; and how many of them are counted in `position`.
    markers: i64,
    counted: i64,
    /// Before this no records are others' that have not been dealt with (see [`super::strangers`]).
    checked: Offset,
    /// Keys that stand in the topic with values of commits that did not come to their end, or of others.
    owed: Vec<Box<[u8]>>,
    /// What of it is needed, where it holds windows.
    head: Head,
    /// Windows that end before this are dead once the commit has succeeded.
    bound: i64,
}

impl Changelog {
    /// A changelog whose next record has the offset `end`, and whose keys `owed` are put into the store again.
    pub(super) fn new(partition: TopicPartition, handle: TopicHandle, epoch: Epoch, end: Offset, owed: Vec<Box<[u8]>>, head: Head) -> Self {
        let life = Life { epoch, since: end };
        Changelog {
            partition,
            handle,
            life,
            position: end,
            committed: end,
            markers: 0,
            counted: 0,
            checked: end,
            owed,
            head,
            bound: i64::MIN,
        }
    }

    /// From here on it is its owner's: what others write behind this place never counts.
    pub(super) fn begin_life(&mut self) -> Life {
        self.life.since = self.position;
        self.life
    }

    /// Sends a commit's changes.
    pub(super) fn append(&mut self, writer: &mut dyn LogWriter, frozen: &FrozenOverlay, now_ms: i64) -> Result<(), LogError> {
        let (begin, mut latest) = (self.position, None);
        let mut result = Ok(());
        frozen.for_each_change(&mut |key: &[u8], value: Option<&[u8]>| {
            if result.is_ok() {
                latest = latest.max(frozen.window_end(key));
                result = self.send(writer, key, value, now_ms);
            }
        });
        if let Some(latest) = latest {
            self.head.add(begin, latest);
        }
        result
    }

    /// Sends what ends a commit or seals it. A mark must not be sent before all that its commit stands for has been
    /// delivered: what is missing from a topic when the mark is there will never be written.
    pub(super) fn end(
        &mut self,
        writer: &mut dyn LogWriter,
        store: &Store,
        number: CommitNumber,
        kind: EndKind,
        inputs: &GroupOffsets,
        now_ms: i64,
    ) -> Result<(), LogError> {
        self.bound = store.expiry_bound();
        let end = End { kind, life: Some(self.life), number, stream_time: store.stream_time(), inputs: inputs.clone() }.encode();
        self.send(writer, &[], Some(&end), now_ms)
    }

    /// Sends an entry.
    pub(super) fn send(&mut self, writer: &mut dyn LogWriter, key: &[u8], value: Option<&[u8]>, now_ms: i64) -> Result<(), LogError> {
        let partition: PartitionId = self.partition.partition;
        writer
            .send(self.handle, OutRecord { partition, timestamp: stamp(now_ms, self.life.epoch), key: Some(key), value, headers: &[] })?;
        self.position.0 += 1;
        Ok(())
    }

    /// Names the changelog where it is the topic that can't be written.
    pub(super) fn refusal(&self, error: LogError) -> LogError {
        match error {
            LogError::Retriable(_) | LogError::Fenced(_) | LogError::Undeliverable { .. } => error,
            other => LogError::Undeliverable { topic: self.partition.topic.to_string(), reason: other.to_string() },
        }
    }

    /// The records of a transaction are about to be sent. A transaction ends in a record that nobody is given. That of the one
    /// before may still be on its way, so that it comes behind what is sent now; those of earlier ones are there.
    pub(super) fn begin_transaction(&mut self) {
        self.counted = (self.markers - 1).max(0);
        self.position = Offset(self.committed.0 + self.counted);
    }

    pub(super) fn commit_succeeded(&mut self, by_transaction: bool) {
        self.committed = self.position;
        self.markers += i64::from(by_transaction) - std::mem::take(&mut self.counted);
        self.owed.clear();
        self.head.commit_succeeded(self.bound, self.committed);
    }

    /// From where to where it has to be looked for others' records, where it has moved since: the end is as it is counted.
    pub(super) fn unchecked(&self) -> Option<(Offset, Offset)> {
        (self.checked < self.committed).then_some((self.checked, self.committed))
    }

    /// It ends there, and is owed these keys.
    pub(super) fn is_checked(&mut self, end: Offset, owed: impl IntoIterator<Item = Box<[u8]>>) {
        (self.position, self.committed, self.checked) = (end, end, end);
        self.owed.extend(owed);
    }

    /// Behind all that was committed, the ends of transactions too: none is under way, so these are there, or will be without
    /// fail. `None`: it is owed keys, which the next start has to find.
    pub(super) fn at_rest(&self) -> Option<Offset> {
        self.owed.is_empty().then_some(Offset(self.committed.0 + self.markers))
    }

    /// Where it begins to hold what is needed, where that has changed.
    pub(super) fn take_dead(&mut self) -> Option<(TopicPartition, Offset)> {
        Some((self.partition.clone(), self.head.take_dead()?))
    }

    /// The commit of these changes failed. Some of its records may have been delivered: from the last commit on, all are read
    /// again, and its keys are owed.
    pub(super) fn roll_back(&mut self, sent: Option<&FrozenOverlay>) {
        (self.position, self.counted) = (self.committed, 0);
        if let Some(sent) = sent {
            // What was owed before is among them.
            self.owed.clear();
            sent.for_each_change(|key, _| self.owed.push(key.into()));
        }
    }

    /// Makes the store write again what is owed, with the values that it has.
    ///
    /// # Errors
    /// The store can't be read.
    pub(super) fn settle_debts(&self, store: &mut Store) -> Result<(), StateError> {
        for key in &self.owed {
            let value = store.get(key, |value| value.map(<[u8]>::to_vec))?;
            store.put(key, value.as_deref());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_never_past_the_real_ones() {
        let partition = TopicPartition { topic: "c".into(), partition: 0 };
        let mut changelog = Changelog::new(partition, TopicHandle(0), 1, Offset(10), Vec::new(), Head::default());
        // What ends a transaction may come behind the first records of the next, and comes before those of the one after that.
        let mut commit = |fails: bool| {
            changelog.begin_transaction();
            changelog.position.0 += 5;
            let position = changelog.position;
            if fails {
                changelog.roll_back(None)
            } else {
                changelog.commit_succeeded(true)
            }
            (position.0, changelog.at_rest().map_or(0, |end| end.0))
        };
        // At rest, all that was committed counts: six offsets each.
        assert_eq!([commit(false), commit(false), commit(false)], [(15, 16), (20, 22), (26, 28)]);
        assert_eq!([commit(true), commit(false), commit(false)], [(32, 28), (32, 34), (38, 40)]);
    }

    #[test]
    fn a_changelog_that_is_owed_keys_is_not_at_rest() {
        let partition = TopicPartition { topic: "c".into(), partition: 0 };
        let owed = vec![Box::from(&b"k"[..])];
        let mut changelog = Changelog::new(partition, TopicHandle(0), 1, Offset(10), owed, Head::default());
        assert_eq!(changelog.at_rest(), None);
        changelog.commit_succeeded(false);
        assert_eq!(changelog.at_rest(), Some(Offset(10)));
    }
}
