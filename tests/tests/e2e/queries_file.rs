//! A file of statements: run once, compared at each start, and alone in saying what runs.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use tidemill_tests::server::{ServerProcess, free_port, tidemill_binary};

const SCRIPT: &str = "-- What runs here.
SET 'auto.offset.reset' = 'earliest';
DROP STREAM IF EXISTS s;
CREATE STREAM s (id INT KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
DEFINE least = '2';
CREATE STREAM IF NOT EXISTS s (id INT KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
INSERT INTO s (id, v) VALUES (1, 1);
INSERT INTO s (id, v) VALUES (1, 5);
CREATE TABLE t AS SELECT id, COUNT(*) AS n FROM s WHERE v >= ${least} GROUP BY id;
";

fn start(data: &Path, script: &Path) -> ServerProcess {
    ServerProcess::start(data, &["--queries-file", &script.display().to_string()])
}

/// The one line of a server that does not start.
fn refused(data: &Path, script: &Path) -> String {
    let listen = format!("127.0.0.1:{}", free_port());
    let output = Command::new(tidemill_binary())
        .args(["server", "--listen", &listen, "--data-dir"])
        .arg(data)
        .arg("--queries-file")
        .arg(script)
        .env_clear()
        .env("TIDEMILL_LOG", "error")
        .output()
        .expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

fn counted(server: &ServerProcess, n: i64) {
    server.pull_until("SELECT n FROM t WHERE id = 1;", std::time::Duration::from_secs(20), |rows| rows == [json!([n])]);
}

#[test]
fn a_file_is_run_once_and_compared_at_each_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, script) = (folder.path().join("data"), folder.path().join("queries.sql"));
    let write = |text: &str| std::fs::write(&script, text).expect("a file");
    write(SCRIPT);
    let server = start(&data, &script);
    counted(&server, 1);
    assert_eq!(server.terminate(), Some(0));

    // The same, said otherwise: nothing runs again, least of all an INSERT.
    write(&SCRIPT.replace("CREATE STREAM s", "create   stream s -- the source\n").replace("-- What runs here.", ""));
    let server = start(&data, &script);
    counted(&server, 1);
    assert!(server.log().contains("7 statements ran at an earlier start, 0 were run now"), "{}", server.log());
    assert_eq!(server.terminate(), Some(0));

    // What was added at the end runs now.
    let longer = format!("{SCRIPT}INSERT INTO s (id, v) VALUES (1, 7);\nCREATE STREAM big AS SELECT * FROM s WHERE v > ${{least}};\n");
    write(&longer);
    let server = start(&data, &script);
    counted(&server, 2);
    assert!(server.log().contains("7 statements ran at an earlier start, 2 were run now"), "{}", server.log());
    assert_eq!(server.running_queries().len(), 2);
    assert_eq!(server.terminate(), Some(0));

    // What differs is named, with its line and with what to do.
    write(&longer.replace("COUNT(*) AS n", "SUM(v) AS n"));
    let line = refused(&data, &script);
    for expected in ["queries.sql: line 9 differs", "SUM(v) AS n", "COUNT(*) AS n", "at the end of the file", "ksql.service.id"] {
        assert!(line.contains(expected), "{expected}: {line}");
    }
    write(SCRIPT);
    let line = refused(&data, &script);
    assert!(line.contains("INSERT INTO s (id, v) VALUES (1, 7)") && line.contains("not in the file any more"), "{line}");
    write(&longer);
    counted(&start(&data, &script), 2);
}

#[test]
fn a_file_that_failed_goes_on_where_it_failed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, script) = (folder.path().join("data"), folder.path().join("queries.sql"));
    std::fs::write(&script, SCRIPT.replace("COUNT(*)", "NO_SUCH(*)")).expect("a file");
    let line = refused(&data, &script);
    assert!(line.contains("line 9") && line.contains("NO_SUCH"), "{line}");
    std::fs::write(&script, SCRIPT).expect("a file");
    counted(&start(&data, &script), 1);
}

#[test]
fn clients_only_read_while_a_file_says_what_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = folder.path().join("queries.sql");
    std::fs::write(&script, SCRIPT).expect("a file");
    let server = start(&folder.path().join("data"), &script);
    counted(&server, 1);
    for sql in [
        "CREATE STREAM x (v INT) WITH (KAFKA_TOPIC='x', PARTITIONS=1, VALUE_FORMAT='JSON');",
        "CREATE STREAM x AS SELECT * FROM s;",
        "INSERT INTO s (id, v) VALUES (2, 2);",
        "INSERT INTO s SELECT * FROM s;",
        "DROP STREAM s;",
        "TERMINATE ALL;",
        "PAUSE ALL;",
        "CREATE TYPE a AS STRUCT<b INT>;",
    ] {
        let (status, text) = server.request("POST", "/ksql", Some(&json!({"ksql": sql}))).expect("an answer");
        let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status, &answer["@type"], &answer["error_code"]), (400, &json!("statement_error"), &json!(40001)), "{sql}: {text}");
        let values = "INSERT INTO `S` (`ID`, `V`) VALUES ('[value]', '[value]');";
        assert_eq!(answer["statementText"], if sql.contains("VALUES") { values } else { sql });
        assert!(answer["message"].as_str().unwrap_or_default().contains("queries.sql"), "{text}");
    }
    let (status, text) = server.request("POST", "/ksql/terminate", Some(&json!({}))).expect("an answer");
    assert!(status == 400 && text.contains("only reads"), "{text}");
    server.ksql(
        "SET 'auto.offset.reset' = 'latest'; DEFINE x = '1'; SHOW QUERIES; DESCRIBE s; LIST TOPICS; EXPLAIN SELECT * FROM s EMIT CHANGES;",
    );
    counted(&server, 1);
}
