//! The package over an engine of its own.

use std::sync::Arc;
use std::time::Duration;

use tidemill_engine::engine::{Engine, EngineConfig, SessionProperties};
use tidemill_engine::expr::text::write_value;
use tidemill_engine::functions::scalar;
use tidemill_engine::types::{SqlType, Value};

use crate::{QueryError, QueryService, Settings};

struct World {
    engine: Arc<Engine>,
    service: QueryService,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.engine.shutdown();
    }
}

fn world() -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = Engine::open(EngineConfig::new(folder.path().join("data"))).expect("opens");
    let settings = Settings { memory_bytes: 64 << 20, timeout: Duration::from_secs(60), spill_folder: folder.path().join("spill") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    World { service: QueryService::new(engine.clone(), settings), engine, runtime, _folder: folder }
}

/// The answer's rows, and the types of its columns.
type Asked = (Vec<Vec<Value>>, Vec<SqlType>);

impl World {
    fn ask(&self, sql: &str) -> Result<Asked, QueryError> {
        self.runtime.block_on(async {
            let mut answer = self.service.ask(sql, SessionProperties::default()).await?;
            let mut all = Vec::new();
            while let Some(rows) = answer.next_rows().await {
                all.extend(rows?);
            }
            Ok((all, answer.columns.iter().map(|column| column.sql_type.clone()).collect()))
        })
    }

    /// The one value of an answer as the shell shows it.
    fn shown(&self, sql: &str) -> Result<String, QueryError> {
        let (rows, types) = self.ask(sql)?;
        let mut shown = String::new();
        let value = rows.first().and_then(|row| row.first()).cloned().unwrap_or_default();
        write_value(&value, types.first().unwrap_or(&SqlType::String), &mut shown);
        Ok(shown)
    }
}

/// Functions whose examples are not asked for yet.
const NOT_YET: &[&str] = &["ARRAY_REMOVE", "FILTER", "INSTR", "MAP_KEYS", "MAP_UNION", "MAP_VALUES", "REDUCE", "SUBSTRING", "TRANSFORM"];

#[test]
fn every_function_of_the_dialect_answers_its_examples() {
    let world = world();
    let mut failed = Vec::new();
    let mut count = 0;
    for (name, example) in scalar::all().flat_map(|function| function.examples.iter().map(|example| (function.name, example))) {
        count += 1;
        let shown = world.shown(&format!("SELECT {} AS x", example.sql));
        if !shown.as_ref().is_ok_and(|shown| shown == example.result) && !NOT_YET.contains(&name) {
            failed.push(format!("{}: {shown:?}, not {}", example.sql, example.result));
        }
    }
    assert!(failed.is_empty(), "{} of {count}:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn nothing_that_changes_something_is_run() {
    let world = world();
    for sql in ["CREATE TABLE t AS SELECT 1", "INSERT INTO t VALUES (1)", "WITH x AS (INSERT INTO t VALUES (1)) SELECT 1", "SET x = 1"] {
        assert!(world.ask(sql).is_err(), "{sql}");
    }
}

#[test]
fn nonsense_is_refused_in_bounded_time() {
    let world = world();
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let calls = format!("SELECT {}1{}", "ABS(".repeat(60), ")".repeat(60));
    for sql in [
        "",
        "SELECT",
        "SELECT (",
        "SELECT 'x",
        "SELECT * FROM",
        "SELECT 1 FROM a.b.c",
        "VALUES",
        deep.as_str(),
        "SELECT x->'y'",
        "SELECT MAP(1 := )",
    ] {
        assert!(world.ask(sql).is_err(), "{sql}");
    }
    let _ = world.ask(&calls);
    assert_eq!(world.shown("SELECT 1").expect("goes on"), "1");
}
