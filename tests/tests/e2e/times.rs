//! Times that come from outside: the largest that there are, negative ones, and those of a column.

use std::time::Duration;

use serde_json::json;
use tidemill_tests::server::ServerProcess;

const CATCH_UP: Duration = Duration::from_secs(20);
const LAST_MS: i64 = i64::MAX;

#[test]
fn no_time_stops_a_windowed_query() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let mut server = ServerProcess::start(&data, &[]);
    server.ksql(
        "CREATE STREAM meter (k STRING KEY, v BIGINT) WITH (KAFKA_TOPIC='meter', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM timed (k STRING KEY, ts BIGINT) WITH (KAFKA_TOPIC='timed', PARTITIONS=1, VALUE_FORMAT='JSON', TIMESTAMP='ts');
         CREATE TABLE tumbled AS SELECT k, COUNT(*) AS n FROM meter WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY k;
         CREATE TABLE hopped AS SELECT k, COUNT(*) AS n FROM meter WINDOW HOPPING (SIZE 1 MINUTE, ADVANCE BY 20 SECONDS) GROUP BY k;
         CREATE TABLE sessions AS SELECT k, COUNT(*) AS n FROM meter WINDOW SESSION (1 MINUTE) GROUP BY k;
         CREATE TABLE by_column AS SELECT k, COUNT(*) AS n FROM timed WINDOW HOPPING (SIZE 1 MINUTE, ADVANCE BY 20 SECONDS) GROUP BY k;",
    );
    let tables = [("tumbled", 60_000), ("hopped", 60_000), ("sessions", 90_000), ("by_column", 60_000)];
    for round in 1..=2 {
        for at in [LAST_MS, 90_000, LAST_MS - 30_000, 100_000] {
            server.ksql(&format!("INSERT INTO meter (ROWTIME, k, v) VALUES ({at}, 'a', 1);"));
            server.ksql(&format!("INSERT INTO timed (k, ts) VALUES ('a', {at});"));
        }
        for (table, start) in tables {
            let rows = server.pull_until(&format!("SELECT n FROM {table} WHERE k = 'a' AND WINDOWSTART = {start};"), CATCH_UP, |rows| {
                rows.first() == Some(&json!([2 * round]))
            });
            assert_eq!(rows, [json!([2 * round])], "{table}, round {round}");
        }
        assert_eq!(server.running_queries().len(), 4);
        // Also what a restart reads again comes to an end.
        if round == 1 {
            server.kill();
            server = ServerProcess::start(&data, &[]);
        }
    }
    assert_eq!(server.terminate(), Some(0), "SIGTERM is answered");
}

#[test]
fn a_negative_time_is_refused_or_reported() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(
        "CREATE STREAM s (k STRING KEY, v BIGINT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM timed (k STRING KEY, v BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', TIMESTAMP='v');
         CREATE TABLE counted AS SELECT k, COUNT(*) AS n FROM timed GROUP BY k;",
    );
    let body = json!({ "ksql": "INSERT INTO s (ROWTIME, k, v) VALUES (-1, 'a', 1);" });
    let (status, answer) = server.request("POST", "/ksql", Some(&body)).expect("an answer");
    assert_eq!(status, 400, "{answer}");
    assert!(answer.contains("Invalid ROWTIME: -1. Give milliseconds since 1970-01-01T00:00:00Z, 0 or more, or leave it out."), "{answer}");
    server.ksql("INSERT INTO s (k, v) VALUES ('a', -5); INSERT INTO s (ROWTIME, k, v) VALUES (0, 'a', 0);");
    let rows = server.pull_until("SELECT n FROM counted WHERE k = 'a';", CATCH_UP, |rows| !rows.is_empty());
    assert_eq!(rows, [json!([1])]);
    let said = "SELECT message->recordProcessingError->errorMessage AS said FROM KSQL_PROCESSING_LOG;";
    let said = server.pull_until(said, CATCH_UP, |entries| !entries.is_empty());
    assert!(said[0][0].as_str().is_some_and(|said| said.contains("it is negative")), "{said:?}");
}

#[test]
fn a_join_takes_its_sides_in_the_order_of_their_times() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(
        "CREATE STREAM s (k STRING KEY, other STRING, ts BIGINT) WITH (KAFKA_TOPIC='s', PARTITIONS=3, VALUE_FORMAT='JSON', TIMESTAMP='ts');
         CREATE TABLE t (k STRING PRIMARY KEY, v BIGINT, ts BIGINT) WITH (KAFKA_TOPIC='t', PARTITIONS=3, VALUE_FORMAT='JSON', TIMESTAMP='ts');
         INSERT INTO s (k, other, ts) VALUES ('a', 'b', 2000);
         INSERT INTO s (k, other, ts) VALUES ('a', 'b', 500);
         INSERT INTO t (k, v, ts) VALUES ('a', 1, 1000);
         INSERT INTO t (k, v, ts) VALUES ('b', 2, 1000);
         INSERT INTO t (k, v, ts) VALUES ('a', 3, 3000);",
    );
    for run in 0..8 {
        for (name, key, found) in [("direct", "k", 1), ("moved", "other", 2)] {
            server.ksql(&format!(
                "CREATE STREAM {name}{run} AS SELECT s.{key}, s.ts AS moment, t.v AS v FROM s LEFT JOIN t ON s.{key} = t.k;
                 CREATE TABLE {name}_rows{run} AS SELECT 1 AS one, COUNT(*) AS n, MAX(CASE WHEN moment = 2000 THEN v END) AS v
                   FROM {name}{run} GROUP BY 1;"
            ));
            let sql = format!("SELECT n, v FROM {name}_rows{run} WHERE one = 1;");
            let rows = server.pull_until(&sql, CATCH_UP, |rows| rows.first().is_some_and(|row| row[0] == 2));
            assert_eq!(rows, [json!([2, found])], "{name}, run {run}");
        }
    }
}
