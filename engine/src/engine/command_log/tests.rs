//! Command topics that are deleted, made anew, garbled or of a later version, under a server and between two.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::{Clock, ManualClock};
use crate::engine::{Engine, EngineConfig, EngineError, SessionProperties};
use crate::log::simulated::{SimulatedLog, SimulationOptions, StoredRecord};
use crate::log::{Log, TopicSpec};
use crate::runtime::QueryState;
use crate::state::StateDb;

const TOPIC: &str = "_confluent-ksql-default__command_topic";
const SCRIPT: &str = "CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='in', PARTITIONS=1, VALUE_FORMAT='JSON');
                      CREATE TYPE t AS STRUCT<a INT>;
                      CREATE STREAM gone (k STRING KEY, n INT) WITH (KAFKA_TOPIC='gone', PARTITIONS=1, VALUE_FORMAT='JSON');
                      CREATE STREAM c WITH (KAFKA_TOPIC='out') AS SELECT * FROM s;
                      DROP STREAM gone;";

/// A server on a log that is not atomic, as Kafka's.
struct World {
    log: Arc<SimulatedLog>,
    clock: Arc<ManualClock>,
    state: StateDb,
    engine: Arc<Engine>,
}

fn engine(log: &Arc<SimulatedLog>, clock: &Arc<ManualClock>, state: &StateDb) -> Arc<Engine> {
    let config = EngineConfig { workers: 1, commit_interval_ms: 10, processing_log_topic: None, ..EngineConfig::new("unused") };
    Engine::assemble(config, log.clone(), state.clone(), clock.clone()).expect("an engine")
}

impl World {
    fn new() -> World {
        let log = Arc::new(SimulatedLog::new(SimulationOptions { atomic: false, ..SimulationOptions::default() }));
        let (clock, state) = (Arc::new(ManualClock::default()), StateDb::in_memory());
        clock.set_ms(1_000_000);
        let world = World { engine: engine(&log, &clock, &state), log, clock, state };
        world.run(SCRIPT).expect("statements");
        world
    }

    fn session(&self) -> SessionProperties {
        self.engine.session(&BTreeMap::from([("auto.offset.reset".to_owned(), "earliest".to_owned())]))
    }

    fn run(&self, sql: &str) -> Result<(), EngineError> {
        for statement in tidemill_parser::split_script(sql) {
            self.engine.execute(&statement.parse().expect("SQL"), &self.session())?;
        }
        Ok(())
    }

    /// Another process on the same folder; `meanwhile` happens between the two.
    fn restart(self, meanwhile: impl FnOnce(&SimulatedLog)) -> World {
        self.engine.shutdown();
        meanwhile(&self.log);
        World { engine: engine(&self.log, &self.clock, &self.state), ..self }
    }

    /// A server that knows only what the topics say.
    fn elsewhere(self) -> World {
        self.engine.shutdown();
        let state = StateDb::in_memory();
        World { engine: engine(&self.log, &self.clock, &state), state, ..self }
    }

    /// What the supervision does now and then.
    fn look(&self) {
        let mut commands = self.engine.commands.lock();
        self.engine.check_command_log(&mut commands).expect("the log answers");
        self.engine.catch_up(&mut commands).expect("the log answers");
    }

    /// All that was made is there, and the query runs.
    fn assert_whole(&self) {
        let catalog = self.engine.catalog();
        assert!(catalog.source("S").is_some() && catalog.source("C").is_some() && catalog.user_type("T").is_some());
        assert!(catalog.source("GONE").is_none());
        let before = self.log.records("out").expect("a topic").concat().len();
        let record = StoredRecord { timestamp: 1, key: Some(b"k".to_vec()), value: Some(b"{\"N\": 1}".to_vec()), ..Default::default() };
        self.log.append("in", 0, record).expect("an append");
        let began = Instant::now();
        // Another server on the same log may be quicker with the record than this one's query is with its start.
        let state = || self.engine.queries().persistent()[0].state();
        while self.log.records("out").expect("a topic").concat().len() <= before || state() != QueryState::Running {
            assert!(began.elapsed() < Duration::from_secs(30), "{:?}", state());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn assert_refuses(&self, what: &str) {
        let problem = self.engine.command_log_problem().expect("a problem");
        assert!(problem.contains(what) && problem.contains("refused meanwhile"), "{problem}");
        let error = self.run("CREATE TYPE u AS STRUCT<a INT>;").expect_err("it is refused");
        assert_eq!(error.message, problem);
        self.assert_whole();
    }

    fn assert_well(&self) {
        assert_eq!(self.engine.command_log_problem(), None);
        self.run("CREATE TYPE v AS STRUCT<a INT>; DROP TYPE v;").expect("it is taken");
        self.assert_whole();
    }
}

fn remake(log: &SimulatedLog) {
    log.delete_topic(TOPIC).expect("it goes");
    log.create_topic(&TopicSpec { name: TOPIC.to_owned(), partitions: 1, replicas: 1, config: BTreeMap::new() }).expect("a topic");
}

fn write(log: &SimulatedLog, value: &str) {
    log.append(TOPIC, 0, StoredRecord { value: Some(value.into()), ..Default::default() }).expect("an append");
}

#[test]
fn a_topic_that_was_deleted_while_nobody_ran_is_written_anew() {
    let world = World::new().restart(|log| log.delete_topic(TOPIC).expect("it goes"));
    let written = world.log.records(TOPIC).expect("a topic").concat();
    assert!(!written.is_empty() && written.iter().all(|record| record.timestamp == world.clock.now_ms()), "by the engine's clock");
    world.assert_well();
    world.elsewhere().assert_well();
    let world = World::new().restart(remake);
    world.assert_well();
    world.elsewhere().assert_well();
}

#[test]
fn a_topic_that_is_deleted_under_the_server_is_written_anew() {
    // By the look now and then, or by the next statement, whichever is first.
    for looks in [false, true] {
        let world = World::new();
        world.log.delete_topic(TOPIC).expect("it goes");
        if looks {
            world.engine.supervise();
            world.clock.set_ms(world.clock.now_ms() + 10_000);
            let began = Instant::now();
            while world.log.records(TOPIC).map_or(0, |records| records.concat().len()) < 5 {
                assert!(began.elapsed() < Duration::from_secs(30), "nobody looks");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        world.assert_well();
        let number = world.engine.last_sequence_number();
        let world = world.restart(|_| {});
        assert_eq!(world.engine.last_sequence_number(), number);
        world.elsewhere().assert_well();
    }
}

#[test]
fn writing_it_anew_goes_on_where_it_was_interrupted() {
    let world = World::new();
    let all = world.log.records(TOPIC).expect("a topic").concat();
    let world = world.restart(|log| {
        remake(log);
        for record in &all[..2] {
            log.append(TOPIC, 0, StoredRecord::clone(record)).expect("an append");
        }
    });
    assert_eq!(world.log.records(TOPIC).expect("a topic").concat().len(), 5);
    world.assert_well();
}

#[test]
fn a_topic_that_others_write_to_is_not_added_to() {
    for is_running in [false, true] {
        let stranger = |log: &SimulatedLog| {
            remake(log);
            write(log, r#"{"version":1,"statement":"DROP TYPE x;","properties":{},"action":{"DropType":{"name":"X"}}}"#);
        };
        let mut world = World::new();
        if is_running {
            stranger(&world.log);
            world.look();
        } else {
            world = world.restart(stranger);
        }
        world.assert_refuses("was deleted and made anew, and others wrote to it");
        // As it says.
        world.log.delete_topic(TOPIC).expect("it goes");
        world.look();
        world.assert_well();
        world.elsewhere().assert_well();
    }
}

#[test]
fn a_record_that_cant_be_read_is_told_of_and_queries_go_on() {
    for (record, what) in [
        ("garbage", "at offset 5 of the command topic"),
        (r#"{"version":1,"statement":"x","properties":{},"action":{"Unheard":{"of":1}}}"#, "can't be read"),
        (r#"{"version":2,"statement":"x","properties":{},"action":"Nothing"}"#, "was written by a later version (commands of version 2"),
        (r#"{"version":7,"shape":"another"}"#, "was written by a later version (commands of version 7"),
    ] {
        let world = World::new();
        write(&world.log, record);
        world.look();
        world.assert_refuses(what);
        let world = world.restart(|log| write(log, "more garbage"));
        world.assert_refuses(what);
        // A server that knows only the topic carries out what stands before it.
        let world = world.elsewhere();
        world.assert_refuses(what);
        world.log.delete_topic(TOPIC).expect("it goes");
        world.look();
        world.assert_well();
    }
}

#[test]
fn what_another_wrote_in_our_words_is_carried_out() {
    let world = World::new();
    write(&world.log, r#"{"version":1,"statement":"DROP TYPE t;","properties":{},"action":{"DropType":{"name":"T"}}}"#);
    world.look();
    assert!(world.engine.catalog().user_type("T").is_none());
    world.run("CREATE TYPE t AS STRUCT<a INT>;").expect("it is taken");
    world.restart(|_| {}).assert_well();
}

/// Whether it takes less than a second, in the best of some tries: the machine may be busy with something else.
fn takes_less_than_a_second(mut work: impl FnMut()) -> bool {
    (0..10).any(|_| {
        let began = Instant::now();
        work();
        began.elapsed() < Duration::from_secs(1)
    })
}

#[test]
fn ten_thousand_statements_start_in_less_than_a_second() {
    let world = World::new();
    world.run("CREATE STREAM passing AS SELECT * FROM s; DROP STREAM passing;").expect("statements");
    let records = world.log.records(TOPIC).expect("a topic").concat();
    let pair: Vec<String> =
        records.iter().rev().take(2).rev().map(|record| String::from_utf8(record.value.clone().unwrap()).unwrap()).collect();
    assert!(pair[0].contains("StartQuery") && pair[1].contains("DropSource"));
    for number in 0..5_000 {
        for statement in &pair {
            write(&world.log, &statement.replace("PASSING", &format!("PASSING{number}")));
        }
    }
    world.engine.shutdown();
    // From the topic alone, then with what the data folder has of it.
    assert!(takes_less_than_a_second(|| engine(&world.log, &world.clock, &StateDb::in_memory()).shutdown()));
    assert!(takes_less_than_a_second(|| engine(&world.log, &world.clock, &world.state).shutdown()));
}

#[test]
fn what_was_dropped_again_is_not_carried_out_at_the_start() {
    let world = World::new();
    for number in 0..200 {
        world.run(&format!("CREATE STREAM s{number} AS SELECT * FROM s; DROP STREAM s{number};")).expect("statements");
    }
    let last = world.engine.last_sequence_number();
    world.engine.shutdown();
    let opened = super::CommandLog::open(world.log.clone(), &world.state, world.engine.config(), world.clock.clone()).expect("it opens");
    let actions: Vec<_> =
        opened.commands.iter().map(|command| command.statement.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(actions, ["CREATE STREAM S", "CREATE TYPE t", "CREATE STREAM C"]);
    assert_eq!(opened.log.past().expect("statements").len(), 405, "every statement is remembered");
    let bytes: usize = opened.log.copy.commands().expect("commands").iter().map(Vec::len).sum();
    assert!(bytes < 405 * 700, "{bytes}");
    drop(opened);
    let world = world.restart(|_| {});
    assert_eq!(world.engine.last_sequence_number(), last);
    world.assert_well();
    world.elsewhere().assert_well();
}

#[test]
fn statements_of_several_servers_are_checked_one_behind_the_other() {
    let world = World::new();
    let other = {
        let state = StateDb::in_memory();
        World { engine: engine(&world.log, &world.clock, &state), log: world.log.clone(), clock: world.clock.clone(), state }
    };
    let rounds = 40;
    let run = |world: &World, own: &str| {
        let mut made = 0;
        for round in 0..rounds {
            world.run(&format!("CREATE TYPE {own}{round} AS INT;")).expect("nobody else makes it");
            made += u32::from(world.run(&format!("CREATE TYPE both{round} AS INT;")).is_ok());
        }
        made
    };
    let made = std::thread::scope(|scope| {
        let here = scope.spawn(|| run(&world, "a"));
        let there = scope.spawn(|| run(&other, "b"));
        here.join().expect("statements") + there.join().expect("statements")
    });
    assert_eq!(made, rounds, "each is made once");
    let names = |world: &World| {
        world.look();
        world.engine.catalog().user_types().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((names(&world).len(), names(&world)), (1 + 3 * rounds as usize, names(&other)));
    let count = world.engine.commands.lock().count();
    assert_eq!(other.engine.commands.lock().count(), count);
    // What was void stays void: for who reads all of it, and where the topic has to be written anew.
    let late = other.elsewhere();
    assert_eq!((names(&late), late.engine.commands.lock().count()), (names(&world), count));
    late.assert_whole();
    let anew = world.restart(|log| log.delete_topic(TOPIC).expect("the topic"));
    assert_eq!((names(&anew).len(), anew.engine.commands.lock().count()), (1 + 3 * rounds as usize, count));
    let again = anew.elsewhere();
    assert_eq!((names(&again).len(), again.engine.commands.lock().count()), (1 + 3 * rounds as usize, count));
}
