//! A log that has no room for more: a task waits for it, and nobody waits for the task's stores meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::{Runtime, RuntimeConfig, RuntimeParts, StartQuery};
use crate::analyze::tests::world::{Outcome, World};
use crate::clock::SystemClock;
use crate::log::simulated::{SimulatedLog, SimulationOptions, StoredRecord};
use crate::log::{
    Commit, GroupOffsets, Log, LogError, LogReader, LogWriter, Offset, OffsetSpec, OutRecord, Subscription, TopicHandle, TopicInfo,
    TopicPartition, TopicSpec,
};
use crate::processing_log::NoProcessingLog;
use crate::state::StateDb;

const RECORDS: usize = 5_000;
/// Records that may be queued until there is no more room, and beyond that until a send waits.
const ROOM: usize = 500;
const RESERVE: usize = 1_000;
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the writers have queued; somebody outside takes it away.
#[derive(Default)]
struct Queue {
    state: Mutex<Queued>,
    changed: Condvar,
}

#[derive(Default)]
struct Queued {
    records: usize,
    /// Sends that had to wait.
    waited: usize,
    is_endless: bool,
}

impl Queue {
    fn wait_until(&self, done: impl Fn(&Queued) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock();
        while !done(&state) {
            assert!(!self.changed.wait_until(&mut state, deadline).timed_out(), "{} records are queued", state.records);
        }
    }

    fn set(&self, set: impl FnOnce(&mut Queued)) {
        set(&mut self.state.lock());
        self.changed.notify_all();
    }
}

struct NarrowLog(SimulatedLog, Arc<Queue>);

struct NarrowWriter(Box<dyn LogWriter>, Arc<Queue>);

impl LogWriter for NarrowWriter {
    fn send(&mut self, topic: TopicHandle, record: OutRecord<'_>) -> Result<(), LogError> {
        let mut state = self.1.state.lock();
        if state.records >= ROOM + RESERVE && !state.is_endless {
            state.waited += 1;
            while state.records >= ROOM + RESERVE && !state.is_endless {
                self.1.changed.wait(&mut state);
            }
        }
        state.records += 1;
        drop(state);
        self.1.changed.notify_all();
        self.0.send(topic, record)
    }
    fn has_room(&mut self) -> bool {
        let state = self.1.state.lock();
        state.records < ROOM || state.is_endless
    }
    fn hint_idle(&mut self) {
        self.0.hint_idle();
    }
    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        self.0.commit(commit)
    }
}

impl Log for NarrowLog {
    fn is_atomic(&self) -> bool {
        self.0.is_atomic()
    }
    fn kind(&self) -> &'static str {
        self.0.kind()
    }
    fn cluster_id(&self) -> String {
        self.0.cluster_id()
    }
    fn create_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        self.0.create_topic(spec)
    }
    fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        self.0.delete_topic(name)
    }
    fn describe_topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        self.0.describe_topic(name)
    }
    fn list_topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        self.0.list_topics()
    }
    fn offsets(&self, partitions: &[TopicPartition], spec: OffsetSpec) -> Result<Vec<Offset>, LogError> {
        self.0.offsets(partitions, spec)
    }
    fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, LogError> {
        self.0.committed(group, partitions)
    }
    fn delete_group(&self, group: &str) -> Result<(), LogError> {
        self.0.delete_group(group)
    }
    fn topic(&self, name: &str) -> Result<(TopicHandle, u32), LogError> {
        self.0.topic(name)
    }
    fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn LogReader>, LogError> {
        self.0.subscribe(subscription)
    }
    fn writer(&self) -> Result<Box<dyn LogWriter>, LogError> {
        Ok(Box::new(NarrowWriter(self.0.writer()?, Arc::clone(&self.1))))
    }
    fn delete_before(&self, offsets: GroupOffsets) {
        self.0.delete_before(offsets);
    }
    fn ping(&self, timeout: Duration) -> Result<(), LogError> {
        self.0.ping(timeout)
    }
}

#[test]
fn stores_can_be_read_while_a_task_waits_for_the_log() {
    let mut world = World::new();
    let script = "CREATE STREAM I (ID STRING KEY, V INT) WITH (KAFKA_TOPIC='i', VALUE_FORMAT='JSON');
                  CREATE TABLE O AS SELECT ID, COUNT(*) AS N FROM I GROUP BY ID;";
    let Ok(Outcome::Query(planned)) = world.run(script) else { panic!("{script}") };
    let log = SimulatedLog::new(SimulationOptions::default());
    for name in ["i", "O"] {
        log.create_topic(&TopicSpec { name: name.into(), partitions: 1, replicas: 1, config: BTreeMap::new() }).unwrap();
    }
    let queue = Arc::new(Queue::default());
    let parts = RuntimeParts {
        log: Arc::new(NarrowLog(log.clone(), Arc::clone(&queue))),
        state: StateDb::in_memory(),
        clock: Arc::new(SystemClock),
        processing_log: Arc::new(NoProcessingLog),
        registry: Arc::new(crate::registry::NoRegistry),
    };
    let config = RuntimeConfig {
        workers: 1,
        commit_interval_ms: 100,
        min_commit_interval_ms: Some(0),
        max_task_idle_ms: 0,
        max_buffered_bytes: 1 << 20,
        internal_prefix: "_test".into(),
        replicas: 1,
        max_rows_per_record: 1_000_000,
        look_interval_ms: 0,
        slots: super::Slots::default(),
        server: "server".into(),
        is_shared: false,
    };
    let runtime = Runtime::start(parts, config).unwrap();
    let start = StartQuery::new(Arc::new(planned.plan), OffsetSpec::Earliest);
    let handle = runtime.start_query(start).unwrap();
    let store = {
        let queries = runtime.queries.lock();
        let stores = &queries.get(&handle.id).unwrap().stores;
        stores.values().next().and_then(|partitions| partitions.get(&0)).cloned().unwrap()
    };
    for _ in 0..RECORDS {
        let (key, value) = (Some(b"a".to_vec()), Some(br#"{"V":1}"#.to_vec()));
        let record = StoredRecord { offset: Offset(0), timestamp: 1, key, value, headers: Vec::new() };
        log.append("i", 0, record).unwrap();
    }
    // The task has filled the queue, and more is there to be done.
    queue.wait_until(|queued| queued.records >= ROOM);
    let (answer, answered) = crossbeam_channel::bounded(1);
    let reading = store.clone();
    std::thread::spawn(move || answer.send(reading.get(b"nobody", |value| value.is_none()).unwrap()));
    let read = answered.recv_timeout(PATIENCE);
    queue.set(|queued| queued.is_endless = true);
    assert_eq!(read, Ok(true), "the store is taken while the log has no room");
    assert_eq!(queue.state.lock().waited, 0, "a send waited with the stores taken");
    // It goes on by itself, and nothing was left out.
    queue.wait_until(|queued| queued.records >= RECORDS);
    runtime.shutdown();
    let written: usize = log.records("O").unwrap().iter().map(Vec::len).sum();
    assert_eq!(written, RECORDS);
}
