//! The one place that commits: what the operators sent, the state and the input positions of a worker's tasks, together.
//!
//! On an atomic log (embedded) that is one write: exactly once. On Kafka the order is records and changelogs, then state,
//! then offsets: at least once, since a crash in between repeats input whose results are already there, and loses none.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::task_runner::Task;
use crate::log::{Commit, LogError, LogWriter, Offset, OutRecord, PartitionId, TopicHandle, TopicPartition};
use crate::state::{FrozenOverlay, StateBatch, StateDb};

/// On an atomic log results become visible by the commit, so a busy worker commits this often.
const ATOMIC_COMMIT_INTERVAL: Duration = Duration::from_millis(10);

/// When to commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommitPolicy {
    pub interval: Duration,
    /// Commit as soon as nothing is left to do.
    pub when_idle: bool,
}

impl CommitPolicy {
    pub(super) fn new(atomic: bool, interval: Duration) -> Self {
        if atomic {
            CommitPolicy { interval: ATOMIC_COMMIT_INTERVAL, when_idle: true }
        } else {
            CommitPolicy { interval, when_idle: false }
        }
    }

    pub(super) fn is_due(&self, since_last: Duration, idle: bool) -> bool {
        since_last >= self.interval || idle && self.when_idle
    }
}

/// Commits the tasks and gives the writer back.
pub(super) fn commit(mut writer: Box<dyn LogWriter>, state: &StateDb, tasks: &mut [&mut Task]) -> Result<Box<dyn LogWriter>, LogError> {
    let mut offsets = Vec::with_capacity(tasks.len());
    let mut batch = StateBatch::default();
    for task in tasks.iter_mut() {
        let now_ms = task.cx.clock.now_ms();
        for (store, changelog) in task.cx.stores.iter_mut().zip(&mut task.changelogs) {
            let Some(frozen) = store.freeze() else { continue };
            if let Some(changelog) = changelog {
                changelog.append(&mut *writer, &frozen, task.id.partition, now_ms)?;
                batch.set_position(state, &task.id.query, &changelog.partition, changelog.position);
            }
            frozen.append_to(&mut batch);
        }
        if let Some(group) = &task.group {
            offsets.push((group.clone(), task.positions()));
        }
    }
    writer.commit(Commit { offsets, state: batch })?;
    for task in tasks {
        task.dirty = false;
        task.committed = task.positions().into_iter().map(|(_, offset)| offset).collect();
        task.handle.metrics.commits.fetch_add(1, Ordering::Relaxed);
    }
    Ok(writer)
}

/// Where a store's changes go besides its own database.
pub(super) struct Changelog {
    pub partition: TopicPartition,
    pub handle: TopicHandle,
    /// The next offset: the changelog has one writer, so it is counted, not asked for.
    pub position: Offset,
}

impl Changelog {
    fn append(&mut self, writer: &mut dyn LogWriter, frozen: &FrozenOverlay, partition: PartitionId, now_ms: i64) -> Result<(), LogError> {
        let mut result = Ok(());
        let (handle, position) = (self.handle, &mut self.position);
        frozen.for_each_change(|key, value| {
            if result.is_ok() {
                let record = OutRecord { partition, timestamp: now_ms, key: Some(key), value, headers: &[] };
                result = writer.send(handle, record);
                position.0 += 1;
            }
        });
        result
    }
}

/// Takes a task back to its last commit: what it kept since is thrown away, what it read since is read again.
pub(super) fn roll_back(task: &mut Task) -> Result<(), String> {
    for store in &mut task.cx.stores {
        store.rollback();
    }
    for node in &mut task.graph.nodes {
        node.operator.roll_back();
    }
    let committed = task.committed.clone();
    task.input.seek(&committed).map_err(|e| e.to_string())?;
    task.dirty = false;
    Ok(())
}
