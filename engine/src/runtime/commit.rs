//! The one place that commits: what the operators sent, the state and the input positions of a worker's tasks, together.
//!
//! On an atomic log (embedded) that is one write: exactly once. On Kafka the order is records and changelogs, then state,
//! then offsets: at least once, since a crash in between repeats input whose results are already there, and loses none.
//! State itself includes each record once: it remembers the input positions that it stands for, in its database and at the
//! end of each commit in its changelog (see [`super::changelog`]).

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::changelog::Changelog;
use super::task_runner::Task;
use crate::log::{Commit, LogError, LogWriter};
use crate::state::{StateBatch, StateDb, Store};

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
    let mut to_mark = Vec::new();
    for (index, task) in tasks.iter_mut().enumerate() {
        if freeze(task, &mut *writer, &mut batch)? && task.changelogs.iter().any(Option::is_some) {
            to_mark.push(index);
        }
        if let Some(group) = &task.group {
            offsets.push((group.clone(), task.positions()));
        }
    }
    if !to_mark.is_empty() {
        // A restart does not read the input before a mark again: first everything must be there that came of it.
        writer.flush()?;
    }
    for index in to_mark {
        if let Some(task) = tasks.get_mut(index) {
            mark(task, &mut *writer, state, &mut batch)?;
        }
    }
    writer.commit(Commit { offsets, state: batch })?;
    for task in tasks {
        task.dirty = false;
        task.changelogs.iter_mut().flatten().for_each(Changelog::commit_succeeded);
        task.committed = task.positions().into_iter().map(|(_, offset)| offset).collect();
        task.handle.metrics.commits.fetch_add(1, Ordering::Relaxed);
    }
    Ok(writer)
}

/// Freezes a task's stores into the batch and sends their changes to their changelogs; false where nothing has changed.
fn freeze(task: &mut Task, writer: &mut dyn LogWriter, batch: &mut StateBatch) -> Result<bool, LogError> {
    let now_ms = task.cx.clock.now_ms();
    let frozen: Vec<_> = task.cx.stores.iter_mut().map(Store::freeze).collect();
    for (changelog, frozen) in task.changelogs.iter_mut().zip(&frozen) {
        if let (Some(changelog), Some(frozen)) = (changelog, frozen) {
            changelog.append(writer, frozen, now_ms)?;
        }
    }
    for frozen in frozen.iter().flatten() {
        frozen.append_to(batch);
    }
    Ok(frozen.iter().any(Option::is_some))
}

/// Ends the commit in each of the task's changelogs, and remembers which input its state stands for.
fn mark(task: &mut Task, writer: &mut dyn LogWriter, state: &StateDb, batch: &mut StateBatch) -> Result<(), LogError> {
    let now_ms = task.cx.clock.now_ms();
    let inputs = task.positions();
    for (store, changelog) in task.cx.stores.iter().zip(&mut task.changelogs) {
        if let Some(changelog) = changelog {
            changelog.mark(&mut *writer, store, &inputs, now_ms)?;
            batch.set_position(state, &task.id.query, &changelog.partition, changelog.position);
        }
    }
    for (input, next) in &inputs {
        batch.set_position(state, &task.id.query, input, *next);
    }
    if let Some(group) = &task.group {
        writer.remembers(group, &inputs);
    }
    Ok(())
}

/// Takes a task back to its last commit: what it kept since is thrown away, what it read since is read again.
pub(super) fn roll_back(task: &mut Task) -> Result<(), String> {
    for store in &mut task.cx.stores {
        store.rollback();
    }
    for node in &mut task.graph.nodes {
        node.operator.roll_back();
    }
    task.changelogs.iter_mut().flatten().for_each(Changelog::roll_back);
    let committed = task.committed.clone();
    task.input.seek(&committed).map_err(|e| e.to_string())?;
    task.dirty = false;
    Ok(())
}
