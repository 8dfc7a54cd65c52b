//! Random SQL over random live tables, held against SQLite (of Python's standard library) over the same rows.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

const PATIENCE: Duration = Duration::from_secs(60);
const QUERIES: usize = 250;
const ROWS: i64 = 150;

/// A generator with a seed, so that what fails can be asked again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).expect("small")]
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// A number over the columns of an alias.
fn number(random: &mut Random, alias: &str, depth: u32) -> String {
    let column = |random: &mut Random| format!("{alias}.{}", random.one(&["id", "n", "m"]));
    match random.below(if depth == 0 { 2 } else { 6 }) {
        0 => column(random),
        1 => random.below(20).to_string(),
        2 => format!("({} + {})", number(random, alias, depth - 1), number(random, alias, depth - 1)),
        3 => format!("({} - {})", number(random, alias, depth - 1), number(random, alias, depth - 1)),
        4 => format!(
            "CASE WHEN {} THEN {} ELSE {} END",
            condition(random, alias, depth - 1),
            number(random, alias, depth - 1),
            number(random, alias, depth - 1)
        ),
        _ => format!("COALESCE({}, {})", column(random), random.below(9)),
    }
}

fn condition(random: &mut Random, alias: &str, depth: u32) -> String {
    match random.below(if depth == 0 { 4 } else { 7 }) {
        0 => format!("{alias}.n {} {}", random.one(&["<", "<=", "=", "<>", ">", ">="]), random.below(20)),
        1 => format!("{alias}.id {} {}", random.one(&["<", "=", ">="]), random.below(150)),
        2 => format!("{alias}.g IN ('a', '{}')", random.one(&["b", "c", "nobody"])),
        3 => format!("{alias}.m IS {}NULL", random.one(&["", "NOT "])),
        4 => format!("({} {} {})", condition(random, alias, depth - 1), random.one(&["AND", "OR"]), condition(random, alias, depth - 1)),
        5 => format!("NOT ({})", condition(random, alias, depth - 1)),
        _ => format!("{alias}.id BETWEEN {} AND {}", random.below(70), 40 + random.below(110)),
    }
}

/// A query; its rows may come in any order.
fn query(random: &mut Random) -> String {
    let (t, u) = if random.flip() { ("t", "u") } else { ("u", "t") };
    match random.below(12) {
        // Without an order it would be a pull query, where a comparison with null is false.
        0 => format!("SELECT id, {}, g FROM {t} x WHERE {} ORDER BY id", number(random, "x", 2), condition(random, "x", 2)),
        1 => format!(
            "SELECT g, COUNT(*), SUM({}), MIN(n), MAX(m), COUNT(m) FROM {t} x WHERE {} GROUP BY g",
            number(random, "x", 1),
            condition(random, "x", 1)
        ),
        2 => format!("SELECT g, n, COUNT(*) FROM {t} x GROUP BY g, n HAVING COUNT(*) > {} OR n > {}", random.below(4), random.below(20)),
        3 => {
            let join = random.one(&["JOIN", "LEFT JOIN"]);
            format!(
                "SELECT x.id, y.id, y.g FROM {t} x {join} {u} y ON x.n = y.{} WHERE {}",
                random.one(&["n", "id", "m"]),
                condition(random, "x", 1)
            )
        }
        4 => format!("SELECT DISTINCT g, n FROM {t} x WHERE {}", condition(random, "x", 2)),
        5 => {
            let of = |random: &mut Random, table: &str| format!("SELECT n, g FROM {table} x WHERE {}", condition(random, "x", 1));
            let (left, right) = (of(random, t), of(random, u));
            format!("{left} {} {right}", random.one(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]))
        }
        6 => format!("SELECT id FROM {t} x WHERE n IN (SELECT n FROM {u} y WHERE {})", condition(random, "y", 1)),
        7 => format!(
            "SELECT id FROM {t} x WHERE {}EXISTS (SELECT 1 FROM {u} y WHERE y.n = x.n AND {})",
            random.one(&["", "NOT "]),
            condition(random, "y", 1)
        ),
        8 => format!("SELECT id, (SELECT MAX(y.id) FROM {u} y WHERE y.g = x.g AND {}) FROM {t} x", condition(random, "y", 1)),
        9 => format!(
            "WITH a AS (SELECT g, COUNT(*) AS c FROM {t} x WHERE {} GROUP BY g) SELECT x.id, a.c FROM {u} x JOIN a ON a.g = x.g",
            condition(random, "x", 1)
        ),
        10 => format!(
            "SELECT id, ROW_NUMBER() OVER (PARTITION BY g ORDER BY id), SUM(n) OVER (PARTITION BY g ORDER BY id) FROM {t} x WHERE {}",
            condition(random, "x", 1)
        ),
        _ => format!(
            "SELECT id, n FROM {t} x WHERE {} ORDER BY n {} NULLS FIRST, id LIMIT {} OFFSET {}",
            condition(random, "x", 1),
            random.one(&["ASC", "DESC"]),
            random.below(20),
            random.below(5)
        ),
    }
}

fn rows(random: &mut Random) -> Vec<Json> {
    let row = |id: i64, random: &mut Random| {
        let or_null = |random: &mut Random, of: u64, most: u64| if random.below(of) == 0 { Json::Null } else { json!(random.below(most)) };
        let g = if random.below(9) == 0 { Json::Null } else { json!(random.one(&["a", "b", "c", "ä"])) };
        json!([id, or_null(random, 8, 20), or_null(random, 3, 20), g])
    };
    (0..ROWS).map(|id| row(id, random)).collect()
}

fn sorted(rows: Vec<Json>) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(Json::to_string).collect();
    rows.sort();
    rows
}

#[test]
fn random_sql_answers_as_sqlite_does() {
    let seed = std::env::var("TIDEMILL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed_5eed_u64);
    let mut random = Random(seed | 1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    let mut tables = Vec::new();
    for name in ["t", "u"] {
        let rows = rows(&mut random);
        server.ksql(&format!(
            "CREATE TABLE in_{name} (id INT PRIMARY KEY, n INT, m INT, g STRING) WITH (KAFKA_TOPIC='in_{name}', PARTITIONS=3, VALUE_FORMAT='JSON');
             CREATE TABLE {name} AS SELECT * FROM in_{name};"
        ));
        let inserts = rows.iter().map(|row| {
            let value = |index: usize| match &row[index] {
                Json::String(text) => format!("'{text}'"),
                Json::Null => "NULL".to_owned(),
                other => other.to_string(),
            };
            format!("INSERT INTO in_{name} (id, n, m, g) VALUES ({}, {}, {}, {});", value(0), value(1), value(2), value(3))
        });
        server.ksql(&inserts.collect::<String>());
        server.pull_until(&format!("SELECT id FROM {name};"), PATIENCE, |found| found.len() == rows.len());
        tables.push(json!({"name": name, "columns": ["id", "n", "m", "g"], "rows": rows}));
    }
    let queries: Vec<String> = (0..QUERIES).map(|_| query(&mut random)).collect();
    let mut sqlite = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/sqlite_answers.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let given = json!({"tables": tables, "queries": queries}).to_string();
    sqlite.stdin.take().expect("a pipe").write_all(given.as_bytes()).expect("it reads");
    let output = sqlite.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let expected: Vec<Json> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(expected.len(), QUERIES);
    let mut nonempty = 0;
    for (query, expected) in queries.iter().zip(expected) {
        let Some(expected) = expected["rows"].as_array() else { panic!("SQLite refuses {query}: {expected}") };
        nonempty += usize::from(!expected.is_empty());
        let found = server.pull(&format!("{query};"));
        assert_eq!(sorted(found), sorted(expected.clone()), "seed {seed}: {query}");
    }
    assert!(nonempty > QUERIES / 2, "most queries should have an answer: {nonempty}");
}
