//! Named places on the way of records, commits, restores and statements where a test can make the process fail: end there, wait,
//! or take an error for the answer.
//!
//! What happens at a point is not decided here: [`arm`] is called by the tests' own binary (`tests/faulty`) and by nobody else.
//! Without it a point is one load. None is passed for each record.

use std::sync::OnceLock;

use crate::log::LogError;
use crate::state::StateError;

/// What happens at a point; a text is the error to fail with.
pub type Action = fn(Point) -> Option<String>;

static ACTION: OnceLock<Action> = OnceLock::new();

macro_rules! points {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?) => {
        /// A named place.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Point { $($(#[$doc])* $variant),* }

        impl Point {
            pub const ALL: &'static [Point] = &[$(Point::$variant),*];

            pub const fn name(self) -> &'static str {
                match self { $(Point::$variant => $name),* }
            }
        }
    };
}

points! {
    /// A task is about to process what has arrived, and to send what comes of it.
    ProduceBefore = "produce.before",
    ProduceAfter = "produce.after",
    FlushBefore = "flush.before",
    FlushAfter = "flush.after",
    CommitBegin = "commit.begin",
    /// Every task's state is frozen and its changes are sent to the changelogs.
    CommitFrozen = "commit.frozen",
    /// Everything is at the brokers and marked; the log's own commit comes next.
    CommitMarked = "commit.marked",
    /// The log has committed; the tasks don't know yet.
    CommitDone = "commit.done",
    CommitEnd = "commit.end",
    FreezeBefore = "freeze.before",
    FreezeAfter = "freeze.after",
    /// Between two changelogs of a task.
    ChangelogBetween = "changelog.between",
    SealAfter = "seal.after",
    MarkBefore = "mark.before",
    /// Between the marks of two changelogs of a task, or behind the last one.
    MarkBetween = "mark.between",
    MarkAfter = "mark.after",
    /// A transaction has begun, and nothing of it is sent.
    TransactionBegun = "transaction.begun",
    /// All of a transaction is at the brokers, which are about to be told that it ends.
    TransactionEndBefore = "transaction.end.before",
    /// It is committed, and nobody knows yet.
    TransactionEndAfter = "transaction.end.after",
    /// A transactional id is about to be taken, and what was open under it to end.
    TransactionalIdBefore = "transactional-id.before",
    TransactionalIdAfter = "transactional-id.after",
    StateHandOver = "state.hand-over",
    OffsetsBefore = "offsets.before",
    OffsetsAfter = "offsets.after",
    /// The offsets of some groups are about to go to a broker, in the background.
    OffsetsSend = "offsets.send",
    OffsetsSent = "offsets.sent",
    StateWriteBefore = "state.write.before",
    StateWriteAfter = "state.write.after",
    RollBackBefore = "rollback.before",
    RollBackAfter = "rollback.after",
    RestoreBegin = "restore.begin",
    /// It is known which commit is to be restored.
    RestoreChosen = "restore.chosen",
    /// One store is read, and not all of it is written.
    RestoreRead = "restore.read",
    RestoreEnd = "restore.end",
    OpenBegin = "open.begin",
    OpenState = "open.state",
    OpenLog = "open.log",
    OpenClaimed = "open.claimed",
    OpenCommands = "open.commands",
    OpenReplayed = "open.replayed",
    QueryStartBefore = "query.start.before",
    QueryStartAfter = "query.start.after",
    CloseBegin = "close.begin",
    /// A worker has committed for the last time.
    CloseCommitted = "close.committed",
    CloseEnd = "close.end",
    CommandAppendBefore = "command.append.before",
    CommandAppendAfter = "command.append.after",
    CommandApplied = "command.applied",
    TopicCreateBefore = "topic.create.before",
    TopicCreateAfter = "topic.create.after",
    TopicDeleteBefore = "topic.delete.before",
    TopicDeleteAfter = "topic.delete.after",
    /// DROP … DELETE TOPIC is in the command topic, and the topic is still there.
    DropAppended = "drop.appended",
    DropDone = "drop.done",
    /// CREATE … AS has made its topic, and is not in the command topic yet.
    CreateTopicMade = "create.topic-made",
    CreateDone = "create.done",
}

/// Says what happens at points from now on, for the life of the process. False: that was said before.
pub fn arm(action: Action) -> bool {
    ACTION.set(action).is_ok()
}

/// Passes a point where nothing can fail: an error that was meant for it is ignored.
#[inline]
pub fn reach(point: Point) {
    let _ = fault(point);
}

/// Passes a point; a text: fail with it.
#[inline]
pub fn fault(point: Point) -> Option<String> {
    ACTION.get().and_then(|action| action(point))
}

/// Passes a point where the log may fail for now.
///
/// # Errors
/// `Retriable`, where a test wants it.
#[inline]
pub(crate) fn log(point: Point) -> Result<(), LogError> {
    fault(point).map_or(Ok(()), |reason| Err(LogError::Retriable(reason)))
}

/// Passes a point where the disk may fail.
///
/// # Errors
/// `Storage`, where a test wants it.
#[inline]
pub(crate) fn state(point: Point) -> Result<(), StateError> {
    fault(point).map_or(Ok(()), |reason| Err(StateError::Storage(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_there_once() {
        let names: std::collections::BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
        assert!(fault(Point::CommitBegin).is_none(), "nobody has armed it");
    }
}
