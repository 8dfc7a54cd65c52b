//! Which of a worker's tasks has its turn next: each stands in one place only, ready or with an appointment.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

/// Identifies a task on its worker.
pub(super) type TaskKey = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Ready,
    Later(Instant),
}

/// See the module. A task that is in neither place sleeps until something wakes it.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    ready: VecDeque<TaskKey>,
    later: BTreeSet<(Instant, TaskKey)>,
    places: HashMap<TaskKey, Place>,
}

impl Schedule {
    /// The task has something to do. One with an appointment need not wait for it.
    pub(super) fn wake(&mut self, key: TaskKey) {
        match self.places.insert(key, Place::Ready) {
            Some(Place::Ready) => return,
            Some(Place::Later(at)) => {
                self.later.remove(&(at, key));
            }
            None => {}
        }
        self.ready.push_back(key);
    }

    /// The task is to look again at this moment, instead of any that was set before. One that is ready stays so.
    pub(super) fn wake_at(&mut self, key: TaskKey, at: Instant) {
        match self.places.get(&key) {
            Some(Place::Ready) => return,
            Some(Place::Later(before)) => {
                self.later.remove(&(*before, key));
            }
            None => {}
        }
        self.places.insert(key, Place::Later(at));
        self.later.insert((at, key));
    }

    /// The next task to have a turn.
    pub(super) fn next(&mut self, now: Instant) -> Option<TaskKey> {
        while let Some((at, key)) = self.later.first().copied()
            && at <= now
        {
            self.wake(key);
        }
        let key = self.ready.pop_front()?;
        self.places.remove(&key);
        Some(key)
    }

    /// Whether a task could have a turn at once.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The first appointment.
    pub(super) fn first_appointment(&self) -> Option<Instant> {
        self.later.first().map(|(at, _)| *at)
    }

    /// The task has gone.
    pub(super) fn forget(&mut self, key: TaskKey) {
        match self.places.remove(&key) {
            Some(Place::Ready) => self.ready.retain(|other| *other != key),
            Some(Place::Later(at)) => {
                self.later.remove(&(at, key));
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_task_stands_in_one_place() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut schedule = Schedule::default();
        for _ in 0..3 {
            schedule.wake(1);
            schedule.wake_at(1, at(5));
            schedule.wake(2);
        }
        assert_eq!([schedule.next(now), schedule.next(now), schedule.next(now)], [Some(1), Some(2), None]);
        // A later appointment takes the place of an earlier one, and being waked that of any.
        schedule.wake_at(1, at(5));
        schedule.wake_at(1, at(9));
        schedule.wake_at(2, at(7));
        assert_eq!(schedule.first_appointment(), Some(at(7)));
        assert_eq!(schedule.next(at(6)), None);
        schedule.wake(1);
        assert!(schedule.has_ready());
        assert_eq!([schedule.next(at(6)), schedule.next(at(9)), schedule.next(at(9))], [Some(1), Some(2), None]);
        schedule.wake(1);
        schedule.wake_at(2, at(7));
        schedule.forget(1);
        schedule.forget(2);
        assert_eq!((schedule.next(at(10)), schedule.first_appointment()), (None, None));
        assert!(schedule.places.is_empty());
    }
}
