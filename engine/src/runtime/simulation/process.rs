//! One life of the simulated process: a real runtime over the simulated log and disk, its workers driven step by step.

use std::sync::Arc;
use std::time::Instant;

use super::super::worker::{Step, Worker};
use super::super::{QueryHandle, QueryState, Runtime, RuntimeConfig, RuntimeParts, Slots, StartError, StartQuery};
use super::clock::SimulatedClock;
use super::setup::Setup;
use crate::clock::Clock;
use crate::log::simulated::SimulatedLog;
use crate::log::{LogError, OffsetSpec};
use crate::plan::QueryPlan;
use crate::processing_log::NoProcessingLog;
use crate::registry::SchemaRegistry;
use crate::state::StateDb;

/// How a process runs.
pub(super) fn config(setup: &Setup) -> RuntimeConfig {
    RuntimeConfig {
        workers: setup.workers,
        commit_interval_ms: setup.commit_interval_ms,
        min_commit_interval_ms: Some(0),
        max_task_idle_ms: 3_600_000,
        max_buffered_bytes: 1 << 20,
        internal_prefix: "test_".into(),
        replicas: 1,
        max_rows_per_record: 1_000_000,
        look_interval_ms: setup.look_interval_ms,
        slots: Slots::default(),
        server: "server".into(),
        is_shared: false,
    }
}

/// A start of the query.
pub(super) fn query(setup: &Setup, plan: &Arc<QueryPlan>, ran_before: bool) -> StartQuery {
    let (guarantee, letters) = (setup.guarantee(), setup.letters());
    StartQuery { guarantee, letters, ran_before, ..StartQuery::new(plan.clone(), OffsetSpec::Earliest) }
}

/// See the module. Dropping it is a kill: nothing is committed.
pub(super) struct Process {
    pub runtime: Arc<Runtime>,
    pub state: StateDb,
    pub handle: Arc<QueryHandle>,
    workers: Vec<Worker>,
}

impl Process {
    /// Starts a process with its query.
    ///
    /// # Errors
    /// The log gave no answer; a process would try again.
    ///
    /// # Panics
    /// The query can't start for another reason.
    pub fn start(
        setup: &Setup,
        plan: &Arc<QueryPlan>,
        log: &SimulatedLog,
        state: StateDb,
        clock: &Arc<SimulatedClock>,
        registry: Arc<dyn SchemaRegistry>,
    ) -> Result<Self, String> {
        if !setup.atomic {
            let later = state.clone();
            log.set_state_sink(move |batch| later.write_later(batch));
        }
        let parts = RuntimeParts {
            log: Arc::new(log.clone()),
            state: state.clone(),
            clock: clock.clone(),
            processing_log: Arc::new(NoProcessingLog),
            registry,
        };
        let (runtime, workers) = Runtime::by_hand(parts, config(setup));
        match runtime.start_query(query(setup, plan, false)) {
            Ok(handle) => Ok(Process { runtime, state, handle, workers }),
            Err(StartError::Log(LogError::Retriable(reason))) => Err(reason),
            // The simulated disk may refuse what a restore writes.
            Err(StartError::State(error)) => Err(error.to_string()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts a query that failed once more, where its last tasks are gone and the log answers.
    pub fn start_again(&mut self, plan: &Arc<QueryPlan>, setup: &Setup) {
        self.runtime.stop_soon(&self.handle.id);
        for _ in 0..3 {
            (0..self.workers()).for_each(|worker| {
                self.step(worker);
            });
        }
        if let Ok(handle) = self.runtime.start_query(query(setup, plan, true)) {
            self.handle = handle;
        }
    }

    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// One step of one worker; when it has something to do again, if it has nothing now.
    pub fn step(&mut self, worker: usize) -> Option<Instant> {
        match self.workers[worker].step() {
            Step::Worked => None,
            Step::Idle(until) => Some(until),
            Step::Ended => unreachable!("nobody told a worker to end"),
        }
    }

    /// Works until nothing is left to do, now or later.
    ///
    /// # Errors
    /// That takes too long, or the query has failed.
    pub fn drain(&mut self, clock: &SimulatedClock) -> Result<(), String> {
        for _ in 0..100_000 {
            if let QueryState::Failed(failure) = self.handle.state() {
                return Err(format!("the query failed: {}", failure.reason));
            }
            let idle: Vec<Option<Instant>> = (0..self.workers()).map(|worker| self.step(worker)).collect();
            if self.state.write_next().is_some() {
                continue;
            }
            let Some(idle) = idle.into_iter().collect::<Option<Vec<Instant>>>() else { continue };
            let until = idle.into_iter().min().map_or(0, |until| until.saturating_duration_since(clock.instant()).as_millis());
            // An hour: no worker has anything in mind.
            if until >= 3_600_000 {
                return Ok(());
            }
            clock.advance(u64::try_from(until).unwrap_or(0).max(1));
        }
        Err("the process does not come to rest".into())
    }
}
