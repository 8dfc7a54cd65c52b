//! Two engines share a service over the simulated log; one of them is asked for what both have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Engine, EngineConfig, EngineError, NotAnswered, Page, Peers, Question};
use crate::clock::SystemClock;
use crate::log::simulated::{SimulatedGroup, SimulatedLog, SimulationOptions, StoredRecord};
use crate::log::{Log, TopicSpec, partition_for};
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
        let world = World { one, other, group, peers, ids: [one_id, other_id], keys: of_partition };
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
