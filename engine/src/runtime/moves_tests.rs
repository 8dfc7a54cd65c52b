//! Slots that move between two servers of a service, over one simulated log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::lab::{self, start};
use super::worker::{Step, Worker};
use super::{Elsewhere, Guarantee, LetGo, QueryHandle, QueryState, Runtime, RuntimeConfig, RuntimeParts, SlotSet, StartQuery};
use crate::analyze::tests::world::{Outcome, World};
use crate::clock::ManualClock;
use crate::log::simulated::{SimulatedLog, SimulationOptions, StoredRecord};
use crate::log::{Log, PartitionId, TopicSpec};
use crate::operators::materialized;
use crate::plan::QueryPlan;
use crate::processing_log::NoProcessingLog;
use crate::state::StateDb;
use crate::types::Value;

pub(super) const PARTITIONS: PartitionId = 6;
pub(super) const COUNT: &str = "CREATE TABLE C WITH (KAFKA_TOPIC='out') AS SELECT K, COUNT(*) AS N FROM S GROUP BY K;";
const FILTER: &str = "CREATE STREAM F WITH (KAFKA_TOPIC='out') AS SELECT K, N FROM S WHERE N > 0;";

/// A service's log, and the one query that it runs.
pub(super) struct Service {
    pub log: SimulatedLog,
    pub plan: Arc<QueryPlan>,
    guarantee: Guarantee,
    /// How many records each partition got.
    pub sent: BTreeMap<PartitionId, i64>,
}

/// One of its servers, whose worker the test drives.
pub(super) struct Server {
    pub runtime: Arc<Runtime>,
    worker: Worker,
    pub handle: Arc<QueryHandle>,
}

/// The servers, while both run.
pub(super) fn both() -> BTreeSet<String> {
    ["one", "other"].map(str::to_owned).into()
}

/// Each query with each guarantee.
fn services() -> impl Iterator<Item = Service> {
    Guarantee::ALL.into_iter().flat_map(|guarantee| [COUNT, FILTER].map(|query| Service::new(query, guarantee)))
}

impl Service {
    pub fn new(query: &str, guarantee: Guarantee) -> Self {
        let log = SimulatedLog::new(SimulationOptions { atomic: false, ..SimulationOptions::default() });
        for name in ["s", "out"] {
            let partitions = PARTITIONS.unsigned_abs();
            log.create_topic(&TopicSpec { name: name.to_owned(), partitions, replicas: 1, config: BTreeMap::new() }).unwrap();
        }
        let source = "CREATE STREAM S (K STRING KEY, N BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
        let plan = match World::new().run(&format!("{source} {query}")) {
            Ok(Outcome::Query(planned)) => Arc::new(planned.plan),
            other => panic!("{other:?}"),
        };
        Service { log, plan, guarantee, sent: BTreeMap::new() }
    }

    /// A server that runs the query's tasks in some slots.
    pub fn server(&self, name: &str, slots: &SlotSet) -> Server {
        self.server_over(StateDb::in_memory(), name, slots)
    }

    /// One that has a state already.
    pub fn server_over(&self, state: StateDb, name: &str, slots: &SlotSet) -> Server {
        let parts = RuntimeParts {
            log: Arc::new(self.log.clone()),
            state,
            clock: Arc::new(ManualClock::default()),
            processing_log: Arc::new(NoProcessingLog),
            registry: Arc::new(crate::registry::NoRegistry),
        };
        let (runtime, mut workers) = Runtime::by_hand(parts, RuntimeConfig { server: name.to_owned(), is_shared: true, ..lab::config() });
        let others = runtime.slots().difference(slots).copied().collect();
        runtime.release_slots(&others, LetGo::Committed);
        runtime.set_servers(both());
        let handle = runtime.start_query(StartQuery { guarantee: self.guarantee, standbys: 1, ..start(&self.plan, None) }).unwrap();
        Server { runtime, worker: workers.pop().unwrap(), handle }
    }

    /// Appends the next record of each partition's one key, which says how many there are.
    pub fn feed(&mut self) {
        for partition in 0..PARTITIONS {
            let sent = self.sent.entry(partition).or_default();
            *sent += 1;
            let (key, value) = (format!("k{partition}"), format!("{{\"N\": {sent}}}"));
            let record = StoredRecord { timestamp: 1, key: Some(key.into()), value: Some(value.into()), ..Default::default() };
            self.log.append("s", partition, record).unwrap();
        }
    }

    /// What was written of each partition's key, first to last.
    fn written(&self) -> BTreeMap<PartitionId, Vec<i64>> {
        let mut written: BTreeMap<PartitionId, Vec<i64>> = BTreeMap::new();
        for record in self.log.records("out").unwrap().concat() {
            let text = |bytes: &Option<Vec<u8>>| String::from_utf8(bytes.clone().unwrap()).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text(&record.value)).unwrap();
            let partition = text(&record.key).trim_start_matches('k').parse().unwrap();
            written.entry(partition).or_default().push(value["N"].as_i64().unwrap());
        }
        written
    }

    /// Nothing was lost and nothing repeated.
    pub fn assert_whole(&self) {
        let expected: BTreeMap<PartitionId, Vec<i64>> =
            self.sent.iter().map(|(partition, sent)| (*partition, (1..=*sent).collect())).collect();
        assert_eq!(self.written(), expected);
    }

    /// The slots of some partitions.
    pub fn slots(&self, partitions: impl IntoIterator<Item = PartitionId>) -> SlotSet {
        partitions.into_iter().map(|partition| lab::config().slots.of(&self.plan.query_id, partition)).collect()
    }
}

impl Server {
    /// Works until nothing is to be done at this moment.
    pub fn work(&mut self) {
        for _ in 0..10_000 {
            match self.worker.step() {
                Step::Idle(until) if until > Instant::now() => return,
                Step::Worked | Step::Idle(_) => {}
                Step::Ended => panic!("nobody told it to end"),
            }
        }
        panic!("the worker does not come to rest: {:?}", self.handle.state());
    }

    pub fn let_go(&mut self, slots: &SlotSet, how: LetGo) {
        self.runtime.release_slots(slots, how);
        assert_eq!(self.runtime.are_free(slots), slots.is_empty(), "tasks that have not heard of it");
        self.work();
        assert!(self.runtime.are_free(slots), "they are gone");
    }

    /// The counts of a table's partitions that are all here.
    pub fn counts(&self, plan: &QueryPlan) -> Result<BTreeMap<String, i64>, Elsewhere> {
        let reader = materialized::reader(plan).unwrap();
        let mut counts = BTreeMap::new();
        for stores in self.runtime.partition_readers(&plan.query_id, reader.stores())? {
            let read = reader.scan(0, &[], None, &stores, &mut |_, row| {
                let [Value::String(key), Value::BigInt(count)] = &row.values[..] else { panic!("{:?}", row.values) };
                counts.insert(key.to_string(), *count);
                true
            });
            read.unwrap();
        }
        Ok(counts)
    }
}

#[test]
fn tasks_go_from_one_server_to_the_other_and_back() {
    for mut service in services() {
        let all = service.slots(0..PARTITIONS);
        let (mut one, mut other) = (service.server("one", &all), service.server("other", &SlotSet::new()));
        assert_eq!(other.handle.state(), QueryState::Running, "it runs elsewhere");
        for round in 0..12 {
            service.feed();
            one.work();
            other.work();
            service.assert_whole();
            let moving = service.slots([round % PARTITIONS, (round * 5 + 1) % PARTITIONS]);
            let going: SlotSet = moving.intersection(&one.runtime.slots()).copied().collect();
            let coming: SlotSet = moving.difference(&going).copied().collect();
            // Some of it is not read yet.
            service.feed();
            one.let_go(&going, LetGo::Committed);
            other.let_go(&coming, LetGo::Committed);
            other.runtime.take_slots(&going, both()).unwrap();
            one.runtime.take_slots(&coming, both()).unwrap();
            assert!(one.runtime.slots().is_disjoint(&other.runtime.slots()));
        }
        one.work();
        other.work();
        service.assert_whole();
    }
}

#[test]
fn a_part_of_a_table_is_not_taken_for_the_whole() {
    let mut service = Service::new(COUNT, Guarantee::AtLeastOnce);
    let half = service.slots([1, 3]);
    let mut one = service.server("one", &service.slots(0..PARTITIONS));
    service.feed();
    one.work();
    assert_eq!(one.counts(&service.plan).unwrap().len(), 6);
    one.let_go(&half, LetGo::Committed);
    assert_eq!(one.counts(&service.plan), Err(Elsewhere(vec![1, 3])));
    let other = service.server("other", &half);
    assert_eq!(other.counts(&service.plan), Err(Elsewhere(vec![0, 2, 4, 5])));
    drop(other);
    one.runtime.take_slots(&half, both()).unwrap();
    service.feed();
    one.work();
    assert!(one.counts(&service.plan).unwrap().values().all(|count| *count == 2));
    service.assert_whole();
}

#[test]
fn what_was_not_committed_is_read_again_where_the_slot_is_next() {
    for mut service in services() {
        let half = service.slots([0, 2, 4]);
        let mut one = service.server("one", &service.slots(0..PARTITIONS));
        let mut other = service.server("other", &SlotSet::new());
        service.feed();
        one.work();
        one.let_go(&half, LetGo::AsItStands);
        service.feed();
        other.runtime.take_slots(&half, both()).unwrap();
        one.work();
        other.work();
        service.assert_whole();
    }
}

/// A server that did not hear that it lost its slots goes on with them: only what it wrote to the sink is repeated.
#[test]
fn what_a_server_writes_that_has_lost_its_slots_does_not_count() {
    for mut service in services() {
        let all = service.slots(0..PARTITIONS);
        let mut zombie = service.server("other", &all);
        service.feed();
        zombie.work();
        let mut next = service.server("one", &SlotSet::new());
        // The zombie is no member of the group any more.
        next.runtime.take_slots(&all, ["one".to_owned()].into()).unwrap();
        service.feed();
        for round in 0..3 {
            if round == 1 && service.guarantee == Guarantee::AtLeastOnce {
                // An epoch that it takes for other slots makes it no owner of these.
                zombie.runtime.take_slots(&[63].into(), both()).unwrap();
            }
            zombie.work();
            next.work();
            service.feed();
        }
        next.work();
        zombie.work();
        // Whoever comes next has a folder of its own, and knows only what the log says.
        drop((next, zombie));
        let before = service.written();
        let mut last = service.server("last", &all);
        last.work();
        assert_eq!(service.written(), before, "all was read and committed");
        service.feed();
        last.work();
        let newest: BTreeMap<PartitionId, i64> = service.written().into_iter().map(|(p, all)| (p, *all.last().unwrap())).collect();
        assert_eq!(newest, service.sent);
        if service.plan.query_id.starts_with("CTAS") {
            assert!(last.counts(&service.plan).unwrap().into_iter().all(|(_, count)| count == service.sent[&0]));
        }
    }
}

#[test]
fn a_task_that_is_busy_is_waited_for() {
    let mut service = Service::new(COUNT, Guarantee::AtLeastOnce);
    let all = service.slots(0..PARTITIONS);
    let mut one = service.server("one", &all);
    service.feed();
    one.work();
    one.runtime.release_slots(&all, LetGo::Committed);
    // The worker has not heard of it, and the slots come back.
    one.runtime.take_slots(&all, both()).unwrap();
    assert!(one.runtime.has_empty_seats() && !one.runtime.are_free(&all));
    one.work();
    assert!(one.runtime.are_free(&all));
    one.runtime.fill_seats();
    assert!(!one.runtime.has_empty_seats());
    service.feed();
    one.work();
    service.assert_whole();
}
