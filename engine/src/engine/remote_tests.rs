//! Two engines share a service over the simulated log; one of them is asked for what both have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::command::Action;
use super::{Engine, EngineConfig, EngineError, NotAnswered, Page, Peers, Question, TOKEN, Understanding};
use crate::clock::SystemClock;
use crate::log::simulated::{SimulatedGroup, SimulatedLog, SimulationOptions, StoredRecord};
use crate::log::{Log, TopicPartition, TopicSpec, partition_for};
use crate::runtime::{SlotSet, Slots};
use crate::state::StateDb;
use crate::types::Value;

const PATIENCE: Duration = Duration::from_secs(60);
const PARTITIONS: u32 = 6;
const SLOTS: u16 = 12;
/// More than a page holds, of each server.
const KEYS: usize = 60_000;
const SCRIPT: &str = "CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='in', VALUE_FORMAT='JSON');
                      CREATE TABLE c WITH (KAFKA_TOPIC='out') AS SELECT k, SUM(n) AS n FROM s GROUP BY k;";

/// Asks engines of this process by their names, and does what the test says before each question.
type Before = Box<dyn Fn(usize) -> Result<(), NotAnswered> + Send + Sync>;

struct Direct {
    engines: Mutex<BTreeMap<String, Arc<Engine>>>,
    asked: AtomicUsize,
    before: Mutex<Option<Before>>,
}

impl Peers for Direct {
    fn ask(&self, questions: &[(&str, Question)], _patience: Duration) -> Vec<Result<Page, NotAnswered>> {
        let answer = |(url, question): &(&str, Question)| {
            let number = self.asked.fetch_add(1, Ordering::AcqRel);
            self.before.lock().as_ref().map_or(Ok(()), |before| before(number))?;
            let engine = self.engines.lock().get(*url).cloned().expect("a server at that address");
            engine.answer_here(question)
        };
        questions.iter().map(answer).collect()
    }
}

struct World {
    one: Arc<Engine>,
    other: Arc<Engine>,
    log: Arc<SimulatedLog>,
    group: Arc<SimulatedGroup>,
    peers: Arc<Direct>,
    ids: [String; 2],
    /// The keys of each partition, sorted.
    keys: Vec<Vec<String>>,
}

impl Drop for World {
    fn drop(&mut self) {
        *self.peers.before.lock() = None;
        self.one.shutdown();
        self.other.shutdown();
        self.peers.engines.lock().clear();
    }
}

fn wait(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl World {
    fn new(keys: usize) -> World {
        let log = Arc::new(SimulatedLog::new(SimulationOptions { atomic: false, ..SimulationOptions::default() }));
        let config = || EngineConfig {
            workers: 1,
            commit_interval_ms: 20,
            processing_log_topic: None,
            is_shared: true,
            slots: SLOTS,
            standbys: 1,
            ..EngineConfig::new("unused")
        };
        let topic = |name: &str, partitions| {
            let spec = TopicSpec { name: name.to_owned(), partitions, replicas: 1, config: BTreeMap::new() };
            log.create_topic(&spec).expect("a topic");
        };
        topic(&config().slots_topic(), u32::from(SLOTS));
        topic("in", PARTITIONS);
        let group = Arc::new(SimulatedGroup::default());
        let peers = Arc::new(Direct { engines: Mutex::default(), asked: AtomicUsize::new(0), before: Mutex::new(None) });
        let server = |name: &str| {
            let member = group.member();
            let claim = Box::new(member.clone());
            let config = EngineConfig { advertised: Some(name.to_owned()), ..config() };
            let engine = Engine::put_together(config, log.clone(), StateDb::in_memory(), Arc::new(SystemClock), claim).expect("an engine");
            engine.set_peers(peers.clone());
            // State that is kept nowhere has no id of its own.
            let id = engine.runtime.config().server.clone();
            member.comes(&id);
            peers.engines.lock().insert(name.to_owned(), engine.clone());
            (engine, id)
        };
        let (one, one_id) = server("one");
        for statement in tidemill_parser::split_script(SCRIPT) {
            let session = one.session(&BTreeMap::from([("auto.offset.reset".to_owned(), "earliest".to_owned())]));
            one.execute(&statement.parse().expect("SQL"), &session).unwrap_or_else(|error| panic!("{error}"));
        }
        let (other, other_id) = server("other");
        // Each second slot.
        let all = Slots::new(SLOTS).all();
        let (even, odd): (SlotSet, SlotSet) = all.into_iter().partition(|slot| slot % 2 == 0);
        group.give(&even, None, &one_id);
        group.give(&odd, None, &other_id);
        let mut of_partition = vec![Vec::new(); PARTITIONS as usize];
        for number in 0..keys {
            let key = format!("k{number:05}");
            let partition = partition_for(Some(key.as_bytes()), PARTITIONS, &mut 0);
            let value = Some(format!("{{\"N\": {number}}}").into_bytes());
            let record = StoredRecord { timestamp: 1, key: Some(key.clone().into_bytes()), value, ..StoredRecord::default() };
            log.append("in", partition, record).expect("appended");
            of_partition[partition as usize].push(key);
        }
        let world = World { one, other, log, group, peers, ids: [one_id, other_id], keys: of_partition };
        wait("everything is counted", || world.ask("SELECT k FROM c;").is_ok_and(|rows| rows.len() == keys));
        world
    }

    fn ask(&self, sql: &str) -> Result<Vec<Vec<Value>>, EngineError> {
        self.ask_with(sql, &[])
    }

    fn ask_with(&self, sql: &str, properties: &[(&str, &str)]) -> Result<Vec<Vec<Value>>, EngineError> {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let parsed = tidemill_parser::parse_statement(sql).expect("SQL");
        let tidemill_parser::ast::Statement::Select(query) = parsed.statement else { panic!("{sql}") };
        let session = self.one.session(&properties);
        self.one.pull_query(&query, sql, &session)?.collect().map(|result| result.rows)
    }

    /// The keys of an answer.
    fn keys(&self, sql: &str) -> Vec<String> {
        let rows = self.ask(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let key = |row: &Vec<Value>| match &row[0] {
            Value::String(key) => key.to_string(),
            other => panic!("{other:?}"),
        };
        rows.iter().map(key).collect()
    }

    fn before(&self, before: impl Fn(usize) -> Result<(), NotAnswered> + Send + Sync + 'static) {
        self.peers.asked.store(0, Ordering::Release);
        *self.peers.before.lock() = Some(Box::new(before));
    }

    fn asked(&self) -> usize {
        self.peers.asked.swap(0, Ordering::AcqRel)
    }
}

#[test]
fn one_server_answers_for_all() {
    let world = World::new(KEYS);
    let all = world.keys.concat();
    world.asked();
    assert_eq!(world.keys("SELECT k FROM c;"), all, "in the order of one server");
    assert!(world.asked() >= 2, "in pages");
    for limit in [1, 700, 30_000, KEYS + 1] {
        let expected = &all[..limit.min(all.len())];
        assert_eq!(world.keys(&format!("SELECT k FROM c LIMIT {limit};")), expected, "LIMIT {limit}");
    }
    let sevens: Vec<String> = all.iter().filter(|key| key.ends_with('7')).cloned().collect();
    assert_eq!(world.keys("SELECT k FROM c WHERE k LIKE '%7';"), sevens);
    let between: Vec<String> = all.iter().filter(|key| ("k10000".."k30000").contains(&key.as_str())).cloned().collect();
    assert_eq!(world.keys("SELECT k FROM c WHERE k >= 'k10000' AND k < 'k30000';"), between);

    // A key is asked for where it is, and nowhere else; one that is nowhere, everywhere.
    world.asked();
    let mut asked = BTreeSet::new();
    for (number, key) in world.keys.iter().flat_map(|keys| keys.iter().take(2)).enumerate() {
        let n: usize = key[1..].parse().expect("a number");
        let rows = world.ask(&format!("SELECT n, k FROM c WHERE k = '{key}';")).expect("an answer");
        assert_eq!(rows, [[Value::Int(i32::try_from(n).expect("small")), Value::string(key.clone())]], "{number}");
        asked.insert(world.asked());
    }
    assert_eq!(asked, BTreeSet::from([0, 1]), "some are here, and some are not");
    let wanted = ["k00900", "k00001", "none", "k59999", "k00002"];
    let found: Vec<&str> = wanted.into_iter().filter(|key| *key != "none").collect();
    assert_eq!(world.keys(&format!("SELECT k FROM c WHERE k IN ('{}');", wanted.join("', '"))), found);
    assert!(world.keys("SELECT k FROM c WHERE k = 'none';").is_empty());
}

#[test]
fn a_page_that_does_not_come_is_asked_for_again() {
    let world = World::new(600);
    let all = world.keys.concat();
    world.before(|number| if number % 3 == 2 { Ok(()) } else { Err(NotAnswered::NotNow("planted".to_owned())) });
    assert_eq!(world.keys("SELECT k FROM c;"), all);
    assert!(world.asked() >= 3, "the fault was there");

    world.before(|_| Err(NotAnswered::NotNow("planted".to_owned())));
    let began = Instant::now();
    let error = world.ask("SELECT k FROM c;").expect_err("nobody answers");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    for said in ["planted", "partition", &world.ids[1], "other", "Try again later"] {
        assert!(error.message.contains(said), "{said}: {error}");
    }
    world.before(|_| Err(NotAnswered::Failed(EngineError::user("for good"))));
    assert_eq!(world.ask("SELECT k FROM c;").expect_err("it failed").message, "for good");
    assert_eq!(world.asked(), 1, "once is enough");
}

#[test]
fn slots_that_move_in_the_middle_of_an_answer_change_nothing_of_it() {
    let world = World::new(KEYS);
    let (group, ids) = (world.group.clone(), world.ids.clone());
    let moved = world.group.share(&world.ids[1]);
    let other = world.other.clone();
    world.before(move |number| {
        // Behind the first page, whoever asks gets what the other had.
        if number == 1 {
            group.give(&moved, Some(&ids[1]), &ids[0]);
            let began = Instant::now();
            while !other.runtime.slots().is_empty() {
                assert!(began.elapsed() < PATIENCE, "the slots stay");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(())
    });
    assert_eq!(world.keys("SELECT k FROM c;"), world.keys.concat());
    assert!(world.asked() >= 2, "they moved");
    assert_eq!(world.keys("SELECT k FROM c;"), world.keys.concat());
    assert_eq!(world.asked(), 0, "everything is here");
}

#[test]
fn a_standby_answers_where_the_owner_does_not_if_it_may() {
    let world = World::new(600);
    let all = world.keys.concat();
    // What was seen of a changelog may be older than what has come since.
    let follows = |engine: &Engine| {
        let (_, followed) = engine.runtime.restored_entries();
        let lags = engine.runtime.standby_lags();
        let has_all = lags.iter().all(|lag| followed > 0 && lag.offsets() == 0);
        let elsewhere: usize = lags.iter().filter_map(|lag| world.keys.get(lag.partition as usize)).map(Vec::len).sum();
        engine.runtime.standby_tasks() + engine.runtime.tasks() == PARTITIONS as usize && has_all && followed >= elsewhere as u64
    };
    wait("each follows the other", || follows(&world.one) && follows(&world.other));
    assert!(world.one.runtime.standby_tasks() > 0 && world.other.runtime.standby_tasks() > 0);
    world.before(|_| Err(NotAnswered::NotNow("planted".to_owned())));
    let may = ("ksql.query.pull.enable.standby.reads", "true");
    let began = Instant::now();
    assert_eq!(world.ask_with("SELECT k FROM c;", &[may]).expect("an answer").len(), 600);
    for key in world.keys.iter().filter_map(|keys| keys.first()) {
        let rows = world.ask_with(&format!("SELECT k FROM c WHERE k = '{key}';"), &[may]).expect("an answer");
        assert_eq!(rows, [[Value::string(key.clone())]]);
    }
    assert!(world.asked() >= 2, "owners are asked first");
    assert!(began.elapsed() < Duration::from_secs(3), "nothing is waited for: {:?}", began.elapsed());
    let error = world.ask("SELECT k FROM c;").expect_err("no standby may answer");
    assert!(error.message.contains("planted"), "{error}");
    world.before(|_| Ok(()));
    assert_eq!(world.keys("SELECT k FROM c;"), all);
}

/// Writes another record of a key; the token that includes it.
fn write(world: &World, log: &SimulatedLog, key: &str, n: usize) -> String {
    let partition = partition_for(Some(key.as_bytes()), PARTITIONS, &mut 0);
    let value = Some(format!("{{\"N\": {n}}}").into_bytes());
    let record = StoredRecord { timestamp: 2, key: Some(key.as_bytes().to_vec()), value, ..StoredRecord::default() };
    log.append("in", partition, record).expect("appended");
    let at = TopicPartition { topic: "in".into(), partition };
    world.one.token_after(&BTreeSet::from([at])).expect("a token").to_string()
}

#[test]
fn an_answer_includes_what_its_token_asks_for_wherever_that_is() {
    let world = World::new(60);
    let mut sums: BTreeMap<String, usize> = (0..60).map(|number| (format!("k{number:05}"), number)).collect();
    let keys: Vec<String> = sums.keys().cloned().collect();
    for round in 0..300 {
        let key = &keys[round % keys.len()];
        let token = write(&world, &world.log, key, round);
        let sum = sums.entry(key.clone()).or_default();
        *sum += round;
        let sql = format!("SELECT n FROM c WHERE k = '{key}';");
        let expected = [[Value::Int(i32::try_from(*sum).expect("small"))]];
        let rows = if round % 3 == 0 {
            // As SQL beyond pull queries waits.
            let session = world.one.session(&BTreeMap::from([(TOKEN.to_owned(), token)]));
            world.one.await_fresh("C", &session).expect("it comes");
            world.ask(&sql).expect("an answer")
        } else {
            world.ask_with(&sql, &[(TOKEN, &token)]).expect("an answer")
        };
        assert_eq!(rows, expected, "round {round}");
    }
}

#[test]
fn what_a_token_asks_for_is_waited_for_so_long_and_no_longer() {
    let world = World::new(60);
    let query = world.one.queries.persistent()[0].id.clone();
    let mut places = BTreeSet::new();
    for key in world.keys.iter().filter_map(|keys| keys.first()) {
        let n: usize = key[1..].parse().expect("a number");
        for server in [&world.one, &world.other] {
            server.runtime.pause(&query);
        }
        // A turn under way ends.
        std::thread::sleep(Duration::from_millis(20));
        let token = write(&world, &world.log, key, 1_000);
        let sql = format!("SELECT n FROM c WHERE k = '{key}';");
        let value = |n: usize| [[Value::Int(i32::try_from(n).expect("small"))]];
        assert_eq!(world.ask(&sql).expect("an answer"), value(n), "without a token");
        let given = [(TOKEN, token.as_str()), ("tidemill.consistency.timeout.ms", "300")];
        world.asked();
        let error = world.ask_with(&sql, &given).expect_err("it can't come");
        for said in ["'in'", "up to offset", "was asked for", "paused", "Try again later"] {
            assert!(error.message.contains(said), "{said}: {error}");
        }
        places.insert(world.asked() > 0);
        let session = world.one.session(&given.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let error = world.one.await_fresh("C", &session).expect_err("it can't come");
        assert!(error.message.contains("paused") && error.message.contains(TOKEN), "{error}");
        // What is of another table's topics asks for nothing.
        assert_eq!(world.ask_with(&sql, &[(TOKEN, "another:0:99")]).expect("an answer"), value(n));
        for server in [&world.one, &world.other] {
            server.runtime.resume(&query);
        }
        assert_eq!(world.ask_with(&sql, &[(TOKEN, &token)]).expect("an answer"), value(n + 1_000));
    }
    assert_eq!(places, BTreeSet::from([false, true]), "some are here, and some are not");
    // A record that nobody has written.
    let given = [(TOKEN, "in:0:100000"), ("tidemill.consistency.timeout.ms", "100")];
    let error = world.ask_with("SELECT k FROM c LIMIT 3;", &given).expect_err("it never comes");
    assert!(error.message.contains("100000"), "{error}");
    let error = world.ask_with("SELECT k FROM c;", &[(TOKEN, "in:0")]).expect_err("it is none");
    assert!(error.message.contains("topic:partition:offset"), "{error}");
}

#[test]
fn a_token_reaches_through_repartitions_and_other_queries() {
    let world = World::new(60);
    let script = "CREATE STREAM t WITH (KAFKA_TOPIC='t') AS SELECT k, n + 0 AS n FROM s;
                  CREATE TABLE d WITH (KAFKA_TOPIC='d') AS SELECT n % 5 AS m, COUNT(*) AS c FROM t GROUP BY n % 5;";
    for statement in tidemill_parser::split_script(script) {
        let session = world.one.session(&BTreeMap::from([("auto.offset.reset".to_owned(), "earliest".to_owned())]));
        world.one.execute(&statement.parse().expect("SQL"), &session).unwrap_or_else(|error| panic!("{error}"));
    }
    wait("everything is counted", || {
        let rows = world.ask("SELECT m, c FROM d;").unwrap_or_default();
        rows.len() == 5 && rows.iter().all(|row| row[1] == Value::BigInt(12))
    });
    let mut counts = [12i64; 5];
    for round in 0..40 {
        let token = write(&world, &world.log, &format!("k{round:05}"), round);
        counts[round % 5] += 1;
        let sql = format!("SELECT c FROM d WHERE m = {};", round % 5);
        let rows = world.ask_with(&sql, &[(TOKEN, &token)]).expect("an answer");
        assert_eq!(rows, [[Value::BigInt(counts[round % 5])]], "round {round}");
    }
    // The first step stands still.
    let first = world.one.queries.persistent().into_iter().find(|query| query.sink == "T").expect("a query").id.clone();
    for server in [&world.one, &world.other] {
        server.runtime.pause(&first);
    }
    std::thread::sleep(Duration::from_millis(20));
    let token = write(&world, &world.log, "k00000", 0);
    let given = [(TOKEN, token.as_str()), ("tidemill.consistency.timeout.ms", "300")];
    let error = world.ask_with("SELECT c FROM d WHERE m = 0;", &given).expect_err("it can't come");
    assert!(error.message.contains(&first) && error.message.contains("paused"), "{error}");
}

#[test]
fn what_an_older_server_does_not_know_is_refused_while_it_is_there() {
    let world = World::new(1);
    let later = Understanding::of(2, &Action::Nothing);
    let card = |version: &str, understands: &str| {
        let card = format!("{{\"url\": \"http://older:8088\", \"version\": \"{version}\"{understands}}}");
        let record = StoredRecord { key: Some(b"older".to_vec()), value: Some(card.into_bytes()), ..StoredRecord::default() };
        world.log.append(&world.one.config().slots_topic(), 0, record).expect("appended");
    };
    let refused = |what: &str| {
        let error = world.one.check_understood(later).expect_err(what);
        assert!(error.message.contains("Nothing was done"), "{error}");
        error.message
    };
    // The other one of this version says what it knows.
    card("0.0.9", "");
    assert!(refused("nobody knows it").contains(&world.ids[1]));
    world.group.ends(&world.ids[1]);
    world.one.check_understood(later).expect("this server made it");
    world.group.member().comes("older");
    for said in ["Server older", "http://older:8088", "0.0.9"] {
        let message = refused("the older one does not");
        assert!(message.contains(said), "{said}: {message}");
    }
    // What it knows it takes, whoever is there.
    let session = world.one.session(&BTreeMap::new());
    let statement = tidemill_parser::parse_statement("CREATE STREAM u (k STRING KEY) WITH (KAFKA_TOPIC='in', VALUE_FORMAT='JSON');");
    world.one.execute(&statement.expect("SQL"), &session).expect("all know it");
    card("0.2.0", ", \"understands\": {\"commands\": 2, \"plans\": 1}");
    world.one.check_understood(later).expect("it was replaced");
    card("0.0.9", "");
    refused("it was put back");
    world.group.ends("older");
    world.one.check_understood(later).expect("it has left");
}
