//! Processes that die between two steps of a statement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::leftovers::{Intent, intents};
use super::{Engine, EngineConfig};
use crate::clock::SystemClock;
use crate::log::simulated::{SimulatedLog, SimulationOptions, StoredRecord};
use crate::log::{Log, TopicSpec};
use crate::state::StateDb;

const SCRIPT: &str = "CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='in', PARTITIONS=1, VALUE_FORMAT='JSON');
                      CREATE TABLE c WITH (KAFKA_TOPIC='out') AS SELECT n, COUNT(*) AS c FROM s GROUP BY n;";

struct World {
    log: Arc<SimulatedLog>,
    state: StateDb,
    engine: Arc<Engine>,
}

fn engine(log: &Arc<SimulatedLog>, state: &StateDb) -> Arc<Engine> {
    let config = EngineConfig { workers: 1, commit_interval_ms: 10, processing_log_topic: None, ..EngineConfig::new("unused") };
    Engine::assemble(config, log.clone(), state.clone(), Arc::new(SystemClock)).expect("an engine")
}

impl World {
    fn new() -> World {
        let log = Arc::new(SimulatedLog::new(SimulationOptions { atomic: false, ..SimulationOptions::default() }));
        let state = StateDb::in_memory();
        World { engine: engine(&log, &state), log, state }
    }

    fn run(&self, sql: &str) {
        for statement in tidemill_parser::split_script(sql) {
            let session = self.engine.session(&BTreeMap::new());
            self.engine.execute(&statement.parse().expect("SQL"), &session).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    fn restart(self) -> World {
        self.engine.shutdown();
        World { engine: engine(&self.log, &self.state), ..self }
    }

    fn make(&self, topic: &str) {
        self.log.create_topic(&TopicSpec { name: topic.to_owned(), partitions: 1, replicas: 1, config: BTreeMap::new() }).expect("a topic");
    }

    fn topics(&self) -> Vec<String> {
        let all = self.log.list_topics().expect("topics").into_iter().map(|topic| topic.name);
        all.filter(|name| !name.ends_with("command_topic") && !name.ends_with("_positions")).collect()
    }

    fn identity(&self, topic: &str) -> Option<crate::log::TopicIdentity> {
        self.log.identify(&[topic]).expect("an answer")[0]
    }
}

#[test]
fn a_topic_that_was_made_for_no_statement_goes() {
    for is_known in [false, true] {
        for is_used in [false, true] {
            let world = World::new();
            let intend = |made| world.engine.intend("made", &Intent::Make { source: "M".into(), made }).expect("a note");
            intend(None);
            world.make("made");
            if is_known {
                intend(world.identity("made"));
            }
            if is_used {
                world.run("CREATE STREAM m (n INT) WITH (KAFKA_TOPIC='made', VALUE_FORMAT='JSON');");
                intend(None);
            }
            let world = world.restart();
            assert_eq!(world.topics(), if is_used { vec!["made"] } else { vec![] }, "{is_known}");
            assert!(intents(&world.state).expect("notes").is_empty());
            world.engine.shutdown();
        }
    }
}

#[test]
fn what_somebody_else_made_meanwhile_stays() {
    let world = World::new();
    world.make("other");
    let known = world.identity("other");
    world.engine.intend("other", &Intent::Make { source: "O".into(), made: known }).expect("a note");
    world.log.delete_topic("other").expect("it goes");
    world.make("other");
    // Of which nothing is known, and which has a record.
    world.engine.intend("filled", &Intent::Make { source: "F".into(), made: None }).expect("a note");
    world.make("filled");
    world.log.append("filled", 0, StoredRecord::default()).expect("a record");
    let world = world.restart();
    assert_eq!(world.topics(), ["filled", "other"]);
    world.engine.shutdown();
}

#[test]
fn a_topic_that_was_to_go_with_its_stream_goes() {
    let world = World::new();
    world.run("CREATE STREAM s (n INT) WITH (KAFKA_TOPIC='in', PARTITIONS=1, VALUE_FORMAT='JSON');");
    let source = world.engine.catalog().source("S").expect("a stream").clone();
    // Before the stream was dropped: it was not to be.
    world.engine.intend_deletion(&source).expect("a note");
    let world = world.restart();
    assert_eq!(world.topics(), ["in"]);
    // And behind.
    world.engine.intend_deletion(&source).expect("a note");
    world.run("DROP STREAM s;");
    let world = world.restart();
    assert_eq!(world.topics(), Vec::<String>::new());
    assert!(intents(&world.state).expect("notes").is_empty());
    world.engine.shutdown();
}

#[test]
fn statements_leave_no_intent() {
    let world = World::new();
    world.run(SCRIPT);
    assert!(intents(&world.state).expect("notes").is_empty());
    world.run("DROP TABLE c DELETE TOPIC; DROP STREAM s DELETE TOPIC;");
    assert!(intents(&world.state).expect("notes").is_empty());
    assert_eq!(world.topics(), Vec::<String>::new());
    world.engine.shutdown();
}

#[test]
fn what_a_query_that_is_gone_left_behind_goes() {
    let world = World::new();
    world.run(SCRIPT);
    assert_eq!(world.topics().len(), 4, "{:?}", world.topics());
    let before = world.log.records("_confluent-ksql-default__command_topic").expect("a topic").concat();
    world.run("DROP TABLE c;");
    let began = Instant::now();
    while world.topics().len() > 2 {
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", world.topics());
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(before.len(), 2);
    // As if the process had died when the query was no longer listed, and nothing of it deleted yet: as its start left it.
    world.run("CREATE TABLE c WITH (KAFKA_TOPIC='out') AS SELECT n, COUNT(*) AS c FROM s GROUP BY n;");
    assert_eq!(world.topics().len(), 4);
    world.engine.shutdown();
    let id = world.engine.queries().persistent()[0].id.clone();
    let record = StoredRecord {
        value: Some(r#"{"version":1,"statement":"DROP TABLE C;","properties":{},"action":{"DropSource":{"name":"C"}}}"#.into()),
        ..StoredRecord::default()
    };
    world.log.append("_confluent-ksql-default__command_topic", 0, record).expect("a record");
    let world = World { engine: engine(&world.log, &world.state), ..world };
    assert_eq!(world.topics(), ["in", "out"], "{id}");
    assert!(crate::runtime::all_known_topics(&world.state).expect("notes").is_empty() && world.state.queries().is_empty());
    world.engine.shutdown();
}
