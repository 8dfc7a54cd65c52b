//! Joins over random changes, on three partitions, with commits and restarts anywhere: what stands in the sink in the end
//! is what the tables (or streams) give when they are joined all at once.

mod lookup;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value as Json, json};

use super::sync::{SyncParts, SyncQuery};
use crate::analyze::tests::world::{Outcome, World};
use crate::clock::ManualClock;
use crate::log::simulated::{SimulatedLog, SimulationOptions};
use crate::log::{Log, Offset, RecordRef, TopicSpec, partition_for};
use crate::plan::QueryPlan;
use crate::processing_log::{ProcessingError, ProcessingLog};
use crate::state::StateDb;

const PARTITIONS: u32 = 3;
const SEEDS: u64 = 25;
const STEPS: u64 = 120;

/// A query under test with its log; records are fed as they are made.
pub(super) struct Bench {
    pub(super) query: SyncQuery,
    plan: Arc<QueryPlan>,
    log: Arc<SimulatedLog>,
    next_offset: BTreeMap<(String, i32), i64>,
    random: StdRng,
    /// What goes between sub-topologies waits, and overtakes each other.
    overtakes: bool,
    pub(super) reports: Arc<Reports>,
}

/// What the processing log was told.
#[derive(Default)]
pub(super) struct Reports(pub(super) Mutex<Vec<String>>);

impl ProcessingLog for Reports {
    fn report(&self, error: ProcessingError) {
        self.0.lock().push(error.message);
    }
}

impl Bench {
    fn new(script: &str, topics: &[&str], seed: u64) -> Self {
        Bench::over(StateDb::in_memory(), script, topics, seed)
    }

    pub(super) fn over(state: StateDb, script: &str, topics: &[&str], seed: u64) -> Self {
        Bench::with(BTreeMap::new(), state, script, topics, seed)
    }

    /// Over a state, with properties.
    pub(super) fn with(properties: BTreeMap<String, String>, state: StateDb, script: &str, topics: &[&str], seed: u64) -> Self {
        let mut world = World::new();
        world.properties = properties;
        world.default_partitions = Some(PARTITIONS);
        let Ok(Outcome::Query(planned)) = world.run(script) else { panic!("{script}") };
        let log = Arc::new(SimulatedLog::new(SimulationOptions::default()));
        for name in topics.iter().chain(&["O"]) {
            let spec = TopicSpec { name: (*name).to_owned(), partitions: PARTITIONS, replicas: 1, config: BTreeMap::new() };
            log.create_topic(&spec).unwrap();
        }
        let reports = Arc::new(Reports::default());
        let parts = SyncParts {
            log: log.clone(),
            state,
            clock: Arc::new(ManualClock::default()),
            processing_log: reports.clone(),
            collector: None,
            registry: Arc::new(crate::registry::NoRegistry),
        };
        let plan = Arc::new(planned.plan);
        let query = SyncQuery::new(plan.clone(), parts).unwrap();
        Bench { query, plan, log, next_offset: BTreeMap::new(), random: StdRng::seed_from_u64(seed), overtakes: false, reports }
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.random.random_range(0..from.len())]
    }

    /// Feeds a record, and now and then ends the chunk or restarts the query.
    fn feed(&mut self, topic: &str, key: &str, value: Option<&Json>, timestamp: i64) {
        self.feed_one(topic, key, value, timestamp);
        if self.overtakes {
            let most = self.random.random_range(0..6);
            self.query.drain_some(most, |places| self.random.random_range(0..places)).unwrap();
            if self.random.random_range(0..40) == 0 {
                self.query.restart().unwrap();
            }
            return;
        }
        match self.random.random_range(0..20) {
            0 => self.query.restart().unwrap(),
            1..6 => self.query.end_chunk().unwrap(),
            _ => {}
        }
    }

    pub(super) fn feed_one(&mut self, topic: &str, key: &str, value: Option<&Json>, timestamp: i64) {
        let partition = partition_for(Some(key.as_bytes()), PARTITIONS, &mut 0);
        let offset = self.next_offset.entry((topic.to_owned(), partition)).or_default();
        let value = value.map(|v| v.to_string().into_bytes());
        let record = RecordRef { offset: Offset(*offset), timestamp, key: Some(key.as_bytes()), value: value.as_deref() };
        *offset += 1;
        match self.overtakes {
            true => self.query.hand_in(topic, partition, record, &[]).unwrap(),
            false => self.query.feed(topic, partition, record, &[]).unwrap(),
        }
    }

    /// The sink's records: key and value, partition by partition.
    pub(super) fn written(&mut self) -> Vec<(String, Option<Json>)> {
        let records = self.written_bytes();
        records.into_iter().map(|(key, value)| (String::from_utf8(key).unwrap(), value)).collect()
    }

    /// As [`Bench::written`], where keys have windows behind them.
    pub(super) fn written_bytes(&mut self) -> Vec<(Vec<u8>, Option<Json>)> {
        self.query.end_chunk().unwrap();
        let records = self.log.records("O").unwrap().into_iter().flatten();
        let parsed = |r: &[u8]| serde_json::from_slice(r).unwrap();
        records.map(|r| (r.key.as_deref().unwrap_or_default().to_vec(), r.value.as_deref().map(parsed))).collect()
    }
}

type Table = BTreeMap<String, Json>;

/// Changes two tables at random; gives them as they are in the end, and the table in the sink.
fn join_tables(join: &str, seed: u64) -> (Table, Table, Table) {
    let mut steps = |_: &mut Bench, _: u64| {};
    join_tables_while(join, seed, &mut steps)
}

/// As [`join_tables`]; `before` is asked before each step.
fn join_tables_while(join: &str, seed: u64, before: &mut dyn FnMut(&mut Bench, u64)) -> (Table, Table, Table) {
    let script = format!(
        "CREATE TABLE L (ID STRING PRIMARY KEY, FK STRING, A INT) WITH (KAFKA_TOPIC='l', VALUE_FORMAT='JSON');
         CREATE TABLE R (ID STRING PRIMARY KEY, B INT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON');
         CREATE TABLE O AS {join};"
    );
    let mut bench = Bench::new(&script, &["l", "r"], seed);
    let (mut left, mut right) = (Table::new(), Table::new());
    for step in 0..STEPS {
        before(&mut bench, step);
        let number = bench.random.random_range(0..1000);
        let fk = bench.pick(&["a", "b", "c", "d", ""]);
        let fk = if fk.is_empty() { Json::Null } else { json!(fk) };
        let (topic, table, value) = match bench.random.random_bool(0.5) {
            true => ("l", &mut left, json!({"FK": fk, "A": number})),
            false => ("r", &mut right, json!({"B": number})),
        };
        let key = bench.pick(&["a", "b", "c", "d", "e"]);
        let value = (!bench.random.random_bool(0.25)).then_some(value);
        bench.feed(topic, key, value.as_ref(), i64::try_from(step).unwrap());
        match value {
            Some(value) => table.insert(key.to_owned(), value),
            None => table.remove(key),
        };
    }
    let mut sink = Table::new();
    for (key, value) in bench.written() {
        match value {
            Some(value) => sink.insert(key, value),
            None => sink.remove(&key),
        };
    }
    (left, right, sink)
}

#[test]
fn tables_joined_on_their_keys() {
    for (words, key, keeps_left, keeps_right) in [
        ("JOIN", "L.ID", false, false),
        ("LEFT JOIN", "L.ID", true, false),
        ("RIGHT JOIN", "R.ID", false, true),
        ("FULL OUTER JOIN", "ROWKEY", true, true),
    ] {
        for seed in 0..SEEDS {
            let (left, right, sink) = join_tables(&format!("SELECT {key}, A, B FROM L {words} R ON L.ID = R.ID"), seed);
            let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            let expected: Table = keys
                .into_iter()
                .filter(|k| match (left.contains_key(*k), right.contains_key(*k)) {
                    (true, false) => keeps_left,
                    (false, true) => keeps_right,
                    _ => true,
                })
                .map(|k| (k.clone(), json!({"A": left.get(k).map(|l| &l["A"]), "B": right.get(k).map(|r| &r["B"])})))
                .collect();
            assert_eq!(sink, expected, "{words}, seed {seed}");
        }
    }
}

/// Joins on a foreign key, and checks what comes out in the end.
fn join_on_a_foreign_key(seeds: u64, before: &mut dyn FnMut(&mut Bench, u64)) {
    for (words, keeps_left) in [("JOIN", false), ("LEFT JOIN", true)] {
        for seed in 0..seeds {
            let (left, right, sink) = join_tables_while(&format!("SELECT L.ID, A, B FROM L {words} R ON L.FK = R.ID"), seed, before);
            let matched = |l: &Json| l["FK"].as_str().and_then(|fk| right.get(fk)).map(|r| r["B"].clone());
            let expected: Table = left
                .iter()
                .filter(|(_, l)| keeps_left || matched(l).is_some())
                .map(|(k, l)| (k.clone(), json!({"A": l["A"], "B": matched(l)})))
                .collect();
            assert_eq!(sink, expected, "{words}, seed {seed}");
        }
    }
}

#[test]
fn tables_joined_on_a_foreign_key() {
    join_on_a_foreign_key(SEEDS, &mut |_, _| {});
}

#[test]
fn tables_joined_on_a_foreign_key_while_messages_overtake_each_other() {
    join_on_a_foreign_key(4 * SEEDS, &mut |bench, _| bench.overtakes = true);
}

#[test]
fn tables_joined_on_a_foreign_key_whose_topics_are_made_anew() {
    join_on_a_foreign_key(SEEDS, &mut |bench, step| {
        bench.overtakes = true;
        if step == STEPS / 2 {
            bench.next_offset.clear();
        }
    });
}

#[test]
fn streams_joined_in_time() {
    let script = "CREATE STREAM L (ID STRING KEY, A INT) WITH (KAFKA_TOPIC='l', VALUE_FORMAT='JSON');
        CREATE STREAM R (ID STRING KEY, B INT, FK STRING) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON');
        CREATE STREAM O AS SELECT L.ID, A, B FROM L JOIN R WITHIN (3 MILLISECONDS, 5 MILLISECONDS) ON L.ID = R.FK;";
    for seed in 0..SEEDS {
        let mut bench = Bench::new(script, &["l", "r"], seed);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for number in 0..STEPS {
            let key = bench.pick(&["a", "b", "c"]);
            let timestamp = bench.random.random_range(0..100i64);
            if bench.random.random_bool(0.5) {
                bench.feed("l", key, Some(&json!({"A": number})), timestamp);
                left.push((key, timestamp, number));
            } else {
                let own_key = bench.pick(&["x", "y", "z"]);
                bench.feed("r", own_key, Some(&json!({"B": number, "FK": key})), timestamp);
                right.push((key, timestamp, number));
            }
        }
        let mut expected = Vec::new();
        for (key, at, a) in &left {
            let matches = right.iter().filter(|(other, time, _)| other == key && (at - 3..=at + 5).contains(time));
            expected.extend(matches.map(|(_, _, b)| (key.to_string(), Some(json!({"A": a, "B": b})))));
        }
        let mut written = bench.written();
        for pairs in [&mut expected, &mut written] {
            pairs.sort_by_key(|(key, value)| format!("{key} {value:?}"));
        }
        assert_eq!(written, expected, "seed {seed}");
    }
}

/// Whether a joined row passes: the stream's number, the table's number and text.
type Passes = fn(i64, Option<i64>, Option<&str>) -> bool;

#[test]
fn a_stream_joined_with_a_table_and_filtered() {
    let cases: [(&str, &str, Passes); 7] = [
        ("JOIN", "B > 500", |_, b, _| b > Some(500)),
        ("JOIN", "B > 500 AND C <> 'x'", |_, b, c| b > Some(500) && c.is_some_and(|c| c != "x")),
        ("JOIN", "C = 'y' OR B IS NULL", |_, b, c| c == Some("y") || b.is_none()),
        ("JOIN", "B > A", |a, b, _| b > Some(a)),
        ("JOIN", "UCASE(C) = 'Y'", |_, _, c| c == Some("y")),
        ("LEFT JOIN", "B > 500", |_, b, _| b > Some(500)),
        ("LEFT JOIN", "B IS NULL", |_, b, _| b.is_none()),
    ];
    for (join, predicate, passes) in cases {
        let script = format!(
            "CREATE STREAM L (ID STRING KEY, A INT, N STRING) WITH (KAFKA_TOPIC='l', VALUE_FORMAT='JSON');
             CREATE TABLE R (ID STRING PRIMARY KEY, UNUSED STRING, C STRING, B INT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON');
             CREATE STREAM O AS SELECT L.ID, N AS M, C, A FROM L {join} R ON L.ID = R.ID WHERE {predicate};"
        );
        for seed in 0..SEEDS {
            let mut bench = Bench::new(&script, &["l", "r"], seed);
            let mut table: BTreeMap<&str, (Option<i64>, Option<&str>)> = BTreeMap::new();
            let mut expected = Vec::new();
            for step in 0..STEPS {
                let (key, at) = (bench.pick(&["a", "b", "c", "d"]), i64::try_from(step).unwrap());
                let number = bench.random.random_range(0..1000i64);
                if bench.random.random_bool(0.5) {
                    let note = bench.pick(&["plain", "é", "quoted \"", "tab\t"]);
                    bench.feed("l", key, Some(&json!({"A": number, "N": note})), at);
                    let held = table.get(key).copied();
                    let (b, c) = held.unwrap_or_default();
                    if (held.is_some() || join == "LEFT JOIN") && passes(number, b, c) {
                        expected.push((key.to_owned(), Some(json!({"M": note, "C": c, "A": number}))));
                    }
                } else if bench.random.random_bool(0.2) {
                    bench.feed("r", key, None, at);
                    table.remove(key);
                } else {
                    let b = bench.random.random_bool(0.8).then_some(number);
                    let c = Some(bench.pick(&["x", "y", ""])).filter(|c| !c.is_empty());
                    bench.feed("r", key, Some(&json!({"UNUSED": "u", "C": c, "B": b})), at);
                    table.insert(key, (b, c));
                }
            }
            let mut written = bench.written();
            // Keys lie in several partitions; within one the order is that of the stream.
            for pairs in [&mut expected, &mut written] {
                pairs.sort_by(|one, other| one.0.cmp(&other.0));
            }
            assert_eq!(written, expected, "{join} WHERE {predicate}, seed {seed}");
        }
    }
}
