//! Pull queries on whatever a query of ours makes of tables: joins on their keys, filters and projections, also over a
//! SOURCE table.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

const PATIENCE: Duration = Duration::from_secs(20);

const STATEMENTS: &str = "
    CREATE TABLE a (id INT PRIMARY KEY, x INT) WITH (KAFKA_TOPIC='a', PARTITIONS=2, VALUE_FORMAT='JSON');
    CREATE TABLE b (id INT PRIMARY KEY, y INT) WITH (KAFKA_TOPIC='b', PARTITIONS=2, VALUE_FORMAT='JSON');
    CREATE TABLE c (id INT PRIMARY KEY, z INT) WITH (KAFKA_TOPIC='c', PARTITIONS=2, VALUE_FORMAT='JSON');
    CREATE SOURCE TABLE d (id INT PRIMARY KEY, x INT) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON');
    CREATE TABLE both AS SELECT a.id AS id, x, y FROM a JOIN b ON a.id = b.id;
    CREATE TABLE lefts AS SELECT a.id AS id, x, y FROM a LEFT JOIN b ON a.id = b.id;
    CREATE TABLE every AS SELECT ROWKEY AS id, x, y FROM a FULL OUTER JOIN b ON a.id = b.id;
    CREATE TABLE three AS SELECT a.id AS id, x + y + z AS s FROM a JOIN b ON a.id = b.id JOIN c ON b.id = c.id;
    CREATE TABLE some AS SELECT a.id AS id, y FROM a LEFT JOIN b ON a.id = b.id WHERE x > 10;
    CREATE TABLE big AS SELECT id, x * 2 AS x FROM d WHERE x > 10;
    INSERT INTO a (id, x) VALUES (1, 10); INSERT INTO a (id, x) VALUES (2, 20); INSERT INTO a (id, x) VALUES (3, 30);
    INSERT INTO b (id, y) VALUES (2, 200); INSERT INTO b (id, y) VALUES (4, 400);
    INSERT INTO c (id, z) VALUES (2, 2000); INSERT INTO c (id, z) VALUES (3, 3000);";

#[test]
fn every_table_that_a_query_makes_is_queryable() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(STATEMENTS);
    for (table, expected) in [
        ("both", json!([[2, 20, 200]])),
        ("lefts", json!([[1, 10, null], [2, 20, 200], [3, 30, null]])),
        ("every", json!([[1, 10, null], [2, 20, 200], [3, 30, null], [4, null, 400]])),
        ("three", json!([[2, 2220]])),
        ("some", json!([[2, 200], [3, null]])),
        ("big", json!([[2, 40], [3, 60]])),
        ("d", json!([[1, 10], [2, 20], [3, 30]])),
    ] {
        let Json::Array(expected) = expected else { unreachable!() };
        let sorted = |mut rows: Vec<Json>| {
            rows.sort_by_key(Json::to_string);
            rows
        };
        let rows = server.pull_until(&format!("SELECT * FROM {table};"), PATIENCE, |rows| sorted(rows.to_vec()) == expected);
        assert_eq!(sorted(rows), expected, "{table}");
        for row in &expected {
            let sql = format!("SELECT * FROM {table} WHERE id = {};", row[0]);
            assert_eq!(server.pull_until(&sql, PATIENCE, |rows| !rows.is_empty()), std::slice::from_ref(row), "{sql}");
        }
        assert_eq!(server.pull_until(&format!("SELECT * FROM {table} WHERE id = 99;"), PATIENCE, |_| true), Vec::<Json>::new());
    }
}
