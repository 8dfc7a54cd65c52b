//! Records in a changelog that its owner has not written.
//!
//! At least once, a server that stood still for longer than its session and was replaced may have had records on their way: they
//! arrive behind its successor's first ones, as soon as it goes on. A restore knows them by their epoch (see [`super::epoch`]), but
//! compaction keeps the last value of a key, whosever it is: so they are written over. (Nothing of a transaction that was shut out
//! is ever seen, so exactly once needs none of this.)
//!
//! A changelog has one writer, which counts its records. Now and then, when a commit has succeeded and nothing is under way, the
//! owner compares what it has counted with where the topic ends: one question for all changelogs of a worker, and nothing else as
//! long as they agree. Where the topic has more, what came since the last look is read. A key whose last value there is not that of
//! the state is owed: the next commit writes it again, and ends behind whatever mark came late. (What a failed commit has left
//! counts as others', and is found to be written over.)

use std::collections::BTreeSet;
use std::time::Duration;

use super::pen::Guarantee;
use super::task_runner::Task;
use super::worker::TaskKey;
use crate::log::{Log, LogError, Offset, OffsetSpec, TopicPartition, read_whole};
use crate::state::{StateError, Store};

/// How long reading what came since the last look may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// What the end of a changelog says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Alone,
    /// Not all is to be seen yet: nothing can be said.
    Unsettled,
    Strangers,
}

fn judge(counted: Offset, end: Offset) -> Verdict {
    match end.cmp(&counted) {
        std::cmp::Ordering::Equal => Verdict::Alone,
        std::cmp::Ordering::Less => Verdict::Unsettled,
        std::cmp::Ordering::Greater => Verdict::Strangers,
    }
}

/// Looks at the changelogs of tasks that rest behind a commit. Those that have to write keys again are dirty afterwards. Gives the
/// tasks whose state can't be read, and why.
///
/// # Errors
/// The log does not answer; what was not looked at is looked at the next time.
pub(super) fn look(log: &dyn Log, tasks: &mut [(TaskKey, &mut Task)]) -> Result<Vec<(TaskKey, String)>, LogError> {
    let mut places: Vec<TopicPartition> = Vec::new();
    for (_, task) in tasks.iter().filter(|(_, task)| task.guarantee == Guarantee::AtLeastOnce) {
        let moved = task.changelogs.iter().flatten().filter(|changelog| changelog.unchecked().is_some());
        places.extend(moved.map(|changelog| changelog.partition.clone()));
    }
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut ends = log.offsets(&places, OffsetSpec::Latest)?.into_iter();
    let mut failed = Vec::new();
    for (key, task) in tasks.iter_mut().filter(|(_, task)| task.guarantee == Guarantee::AtLeastOnce) {
        for (store, changelog) in task.cx.stores.iter_mut().zip(&mut task.changelogs) {
            let Some((changelog, (from, counted))) = changelog.as_mut().and_then(|own| own.unchecked().map(|range| (own, range))) else {
                continue;
            };
            let Some(end) = ends.next() else { return Ok(failed) };
            match judge(counted, end) {
                Verdict::Unsettled => {}
                Verdict::Alone => changelog.is_checked(end, []),
                Verdict::Strangers => {
                    let Found { owed, end } = match stale(log, store, &changelog.partition, from)? {
                        Ok(found) => found,
                        Err(error) => {
                            failed.push((*key, error.to_string()));
                            continue;
                        }
                    };
                    let (topic, partition) = (&changelog.partition.topic, changelog.partition.partition);
                    let (records, keys) = (end.0 - counted.0, owed.len());
                    tracing::info!(%topic, partition, records, keys, "the changelog has records that are not of its task's commits");
                    changelog.is_checked(end, owed);
                    if let Err(error) = changelog.settle_debts(store) {
                        failed.push((*key, error.to_string()));
                    }
                    // In any case: a mark that came late must not be the last one.
                    task.dirty = true;
                }
            }
        }
    }
    Ok(failed)
}

/// What was found behind an offset.
struct Found {
    /// The keys whose last value there is not that of the store.
    owed: BTreeSet<Box<[u8]>>,
    /// Where the changelog ends.
    end: Offset,
}

/// Reads a changelog from an offset on. The outer error is the log's, the inner one the store's.
fn stale(log: &dyn Log, store: &mut Store, changelog: &TopicPartition, from: Offset) -> Result<Result<Found, StateError>, LogError> {
    let (mut owed, mut result, bound) = (BTreeSet::<Box<[u8]>>::new(), Ok(()), store.expiry_bound());
    let end = read_whole(log, changelog, from, READ_TIMEOUT, &mut |record| {
        let Some(key) = record.key.filter(|key| !key.is_empty()) else { return };
        if result.is_err() || store.window_end(key).is_some_and(|end| end < bound) {
            return;
        }
        match store.get(key, |value| value == record.value) {
            Ok(true) => {
                owed.remove(key);
            }
            Ok(false) if owed.contains(key) => {}
            Ok(false) => {
                owed.insert(key.into());
            }
            Err(error) => result = Err(error),
        }
    })?;
    Ok(result.map(|()| Found { owed, end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_counts_more_than_there_is_waits() {
        let said = [6, 7, 8].map(|end| judge(Offset(7), Offset(end)));
        assert_eq!(said, [Verdict::Unsettled, Verdict::Alone, Verdict::Strangers]);
    }
}
