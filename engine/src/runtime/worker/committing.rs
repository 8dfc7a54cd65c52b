//! When and what a worker commits, and what becomes of its tasks where that fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use super::super::commit::{self, Desk, Done, NotCommitted};
use super::super::pen::Guarantee;
use super::super::query_handle::{FailureCause, QueryFailure};
use super::super::strangers;
use super::super::task_runner::{Task, TaskError};
use super::{PURGE_INTERVAL, TaskKey, Worker};
use crate::log::LogError;
use crate::points::{self, Point};
use crate::state::StateBatch;

impl Worker {
    /// Commits where the time has come, or all at once; whether there was anything.
    pub(super) fn commit_what_is_due(&mut self, is_idle: bool, at_once: bool) -> bool {
        let now = self.clock.instant();
        let mut any = false;
        for guarantee in Guarantee::ALL {
            let pen = self.pens.of(guarantee);
            if pen.is_due(now, is_idle) || at_once && pen.dirty {
                self.commit(guarantee);
                any = true;
            }
        }
        any
    }

    /// Looks whether commits that are under way have ended.
    pub(super) fn look_at_commits(&mut self) {
        for guarantee in Guarantee::ALL {
            if self.pens.of(guarantee).is_ending() {
                self.look_at_commit(guarantee, false);
            }
        }
    }

    /// Waits for the commit that is under way, if there is one: afterwards a task that has moved has moved since the last one.
    pub(super) fn settle(&mut self, guarantee: Guarantee) {
        self.look_at_commit(guarantee, true);
    }

    pub(super) fn settle_all(&mut self) {
        Guarantee::ALL.into_iter().for_each(|guarantee| self.settle(guarantee));
    }

    fn look_at_commit(&mut self, guarantee: Guarantee, waits: bool) {
        let Some((tasks, ended)) = self.pens.of(guarantee).ended(waits) else { return };
        match ended {
            Ok(()) => {
                points::reach(Point::CommitDone);
                for key in tasks {
                    if let Some(task) = self.tasks.get_mut(&key) {
                        commit::succeeded(task, &self.place.marks, self.place.index);
                    }
                }
                points::reach(Point::CommitEnd);
            }
            // What came after it goes with it.
            Err(error) => self.did_not_commit(guarantee, error.into()),
        }
    }

    /// Commits every task that has moved, of one guarantee. Where it fails, all of them go back to their last commit. A
    /// transaction may still be under way afterwards.
    pub(super) fn commit(&mut self, guarantee: Guarantee) {
        self.settle(guarantee);
        if self.place.is_abandoned.load(Ordering::Acquire) {
            return self.abandon();
        }
        if !self.place.tenure.lasts(self.clock.instant()) {
            // Another server may have gone on from the last commit.
            return;
        }
        self.pens.of(guarantee).dirty = false;
        if guarantee == Guarantee::ExactlyOnce && !self.tasks.values().any(|task| task.dirty && task.guarantee == guarantee) {
            return;
        }
        if !self.before_commit(guarantee) {
            return;
        }
        let writer = match self.pens.of(guarantee).take(&*self.log, &self.place.marks, self.place.index) {
            Ok(writer) => writer,
            Err(error) => return self.did_not_commit(guarantee, error.into()),
        };
        let mut at_hand = None;
        let (marks, worker) = (self.place.marks.clone(), self.place.index);
        let (by_transaction, tenure) = (guarantee == Guarantee::ExactlyOnce, self.place.tenure.clone());
        let desk = Desk { state: &self.state, marks: &marks, worker, by_transaction, tenure: &tenure, clock: &*self.clock };
        let mut moved: Vec<(TaskKey, &mut Task)> =
            self.tasks.iter_mut().filter(|(_, task)| task.dirty && task.guarantee == guarantee).map(|(key, task)| (*key, task)).collect();
        match catch_unwind(AssertUnwindSafe(|| commit::commit(writer, &desk, &mut moved, &mut at_hand))) {
            Ok(Ok(Done::InFlight(ending))) => self.pens.of(guarantee).begin(ending),
            Ok(Ok(Done::Committed { writer, refused })) => {
                self.pens.of(guarantee).give_back(writer);
                for (key, reason) in refused {
                    self.fail(key, reason);
                }
                self.look_for_strangers();
            }
            Ok(Err(failed)) => self.did_not_commit(guarantee, failed),
            Err(panic) => self.panicked(guarantee, at_hand, &*panic),
        }
        let now = self.clock.instant();
        self.pens.of(guarantee).last_commit = now;
        if now.saturating_duration_since(self.last_purge) >= PURGE_INTERVAL {
            self.last_purge = now;
            let dead: Vec<_> = self.tasks.values_mut().flat_map(Task::take_dead).collect();
            self.log.delete_before(self.tasks.values().flat_map(Task::done_with).chain(dead).collect());
        }
    }

    /// Tasks have committed, and nothing is under way: looks now and then whether others have written to their changelogs.
    fn look_for_strangers(&mut self) {
        let now = self.clock.instant();
        if now.saturating_duration_since(self.last_look) < self.look_interval {
            return;
        }
        self.last_look = now;
        let mut rests: Vec<(TaskKey, &mut Task)> =
            self.tasks.iter_mut().filter(|(_, task)| !task.has_moved()).map(|(key, task)| (*key, task)).collect();
        let looked = strangers::look(&*self.log, &mut rests);
        // Also where the log went away in the middle.
        self.pens.of(Guarantee::AtLeastOnce).dirty |= rests.iter().any(|(_, task)| task.dirty);
        match looked {
            Ok(failed) => failed.into_iter().for_each(|(key, reason)| self.fail(key, reason)),
            Err(error) => tracing::debug!(%error, "whether others write to changelogs is looked at later"),
        }
    }

    /// Nothing is under way any more, and nothing will be: lets the state remember where the changelogs really end. What a commit
    /// remembers lags by what ended the transaction before it, so the next start would read the last mark again.
    pub(super) fn note_rest(&self) {
        let mut batch = StateBatch::default();
        let at_rest = |task: &&Task| task.guarantee == Guarantee::ExactlyOnce && !task.has_moved() && !task.must_commit;
        for task in self.tasks.values().filter(at_rest) {
            for changelog in task.changelogs.iter().flatten() {
                if let Some(end) = changelog.at_rest() {
                    batch.set_position(&self.state, &task.id.query, &changelog.partition, end);
                }
            }
        }
        // In its turn, behind the state of the last commits.
        if !batch.is_empty()
            && let Err(error) = self.state.write_later(batch)
        {
            tracing::debug!(%error, "the next start reads the last marks again");
        }
    }

    /// A commit failed, and its writer is gone.
    fn did_not_commit(&mut self, guarantee: Guarantee, failed: NotCommitted) {
        self.pens.of(guarantee).discard(self.clock.instant());
        for (key, reason) in failed.refused {
            self.fail(key, reason);
        }
        self.roll_back_or_end(guarantee, failed.error);
    }

    /// What was sent since the last commit is not committed, as far as is known.
    pub(super) fn roll_back_or_end(&mut self, guarantee: Guarantee, error: LogError) {
        match error {
            LogError::Fenced(reason) => self.is_fenced(&reason),
            // It may have been committed: a start looks where it stands.
            LogError::Fatal(reason) if guarantee == Guarantee::ExactlyOnce => {
                self.place.marks.is_uncertain(self.place.index);
                self.fail_all(guarantee, &QueryFailure { cause: FailureCause::LogAway, ..QueryFailure::outside(reason) });
            }
            error => self.roll_back_all(guarantee, &error),
        }
    }

    /// Lets go what operators hold back until a commit. False: there is nothing to commit any more.
    fn before_commit(&mut self, guarantee: Guarantee) -> bool {
        let holds = |task: &Task| task.dirty && task.guarantee == guarantee && task.graph.coalesces;
        let holding: Vec<TaskKey> = self.tasks.iter().filter(|(_, task)| holds(task)).map(|(key, _)| *key).collect();
        // They send it with their stores taken: there should be room for it.
        if !holding.is_empty()
            && let Some(writer) = &mut self.pens.of(guarantee).writer
            && !writer.has_room()
            && let Err(error) = writer.flush()
        {
            self.did_not_commit(guarantee, error.into());
            return false;
        }
        for key in holding {
            let pen = self.pens.of(guarantee);
            let writer = match pen.take(&*self.log, &self.place.marks, self.place.index) {
                Ok(writer) => writer,
                Err(error) => {
                    self.did_not_commit(guarantee, error.into());
                    return false;
                }
            };
            let Some(task) = self.tasks.get_mut(&key) else {
                pen.give_back(writer);
                continue;
            };
            match catch_unwind(AssertUnwindSafe(|| task.before_commit(writer))) {
                Ok((writer, result)) => {
                    pen.give_back(writer);
                    match result {
                        Ok(()) => {}
                        // Some of it is not sent: what it stands for is read again.
                        Err(TaskError::Stopped) => self.go_back(key),
                        Err(TaskError::Retriable(reason) | TaskError::Interrupted(reason)) => {
                            self.did_not_commit(guarantee, LogError::Retriable(reason).into());
                            return false;
                        }
                        Err(TaskError::Fenced(reason)) => {
                            self.did_not_commit(guarantee, LogError::Fenced(reason).into());
                            return false;
                        }
                        Err(TaskError::Fatal(reason)) => self.fail(key, reason),
                    }
                }
                Err(panic) => self.panicked(guarantee, Some(key), &*panic),
            }
        }
        true
    }
}
