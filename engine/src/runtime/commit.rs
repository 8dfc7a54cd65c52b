//! The one place that commits: what the operators sent, the state and the input positions of a worker's tasks, together.
//!
//! On an atomic log (embedded) that is one write: exactly once. On Kafka it is records, whose order says it all: what came of
//! the input, the changelogs, then the marks, which say up to which input that is so; state follows, and the groups' offsets
//! for lag tools. At least once, a crash in between repeats input whose results are already there, and loses none; with
//! exactly once all these records are one transaction. State itself includes each record once either way: it remembers the
//! input positions that it stands for, in its database and at the end of each commit in its changelog (see
//! [`super::changelog`]); tasks without state have their marks in a topic of the service (see [`super::marks`]).
//!
//! The end of a transaction is not waited for: tasks go on, into the next one, while [`InFlight`] is. It commits only when it is
//! known that the one before it did, and goes back with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::changelog::Changelog;
use super::ends::{CommitPlace, EndKind};
use super::marks::{Marked, Marks};
use super::pen::Guarantee;
use super::schedule::TaskKey;
use super::task_runner::{Pending, Task};
use super::tenure::Tenure;
use crate::clock::Clock;
use crate::log::{Commit, Delivery, GroupOffsets, LogError, LogWriter};
use crate::points::{self, Point};
use crate::state::{FrozenOverlay, StateBatch, StateDb, Store};

/// On an atomic log results become visible by the commit, so a busy worker commits this often.
const ATOMIC_COMMIT_INTERVAL: Duration = Duration::from_millis(10);

/// What an idle worker waits for each task of its last commit beyond the first ones, where nobody has said how long: each writes a
/// mark. Up to so many take less of a broker than the transaction itself.
const PAUSE_PER_TASK: Duration = Duration::from_micros(500);
const FREE_TASKS: usize = 500;

/// When to commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct CommitPolicy {
    interval: Duration,
    /// Commit as soon as nothing is left to do, but not so soon after the last commit. `None`: there is no hurry, for what was
    /// sent is visible already.
    when_idle: Option<Duration>,
    /// At least so long for each task of that commit beyond [`FREE_TASKS`], up to half of the interval: a broker has as much to do
    /// for each of them, whatever came of it.
    per_task: Duration,
}

impl CommitPolicy {
    /// `min`: the pause of an idle worker; `None`: a tenth of the interval, and longer behind commits of many tasks.
    pub(super) fn new(atomic_log: bool, guarantee: Guarantee, interval: Duration, min: Option<Duration>) -> Self {
        let per_task = if min.is_none() && !atomic_log { PAUSE_PER_TASK } else { Duration::ZERO };
        match guarantee {
            _ if atomic_log => CommitPolicy { interval: ATOMIC_COMMIT_INTERVAL, when_idle: Some(Duration::ZERO), per_task },
            Guarantee::ExactlyOnce => CommitPolicy { interval, when_idle: Some(min.unwrap_or(interval / 10)), per_task },
            Guarantee::AtLeastOnce => CommitPolicy { interval, when_idle: None, per_task },
        }
    }

    /// How long behind a commit of so many tasks the next one may come.
    pub(super) fn pause(&self, tasks: usize, is_idle: bool) -> Duration {
        match self.when_idle {
            Some(min) if is_idle => {
                let tasks = u32::try_from(tasks.saturating_sub(FREE_TASKS)).unwrap_or(u32::MAX);
                min.max(self.per_task.saturating_mul(tasks).min(self.interval / 2)).min(self.interval)
            }
            _ => self.interval,
        }
    }
}

/// Where and how a commit is made.
pub(super) struct Desk<'a> {
    pub state: &'a StateDb,
    pub marks: &'a Marks,
    /// Which worker commits.
    pub worker: usize,
    /// By a transaction: all or nothing.
    pub by_transaction: bool,
    pub tenure: &'a Tenure,
    pub clock: &'a dyn Clock,
}

/// What a commit came to.
pub(super) enum Done {
    /// It has succeeded.
    Committed {
        writer: Box<dyn LogWriter>,
        /// Tasks whose state their changelogs did not take: they are not part of the commit and must end.
        refused: BTreeMap<TaskKey, String>,
    },
    /// It is under way, and has no such tasks.
    InFlight(InFlight),
}

/// A commit whose end is awaited.
pub(super) struct InFlight {
    pub writer: Box<dyn LogWriter>,
    /// Of all that it sent.
    pub delivery: Delivery,
    pub tasks: Vec<TaskKey>,
}

/// Why there was no commit.
pub(super) struct NotCommitted {
    pub error: LogError,
    /// Tasks that must end, and why.
    pub refused: BTreeMap<TaskKey, String>,
}

impl From<LogError> for NotCommitted {
    fn from(error: LogError) -> Self {
        NotCommitted { error, refused: BTreeMap::new() }
    }
}

/// A task's part in a commit, apart from those of the others until it is sure to belong to it.
enum Part {
    /// Nobody goes back to its positions.
    Plain(StateBatch),
    /// Its marks are still to be sent.
    ToMark(StateBatch),
    Refused(String),
}

/// Commits the tasks and gives the writer back, or begins to. `at_hand` says which task is being looked at, should that panic.
///
/// # Errors
/// Nothing is committed, or it is not known what was: all tasks have to go back.
pub(super) fn commit(
    mut writer: Box<dyn LogWriter>,
    desk: &Desk<'_>,
    tasks: &mut [(TaskKey, &mut Task)],
    at_hand: &mut Option<TaskKey>,
) -> Result<Done, NotCommitted> {
    points::log(Point::CommitBegin)?;
    let mut parts = Vec::with_capacity(tasks.len());
    for (key, task) in tasks.iter_mut() {
        *at_hand = Some(*key);
        parts.push(owned(freeze(task, &mut *writer, desk))?);
    }
    *at_hand = None;
    points::log(Point::CommitFrozen)?;
    if !desk.by_transaction && parts.iter().any(|part| matches!(part, Part::ToMark(_))) {
        // A restart does not read the input before a mark again: first everything must be there that came of it.
        writer.flush()?;
    }
    if !desk.tenure.lasts(desk.clock.instant()) {
        // Marks from here could stand behind those of a successor.
        return Err(LogError::Retriable("it is not known whether the service is still this server's".into()).into());
    }
    let mut batch = StateBatch::default();
    let mut offsets = Vec::with_capacity(tasks.len());
    let mut refused = BTreeMap::new();
    for ((key, task), part) in tasks.iter_mut().zip(parts) {
        *at_hand = Some(*key);
        let part = match part {
            Part::ToMark(own) => owned(mark(task, &mut *writer, desk, own))?,
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
    if desk.by_transaction && !refused.is_empty() {
        // A part of what it sent is in the transaction.
        let error = LogError::Retriable("a query of the transaction could not go on".into());
        return Err(NotCommitted { error, refused });
    }
    let commit = Commit { offsets, state: batch };
    if desk.by_transaction {
        let delivery = writer.begin_commit(commit)?;
        // What they do from now on belongs to the next one.
        tasks.iter_mut().for_each(|(_, task)| task.dirty = false);
        return Ok(Done::InFlight(InFlight { writer, delivery, tasks: tasks.iter().map(|(key, _)| *key).collect() }));
    }
    writer.commit(commit)?;
    points::reach(Point::CommitDone);
    for (_, task) in tasks.iter_mut().filter(|(key, _)| !refused.contains_key(key)) {
        task.dirty = false;
        succeeded(task, desk.marks, desk.worker);
    }
    points::reach(Point::CommitEnd);
    Ok(Done::Committed { writer, refused })
}

/// A task's commit has succeeded.
pub(super) fn succeeded(task: &mut Task, marks: &Marks, worker: usize) {
    let Some(pending) = task.pending.take() else { return };
    if keeps_marks(task) {
        let marked = Marked { commit: task.commit_id(), inputs: pending.inputs };
        marks.committed(worker, (&task.id.query, task.id.sub_topology, task.id.partition), marked);
    }
    task.must_commit = false;
    task.cx.origins.commit_succeeded();
    let by_transaction = task.guarantee == Guarantee::ExactlyOnce;
    task.changelogs.iter_mut().flatten().for_each(|changelog| changelog.commit_succeeded(by_transaction));
    task.committed = pending.positions;
    task.handle.metrics.committed(pending.began.elapsed());
}

/// Whether the task has its marks in the service's topic.
pub(super) fn keeps_marks(task: &Task) -> bool {
    task.marks_positions && task.changelogs.iter().all(Option::is_none)
}

/// What a changelog refuses for good is the matter of the task that it belongs to; all else is that of the whole commit.
fn owned(part: Result<Part, LogError>) -> Result<Part, LogError> {
    match part {
        Err(error @ (LogError::Retriable(_) | LogError::Fenced(_))) => Err(error),
        Err(error) => Ok(Part::Refused(format!(
            "the state of the query can't be kept: {error}. Where a record is too large, raise max.message.bytes of its changelog topic \
             (and of the broker and the producer, max.request.size), or keep less under one key"
        ))),
        Ok(part) => Ok(part),
    }
}

/// Freezes a task's stores and sends their changes to their changelogs.
fn freeze(task: &mut Task, writer: &mut dyn LogWriter, desk: &Desk<'_>) -> Result<Part, LogError> {
    let (now_ms, began) = (task.cx.clock.now_ms(), Instant::now());
    points::reach(Point::FreezeBefore);
    let frozen: Vec<_> = task.cx.stores.iter_mut().map(Store::freeze).collect();
    points::reach(Point::FreezeAfter);
    let positions = task.positions().into_iter().map(|(_, next)| next).collect();
    let inputs = task.marked_positions();
    task.cx.origins.freeze();
    task.pending = Some(Pending { frozen: frozen.clone(), positions, inputs: inputs.clone(), began, may_be_marked: false });
    task.commit_number += 1;
    if desk.by_transaction {
        task.changelogs.iter_mut().flatten().for_each(Changelog::begin_transaction);
    }
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
    if changelogs > 1 && !desk.by_transaction {
        end(task, writer, EndKind::Seal, &inputs)?;
        points::log(Point::SealAfter)?;
    }
    // Where the state has not changed as well: the task's positions are those of its marks, whatever its group says.
    Ok(if changelogs > 0 || keeps_marks(task) { Part::ToMark(batch) } else { Part::Plain(batch) })
}

/// Ends the commit in each of the task's changelogs, and remembers which input its state stands for; without any, says so in
/// the service's topic.
fn mark(task: &mut Task, writer: &mut dyn LogWriter, desk: &Desk<'_>, mut batch: StateBatch) -> Result<Part, LogError> {
    let inputs = task.pending.as_ref().map_or_else(GroupOffsets::new, |pending| pending.inputs.clone());
    if let Some(group) = &task.group {
        writer.remembers(group, &inputs);
    }
    points::log(Point::MarkBefore)?;
    if let Some(pending) = task.pending.as_mut().filter(|_| !desk.by_transaction) {
        pending.may_be_marked = true;
    }
    if keeps_marks(task) {
        let marked = Marked { commit: task.commit_id(), inputs };
        let place = (&*task.id.query, task.id.sub_topology, task.id.partition);
        desk.marks.send(writer, desk.worker, place, &marked, task.cx.clock.now_ms())?;
        points::log(Point::MarkAfter)?;
        return Ok(Part::ToMark(batch));
    }
    end(task, writer, EndKind::Mark, &inputs)?;
    points::log(Point::MarkAfter)?;
    for changelog in task.changelogs.iter_mut().flatten() {
        batch.set_position(desk.state, &task.id.query, &changelog.partition, changelog.position);
    }
    let commit = task.commit_id();
    CommitPlace::new(task.id.sub_topology, task.id.partition).write(desk.state, &task.id.query, commit, &mut batch);
    for (input, next) in &inputs {
        batch.set_position(desk.state, &task.id.query, input, *next);
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
            let by_transaction = task.guarantee == Guarantee::ExactlyOnce;
            task.changelogs.iter_mut().flatten().for_each(|changelog| changelog.commit_succeeded(by_transaction));
            task.must_commit = false;
        }
        // What was sent by a transaction that was aborted is nowhere.
        Some(pending) if task.guarantee == Guarantee::AtLeastOnce => {
            task.must_commit |= pending.may_be_marked;
            sent = pending.frozen;
        }
        _ => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_of_many_tasks_stand_farther_apart() {
        let ms = Duration::from_millis;
        let pauses = |policy: CommitPolicy| [1, 500, 2_000, 20_000].map(|tasks| policy.pause(tasks, true).as_millis());
        let policy = CommitPolicy::new(false, Guarantee::ExactlyOnce, ms(2_000), None);
        assert_eq!(pauses(policy), [200, 200, 750, 1_000]);
        assert_eq!(policy.pause(2_000, false), ms(2_000), "a busy one");
        assert_eq!(pauses(CommitPolicy::new(false, Guarantee::ExactlyOnce, ms(100), None)), [10, 10, 50, 50]);
        assert_eq!(pauses(CommitPolicy::new(false, Guarantee::ExactlyOnce, ms(100), Some(ms(5)))), [5; 4], "as it was said");
        assert_eq!(pauses(CommitPolicy::new(false, Guarantee::AtLeastOnce, ms(100), None)), [100; 4]);
        assert_eq!(pauses(CommitPolicy::new(true, Guarantee::ExactlyOnce, ms(100), None)), [0; 4]);
    }
}
