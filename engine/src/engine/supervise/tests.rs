//! Queries whose surroundings change: on the simulated log, with a clock that stands still until it is set.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidemill_parser::ast::Statement;

use crate::clock::ManualClock;
use crate::engine::{Engine, EngineConfig, PushRow, SessionProperties};
use crate::log::simulated::{SimulatedLog, SimulationOptions, StoredRecord};
use crate::log::{Log, TopicSpec};
use crate::runtime::QueryState;
use crate::state::StateDb;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    log: Arc<SimulatedLog>,
    clock: Arc<ManualClock>,
    state: StateDb,
    engine: Arc<Engine>,
}

fn engine(log: &Arc<SimulatedLog>, clock: &Arc<ManualClock>, state: &StateDb) -> Arc<Engine> {
    let config = EngineConfig { workers: 2, commit_interval_ms: 10, processing_log_stream: None, ..EngineConfig::new("unused") };
    Engine::assemble(config, log.clone(), state.clone(), clock.clone()).expect("an engine")
}

impl World {
    /// A server on a log that is not atomic, as Kafka's.
    fn new() -> World {
        let log = Arc::new(SimulatedLog::new(SimulationOptions { atomic: false, ..SimulationOptions::default() }));
        let (clock, state) = (Arc::new(ManualClock::default()), StateDb::in_memory());
        clock.set_ms(1_000_000);
        World { engine: engine(&log, &clock, &state), log, clock, state }
    }

    fn restart(self) -> World {
        self.engine.shutdown();
        World { engine: engine(&self.log, &self.clock, &self.state), ..self }
    }

    fn topic(&self, name: &str, partitions: u32) {
        self.log.create_topic(&TopicSpec { name: name.to_owned(), partitions, replicas: 1, config: BTreeMap::new() }).expect("a new topic");
    }

    fn session(&self, reset: &str) -> SessionProperties {
        self.engine.session(&BTreeMap::from([("auto.offset.reset".to_owned(), reset.to_owned())]))
    }

    fn run(&self, sql: &str, reset: &str) {
        for statement in tidemill_parser::split_script(sql) {
            let statement = statement.parse().expect("SQL");
            self.engine.execute(&statement, &self.session(reset)).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    fn append(&self, topic: &str, partition: i32, n: i64) {
        let value = Some(format!("{{\"N\": {n}}}").into_bytes());
        let record = StoredRecord { timestamp: 1, key: Some(b"k".to_vec()), value, ..StoredRecord::default() };
        self.log.append(topic, partition, record).expect("an append");
    }

    /// The values of a topic, sorted.
    fn values(&self, topic: &str) -> Vec<String> {
        let records = self.log.records(topic).expect("a topic");
        let value = |record: &Arc<StoredRecord>| String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
        let mut values: Vec<String> = records.iter().flatten().map(value).collect();
        values.sort();
        values
    }

    fn remarks(&self, id: &str) -> Vec<String> {
        self.engine.remarks(&self.engine.queries().get(id).expect("a query"))
    }

    fn fails(&self, id: &str) -> bool {
        matches!(self.engine.queries().get(id).expect("a query").state(), QueryState::Failed(_))
    }

    fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        let began = Instant::now();
        while !condition() {
            assert!(began.elapsed() < PATIENCE, "{what}: it does not come");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn advance(&self, ms: i64) {
        use crate::clock::Clock;
        self.clock.set_ms(self.clock.now_ms() + ms);
        self.engine.supervise();
    }
}

const COPY: &str = "CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='in', VALUE_FORMAT='JSON');
                    CREATE STREAM c WITH (KAFKA_TOPIC='out') AS SELECT * FROM s;";

#[test]
fn a_query_comes_back_with_its_topic() {
    let world = World::new();
    world.topic("in", 1);
    world.run(COPY, "latest");
    world.append("in", 0, 1);
    world.wait("the first record", || world.values("out").len() == 1);
    world.log.delete_topic("in").expect("it goes");
    world.wait("the failure", || world.fails("CSAS_C_1"));
    world.engine.supervise();
    let said = world.remarks("CSAS_C_1").concat();
    assert!(said.contains("CSAS_C_1 failed: ") && said.contains("It failed once and is tried again in 15 s"), "{said}");
    world.advance(15_000);
    world.engine.supervise();
    let said = world.remarks("CSAS_C_1").concat();
    assert!(said.contains("topic 'in' does not exist. It failed 2 times in a row and is tried again in 30 s"), "{said}");
    world.topic("in", 1);
    world.append("in", 0, 2);
    world.advance(29_999);
    assert!(world.fails("CSAS_C_1"), "not before its time");
    world.advance(1);
    world.wait("the query", || !world.fails("CSAS_C_1"));
    // What was written since the topic was made again counts, though the query began with the latest.
    world.wait("the second record", || world.values("out") == ["{\"N\":1}", "{\"N\":2}"]);
    assert_eq!(world.remarks("CSAS_C_1"), Vec::<String>::new());
    world.engine.shutdown();
}

#[test]
fn resume_tries_at_once_and_pause_not_at_all() {
    let world = World::new();
    world.topic("in", 1);
    world.run(COPY, "earliest");
    world.log.delete_topic("in").expect("it goes");
    world.wait("the failure", || world.fails("CSAS_C_1"));
    world.topic("in", 1);
    world.run("PAUSE CSAS_C_1;", "earliest");
    world.advance(3_600_000);
    assert!(world.fails("CSAS_C_1"));
    let said = world.remarks("CSAS_C_1").concat();
    assert!(said.contains("It is paused: RESUME CSAS_C_1; tries it again."), "{said}");
    world.append("in", 0, 7);
    world.run("RESUME CSAS_C_1;", "earliest");
    world.wait("the record", || world.values("out") == ["{\"N\":7}"]);
    world.engine.shutdown();
}

#[test]
fn a_topic_that_is_not_known_for_a_moment_is_not_read_again() {
    let world = World::new();
    world.topic("in", 1);
    world.run(COPY, "latest");
    world.append("in", 0, 1);
    world.wait("the first record", || world.values("out").len() == 1);
    world.log.delete_topic("in").expect("it goes");
    world.wait("the failure", || world.fails("CSAS_C_1"));
    let query = world.engine.queries().get("CSAS_C_1").expect("a query");
    world.engine.supervise();
    assert!(query.care.gone().is_empty(), "one look is not enough");
    world.advance(9_999);
    assert!(query.care.gone().is_empty());
    world.advance(3_001);
    assert_eq!(query.care.gone().into_iter().collect::<Vec<_>>(), ["in"]);
    world.engine.shutdown();
}

#[test]
fn who_resumes_a_query_that_is_about_to_start_paused_is_heard() {
    let world = World::new();
    world.topic("in", 1);
    world.run(COPY, "earliest");
    let query = world.engine.queries().get("CSAS_C_1").expect("a query");
    // As if the statement had come between the start's look at the pause and its end.
    for is_paused in [true, false] {
        world.engine.runtime().set_paused(query.handle.read().as_ref().expect("it runs"), !is_paused);
        query.care.set_paused(is_paused);
        world.engine.settle_pause(&query);
        assert_eq!(query.handle.read().as_ref().expect("it runs").is_paused(), is_paused);
    }
    world.append("in", 0, 1);
    world.wait("the record", || world.values("out").len() == 1);
    world.engine.shutdown();
}

#[test]
fn who_clears_up_after_a_query_leaves_its_successor_alone() {
    let world = World::new();
    world.topic("in", 1);
    world.run(COPY, "earliest");
    world.run("INSERT INTO c WITH (QUERY_ID='twice') SELECT * FROM s;", "earliest");
    let first = world.engine.queries().get("TWICE").or_else(|| world.engine.queries().get("twice")).expect("a query");
    world.run(&format!("TERMINATE {};", first.id), "earliest");
    world.run("INSERT INTO c WITH (QUERY_ID='twice') SELECT * FROM s;", "earliest");
    world.engine.clear_up(&first, crate::engine::supervise::Ending::Replaced);
    world.append("in", 0, 1);
    world.wait("both records", || world.values("out").len() == 2);
    // A start of the same name that is not over yet keeps another from beginning.
    let _reservation = world.engine.supervisor.reserve(&first.id).expect("free");
    let refused = world.engine.run_first(&first).expect_err("it is taken");
    assert!(refused.reason.contains("is still busy") && refused.cause == crate::runtime::FailureCause::LogAway, "{refused:?}");
    world.engine.shutdown();
}

#[test]
fn a_failed_query_can_be_dropped() {
    let world = World::new();
    world.topic("in", 1);
    world.run(COPY, "earliest");
    world.log.delete_topic("in").expect("it goes");
    world.wait("the failure", || world.fails("CSAS_C_1"));
    world.run("DROP STREAM c;", "earliest");
    world.topic("in", 1);
    world.advance(3_600_000);
    assert!(world.engine.queries().persistent().is_empty());
    assert!(world.engine.runtime().handle("CSAS_C_1").is_none());
    world.engine.shutdown();
}

#[test]
fn new_partitions_are_read_from_their_first_record() {
    let world = World::new();
    world.topic("in", 1);
    world.run(COPY, "latest");
    world.run("CREATE TABLE counts WITH (KAFKA_TOPIC='counts') AS SELECT n, COUNT(*) AS c FROM s GROUP BY n;", "latest");
    world.run("CREATE TABLE state WITH (KAFKA_TOPIC='state') AS SELECT k, COUNT(*) AS c FROM s GROUP BY k;", "latest");
    let text = "SELECT n FROM s EMIT CHANGES;";
    let Ok(Statement::Select(query)) = tidemill_parser::parse_statement(text).map(|parsed| parsed.statement) else { panic!("{text}") };
    let mut push = world.engine.push_query(&query, text, &world.session("latest"), None).expect("a push query");
    world.append("in", 0, 1);
    world.wait("the first record", || world.values("out").len() == 1 && world.values("counts").len() == 1);
    world.log.grow_topic("in", 4).expect("it grows");
    world.append("in", 2, 2);
    world.append("in", 3, 3);
    world.advance(0);
    world.advance(9_999);
    assert_eq!(world.values("out").len(), 1, "not before the metadata's age");
    world.advance(1);
    world.wait("the new partitions", || world.values("out").len() == 3 && world.values("counts").len() == 3);
    world.append("in", 1, 4);
    world.append("in", 0, 5);
    world.wait("all partitions", || world.values("out").len() == 5 && world.values("counts").len() == 5);
    let mut seen = Vec::new();
    world.wait_for_rows(&mut push, 5, &mut seen);
    assert_eq!(seen, ["Int(1)", "Int(2)", "Int(3)", "Int(4)", "Int(5)"]);
    // The state of the third is kept by the source's partitions.
    let said = world.remarks("CTAS_STATE_5").concat();
    assert!(said.contains("CTAS_STATE_5: topic 'in' has 4 partitions now, and partitions 1 to 3 are not read"), "{said}");
    assert!(world.remarks("CSAS_C_1").is_empty() && world.remarks("CTAS_COUNTS_3").is_empty());
    world.wait("the first partition", || world.values("state").len() == 2);
    drop(push);
    // It is the same after a restart, at which the topic is found grown.
    let world = world.restart();
    let said = world.remarks("CTAS_STATE_5").concat();
    assert!(said.contains("partitions 1 to 3 are not read"), "{said}");
    world.append("in", 0, 6);
    world.wait("the first partition", || world.values("state").len() == 3);
    world.append("in", 3, 7);
    world.wait("the others", || world.values("out").len() == 7);
    world.engine.shutdown();
}

#[test]
fn partitions_that_came_while_the_server_was_down_are_read_whole() {
    let world = World::new();
    world.topic("in", 1);
    world.run(COPY, "latest");
    world.append("in", 0, 1);
    world.wait("the first record", || world.values("out").len() == 1);
    world.engine.shutdown();
    world.log.grow_topic("in", 2).expect("it grows");
    world.append("in", 1, 2);
    let world = world.restart();
    world.wait("the new partition", || world.values("out").len() == 2);
    world.engine.shutdown();
}

impl World {
    fn wait_for_rows(&self, push: &mut crate::engine::PushQuery, count: usize, seen: &mut Vec<String>) {
        let began = Instant::now();
        while seen.len() < count {
            match push.try_next() {
                Some(PushRow::Row { values, .. }) => seen.push(format!("{:?}", values[0])),
                Some(other) => panic!("{other:?}"),
                None => std::thread::sleep(Duration::from_millis(2)),
            }
            assert!(began.elapsed() < PATIENCE, "{seen:?}");
        }
        seen.sort();
    }
}

/// When it failed, and how often, whatever kept it from going on.
#[test]
fn a_query_knows_when_it_failed() {
    let world = World::new();
    world.topic("in", 1);
    world.run(COPY, "latest");
    let failures = || world.engine.queries().get("CSAS_C_1").expect("a query").failures.clone();
    let counted = || {
        let query = world.engine.queries().get("CSAS_C_1").expect("a query");
        query.errors_of(crate::processing_log::ProcessingErrorKind::KafkaStreamsThread)
    };
    assert_eq!((failures().count(), failures().last_ms(), counted()), (0, 0, 0));
    world.log.delete_topic("in").expect("it goes");
    world.wait("the failure", || world.fails("CSAS_C_1"));
    world.wait("it is noted", || failures().count() == 1);
    assert_eq!((failures().last_ms(), counted()), (1_000_000, 1));
    // The processing log tells it, once for each time.
    let told = || world.values("default_ksql_processing_log").iter().map(|entry| serde_json::from_str(entry).expect("JSON")).collect();
    let entries = || -> Vec<serde_json::Value> { told() };
    world.wait("it is told", || !entries().is_empty());
    let entry = entries().remove(0);
    assert_eq!(entry["logger"], "processing.CSAS_C_1.ksql.logger.thread.exception.uncaught", "{entry}");
    assert_eq!((entry["level"].as_str(), entry["message"]["type"].as_i64()), (Some("ERROR"), Some(4)), "{entry}");
    let error = &entry["message"]["kafkaStreamsThreadError"];
    assert!(error["cause"][0].as_str().is_some_and(|cause| cause.contains("'in'")) && error["errorMessage"].is_string(), "{entry}");
    assert!(entry["message"]["recordProcessingError"].is_null(), "{entry}");
    // It is tried again, in vain: it can't even start.
    world.advance(20_000);
    world.advance(20_000);
    assert!(world.fails("CSAS_C_1"));
    assert!(failures().count() >= 2 && counted() == failures().count(), "{:?}", failures());
    assert!(failures().last_ms() > 1_000_000, "{:?}", failures());
    world.wait("all are told", || entries().len() as u64 == failures().count());
}

/// A topic that a query needs for itself and that no log would make is told at the statement.
#[test]
fn topics_of_queries_must_have_names_that_can_be() {
    let world = World::new();
    world.topic("in", 1);
    world.run("CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='in', VALUE_FORMAT='JSON');", "latest");
    let refused = |sql: &str| {
        let statement = tidemill_parser::parse_statement(sql).expect("SQL");
        let error = world.engine.execute(&statement, &world.session("latest")).map(|_| ()).expect_err(sql);
        error.message
    };
    let long = "T".repeat(200);
    let as_select = "WITH (KAFKA_TOPIC='t') AS SELECT n, COUNT(*) AS c FROM s GROUP BY n;";
    let message = refused(&format!("CREATE TABLE {long} {as_select}"));
    assert!(message.starts_with("Invalid topic name '_confluent-ksql-default_query_CTAS_"), "{message}");
    assert!(message.contains("characters; 249 are possible"), "{message}");
    assert!(message.contains("The table's name is part of its id: give it a shorter one."), "{message}");
    // Nothing of it is there: neither the table nor its topic.
    assert!(world.engine.catalog().source(&long).is_none() && world.log.topic("t").is_err());
    world.run("CREATE STREAM r (k STRING KEY, n INT) WITH (KAFKA_TOPIC='r', PARTITIONS=1, VALUE_FORMAT='JSON');", "latest");
    world.run("CREATE STREAM out (n INT KEY, x INT) WITH (KAFKA_TOPIC='out', PARTITIONS=1, VALUE_FORMAT='JSON');", "latest");
    let message =
        refused(&format!("INSERT INTO out WITH (QUERY_ID='{long}') SELECT s.n AS n, r.n AS x FROM s JOIN r WITHIN 1 SECOND ON s.n = r.n;"));
    assert!(message.contains("Give it a shorter id"), "{message}");
    // What needs no topic of its own may have a long name, as long as its topic has not.
    world.run(&format!("CREATE STREAM {long} WITH (KAFKA_TOPIC='short') AS SELECT * FROM s;"), "latest");
    let read = format!("SELECT n, COUNT(*) AS c FROM {long} GROUP BY n EMIT CHANGES;");
    let Ok(Statement::Select(query)) = tidemill_parser::parse_statement(&read).map(|parsed| parsed.statement) else { panic!("{read}") };
    let error = world.engine.push_query(&query, &read, &world.session("latest"), None).map(|_| ()).expect_err("refused");
    assert!(error.message.contains("The name of what is read first is part of its id"), "{}", error.message);
    world.run(&format!("CREATE TABLE t {as_select}"), "latest");
}
