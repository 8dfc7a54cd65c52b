//! Two servers share a service over the simulated log; one of them is asked in SQL for what both have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tidemill_engine::clock::SystemClock;
use tidemill_engine::engine::{Engine, EngineConfig, EngineError, NotAnswered};
use tidemill_engine::log::simulated::{SimulatedGroup, SimulatedLog, SimulationOptions, StoredRecord};
use tidemill_engine::log::{Log, TopicSpec, partition_for};
use tidemill_engine::runtime::{SlotSet, Slots};
use tidemill_engine::state::StateDb;
use tidemill_engine::types::Value;

use super::{Answers, ScanPage, ScanPeers, ScanQuestion};
use crate::{QueryError, QueryService, Question, Settings};

const PATIENCE: Duration = Duration::from_secs(60);
const PARTITIONS: u32 = 6;
const SLOTS: u16 = 12;
/// Several pages of each server.
const KEYS: usize = 4_000;
/// Eight of them are a page.
const BATCH_ROWS: usize = 16;
const SCRIPT: &str = "CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='in', VALUE_FORMAT='JSON');
    CREATE TABLE c AS SELECT k, SUM(n) AS n, COUNT(*) AS c FROM s GROUP BY k;
    CREATE TABLE a AS SELECT k, SUM(n) AS n FROM s WHERE n % 3 > 0 GROUP BY k;
    CREATE TABLE b AS SELECT k, SUM(n) AS n FROM s WHERE n % 3 < 2 GROUP BY k;
    CREATE TABLE both AS SELECT ROWKEY AS k, a.n AS x, b.n AS y FROM a FULL OUTER JOIN b ON a.k = b.k;
    CREATE TABLE w AS SELECT k, COUNT(*) AS c FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY k;";

/// What happens to a request: the number of it, what is asked, and what is answered.
type Fault = Box<dyn Fn(usize, &ScanQuestion, Result<ScanPage, NotAnswered>) -> Result<ScanPage, NotAnswered> + Send + Sync>;

/// Asks services of this process by their names.
#[derive(Default)]
struct Direct {
    services: Mutex<BTreeMap<String, QueryService>>,
    asked: AtomicUsize,
    ended: AtomicUsize,
    fault: Mutex<Option<Arc<Fault>>>,
}

impl ScanPeers for Direct {
    fn ask<'a>(
        &'a self,
        url: &'a str,
        question: &'a ScanQuestion,
        _: &'a SchemaRef,
        _: Duration,
    ) -> BoxFuture<'a, Result<ScanPage, NotAnswered>> {
        let service = self.services.lock().get(url).cloned().expect("a server at that address");
        let (fault, question) = (self.fault.lock().clone(), question.clone());
        let number = self.asked.fetch_add(1, Ordering::AcqRel);
        async move {
            let answering = tokio::task::spawn_blocking(move || {
                let answer = service.answer_scan(&question);
                fault.map_or_else(|| answer.clone(), |fault| fault(number, &question, answer.clone()))
            });
            answering.await.expect("no panic")
        }
        .boxed()
    }

    fn end(&self, url: &str, scan: &str) {
        self.ended.fetch_add(1, Ordering::AcqRel);
        let service = self.services.lock().get(url).cloned().expect("a server at that address");
        service.end_scan(scan);
    }
}

struct Server {
    engine: Arc<Engine>,
    service: QueryService,
    id: String,
}

struct World {
    one: Server,
    other: Server,
    group: Arc<SimulatedGroup>,
    peers: Arc<Direct>,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        *self.peers.fault.lock() = None;
        self.peers.services.lock().clear();
        self.one.engine.shutdown();
        self.other.engine.shutdown();
    }
}

fn wait(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn key(number: usize) -> String {
    format!("k{number:05}")
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Arc::new(SimulatedLog::new(SimulationOptions { atomic: false, ..SimulationOptions::default() }));
        let config = || EngineConfig {
            workers: 1,
            commit_interval_ms: 20,
            processing_log_topic: None,
            is_shared: true,
            slots: SLOTS,
            ..EngineConfig::new("unused")
        };
        let topic = |name: &str, partitions| {
            let spec = TopicSpec { name: name.to_owned(), partitions, replicas: 1, config: BTreeMap::new() };
            log.create_topic(&spec).expect("a topic");
        };
        topic(&config().slots_topic(), u32::from(SLOTS));
        topic("in", PARTITIONS);
        let (group, peers) = (Arc::new(SimulatedGroup::default()), Arc::new(Direct::default()));
        let server = |name: &str| {
            let member = group.member();
            let config = EngineConfig { advertised: Some(name.to_owned()), ..config() };
            let (state, claim) = (StateDb::in_memory(), Box::new(member.clone()));
            let engine = Engine::put_together(config, log.clone(), state, Arc::new(SystemClock), claim).expect("an engine");
            let id = engine.runtime().config().server.clone();
            member.comes(&id);
            let settings = Settings { memory_bytes: 64 << 20, timeout: PATIENCE, spill_folder: folder.path().join(name) };
            let service = QueryService::answering(engine.clone(), settings, Answers::in_batches_of(engine.clone(), BATCH_ROWS));
            service.set_peers(peers.clone());
            peers.services.lock().insert(name.to_owned(), service.clone());
            Server { engine, service, id }
        };
        let one = server("one");
        for statement in tidemill_parser::split_script(SCRIPT) {
            let session = one.engine.session(&BTreeMap::from([("auto.offset.reset".to_owned(), "earliest".to_owned())]));
            one.engine.execute(&statement.parse().expect("SQL"), &session).unwrap_or_else(|error| panic!("{error}"));
        }
        let other = server("other");
        // Each second slot.
        let (even, odd): (SlotSet, SlotSet) = Slots::new(SLOTS).all().into_iter().partition(|slot| slot % 2 == 0);
        group.give(&even, None, &one.id);
        group.give(&odd, None, &other.id);
        for number in 0..KEYS {
            let key = key(number).into_bytes();
            let partition = partition_for(Some(&key), PARTITIONS, &mut 0);
            let value = Some(format!("{{\"N\": {number}}}").into_bytes());
            let timestamp = i64::try_from(number).expect("small");
            log.append("in", partition, StoredRecord { timestamp, key: Some(key), value, ..StoredRecord::default() }).expect("appended");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let world = World { one, other, group, peers, runtime, _folder: folder };
        let count = |table: &str| world.ask(&format!("SELECT COUNT(*) FROM {table}")).ok().map(|rows| rows[0][0].clone());
        let keys = Value::BigInt(i64::try_from(KEYS).expect("small"));
        for table in ["c", "both", "w"] {
            wait("everything is counted", || count(table).as_ref() == Some(&keys));
        }
        world
    }

    fn ask(&self, sql: &str) -> Result<Vec<Vec<Value>>, QueryError> {
        self.runtime.block_on(async {
            let mut answer = self.one.service.ask(Question { text: sql.to_owned(), ..Question::default() }).await?;
            let mut all = Vec::new();
            while let Some(rows) = answer.next_rows().await {
                all.extend(rows?);
            }
            Ok(all)
        })
    }

    fn answer(&self, sql: &str) -> Vec<Vec<Value>> {
        self.ask(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Has something happen to requests.
    fn fault(
        &self,
        fault: impl Fn(usize, &ScanQuestion, Result<ScanPage, NotAnswered>) -> Result<ScanPage, NotAnswered> + Send + Sync + 'static,
    ) {
        self.peers.asked.store(0, Ordering::Release);
        *self.peers.fault.lock() = Some(Arc::new(Box::new(fault)));
    }

    fn asked(&self) -> usize {
        self.peers.asked.swap(0, Ordering::AcqRel)
    }

    /// All rows of a table, each once, whatever becomes of requests.
    fn check_all(&self, table: &str) {
        let rows = self.answer(&format!("SELECT k FROM {table} ORDER BY k"));
        let expected: Vec<Vec<Value>> = (0..KEYS).map(|number| vec![Value::string(key(number))]).collect();
        assert_eq!(rows.len(), expected.len(), "{table}");
        assert_eq!(rows, expected, "{table}");
    }
}

fn big(number: usize) -> Value {
    Value::BigInt(i64::try_from(number).expect("small"))
}

#[test]
fn any_sql_covers_what_other_servers_have() {
    let world = World::new();
    world.asked();
    for table in ["c", "both", "w"] {
        world.check_all(table);
    }
    assert!(world.asked() > 3 * KEYS / (3 * 8 * BATCH_ROWS), "in pages");
    let int = |number: usize| Value::Int(i32::try_from(number).expect("small"));
    let sum = KEYS * (KEYS - 1) / 2;
    assert_eq!(world.answer("SELECT SUM(n), COUNT(*), MIN(k) FROM c"), [[big(sum), big(KEYS), Value::string(key(0))]]);
    let groups: Vec<Vec<Value>> = (0..7).map(|rest| vec![big(rest), big((0..KEYS).filter(|n| n % 7 == rest).count())]).collect();
    assert_eq!(world.answer("SELECT CAST(n % 7 AS BIGINT) AS g, COUNT(*) FROM c GROUP BY 1 ORDER BY g"), groups);
    let last: Vec<Vec<Value>> = (KEYS - 5..KEYS).rev().map(|n| vec![Value::string(key(n)), int(n)]).collect();
    assert_eq!(world.answer("SELECT k, n FROM c ORDER BY n DESC LIMIT 5"), last);
    assert_eq!(
        world.answer("SELECT COUNT(*) FROM c JOIN a ON a.k = c.k WHERE a.n = c.n"),
        [[big((0..KEYS).filter(|n| n % 3 > 0).count())]]
    );
    let joined = "SELECT COUNT(*), COUNT(x), COUNT(y) FROM both";
    let some = |holds: fn(usize) -> bool| big((0..KEYS).filter(|n| holds(*n)).count());
    assert_eq!(world.answer(joined), [[big(KEYS), some(|n| n % 3 > 0), some(|n| n % 3 < 2)]]);
    assert_eq!(world.answer("SELECT COUNT(*) FROM w WHERE WINDOWSTART >= 1000 AND WINDOWSTART < 3000"), [[big(2_000)]]);

    // Bounds and limits are told to the other server.
    world.asked();
    assert_eq!(world.answer("SELECT n FROM c WHERE k >= 'k00100' AND k < 'k00110' ORDER BY n").len(), 10);
    assert_eq!(world.asked(), 1, "a page has them all");
    assert_eq!(world.answer("SELECT k FROM c LIMIT 3").len(), 3);
    assert!(world.asked() <= 1);
    assert_eq!(world.answer("SELECT k FROM c LIMIT 0").len(), 0);

    let plan = |sql: &str| world.answer(sql).iter().map(|row| format!("{row:?}")).collect::<Vec<_>>().join("\n");
    let shown = plan("EXPLAIN SELECT SUM(n) FROM c GROUP BY k");
    assert!(shown.contains("remote=1"), "{shown}");
    let shown = plan("EXPLAIN ANALYZE SELECT SUM(n) FROM c GROUP BY k");
    let remote = shown.split("Remote rows: ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|rows| rows.parse::<usize>().ok());
    assert!(remote.is_some_and(|rows| rows > KEYS / 4 && rows < KEYS) && shown.contains("Remote bytes: "), "{shown}");
    assert_eq!(world.other.service.held_scans(), 0, "nothing is kept of what has ended");
}

#[test]
fn a_page_that_does_not_come_is_asked_for_again_and_no_row_comes_twice() {
    let world = World::new();
    let lost = |_: &ScanQuestion| Err(NotAnswered::NotNow("planted".to_owned()));
    // Read, and lost on its way: what was kept for it is of no use then.
    world.fault(move |number, question, page| if number % 3 == 2 { page } else { lost(question) });
    world.check_all("c");
    assert!(world.asked() >= 3, "the fault was there");

    // Between two pages the other server forgets what it kept.
    let service = world.other.service.clone();
    world.fault(move |_, question, page| {
        service.end_scan(&question.scan);
        page
    });
    world.check_all("c");
    assert!(world.asked() > 3);
    let ended = world.peers.ended.load(Ordering::Acquire);

    // With nobody there it ends with an error that says where, and soon.
    world.fault(move |_, question, _| lost(question));
    let began = Instant::now();
    let error = world.ask("SELECT COUNT(*) FROM c").expect_err("nobody answers");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    for said in ["The table C", "planted", "partition", &world.other.id, "ksql.advertised.listener is other", "Try again later"] {
        assert!(error.message.contains(said), "{said}: {error}");
    }
    // In the middle of an answer as well.
    world.fault(move |number, question, page| if number < 2 { page } else { lost(question) });
    assert!(world.ask("SELECT k FROM c").is_err());
    world.fault(|_, _, _| Err(NotAnswered::Failed(EngineError::user("for good"))));
    assert!(world.ask("SELECT k FROM c").expect_err("it failed").message.contains("for good"));
    assert_eq!(world.asked(), 1, "once is enough");
    assert!(world.peers.ended.load(Ordering::Acquire) > ended, "what is broken off is told");
}

#[test]
fn a_join_that_lost_its_moment_is_no_answer() {
    let world = World::new();
    let service = world.other.service.clone();
    world.fault(move |_, question, page| {
        service.end_scan(&question.scan);
        page
    });
    let error = world.ask("SELECT k FROM both").expect_err("its moment is gone");
    assert!(error.message.contains("the moment at which its table was joined is gone"), "{error}");
    // One that was not begun may be read as of a later moment.
    world.fault(|number, _, page| if number == 0 { Err(NotAnswered::NotNow("planted".to_owned())) } else { page });
    world.check_all("both");
}

#[test]
fn partitions_that_move_in_the_middle_of_an_answer_change_nothing_of_it() {
    let world = World::new();
    let (group, ids) = (world.group.clone(), [world.one.id.clone(), world.other.id.clone()]);
    let moved = group.share(&ids[1]);
    let other = world.other.engine.clone();
    world.fault(move |number, _, page| {
        if number == 1 {
            group.give(&moved, Some(&ids[1]), &ids[0]);
            wait("the slots go", || other.runtime().slots().is_empty());
            return Err(NotAnswered::NotNow("moved".to_owned()));
        }
        page
    });
    world.check_all("c");
    assert_eq!(world.asked(), 2, "the rest was here");
    world.check_all("c");
    assert_eq!(world.asked(), 0, "everything is here");
    assert_eq!(world.one.service.held_scans(), 0);
}

#[test]
fn pages_that_answer_something_else_are_refused() {
    let world = World::new();
    let repeated = |question: &ScanQuestion, page: ScanPage| ScanPage { left: question.left.clone(), ..page };
    world.fault(move |_, question, page| page.map(|page| repeated(question, page)));
    let error = world.ask("SELECT k FROM c").expect_err("it would never end");
    assert!(error.message.contains("none to what was asked"), "{error}");
    // Of partitions that nobody asked for.
    world.fault(|_, _, page| {
        page.map(|mut page| {
            page.left.iter_mut().for_each(|rest| rest.partition += 100);
            page
        })
    });
    assert!(world.ask("SELECT k FROM c").expect_err("of something else").message.contains("none to what was asked"));
    // Of other columns.
    world.fault(|_, _, page| {
        page.map(|mut page| {
            page.batches.iter_mut().for_each(|batch| *batch = batch.project(&[0]).expect("a column"));
            page
        })
    });
    assert!(world.ask("SELECT k, n FROM c").expect_err("of something else").message.contains("none to what was asked"));
}

#[test]
fn who_leaves_ends_what_other_servers_keep_for_it() {
    let world = World::new();
    let question = Question { text: "SELECT k FROM c".to_owned(), ..Question::default() };
    let mut answer = world.runtime.block_on(world.one.service.ask(question)).expect("begins");
    world.runtime.block_on(answer.next_batch()).expect("a batch").expect("rows");
    wait("the other server is read", || world.other.service.held_scans() > 0);
    drop(answer);
    wait("it is told", || world.other.service.held_scans() == 0);
    assert!(world.peers.ended.load(Ordering::Acquire) > 0);
}
