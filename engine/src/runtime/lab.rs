//! A runtime for tests: queries of a script over a simulated log, and workers that a test drives itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::worker::{Step, Worker};
use super::{QueryHandle, Runtime, RuntimeConfig, RuntimeParts, Slots, StartQuery};
use crate::analyze::tests::world::{Outcome, World};
use crate::clock::ManualClock;
use crate::formats::register_plan;
use crate::log::simulated::{SimulatedLog, SimulationOptions, StoredRecord};
use crate::log::{Log, OffsetSpec, TopicPartition, TopicSpec};
use crate::operators::Collector;
use crate::plan::QueryPlan;
use crate::processing_log::NoProcessingLog;
use crate::registry::SchemaRegistry;
use crate::state::StateDb;

/// Steps after which a worker that goes on is taken to go on for ever.
const MAX_STEPS: usize = 100_000;

/// See the module: one worker, one partition a topic.
pub(super) struct Lab {
    pub log: SimulatedLog,
    pub world: World,
    parts: RuntimeParts,
    pub runtime: Arc<Runtime>,
    pub worker: Option<Worker>,
}

pub(super) fn config() -> RuntimeConfig {
    RuntimeConfig {
        workers: 1,
        commit_interval_ms: 0,
        min_commit_interval_ms: Some(0),
        max_task_idle_ms: 0,
        max_buffered_bytes: 1 << 20,
        internal_prefix: "test_".into(),
        replicas: 1,
        max_rows_per_record: 10_000,
        look_interval_ms: 0,
        slots: Slots::default(),
        server: "server".into(),
        is_shared: false,
    }
}

impl Lab {
    pub fn new(atomic: bool) -> Self {
        Self::with_registry(atomic, Arc::new(crate::registry::NoRegistry))
    }

    /// A lab whose records bear schemas.
    pub fn with_registry(atomic: bool, registry: Arc<dyn SchemaRegistry>) -> Self {
        Self::with_parts(SimulatedLog::new(SimulationOptions { atomic, ..SimulationOptions::default() }), StateDb::in_memory(), registry)
    }

    /// A lab over a log and a state.
    pub fn over(log: SimulatedLog, state: StateDb) -> Self {
        Self::with_parts(log, state, Arc::new(crate::registry::NoRegistry))
    }

    fn with_parts(log: SimulatedLog, state: StateDb, registry: Arc<dyn SchemaRegistry>) -> Self {
        let parts = RuntimeParts {
            log: Arc::new(log.clone()),
            state,
            clock: Arc::new(ManualClock::default()),
            processing_log: Arc::new(NoProcessingLog),
            registry,
        };
        let (runtime, mut workers) = Runtime::by_hand(parts.clone(), config());
        Lab { log, world: World::new(), parts, runtime, worker: workers.pop() }
    }

    pub fn parts(&self) -> RuntimeParts {
        self.parts.clone()
    }

    pub fn topic(&self, name: &str) {
        let spec = TopicSpec { name: name.to_owned(), partitions: 1, replicas: 1, config: BTreeMap::new() };
        self.log.create_topic(&spec).unwrap();
    }

    /// Runs a script whose last statement makes a query.
    pub fn plan(&mut self, script: &str) -> Arc<QueryPlan> {
        match self.world.run(script) {
            Ok(Outcome::Query(mut planned)) => {
                register_plan(&mut planned.plan, &*self.parts.registry).unwrap();
                Arc::new(planned.plan)
            }
            other => panic!("{script}: {other:?}"),
        }
    }

    pub fn start(&self, plan: &Arc<QueryPlan>) -> Arc<QueryHandle> {
        self.runtime.start_query(start(plan, None)).unwrap()
    }

    /// Appends a JSON value with a key to a topic.
    pub fn append(&self, topic: &str, key: &str, value: &str) {
        let record = StoredRecord { timestamp: 1, key: Some(key.into()), value: Some(value.into()), ..Default::default() };
        self.log.append(topic, 0, record).unwrap();
    }

    /// Appends an AVRO value with a key to a topic.
    pub fn append_avro(&self, topic: &str, key: &str, timestamp: i64, value: Vec<u8>) {
        let record = StoredRecord { timestamp, key: Some(key.into()), value: Some(value), ..Default::default() };
        self.log.append(topic, 0, record).unwrap();
    }

    /// Lets the worker work until it has nothing to do at this moment.
    pub fn work(&mut self) {
        let worker = self.worker.as_mut().unwrap();
        for _ in 0..MAX_STEPS {
            match worker.step() {
                Step::Worked => {}
                Step::Idle(until) if until <= Instant::now() => {}
                Step::Idle(_) => return,
                Step::Ended => panic!("the worker has ended"),
            }
        }
        panic!("the worker does not come to rest");
    }

    /// Lets the worker work until something holds.
    pub fn work_until(&mut self, holds: impl Fn(&Lab) -> bool) {
        let deadline = Instant::now() + std::time::Duration::from_secs(20);
        while !holds(self) {
            assert!(Instant::now() < deadline, "it never holds");
            self.work();
        }
    }

    /// Kills the process and starts another one on the same log and state.
    pub fn restart(&mut self) {
        self.worker = None;
        let (runtime, mut workers) = Runtime::by_hand(self.parts.clone(), config());
        (self.runtime, self.worker) = (runtime, workers.pop());
    }

    /// The values of a topic's records.
    pub fn values(&self, topic: &str) -> Vec<String> {
        let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
        self.log.records(topic).unwrap().concat().iter().map(|record| record.value.as_ref().map(text).unwrap_or_default()).collect()
    }

    /// How far a query has committed its one partition of a topic.
    pub fn committed(&self, query: &str, topic: &str) -> Option<i64> {
        let partition = TopicPartition { topic: topic.into(), partition: 0 };
        self.log.committed(&self.runtime.group(query), &[partition]).unwrap()[0].map(|offset| offset.0)
    }

    /// The changelog topic of a query's one store.
    pub fn changelog(&self, query: &str) -> String {
        let topics = self.log.list_topics().unwrap().into_iter().map(|topic| topic.name);
        topics.into_iter().find(|name| name.contains(query) && name.ends_with("-changelog")).unwrap()
    }
}

pub(super) fn start(plan: &Arc<QueryPlan>, collector: Option<Arc<dyn Collector>>) -> StartQuery {
    StartQuery { collector, ..StartQuery::new(plan.clone(), OffsetSpec::Earliest) }
}
