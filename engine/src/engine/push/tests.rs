//! What waits for a client that takes nothing, on the simulated log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidemill_parser::ast::Statement;

use super::{Backlog, PushQuery, PushRow};
use crate::clock::SystemClock;
use crate::engine::{Engine, EngineConfig};
use crate::log::simulated::{SimulatedLog, StoredRecord};
use crate::log::{Log, TopicSpec};
use crate::state::StateDb;
use crate::types::Value;

const PATIENCE: Duration = Duration::from_secs(30);
/// Records of a thousand bytes, all there before the query begins.
const RECORDS: usize = 2_000;
/// A query may have this much wait for its client, and a row that was on its way.
const MAX_WAITING: usize = (64 << 10) + (2 << 10);

/// Waits until something is true.
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Until the query rests, and a while longer.
fn rested(push: &PushQuery) -> Backlog {
    wait("too much waits", || push.shared.flow.backlog());
    std::thread::sleep(Duration::from_millis(50));
    push.shared.flow.backlog().expect("nobody took anything")
}

#[test]
fn a_query_rests_within_a_chunk_when_enough_waits_for_its_client() {
    let log = Arc::new(SimulatedLog::default());
    log.create_topic(&TopicSpec { name: "notes".into(), partitions: 1, replicas: 1, config: BTreeMap::new() }).expect("a topic");
    for id in 0..RECORDS {
        let value = Some(format!("{{\"ID\": {id}, \"NOTE\": \"{}\"}}", "x".repeat(1_000)).into_bytes());
        log.append("notes", 0, StoredRecord { value, ..StoredRecord::default() }).expect("an append");
    }
    let config = EngineConfig { workers: 1, commit_interval_ms: 10, processing_log_topic: None, ..EngineConfig::new("unused") };
    let engine = Engine::assemble(config, log, StateDb::in_memory(), Arc::new(SystemClock)).expect("an engine");
    let session = engine.session(&BTreeMap::from([("auto.offset.reset".to_owned(), "earliest".to_owned())]));
    let create = "CREATE STREAM notes (id INT, note STRING) WITH (KAFKA_TOPIC='notes', VALUE_FORMAT='JSON');";
    for statement in tidemill_parser::split_script(create) {
        engine.execute(&statement.parse().expect("SQL"), &session).expect("a stream");
    }
    let text = "SELECT id, note FROM notes EMIT CHANGES;";
    let Ok(Statement::Select(query)) = tidemill_parser::parse_statement(text).map(|parsed| parsed.statement) else { panic!("{text}") };
    let mut push = engine.push_query(&query, text, &session, None).expect("a push query");
    for taken in 0..3 {
        let waiting = rested(&push);
        assert!(waiting.bytes <= MAX_WAITING, "{waiting:?}, having taken {taken} rows");
        assert!(matches!(push.try_next(), Some(PushRow::Row { .. })));
    }
    let mut ids: Vec<usize> = vec![0, 1, 2];
    wait("all rows", || {
        while let Some(PushRow::Row { values, .. }) = push.try_next() {
            let Some(Value::Int(id)) = values.first() else { panic!("{values:?}") };
            ids.push(usize::try_from(*id).expect("an id"));
        }
        (ids.len() >= RECORDS).then_some(())
    });
    assert_eq!(ids, (0..RECORDS).collect::<Vec<_>>());
    drop(push);
    engine.shutdown();
}
