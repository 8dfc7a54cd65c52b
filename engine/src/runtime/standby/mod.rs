//! Standbys: what other servers' tasks have written to their changelogs is followed into this server's state, so that a slot that
//! comes here finds its tasks' state but for the last of it.
//!
//! Which slots those are is told from outside, with this server's rank among the standbys of each. A query has so many standbys; where
//! the rank is below that, its tasks in the slot are followed. A follower does what a restore does, again and again (see [`follower`]),
//! and holds the seat of the task meanwhile: where the slot comes, it gives that up and is gone before the task is made.
//!
//! One look for all of them asks where their changelogs end; those that are behind are read by a few threads, the ones with the least to
//! read first. There are none where nobody is behind.

mod follower;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use parking_lot::{Mutex, RwLock};

use self::follower::Follower;
pub use self::follower::StandbyLag;
use super::moves::Place;
use super::restore::CLEARING;
use super::restorers::{Job, Restorers};
use super::seat::{Seat, Taken, is_free};
use super::slots::{Slot, SlotSet};
use super::start::Prepared;
use super::{Gone, RunningQuery, Runtime};
use crate::log::{LogError, Offset, OffsetSpec, PartitionId, TopicPartition};
use crate::state::{StateBatch, StateError, StoreSpec};

/// Threads that followers share at most.
const MAX_THREADS: usize = 2;
/// How long whoever makes tasks waits for followers that were told to end.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Standbys {
    /// This server's place among the standbys of slots, the first is 0.
    ranks: RwLock<BTreeMap<Slot, usize>>,
    followers: Mutex<Followers>,
    threads: Restorers,
    /// Entries of changelogs that were read for standbys.
    entries: AtomicU64,
    /// Tasks may have changed hands: what is known of that is old.
    is_old: AtomicBool,
}

/// A task of a query.
pub(super) type Key = (Arc<str>, Place);

#[derive(Default)]
struct Followers {
    by_task: BTreeMap<Key, (Arc<Follower>, Taken)>,
    /// Told to end.
    leaving: Vec<(Key, Gone)>,
    /// There are to be none any more.
    is_over: bool,
}

impl Standbys {
    /// `is_threaded`: else whoever looks reads as well.
    pub fn new(is_threaded: bool) -> Self {
        Standbys {
            ranks: RwLock::default(),
            followers: Mutex::default(),
            threads: Restorers::new(if is_threaded { MAX_THREADS } else { 0 }),
            entries: AtomicU64::new(0),
            is_old: AtomicBool::new(true),
        }
    }

    /// It is looked again who has the tasks.
    fn look_at_owners(&self) {
        self.is_old.store(true, Ordering::Release);
    }

    /// Tells followers to end; they are gone once nothing is read for them any more.
    pub fn give_up(&self, goes: impl Fn(&Key) -> bool) {
        let mut gone = Vec::new();
        {
            let mut followers = self.followers.lock();
            followers.leaving.retain(|(_, gone)| !is_free(gone));
            let (going, stay) = std::mem::take(&mut followers.by_task).into_iter().partition(|(key, _)| goes(key));
            followers.by_task = stay;
            let going: BTreeMap<Key, (Arc<Follower>, Taken)> = going;
            for (key, (follower, taken)) in going {
                followers.leaving.push((key, taken.give_up()));
                gone.push(follower);
            }
        }
        // Closes their stores, outside of the lock.
        drop(gone);
    }

    /// Whether one that was told to end still has a task's stores.
    pub fn has(&self, query: &str, place: Place) -> bool {
        self.followers.lock().leaving.iter().any(|((of, at), gone)| **of == *query && *at == place && !is_free(gone))
    }

    /// Waits for those that were told to end, for a while.
    pub fn await_gone(&self) {
        let leaving: Vec<Gone> = self.followers.lock().leaving.iter().map(|(_, gone)| gone.clone()).collect();
        let deadline = Instant::now() + END_PATIENCE;
        for gone in leaving {
            if matches!(gone.recv_deadline(deadline), Err(RecvTimeoutError::Timeout)) {
                return;
            }
        }
    }

    /// Follows nothing any more, without waiting.
    pub fn stop(&self) {
        self.ranks.write().clear();
        self.followers.lock().is_over = true;
        self.give_up(|_| true);
    }

    /// The same, and waits for the threads. The process must have been told to end.
    pub fn end(&self) {
        self.stop();
        self.threads.end();
    }
}

impl Runtime {
    /// This server is a standby of these slots from now on, with its place among the standbys of each (the first is 0).
    /// `has_moved`: slots may have another owner than before.
    pub fn set_standby_ranks(&self, ranks: BTreeMap<Slot, usize>, has_moved: bool) {
        *self.standbys.ranks.write() = ranks;
        if has_moved {
            self.standbys.look_at_owners();
        }
    }

    /// The most standbys that a query has.
    pub fn most_standbys(&self) -> usize {
        self.queries.lock().values().map(|query| query.start.standbys).max().unwrap_or_default()
    }

    /// Follows the tasks that are to be followed, one step: those that are behind are read in the background.
    pub fn follow(self: &Arc<Self>) {
        self.sort_followers();
        // None is kept from ending while the log is asked.
        let followers: Vec<(Weak<Follower>, Vec<TopicPartition>)> = {
            let followers = self.standbys.followers.lock();
            let of = |(follower, _): &(Arc<Follower>, Taken)| (Arc::downgrade(follower), follower.changelogs().cloned().collect());
            followers.by_task.values().map(of).collect()
        };
        if followers.is_empty() {
            return;
        }
        let log = &*self.parts.log;
        if self.standbys.is_old.swap(false, Ordering::AcqRel)
            && let Err(error) = self.marks.look_at_owners(log)
        {
            tracing::debug!(%error, "who has the tasks that are followed can't be looked at; trying again");
            return self.standbys.look_at_owners();
        }
        let topics: Vec<TopicPartition> = followers.iter().flat_map(|(_, changelogs)| changelogs.iter().cloned()).collect();
        let mut all = match log.offsets(&topics, OffsetSpec::Latest) {
            Ok(ends) => Some(ends.into_iter()),
            Err(LogError::Retriable(_)) => return,
            // One of them has gone; its query will say so.
            Err(_) => None,
        };
        let (mut jobs, now) = (Vec::new(), Instant::now());
        for (follower, changelogs) in followers {
            let ends: Option<Vec<Offset>> = match &mut all {
                Some(ends) => Some(ends.by_ref().take(changelogs.len()).collect()),
                None => log.offsets(&changelogs, OffsetSpec::Latest).ok(),
            };
            let Some(follower) = follower.upgrade() else { continue };
            let Some((turn, records)) = ends.and_then(|ends| follower.see(ends, now)) else { continue };
            let (runtime, query) = (Arc::downgrade(self), follower.handle.id.clone());
            let work = move || {
                if let Some(runtime) = runtime.upgrade() {
                    turn.take(&runtime, records);
                }
            };
            jobs.push(Job { query, records, work: Box::new(work) });
        }
        if !self.standbys.threads.is_on() {
            return jobs.into_iter().for_each(|job| (job.work)());
        }
        if let Err(error) = self.standbys.threads.submit(jobs) {
            tracing::warn!(%error, "other servers' tasks can't be followed: there can be no thread for it");
        }
    }

    /// Has a follower for each task that is to be followed, and no others.
    fn sort_followers(&self) {
        // No slot comes meanwhile.
        let held = self.held.read();
        let (mut stay, mut new) = (BTreeSet::new(), Vec::new());
        {
            let (ranks, mut queries) = (self.standbys.ranks.read(), self.queries.lock());
            let followers = self.standbys.followers.lock();
            let is_there = |key: &Key, query: &RunningQuery| {
                followers.by_task.get(key).is_some_and(|(follower, _)| Arc::ptr_eq(&follower.handle, &query.handle))
            };
            for (id, query) in queries.iter_mut().filter(|_| !ranks.is_empty()) {
                for place in self.wanted(id, query, &held, &ranks) {
                    let key = (id.clone(), place);
                    if is_there(&key, query) {
                        stay.insert(key);
                    } else {
                        new.extend(self.follower(id, query, place).map(|follower| (key, follower)));
                    }
                }
            }
        }
        self.standbys.give_up(|key| !stay.contains(key));
        let mut followers = self.standbys.followers.lock();
        for (key, new) in new {
            // Behind the one before of its task.
            let is_leaving = followers.leaving.iter().any(|(of, gone)| *of == key && !is_free(gone));
            if !is_leaving && !followers.is_over && !new.0.handle.has_ended() {
                followers.by_task.insert(key, new);
            }
        }
    }

    /// A query's tasks that are to be followed here.
    fn wanted(&self, id: &str, query: &mut RunningQuery, held: &SlotSet, ranks: &BTreeMap<Slot, usize>) -> Vec<Place> {
        let (handle, start) = (&query.handle, &query.start);
        // What is to run here goes first.
        if start.collector.is_some() || start.standbys == 0 || handle.has_ended() || handle.restoring().is_some() {
            return Vec::new();
        }
        query.leaving.retain(|_, gone| !is_free(gone));
        let places = query.running.iter().enumerate().filter(|(_, sub)| sub.spec.stores.iter().any(|store| store.changelog));
        let places = places.flat_map(|(index, sub)| {
            let count = PartitionId::try_from(sub.partitions).unwrap_or(PartitionId::MAX);
            (0..count).map(move |partition| (index, partition))
        });
        let is_wanted = |place: &Place| {
            let slot = self.config.slots.of(id, place.1);
            let is_standby = ranks.get(&slot).is_some_and(|rank| *rank < start.standbys);
            is_standby && !held.contains(&slot) && !query.seats.contains_key(place) && !query.leaving.contains_key(place)
        };
        places.filter(is_wanted).collect()
    }

    fn follower(&self, id: &Arc<str>, query: &RunningQuery, place: Place) -> Option<(Arc<Follower>, Taken)> {
        let (sub, partition) = (query.running.get(place.0)?, place.1);
        let changelog = |store: &StoreSpec| {
            let topic = store.changelog.then(|| self.changelog_name(id, &store.name));
            topic.map(|topic| TopicPartition { topic: topic.into(), partition })
        };
        let stores = sub.spec.stores.iter().map(|store| (store.clone(), changelog(store))).collect();
        let (seat, taken) = Seat::new(Some(self.config.slots.of(id, partition)), &query.lease);
        Some((Arc::new(Follower::new(query.handle.clone(), place, sub.spec.id, stores, query.ids.clone(), seat)), taken))
    }

    /// Nothing of these slots is followed any more: they are to run here.
    pub(super) fn leave_standby(&self, slots: &SlotSet) {
        self.standbys.give_up(|(query, (_, partition))| slots.contains(&self.config.slots.of(query, *partition)));
    }

    /// Has what this folder holds of tasks that run elsewhere read anew, where their changelogs are others than those that it stands
    /// for. To be called before these are known.
    pub(super) fn disown(&self, query: &str, prepared: &[Prepared], seats: &[(Place, Seat)]) -> Result<(), StateError> {
        if prepared.iter().all(|sub| sub.refill.is_empty()) {
            return Ok(());
        }
        let (positions, mut batch) = (self.parts.state.positions(query)?, StateBatch::default());
        for (index, sub) in prepared.iter().enumerate() {
            for topic in sub.changelog_topics().filter(|topic| sub.refill.contains(*topic)) {
                let is_elsewhere =
                    |known: &&TopicPartition| *known.topic == *topic && !seats.iter().any(|(place, _)| *place == (index, known.partition));
                for known in positions.keys().filter(is_elsewhere) {
                    batch.set_position(&self.parts.state, query, known, CLEARING);
                }
            }
        }
        batch.write()
    }

    /// How far this server has followed other servers' tasks, by query, store and partition.
    pub fn standby_lags(&self) -> Vec<StandbyLag> {
        let followers: Vec<Arc<Follower>> = self.standbys.followers.lock().by_task.values().map(|(follower, _)| follower.clone()).collect();
        followers.iter().flat_map(|follower| follower.lags()).collect()
    }

    /// How many standbys a query has.
    pub fn standbys(&self, query: &str) -> usize {
        self.queries.lock().get(query).map(|query| query.start.standbys).unwrap_or_default()
    }

    /// Tasks of other servers that are followed here.
    pub fn standby_tasks(&self) -> usize {
        self.standbys.followers.lock().by_task.len()
    }

    /// Entries of changelogs that were read so far: for tasks that were to run here, and for standbys.
    pub fn restored_entries(&self) -> (u64, u64) {
        (self.restored_entries.load(Ordering::Relaxed), self.standbys.entries.load(Ordering::Relaxed))
    }
}
