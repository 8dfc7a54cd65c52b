//! One life of one of the servers: a real runtime, whose threads are things to do. What a server does of itself goes on in the middle
//! of what others do, and of what it does itself on another of its threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{TryRecvError, bounded};
use parking_lot::Mutex;

use super::super::super::worker::{Message, Step, Worker};
use super::super::super::{QueryHandle, QueryState, Runtime, RuntimeConfig, RuntimeParts, Share, Slots, StartError, StartQuery};
use super::super::process;
use super::Cluster;
use super::claim::SimulatedClaim;
use super::wire::Wire;
use crate::clock::Clock;
use crate::log::simulated::OUTCOME_UNKNOWN;
use crate::log::{LogError, SharedClaim, Standing, murmur2};
use crate::processing_log::NoProcessingLog;
use crate::state::StateDb;

/// Steps in which a worker that is told to end does so.
const MOST_LAST_STEPS: usize = 1_000;

/// See the module. Dropping it is a kill.
pub(super) struct Node {
    pub runtime: Arc<Runtime>,
    pub wire: Wire,
    pub share: Share,
    pub state: StateDb,
    pub claim: SimulatedClaim,
    workers: Vec<Mutex<Worker>>,
    /// `None`: it is to be started again.
    handle: Mutex<Option<Arc<QueryHandle>>>,
    /// One that holds locks which the others need.
    is_supervised: AtomicBool,
    /// What other servers' tasks have is being read; whoever makes tasks waits for that.
    is_following: AtomicBool,
    has_ended: AtomicBool,
}

impl Node {
    /// A process starts, with its query. `Ok(None)`: it has to be tried again.
    ///
    /// # Errors
    /// The query can't start, for a reason that should not be.
    pub fn start(cluster: &Arc<Cluster>, name: &str, wire: &Wire, state: StateDb) -> Result<Option<Node>, String> {
        let claim = SimulatedClaim::new(&cluster.group, &cluster.clock, name);
        let parts = RuntimeParts {
            log: Arc::new(wire.clone()),
            state: state.clone(),
            clock: cluster.clock.clone(),
            processing_log: Arc::new(NoProcessingLog),
            registry: cluster.registry.clone(),
        };
        let (setup, plan) = (&cluster.setup.base, &cluster.plan);
        let config =
            RuntimeConfig { slots: Slots::new(cluster.setup.slots), server: name.to_owned(), is_shared: true, ..process::config(setup) };
        let (runtime, workers) = Runtime::by_hand(parts, config);
        let Ok(share) = Share::begin(&runtime, &claim) else { return Ok(None) };
        let start = StartQuery { standbys: cluster.setup.standbys, ..process::query(setup, plan, false) };
        let handle = match runtime.start_query(start) {
            Ok(handle) => handle,
            Err(error) if may_be(&error) || wire.is_dead() => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let (workers, handle) = (workers.into_iter().map(Mutex::new).collect(), Mutex::new(Some(handle)));
        let [is_supervised, is_following, has_ended] = [false; 3].map(AtomicBool::new);
        Ok(Some(Node { runtime, wire: wire.clone(), share, state, claim, workers, handle, is_supervised, is_following, has_ended }))
    }

    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// One step of a worker; when it has something to do again, if it has nothing now. One that is in the middle of something, or is
    /// kept from it, has had none.
    pub fn step(&self, worker: usize) -> Option<Instant> {
        if self.is_supervised.load(Ordering::Acquire) {
            return None;
        }
        let mut worker = self.workers.get(worker)?.try_lock()?;
        match worker.step() {
            Step::Worked | Step::Ended => None,
            Step::Idle(until) => Some(until),
        }
    }

    /// The look of the thread that keeps the membership.
    pub fn look(&self, clock: &dyn Clock) -> Result<(), String> {
        if self.is_supervised.load(Ordering::Acquire) {
            return Ok(());
        }
        match self.runtime.tenure().ask(&self.claim, clock) {
            Standing::Lost(reason) => Err(reason),
            Standing::Held | Standing::Unsure => {
                self.share.follow(&self.runtime, &self.claim);
                Ok(())
            }
        }
    }

    /// The look of the supervisor; whether the query was started again.
    ///
    /// # Errors
    /// The query has failed for a reason that should not be.
    pub fn supervise(&self, cluster: &Cluster) -> Result<bool, String> {
        if self.is_following.load(Ordering::Acquire) || self.is_supervised.swap(true, Ordering::AcqRel) {
            return Ok(false);
        }
        // Where others were not to be reached it is tried again.
        let _ = self.share.take(&self.runtime, &self.claim);
        let result = self.look_after_query(cluster);
        self.is_supervised.store(false, Ordering::Release);
        result
    }

    fn look_after_query(&self, cluster: &Cluster) -> Result<bool, String> {
        let handle = self.handle.lock().clone();
        if let Some(handle) = handle {
            let QueryState::Failed(failure) = handle.state() else { return Ok(false) };
            if !failure.reason.contains(OUTCOME_UNKNOWN) && !self.wire.is_dead() {
                return Err(format!("the query failed: {}", failure.reason));
            }
            // The next start finds out how the transaction ended.
            self.runtime.stop_soon(&handle.id);
            *self.handle.lock() = None;
        }
        let is_free = self.runtime.ending.lock().values().all(|gone| matches!(gone.try_recv(), Err(TryRecvError::Disconnected)));
        if !is_free {
            return Ok(false);
        }
        let start = process::query(&cluster.setup.base, &cluster.plan, true);
        match self.runtime.start_query(StartQuery { standbys: cluster.setup.standbys, ..start }) {
            Ok(handle) => {
                *self.handle.lock() = Some(handle);
                Ok(true)
            }
            Err(error) if may_be(&error) || self.wire.is_dead() => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The look of the thread that sees to standbys: which slots others have, and what of their tasks has changed.
    pub fn follow(&self, name: &str) {
        if self.is_supervised.load(Ordering::Acquire) || self.is_following.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Ok(shares) = self.claim.shares() {
            let mut ranks = BTreeMap::new();
            for (owner, slots) in &shares {
                for slot in slots.iter().filter(|_| owner != name) {
                    let mut others: Vec<&String> = shares.keys().filter(|other| *other != owner).collect();
                    others.sort_by_key(|other| murmur2(format!("{slot}/{other}").as_bytes()));
                    ranks.extend(others.iter().position(|other| *other == name).map(|rank| (*slot, rank)));
                }
            }
            self.runtime.set_standby_ranks(ranks, true);
            self.runtime.follow();
        }
        self.is_following.store(false, Ordering::Release);
    }

    /// Whether it has ended in order, with nothing under way.
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Ends in order: commits, and writes its state. Nobody may be in the middle of anything of it.
    pub fn end(&self) {
        self.is_supervised.store(true, Ordering::Release);
        let mut has_ended = true;
        for (index, worker) in self.workers.iter().enumerate() {
            let (done, _answers) = bounded(1);
            let _ = self.runtime.workers[index].send(Message::Shutdown { done });
            let Some(mut worker) = worker.try_lock() else {
                has_ended = false;
                continue;
            };
            has_ended &= (0..MOST_LAST_STEPS).any(|_| worker.step() == Step::Ended);
        }
        self.has_ended.store(has_ended, Ordering::Release);
        for _ in 0..MOST_LAST_STEPS {
            if self.state.write_next().is_none_or(|written| written.is_err()) {
                break;
            }
        }
    }

    /// Whether there is nothing to do but what its workers say.
    pub fn is_at_rest(&self) -> bool {
        let handle = self.handle.lock();
        let runs = handle.as_ref().is_some_and(|handle| !handle.has_ended());
        runs && self.share.is_at_rest() && !self.runtime.has_empty_seats()
    }

    pub fn says(&self) -> String {
        let state = self.handle.lock().as_ref().map(|handle| handle.state());
        let (slots, is_at_rest) = (self.runtime.slots(), self.share.is_at_rest());
        format!("{state:?}, slots {slots:?}, share at rest: {is_at_rest}, empty seats: {}", self.runtime.has_empty_seats())
    }
}

/// Whether a start may fail so, to be tried again: the log gave no answer, or the simulated disk refused what a restore wrote, or others
/// have taken this server for gone.
fn may_be(error: &StartError) -> bool {
    matches!(error, StartError::Log(LogError::Retriable(_) | LogError::Fenced(_)) | StartError::State(_) | StartError::StillEnding(_))
}
