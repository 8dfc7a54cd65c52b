//! The state of one task as a standby has it: brought to the newest commit that is whole again and again, as a restore does it, and
//! never beyond. So whoever goes on from it finds what it would have found had the task run here until then.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::super::Runtime;
use super::super::ends::CommitPlace;
use super::super::moves::{Place, TopicIds};
#[cfg(test)]
use super::super::planted;
use super::super::query_handle::QueryHandle;
use super::super::restore::tombstones::Begun;
use super::super::restore::{self, Progress, Subject, Watch};
use super::super::seat::Seat;
use super::super::start::StartError;
use crate::log::{Offset, TopicPartition};
use crate::state::{StateBatch, Store, StoreKey, StoreReader, StoreSpec};

/// How long one rests that was brought up to date; and so many times what that took, where that is more.
const REST: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(1) };
const REST_FACTOR: u32 = if cfg!(test) { 0 } else { 4 };
/// How long one rests that could not be.
const REST_AFTER_FAILURE: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(5) };
/// How long who reads waits until one is brought up to date.
const READ_PATIENCE: Duration = Duration::from_millis(500);
/// How far it is behind is as good as not known where that was looked at longer ago.
const MAX_SEEN_AGE: Duration = Duration::from_secs(10);
/// With more records than this to read it says how far it is.
const MANY_RECORDS: u64 = 20_000;

/// See the module.
pub(super) struct Follower {
    pub handle: Arc<QueryHandle>,
    pub place: Place,
    /// The number of its sub-topology.
    sub_topology: usize,
    specs: Vec<StoreSpec>,
    /// For each store.
    changelogs: Vec<Option<TopicPartition>>,
    ids: TopicIds,
    /// Its stores as of the last time; written to while it is brought up to date.
    held: RwLock<Held>,
    is_busy: AtomicBool,
    seen: Mutex<Seen>,
    progress: Progress,
    /// Free when the stores are closed: the last to go.
    seat: Seat,
}

#[derive(Default)]
pub(super) struct Held {
    /// Empty: they are nobody's at the moment.
    stores: Vec<Store>,
    /// They were brought to a commit in this life.
    is_whole: bool,
}

impl Held {
    pub fn reader(&self, store: &str) -> Option<StoreReader> {
        self.stores.iter().find(|own| *own.key().store == *store).map(Store::reader)
    }
}

/// What was last seen of its changelogs.
struct Seen {
    at: Option<Instant>,
    /// Of each changelog: up to where it is included, and where it ends.
    included: Vec<Option<Offset>>,
    ends: Vec<Offset>,
    /// Where they ended when it was last brought up to date.
    done: Vec<Offset>,
    rests_until: Option<Instant>,
}

/// The right to bring a follower up to date, which keeps none that was told to end.
pub(super) struct Turn(Weak<Follower>);

impl Turn {
    /// Uses it.
    pub fn take(self, runtime: &Runtime, records: u64) {
        if let Some(follower) = self.0.upgrade() {
            follower.catch_up(runtime, records);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(follower) = self.0.upgrade() {
            follower.is_busy.store(false, Ordering::Release);
        }
    }
}

impl Follower {
    /// Of a task with some stores, each with its changelog, where it has one. Nothing is read or opened yet.
    pub fn new(
        handle: Arc<QueryHandle>,
        place: Place,
        sub_topology: usize,
        stores: Vec<(StoreSpec, Option<TopicPartition>)>,
        ids: TopicIds,
        seat: Seat,
    ) -> Self {
        let (specs, changelogs): (Vec<_>, Vec<_>) = stores.into_iter().unzip();
        let count = changelogs.iter().flatten().count();
        let seen = Seen { at: None, included: vec![None; count], ends: vec![Offset(0); count], done: Vec::new(), rests_until: None };
        Follower {
            handle,
            place,
            sub_topology,
            specs,
            changelogs,
            ids,
            held: RwLock::default(),
            is_busy: AtomicBool::new(false),
            seen: Mutex::new(seen),
            progress: Progress::default(),
            seat,
        }
    }

    /// The changelogs that it follows.
    pub fn changelogs(&self) -> impl Iterator<Item = &TopicPartition> {
        self.changelogs.iter().flatten()
    }

    /// Takes where its changelogs end. Its turn, and how many records it has to read, where it is to be brought up to date now.
    pub fn see(self: &Arc<Self>, ends: Vec<Offset>, now: Instant) -> Option<(Turn, u64)> {
        let mut seen = self.seen.lock();
        (seen.at, seen.ends) = (Some(now), ends);
        let is_due = seen.done != seen.ends && seen.rests_until.is_none_or(|until| until <= now);
        if !is_due || self.seat.is_given_up() || self.is_busy.swap(true, Ordering::AcqRel) {
            return None;
        }
        Some((Turn(Arc::downgrade(self)), seen.behind().sum()))
    }

    /// Brings it up to date. Whoever else is to have the stores gives the seat up, and it ends soon.
    fn catch_up(&self, runtime: &Runtime, records: u64) {
        let began = Instant::now();
        let ends = self.seen.lock().ends.clone();
        if records > MANY_RECORDS {
            self.progress.begin(records);
        }
        let result = self.read_on(runtime);
        self.progress.end();
        let mut seen = self.seen.lock();
        match result {
            Ok(included) => {
                (seen.included, seen.done) = (included.into_iter().map(Some).collect(), ends);
                seen.rests_until = Some(Instant::now() + REST.max(began.elapsed() * REST_FACTOR));
            }
            Err(StartError::CalledOff) => {}
            Err(error) => {
                let (query, partition) = (&self.handle.id, self.place.1);
                tracing::warn!(%query, partition, %error, "the state of another server's task can't be followed; trying again");
                seen.rests_until = Some(Instant::now() + REST_AFTER_FAILURE);
            }
        }
    }

    /// Up to where each changelog is included afterwards.
    fn read_on(&self, runtime: &Runtime) -> Result<Vec<Offset>, StartError> {
        if self.seat.is_given_up() {
            return Err(StartError::CalledOff);
        }
        let mut held = self.held.write();
        // Where this fails the stores are dropped, with whatever they have of it.
        let Held { mut stores, .. } = std::mem::take(&mut *held);
        let (query, partition, parts) = (&self.handle.id, self.place.1, &runtime.parts);
        let state = &parts.state;
        if stores.is_empty() {
            for spec in &self.specs {
                let key = StoreKey { query: query.clone(), store: spec.name.clone(), partition };
                stores.push(state.open_store(&key, spec)?);
            }
        }
        let positions = state.positions(query)?;
        let owner = runtime.marks.owner(query, (self.sub_topology, partition));
        let lives = |topic: &Option<TopicPartition>| {
            let owned = owner.as_ref().zip(topic.as_ref());
            owned.map(|(owner, topic)| owner.lives(&topic.topic, self.ids.get(&*topic.topic).copied())).unwrap_or_default()
        };
        let (place, begun) = (CommitPlace::new(self.sub_topology, partition), Begun::new(self.sub_topology, partition));
        let subject = Subject {
            changelogs: &self.changelogs,
            lives: self.changelogs.iter().map(lives).collect(),
            owner: owner.as_ref(),
            positions: &positions,
            place: &place,
            begun: &begun,
            now_ms: parts.clock.now_ms(),
        };
        let watch = Watch {
            handle: &self.handle,
            is_ending: &runtime.is_ending,
            seat: &self.seat,
            progress: &self.progress,
            entries: &runtime.standbys.entries,
            places: None,
        };
        let mut batch = StateBatch::default();
        let restored = restore::restore(&*parts.log, state, &mut stores, subject, &mut batch, &watch)?;
        if restored.epoch > owner.as_ref().map_or(0, |owner| owner.epoch) {
            runtime.standbys.look_at_owners();
        }
        let included: Vec<Offset> = restored.changelogs.iter().flatten().map(|changelog| changelog.included).collect();
        #[cfg(test)]
        if planted::is(planted::Defect::HollowStandby) {
            batch = StateBatch::default();
            place.write(state, query, restored.commit.unwrap_or_default(), &mut batch);
        }
        // Before the first commit there is nothing that the state stands for.
        if restored.commit.is_some() {
            for (changelog, included) in self.changelogs().zip(&included) {
                batch.set_position(state, query, changelog, *included);
            }
            // What other tasks of the query have is theirs.
            for (input, next) in restored.inputs.iter().filter(|(input, next)| positions.get(*input) != Some(*next)) {
                batch.set_position(state, query, input, *next);
            }
            batch.write()?;
        }
        // Written, and read from there: a standby keeps nothing in memory.
        stores.iter_mut().for_each(Store::rollback);
        *held = Held { stores, is_whole: true };
        Ok(included)
    }

    /// Whether it follows a store, by its changelog.
    pub fn follows(&self, store: &str) -> bool {
        self.specs.iter().any(|spec| spec.changelog && *spec.name == *store)
    }

    /// Its stores, and none of them changes meanwhile; where they are so many offsets behind at most.
    ///
    /// # Errors
    /// Why not now: words behind "a standby's, ".
    pub fn read(&self, most: u64) -> Result<RwLockReadGuard<'_, Held>, String> {
        let Some(held) = self.held.try_read_for(READ_PATIENCE).filter(|held| held.is_whole) else {
            return Err("and it is being brought up to date".to_owned());
        };
        let seen = self.seen.lock();
        if seen.at.is_none_or(|at| at.elapsed() > MAX_SEEN_AGE) {
            return Err("and how far it is behind is not known".to_owned());
        }
        let behind = seen.behind().max().unwrap_or_default();
        if behind > most {
            return Err(format!("which is {behind} offsets behind"));
        }
        drop(seen);
        Ok(held)
    }

    /// How it stands, a line for each changelog.
    pub fn lags(&self) -> Vec<StandbyLag> {
        let seen = self.seen.lock();
        let stores = self.specs.iter().zip(&self.changelogs).filter(|(_, changelog)| changelog.is_some());
        let of_store = |((spec, _), (included, end)): ((&StoreSpec, _), (&Option<Offset>, &Offset))| StandbyLag {
            query: self.handle.id.clone(),
            store: spec.name.clone(),
            partition: self.place.1,
            included: included.unwrap_or_default(),
            end: *end,
            seen: seen.at,
        };
        stores.zip(seen.included.iter().zip(&seen.ends)).map(of_store).collect()
    }
}

impl Seen {
    /// Offsets of each changelog that are not included.
    fn behind(&self) -> impl Iterator<Item = u64> {
        let behind = |(included, end): (&Option<Offset>, &Offset)| end.0.saturating_sub(included.unwrap_or_default().0);
        self.included.iter().zip(&self.ends).map(behind).map(|offsets| u64::try_from(offsets).unwrap_or_default())
    }
}

/// How far a standby has followed the changelog of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandbyLag {
    pub query: Arc<str>,
    pub store: Arc<str>,
    pub partition: crate::log::PartitionId,
    /// The first offset that it does not include.
    pub included: Offset,
    /// Where the changelog ended when it was last looked at …
    pub end: Offset,
    /// … and when that was; `None`: never yet.
    pub seen: Option<Instant>,
}

impl StandbyLag {
    /// Offsets that it is behind.
    pub fn offsets(&self) -> u64 {
        u64::try_from(self.end.0.saturating_sub(self.included.0)).unwrap_or_default()
    }
}
