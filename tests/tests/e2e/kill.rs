//! kill -9 and recovery on the embedded log: nothing lost, nothing counted twice, everything back by itself.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

/// Inserts between two kills.
const INSERTS: usize = 40;
/// How often the server is killed.
const KILLS: usize = 3;
/// How long the queries may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(20);

const STATEMENTS: &str = "
    CREATE STREAM clicks (id STRING KEY, n INT) WITH (KAFKA_TOPIC='clicks', PARTITIONS=2, VALUE_FORMAT='JSON');
    CREATE STREAM even AS SELECT id, n FROM clicks WHERE n % 2 = 0;
    CREATE TABLE counts AS SELECT id, COUNT(*) AS c, SUM(n) AS s FROM clicks GROUP BY id;
    CREATE TABLE total AS SELECT 1 AS one, COUNT(*) AS c FROM even GROUP BY 1;";

#[test]
fn everything_comes_back_after_kill_9() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let mut server = ServerProcess::start(&data, &[]);
    server.ksql(STATEMENTS);
    let queries = query_ids(&server);
    assert_eq!(queries.len(), 3, "{queries:?}");
    let mut inserted = 0;
    for kill in 0..KILLS {
        for _ in 0..INSERTS {
            let id = inserted % 4;
            server.ksql(&format!("INSERT INTO clicks (id, n) VALUES ('k{id}', {inserted});"));
            inserted += 1;
        }
        // At once, with whatever is in flight.
        server.kill();
        server = ServerProcess::start(&data, &[]);
        println!("kill {}: back in {:?} after {inserted} inserts", kill + 1, server.started_in);
        assert_eq!(query_ids(&server), queries, "the queries are back");
        check(&server, inserted);
    }
    assert_eq!(server.terminate(), Some(0), "SIGTERM ends a server cleanly");
    let server = ServerProcess::start(&data, &[]);
    check(&server, inserted);
}

fn query_ids(server: &ServerProcess) -> Vec<String> {
    let answer = server.ksql("SHOW QUERIES;");
    let mut ids: Vec<String> = answer[0]["queries"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|q| {
            assert_eq!(q["state"], "RUNNING", "{q}");
            q["id"].as_str().unwrap_or_default().to_owned()
        })
        .collect();
    ids.sort();
    ids
}

/// Every insert was counted exactly once, by the model computed apart.
fn check(server: &ServerProcess, inserted: usize) {
    for id in 0..4 {
        let values: Vec<usize> = (0..inserted).filter(|n| n % 4 == id).collect();
        let expected = json!([format!("k{id}"), values.len(), values.iter().sum::<usize>()]);
        let sql = format!("SELECT id, c, s FROM counts WHERE id = 'k{id}';");
        server.pull_until(&sql, CATCH_UP, |rows| rows == [expected.clone()]);
    }
    let even = inserted.div_ceil(2);
    server.pull_until("SELECT c FROM total WHERE one = 1;", CATCH_UP, |rows| rows == [json!([even])]);
    // A stream read to its end holds each row once, in the order of its partition.
    let rows = server.pull("SELECT n FROM even;");
    let mut seen: Vec<i64> = rows.iter().filter_map(|r| r[0].as_i64()).collect();
    seen.sort_unstable();
    let expected: Vec<i64> = (0..i64::try_from(inserted).unwrap_or(0)).filter(|n| n % 2 == 0).collect();
    assert_eq!(seen, expected, "no row lost, none twice");
    let _: &[Json] = &rows;
}
