//! Data folders and command topics that earlier versions wrote open for ever. `tests/golden/<version>` has, of each: the commands
//! as they stand in the topic, a data folder of the embedded log with the state of every kind of query, and what the tables hold.
//!
//! A new version adds its own folder: `TIDEMILL_WRITE_GOLDEN=1` with this test writes the one of the version that is being built,
//! unless it is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidemill_parser::ast::Statement;

use super::{Engine, EngineConfig};
use crate::clock::SystemClock;
use crate::log::simulated::{SimulatedLog, SimulationOptions, StoredRecord};
use crate::log::{Commit, Log, OutRecord, TopicSpec, read_whole};
use crate::runtime::QueryState;
use crate::state::{StateBatch, StateDb};

const PATIENCE: Duration = Duration::from_secs(60);
const COMMANDS: &str = "_confluent-ksql-default__command_topic";
/// A statement of every kind, and a query with every kind of step and store.
const SCRIPT: &str = "script.sql";
/// What is asked of the state, a question a line.
const QUESTIONS: &str = "questions.sql";

/// Files that say something of the machine, or of the moment.
const NOT_KEPT: [&str; 3] = ["LOG", "LOCK", "OPTIONS"];

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(golden().join(name)).expect("a script")
}

fn run(engine: &Arc<Engine>, script: &str) {
    for statement in tidemill_parser::split_script(script) {
        let session = engine.session(&BTreeMap::from([("auto.offset.reset".to_owned(), "earliest".to_owned())]));
        let text = statement.text.clone();
        engine.execute(&statement.parse().expect("SQL"), &session).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

/// Runs the script, and pauses the last of its queries.
fn create(engine: &Arc<Engine>) {
    run(engine, &text(SCRIPT));
    let queries = engine.queries().persistent();
    let paused = queries.iter().find(|query| query.id.starts_with("CSAS_PAUSED")).expect("it is listed");
    run(engine, &format!("PAUSE {};", paused.id));
}

/// Appends a round of records to what the queries read.
fn feed(log: &dyn Log, round: i64) {
    let mut writer = log.writer().expect("a writer");
    for n in 0..6_i64 {
        let (key, time) = (format!("k{}", n % 3), 1_700_000_000_000 + round * 100_000 + n * 1_500);
        // The same key in the same partition.
        let partition = i32::from(n % 3 == 2);
        let rows = [
            ("t", format!(r#"{{"NAME": "name {n}"}}"#)),
            ("s", format!(r#"{{"N": {n}, "G": "g{}", "L": [{n}, 1], "P": {{"CITY": "c", "ZIP": {n}}}}}"#, n % 2)),
            ("other", format!(r#"{{"M": {n}}}"#)),
        ];
        for (topic, value) in rows {
            let (handle, _) = log.topic(topic).expect("a topic");
            let record = OutRecord { partition, timestamp: time, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
            writer.send(handle, record).expect("a send");
        }
    }
    writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).expect("a commit");
}

/// What the tables hold, a line for each row.
fn answers(engine: &Arc<Engine>) -> Vec<String> {
    let mut lines = Vec::new();
    for question in text(QUESTIONS).lines() {
        let Ok(Statement::Select(query)) = tidemill_parser::parse_statement(question).map(|parsed| parsed.statement) else {
            panic!("{question}")
        };
        let rows = engine.pull_query(&query, question, &engine.session(&BTreeMap::new())).expect("an answer");
        let rows = rows.collect().expect("rows").rows;
        let mut own: Vec<String> = rows.into_iter().map(|row| format!("{question} {row:?}")).collect();
        own.sort();
        lines.extend(own);
    }
    lines
}

fn open(folder: &Path) -> Arc<Engine> {
    let config = EngineConfig { workers: 2, processing_log_topic: None, ..EngineConfig::new(folder) };
    let engine = Engine::open(config).expect("it opens");
    for query in engine.queries().persistent() {
        let state = query.state();
        assert!(matches!(state, QueryState::Running | QueryState::Restoring | QueryState::Paused), "{}: {state:?}", query.id);
    }
    engine
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &target) } else { std::fs::copy(entry.path(), target).map(|_| ()).expect("a copy") }
    }
}

fn remove_machine(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            remove_machine(&entry.path());
        } else if NOT_KEPT.iter().any(|kept| name.starts_with(kept)) {
            std::fs::remove_file(entry.path()).expect("it goes");
        }
    }
}

fn write(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder");
    let engine = open(&folder.join("data"));
    create(&engine);
    feed(&**engine.log(), 0);
    assert!(engine.settle(PATIENCE).expect("the log answers"), "it does not come to rest");
    let mut answered = answers(&engine);
    let mut commands = Vec::new();
    let partition = crate::log::TopicPartition { topic: COMMANDS.into(), partition: 0 };
    read_whole(&**engine.log(), &partition, crate::log::Offset(0), PATIENCE, &mut |record| {
        commands.push(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
    })
    .expect("commands");
    std::fs::write(folder.join("commands.jsonl"), commands.join("\n") + "\n").expect("a file");
    feed(&**engine.log(), 1);
    answered.push("after more records".to_owned());
    assert!(engine.settle(PATIENCE).expect("the log answers"), "it does not come to rest");
    answered.extend(answers(&engine));
    std::fs::write(folder.join("answers.txt"), answered.join("\n") + "\n").expect("a file");
    engine.shutdown();
}

#[test]
fn what_earlier_versions_wrote_opens() {
    let own = golden().join(env!("CARGO_PKG_VERSION"));
    if std::env::var_os("TIDEMILL_WRITE_GOLDEN").is_some() && !own.exists() {
        write(&own);
        // The folder as it was before the second round.
        let _ = std::fs::remove_dir_all(own.join("data"));
        let engine = open(&own.join("data"));
        create(&engine);
        feed(&**engine.log(), 0);
        assert!(engine.settle(PATIENCE).expect("the log answers"), "it does not come to rest");
        engine.shutdown();
        drop(engine);
        remove_machine(&own.join("data"));
    }
    let mut versions = 0;
    for version in std::fs::read_dir(golden()).expect("golden files").flatten().filter(|entry| entry.path().is_dir()) {
        versions += 1;
        let expected = std::fs::read_to_string(version.path().join("answers.txt")).expect("answers");
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy(&version.path().join("data"), folder.path());
        let engine = open(folder.path());
        assert!(engine.settle(PATIENCE).expect("the log answers"), "{:?} does not come to rest", version.path());
        let mut answered = answers(&engine);
        feed(&**engine.log(), 1);
        answered.push("after more records".to_owned());
        assert!(engine.settle(PATIENCE).expect("the log answers"), "{:?} does not come to rest", version.path());
        answered.extend(answers(&engine));
        assert_eq!(answered.join("\n") + "\n", expected, "{:?}", version.path());
        engine.shutdown();
        from_commands(&version.path(), &expected);
    }
    assert!(versions > 0, "no golden files");
}

/// A server that has the commands of the topic and no state comes to the same.
fn from_commands(folder: &Path, expected: &str) {
    let log = Arc::new(SimulatedLog::new(SimulationOptions::default()));
    let make = |name: &str, partitions| {
        log.create_topic(&TopicSpec { name: name.to_owned(), partitions, replicas: 1, config: BTreeMap::new() }).expect("a topic");
    };
    make(COMMANDS, 1);
    let commands = std::fs::read_to_string(folder.join("commands.jsonl")).expect("commands");
    for command in commands.lines() {
        log.append(COMMANDS, 0, StoredRecord { value: Some(command.into()), ..StoredRecord::default() }).expect("an append");
        let parsed: super::command::Command = serde_json::from_str(command).expect("a command");
        let topic = match parsed.action {
            super::Action::PutSource(source, _) => Some(source.format.topic.clone()),
            super::Action::StartQuery { sink: Some(sink), .. } => Some(sink.format.topic.clone()),
            _ => None,
        };
        if let Some(topic) = topic.filter(|topic| log.describe_topic(topic).expect("an answer").is_none()) {
            make(&topic, 2);
        }
    }
    let config = EngineConfig { workers: 2, processing_log_topic: None, ..EngineConfig::new("unused") };
    let engine = Engine::assemble(config, log.clone(), StateDb::in_memory(), Arc::new(SystemClock)).expect("an engine");
    assert_eq!(engine.command_log_problem(), None);
    feed(&*log, 0);
    assert!(engine.settle(PATIENCE).expect("the log answers"), "{folder:?} does not come to rest");
    let first: Vec<&str> = expected.lines().take_while(|line| *line != "after more records").collect();
    assert_eq!(answers(&engine), first, "{folder:?}");
    engine.shutdown();
}
