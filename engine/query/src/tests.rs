//! The package over an engine of its own.

use std::sync::Arc;
use std::time::Duration;

use tidemill_engine::engine::{Engine, EngineConfig, SessionProperties};
use tidemill_engine::expr::text::write_value;
use tidemill_engine::functions::scalar;
use tidemill_engine::types::{SqlType, Value};

use crate::{QueryError, QueryService, Question, Settings};

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
        self.ask_with(sql, Vec::new())
    }

    fn ask_with(&self, sql: &str, parameters: Vec<(SqlType, Value)>) -> Result<Asked, QueryError> {
        let question = Question { text: sql.to_owned(), parameters, session: SessionProperties::default() };
        self.runtime.block_on(async {
            let mut answer = self.service.ask(question).await?;
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

#[test]
fn every_function_of_the_dialect_answers_its_examples() {
    let world = world();
    let mut failed = Vec::new();
    let mut count = 0;
    for example in scalar::all().flat_map(|function| function.examples) {
        count += 1;
        let shown = world.shown(&format!("SELECT {} AS x", example.sql));
        if !shown.as_ref().is_ok_and(|shown| shown == example.result) {
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
    // On a thread with an ordinary stack.
    assert!(crate::check(&deep).is_err());
    let _ = crate::check(&calls);
    let _ = world.ask(&calls);
    assert_eq!(world.shown("SELECT 1").expect("goes on"), "1");
}

#[test]
fn what_makes_much_of_little_is_refused() {
    let world = world();
    for sql in [
        "SELECT LENGTH(REPEAT('x', 2000000000))",
        "SELECT LENGTH(REPEAT(CAST(v AS VARCHAR), 200000000)) FROM generate_series(1, 3) AS a(v)",
        "SELECT ARRAY_REPEAT(1, 4000000000)",
        "SELECT LIST_REPEAT(REPEAT('x', 1000000), 1000)",
        "SELECT ARRAY_RESIZE(ARRAY_REPEAT(1, 2), 4000000000)",
        "SELECT RANGE(0, 4000000000)",
        "SELECT RANGE(4000000000)",
        "SELECT LENGTH(ARRAY_TO_STRING(ARRAY_REPEAT('a', 100000), REPEAT('x', 100000)))",
    ] {
        let error = world.ask(sql).err().unwrap_or_else(|| panic!("{sql} is answered"));
        assert!(error.message.contains("are possible at once"), "{sql}: {error}");
    }
    assert_eq!(world.shown("SELECT LENGTH(REPEAT('ab', 3)) AS a").expect("6"), "6");
    assert_eq!(world.shown("SELECT SUM(LENGTH(REPEAT('x', v))) FROM generate_series(1, 3) AS a(v)").expect("6"), "6");
    assert_eq!(world.shown("SELECT ARRAY_LENGTH(RANGE(0, 10, 3))").expect("4"), "4");
}

#[test]
fn a_query_ends_with_who_asked() {
    let world = world();
    let million = "generate_series(1, 1000000)";
    let sql = format!("SELECT COUNT(*) FROM {million} AS a(v) CROSS JOIN {million} AS b(v) WHERE a.v + b.v < 0");
    let answer = world.runtime.block_on(world.service.ask(Question { text: sql.clone(), ..Question::default() })).expect("begins");
    assert!(world.service.running().iter().any(|query| query.text == sql));
    drop(answer);
    let began = std::time::Instant::now();
    while !world.service.running().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "it goes on without anybody");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_join_by_comparisons_gives_way() {
    let world = world();
    let sql = "SELECT a.v, b.v FROM generate_series(1, 4) AS a(v) JOIN generate_series(1, 3) AS b(v) ON a.v + 1 < b.v OR b.v * 4 = a.v ORDER BY 1, 2";
    let expected = [[1, 3], [4, 1]].map(|row| row.map(Value::BigInt).to_vec());
    assert_eq!(world.ask(sql).expect("answers").0, expected);
    // Few pairs match, and many are looked at: who asks for something else meanwhile does not wait for them.
    let long =
        "SELECT COUNT(*) FROM generate_series(1, 1000000) AS a(v) CROSS JOIN generate_series(1, 1000000) AS b(v) WHERE a.v + b.v < 0";
    let crossing = world.runtime.block_on(world.service.ask(Question { text: long.to_owned(), ..Question::default() })).expect("begins");
    for _ in 0..5 {
        assert_eq!(world.shown("SELECT 1").expect("answers"), "1");
    }
    assert!(world.service.running().iter().any(|query| query.text == long), "it was under way all the time");
    drop(crossing);
}

#[test]
fn parameters_stand_for_values() {
    let world = world();
    let describe = |sql: &str| {
        let question = Question { text: sql.to_owned(), ..Question::default() };
        world.runtime.block_on(world.service.describe(question))
    };
    let numbers = "SELECT x FROM (VALUES (1, 'a'), (2, 'b')) AS v(x, y) WHERE y = $1 AND x < $2";
    let described = describe(numbers).expect("a query");
    assert_eq!(described.parameters, [Some(SqlType::String), Some(SqlType::BigInt)]);
    assert_eq!(described.columns.len(), 1);
    let given = |text: &str, number| vec![(SqlType::String, Value::string(text)), (SqlType::BigInt, Value::BigInt(number))];
    assert_eq!(world.ask_with(numbers, given("b", 9)).expect("answers").0, [[Value::BigInt(2)]]);
    assert!(world.ask_with(numbers, given("b", 2)).expect("answers").0.is_empty());
    let null = vec![(SqlType::Int, Value::Null)];
    assert_eq!(world.ask_with("SELECT $1 IS NULL", null).expect("answers").0, [[Value::Boolean(true)]]);
    let error = world.ask(numbers).expect_err("nothing is given");
    assert!(error.message.contains("parameter $"), "{error}");
    assert!(describe("SELECT $999999").is_err());
    assert!(describe("SELECT x FROM nowhere").is_err_and(|error| error.message.contains("line 1:15")));
}
