//! Of the tables of every kind: what is read of some columns is what they are of the whole row, which a pull query reads by another
//! way.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidemill_engine::analyze::WindowBounds;
use tidemill_engine::engine::{Engine, EngineConfig, SessionProperties};
use tidemill_engine::live::{self, Shown};
use tidemill_engine::types::Value;
use tidemill_parser::ast::Statement;

use crate::{QueryService, Question, Settings};

/// A data folder with the state of every kind of query.
const GOLDEN: &str = "../../tests/golden/0.1.0/data";
/// Questions to all of its tables, a line each.
const QUESTIONS: &str = include_str!("../../../tests/golden/questions.sql");
/// More: of aggregates whose values stand in their states in all ways, of values that a HAVING leaves some rows of, and of one column
/// by two names.
const TABLE: &str = "CREATE TABLE more AS SELECT k, AVG(n) AS a, COUNT(*) AS c, LATEST_BY_OFFSET(g) AS g, COLLECT_LIST(n) AS l, \
    MIN(n) AS m, SUM(CAST(n AS DECIMAL(6, 2))) AS d, EARLIEST_BY_OFFSET(p) AS p FROM s GROUP BY k EMIT CHANGES; \
    CREATE TABLE few AS SELECT k, COUNT(*) AS c, SUM(n) AS t, COLLECT_LIST(n) AS l FROM s GROUP BY k HAVING MAX(n) > 3 EMIT CHANGES; \
    CREATE TABLE twice AS SELECT k, c, c AS d, AS_VALUE(k) AS e, g FROM more EMIT CHANGES;";
const PATIENCE: Duration = Duration::from_secs(60);

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &target) } else { std::fs::copy(entry.path(), target).map(drop).expect("a copy") }
    }
}

/// Rows in an order of their own.
fn sorted(rows: impl IntoIterator<Item = Vec<Value>>) -> Vec<String> {
    let mut rows: Vec<String> = rows.into_iter().map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

#[test]
fn some_columns_are_what_they_are_of_whole_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN), &folder.path().join("data"));
    let engine = Engine::open(EngineConfig { processing_log_topic: None, ..EngineConfig::new(folder.path().join("data")) }).expect("opens");
    let session = SessionProperties(BTreeMap::from([("auto.offset.reset".to_owned(), "earliest".to_owned())]));
    for statement in tidemill_parser::split_script(TABLE) {
        engine.execute(&statement.parse().expect("SQL"), &session).expect("a table");
    }
    assert!(engine.settle(PATIENCE).expect("the log answers"), "it does not come to rest");
    let settings = Settings { memory_bytes: 64 << 20, timeout: PATIENCE, spill_folder: folder.path().join("spill") };
    let service = QueryService::new(engine.clone(), settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ask = |sql: &str| {
        runtime.block_on(async {
            let question = Question { text: sql.to_owned(), ..Question::default() };
            let mut answer = service.ask(question).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            let mut all = Vec::new();
            while let Some(rows) = answer.next_rows().await {
                all.extend(rows.unwrap_or_else(|error| panic!("{sql}: {error}")));
            }
            all
        })
    };
    let mut compared = 0;
    for question in QUESTIONS.lines().chain(["SELECT * FROM more;", "SELECT * FROM few;", "SELECT * FROM twice;"]) {
        let Ok(Statement::Select(query)) = tidemill_parser::parse_statement(question).map(|parsed| parsed.statement) else {
            panic!("{question}")
        };
        let pulled = engine.pull_query(&query, question, &SessionProperties(BTreeMap::new())).expect("an answer");
        let columns: Vec<String> = pulled.columns.iter().map(|column| format!("`{}`", column.column.name)).collect();
        let whole = pulled.collect().expect("rows").rows;
        let table = question.trim_start_matches("SELECT * FROM ").trim_end_matches(';');
        assert!(!whole.is_empty(), "{table} is empty");
        let of = |indexes: &[usize]| sorted(whole.iter().map(|row| indexes.iter().map(|index| row[*index].clone()).collect()));
        for index in 0..columns.len() {
            // By itself, and behind the one behind it.
            let next = (index + 1) % columns.len();
            for indexes in [&[index][..], &[next, index]] {
                let names: Vec<&str> = indexes.iter().map(|index| columns[*index].as_str()).collect();
                let sql = format!("SELECT {} FROM {table}", names.join(", "));
                assert_eq!(sorted(ask(&sql)), of(indexes), "{sql}");
                compared += 1;
            }
        }
        let all: Vec<usize> = (0..columns.len()).collect();
        assert_eq!(sorted(ask(question.trim_end_matches(';'))), of(&all), "{question}");
        let count = i64::try_from(whole.len()).expect("few");
        assert_eq!(ask(&format!("SELECT COUNT(*) FROM {table}")), [[Value::BigInt(count)]], "{table}");
    }
    // What a HAVING asks for is read besides, and nothing else.
    let mut few = engine.live_table("FEW").expect("a table");
    let slots = few.narrow(&[1]);
    let few = Arc::new(few);
    let moment = live::take(&[(few.clone(), Vec::new())]).expect("nobody holds it");
    let mut rows = 0;
    for partition in 0..few.partition_count() {
        let mut cursor = few.cursor(partition, &[], WindowBounds::ALL);
        let mut show = |shown: Shown<'_>| {
            let Shown::Row(row) = shown else { panic!("an entry of which the HAVING is not asked") };
            assert!(matches!(row.values[slots[0]], Value::BigInt(_)), "{row:?}");
            assert_eq!(row.values.iter().filter(|value| !value.is_null()).count(), 2, "{row:?}");
            rows += 1;
            Ok(true)
        };
        few.read(&moment[0], &mut cursor, &mut show).expect("reads");
    }
    assert_eq!(rows, 2, "k1 and k2");
    assert!(compared > 20, "{compared} selections were compared");
    engine.shutdown();
}
