//! The one place that commits: what the operators sent, the state and the input positions of a worker's tasks, together.
//!
//! On an atomic log (embedded) that is one write: exactly once. On Kafka the order is records and changelogs, then state,
//! then offsets: at least once, since a crash in between repeats input whose results are already there, and loses none.
//! State itself includes each record once: it remembers the input positions that it stands for, in its database and at the
//! end of each commit in its changelog (see [`super::changelog`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::changelog::{Changelog, EndKind, number_place};
use super::schedule::TaskKey;
use super::task_runner::{Pending, Task};
use crate::log::{Commit, GroupOffsets, LogError, LogWriter, Offset};
use crate::points::{self, Point};
use crate::state::{FrozenOverlay, StateBatch, StateDb, Store};

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

/// What a commit that succeeded gives back.
pub(super) struct Committed {
    pub writer: Box<dyn LogWriter>,
    /// Tasks that must end, and why: those whose state their changelogs did not take, which are not part of the commit, and
    /// those whose only positions, their group's offsets, are refused.
    pub refused: BTreeMap<TaskKey, String>,
}

/// A task's part in a commit, apart from those of the others until it is sure to belong to it.
enum Part {
    /// Its state has no changelog.
    Plain(StateBatch),
    /// Its changelogs wait for their marks.
    ToMark(StateBatch),
    Refused(String),
}

/// Commits the tasks and gives the writer back. `at_hand` says which task is being looked at, should that panic.
///
/// # Errors
/// Nothing is committed: all tasks have to go back.
pub(super) fn commit(
    mut writer: Box<dyn LogWriter>,
    state: &StateDb,
    tasks: &mut [(TaskKey, &mut Task)],
    at_hand: &mut Option<TaskKey>,
) -> Result<Committed, LogError> {
    let began = Instant::now();
    points::log(Point::CommitBegin)?;
    let mut parts = Vec::with_capacity(tasks.len());
    for (key, task) in tasks.iter_mut() {
        *at_hand = Some(*key);
        parts.push(owned(freeze(task, &mut *writer))?);
    }
    *at_hand = None;
    points::log(Point::CommitFrozen)?;
    if parts.iter().any(|part| matches!(part, Part::ToMark(_))) {
        // A restart does not read the input before a mark again: first everything must be there that came of it.
        writer.flush()?;
    }
    let mut batch = StateBatch::default();
    let mut offsets = Vec::with_capacity(tasks.len());
    let mut refused = BTreeMap::new();
    for ((key, task), part) in tasks.iter_mut().zip(parts) {
        *at_hand = Some(*key);
        let part = match part {
            Part::ToMark(own) => owned(mark(task, &mut *writer, state, own))?,
            other => other,
        };
        match part {
            Part::Plain(own) | Part::ToMark(own) => batch.extend(own),
            Part::Refused(reason) => {
                refused.insert(*key, reason);
                continue;
            }
        }
        if let Some(group) = &task.group {
            offsets.push((group.clone(), task.positions()));
        }
    }
    *at_hand = None;
    points::log(Point::CommitMarked)?;
    writer.commit(Commit { offsets, state: batch })?;
    points::reach(Point::CommitDone);
    for (_, task) in tasks.iter_mut().filter(|(key, _)| !refused.contains_key(key)) {
        task.dirty = false;
        task.pending = None;
        task.must_commit = false;
        task.cx.origins.commit_succeeded();
        task.changelogs.iter_mut().flatten().for_each(Changelog::commit_succeeded);
        task.committed = task.positions().into_iter().map(|(_, offset)| offset).collect();
        task.handle.metrics.committed(began.elapsed());
    }
    refused.extend(tasks.iter().filter_map(|(key, task)| Some((*key, lost_position(task, &mut *writer)?))));
    points::reach(Point::CommitEnd);
    Ok(Committed { writer, refused })
}

/// Why the position of a task can't be kept, where that is so. State with a changelog remembers its positions by itself: there
/// the group's offsets are for lag tools only.
fn lost_position(task: &Task, writer: &mut dyn LogWriter) -> Option<String> {
    let group = task.group.as_ref().filter(|_| task.changelogs.iter().all(Option::is_none))?;
    writer.refusal(group).map(|error| format!("the query can't keep how far it has read: {error}"))
}

/// What a changelog refuses for good is the matter of the task that it belongs to; all else is that of the whole commit.
fn owned(part: Result<Part, LogError>) -> Result<Part, LogError> {
    match part {
        Err(LogError::Retriable(reason)) => Err(LogError::Retriable(reason)),
        Err(error) => Ok(Part::Refused(format!(
            "the state of the query can't be kept: {error}. Where a record is too large, raise max.message.bytes of its changelog topic \
             (and of the broker and the producer, max.request.size), or keep less under one key"
        ))),
        Ok(part) => Ok(part),
    }
}

/// Freezes a task's stores and sends their changes to their changelogs.
fn freeze(task: &mut Task, writer: &mut dyn LogWriter) -> Result<Part, LogError> {
    let now_ms = task.cx.clock.now_ms();
    points::reach(Point::FreezeBefore);
    let frozen: Vec<_> = task.cx.stores.iter_mut().map(Store::freeze).collect();
    points::reach(Point::FreezeAfter);
    let positions = task.positions().into_iter().map(|(_, next)| next).collect();
    task.pending = Some(Pending { frozen: frozen.clone(), positions, may_be_marked: false });
    task.commit_number += 1;
    for (changelog, frozen) in task.changelogs.iter_mut().zip(&frozen) {
        if let (Some(changelog), Some(frozen)) = (changelog, frozen) {
            changelog.append(writer, frozen, now_ms).map_err(|error| changelog.refusal(error))?;
            points::log(Point::ChangelogBetween)?;
        }
    }
    let mut batch = StateBatch::default();
    for frozen in frozen.iter().flatten() {
        frozen.append_to(&mut batch);
    }
    if !task.is_bound_to_commits() {
        // It is never taken back, whatever becomes of the commit: neither is its state, which is in memory of its own.
        batch.write().map_err(|error| LogError::Fatal(error.to_string()))?;
        return Ok(Part::Plain(StateBatch::default()));
    }
    let changelogs = task.changelogs.iter().flatten().count();
    // Where the state has not changed as well: the task's positions are those of its marks, whatever its group says.
    let is_marked = changelogs > 0;
    if is_marked && changelogs > 1 {
        let inputs = task.marked_positions();
        end(task, writer, EndKind::Seal, &inputs)?;
        points::log(Point::SealAfter)?;
    }
    Ok(if is_marked { Part::ToMark(batch) } else { Part::Plain(batch) })
}

/// Ends the commit in each of the task's changelogs, and remembers which input its state stands for.
fn mark(task: &mut Task, writer: &mut dyn LogWriter, state: &StateDb, mut batch: StateBatch) -> Result<Part, LogError> {
    let inputs = task.marked_positions();
    points::log(Point::MarkBefore)?;
    if let Some(pending) = &mut task.pending {
        pending.may_be_marked = true;
    }
    end(task, writer, EndKind::Mark, &inputs)?;
    points::log(Point::MarkAfter)?;
    for changelog in task.changelogs.iter().flatten() {
        batch.set_position(state, &task.id.query, &changelog.partition, changelog.position);
    }
    let place = number_place(task.id.sub_topology, task.id.partition);
    batch.set_position(state, &task.id.query, &place, Offset(task.commit_number));
    for (input, next) in &inputs {
        batch.set_position(state, &task.id.query, input, *next);
    }
    if let Some(group) = &task.group {
        writer.remembers(group, &inputs);
    }
    Ok(Part::ToMark(batch))
}

/// Seals or ends the commit in each of the task's changelogs.
fn end(task: &mut Task, writer: &mut dyn LogWriter, kind: EndKind, inputs: &GroupOffsets) -> Result<(), LogError> {
    let (now_ms, number) = (task.cx.clock.now_ms(), task.commit_number);
    for (store, changelog) in task.cx.stores.iter().zip(&mut task.changelogs) {
        if let Some(changelog) = changelog {
            changelog.end(writer, store, number, kind, inputs, now_ms).map_err(|error| changelog.refusal(error))?;
            if kind == EndKind::Mark {
                points::log(Point::MarkBetween)?;
            }
        }
    }
    Ok(())
}

/// Takes a task back to its last commit: what it kept since is thrown away, what it read since is read again. A commit whose
/// state is handed over has succeeded, whatever was said of it afterwards: it is the last one then. What a commit that failed
/// has left in the changelogs is written again with the next one.
///
/// Where marks of the commit that failed may have arrived, a restart would take it for whole. So before the task sends anything
/// again, another commit has to say that it went back: else its sinks would end with rows that are older than its state.
pub(super) fn roll_back(task: &mut Task) -> Result<(), String> {
    points::reach(Point::RollBackBefore);
    let mut sent: Vec<Option<Arc<FrozenOverlay>>> = Vec::new();
    match task.pending.take() {
        Some(pending) if pending.is_handed_over() => {
            task.committed = pending.positions;
            task.cx.origins.commit_succeeded();
            task.changelogs.iter_mut().flatten().for_each(Changelog::commit_succeeded);
            task.must_commit = false;
        }
        Some(pending) => {
            task.must_commit |= pending.may_be_marked;
            sent = pending.frozen;
        }
        None => {}
    }
    for store in &mut task.cx.stores {
        store.rollback();
    }
    task.cx.origins.roll_back();
    for node in &mut task.graph.nodes {
        node.operator.roll_back();
    }
    for (index, (store, changelog)) in task.cx.stores.iter_mut().zip(&mut task.changelogs).enumerate() {
        if let Some(changelog) = changelog {
            changelog.roll_back(sent.get(index).and_then(Option::as_deref));
            changelog.settle_debts(store).map_err(|error| error.to_string())?;
        }
    }
    let committed = task.committed.clone();
    task.input.seek(&committed).map_err(|e| e.to_string())?;
    task.dirty = false;
    points::reach(Point::RollBackAfter);
    Ok(())
}
