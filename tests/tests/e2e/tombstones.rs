//! Deleted rows in push queries: `/query` says which row is gone, by its key and its window; `/query-stream` says nothing.

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

const STATEMENTS: &str = "
    CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
    INSERT INTO s (ROWTIME, k, v) VALUES (0, 11, 1);
    INSERT INTO s (ROWTIME, k, v) VALUES (1, 11, 2);
    INSERT INTO s (ROWTIME, k, v) VALUES (2, 12, 3);";

/// Of each query: its text, and the rows that `/query` sends; the second is a tombstone.
fn queries() -> [(&'static str, [Json; 3]); 3] {
    [
        (
            "SELECT k, WINDOWSTART, WINDOWEND, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY k HAVING COUNT(*) < 2",
            [json!([11, 0, 1000, 1]), json!([11, 0, 1000, null]), json!([12, 0, 1000, 1])],
        ),
        (
            "SELECT COUNT(*) AS n, k AS id, k + 1 AS next FROM s GROUP BY k HAVING COUNT(*) < 2",
            [json!([1, 11, 12]), json!([null, 11, null]), json!([1, 12, 13])],
        ),
        ("SELECT COUNT(*) AS n FROM s GROUP BY k HAVING COUNT(*) < 2", [json!([1]), json!([null]), json!([1])]),
    ]
}

#[test]
fn a_deleted_row_keeps_its_key_and_its_window_and_the_newer_endpoint_sends_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(STATEMENTS);
    let earliest = json!({"auto.offset.reset": "earliest"});
    for (query, rows) in queries() {
        let sql = format!("{query} EMIT CHANGES LIMIT 3;");
        let body = json!({"ksql": sql, "streamsProperties": earliest});
        let (status, answer) = server.request("POST", "/query", Some(&body)).expect("an answer");
        assert_eq!(status, 200, "{sql}: {answer}");
        let answer: Vec<Json> = serde_json::from_str(&answer).expect("JSON");
        let sent: Vec<&Json> = answer.iter().filter_map(|object| object.get("row")).collect();
        let [first, gone, last] = &rows;
        let expected = [json!({"columns": first}), json!({"columns": gone, "tombstone": true}), json!({"columns": last})];
        assert_eq!(sent, expected.iter().collect::<Vec<_>>(), "{sql}");

        let body = json!({"sql": sql, "properties": earliest});
        let (status, answer) = server.request("POST", "/query-stream", Some(&body)).expect("an answer");
        assert_eq!(status, 200, "{sql}: {answer}");
        let lines: Vec<Json> = answer.lines().skip(1).map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines, [first.clone(), last.clone()], "{sql}");
    }
}
