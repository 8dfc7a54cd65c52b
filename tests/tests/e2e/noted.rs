//! What the server's log says: who changed what, when queries begin, end and fail; no rows and no secrets.

use std::time::{Duration, Instant};

use serde_json::json;
use tidemill_tests::server::ServerProcess;

use crate::h2::Http2;

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until the log holds all of these.
fn wait_for(server: &ServerProcess, wanted: &[&str]) {
    let began = Instant::now();
    loop {
        let log = server.log();
        let Some(missing) = wanted.iter().find(|w| !log.contains(**w)) else { return };
        assert!(began.elapsed() < PATIENCE, "{missing} is not in the log:\n{log}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn changes_are_noted_with_who_asked_and_no_rows() {
    let log = log_of_changes("info");
    assert!(!log.contains("SHOW STREAMS") && !log.contains("request peer="), "{log}");
}

#[test]
fn requests_are_noted_at_debug_and_still_no_rows() {
    let log = log_of_changes("debug");
    for noted in ["request peer=127.0.0.1:", "method=POST path=\"/query-stream\" status=200", "row inserted", "row refused"] {
        assert!(log.contains(noted), "{noted} is missing:\n{log}");
    }
}

/// What is logged of some changes; the words and numbers of rows and secrets are not in it.
fn log_of_changes(level: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start_in(&folder.path().join("data"), &[], &[("TIDEMILL_LOG", level)]);
    wait_for(&server, &[&format!("listening on http://{}", server.address())]);
    server.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    server.ksql("CREATE TABLE t AS SELECT k, COUNT(*) AS c FROM s GROUP BY k; SHOW STREAMS;");
    server.ksql("INSERT INTO s (k, n) VALUES ('sesame', 424242);");
    server.pull_until("SELECT * FROM t;", PATIENCE, |rows| rows.len() == 1);
    let refused = [
        "DROP STREAM s;",
        "CREATE SOURCE CONNECTOR c WITH ('connector.class'='X', 'password'='sesame');",
        "INSERT INTO s (k, n) VALUES ('sesame', 'sesame');",
    ];
    for sql in refused {
        let (status, text) = server.request("POST", "/ksql", Some(&json!({ "ksql": sql }))).expect("an answer");
        assert!(status >= 400, "{sql}: {text}");
    }
    let mut client = Http2::connect(server.address());
    let mut pushed = client.post("/query-stream", &json!({"sql": "SELECT * FROM s EMIT CHANGES LIMIT 1;"}));
    pushed.frame(PATIENCE).expect("a header");
    drop(pushed);
    let id = server.running_queries().into_iter().find(|id| id.starts_with("CTAS_T")).expect("a query");
    server.ksql(&format!("TERMINATE {id};"));
    wait_for(
        &server,
        &[
            "statement=\"CREATE STREAM s",
            "peer=\"127.0.0.1:",
            &format!("query runs query={id}"),
            &format!("query ended query={id}"),
            "statement refused",
            "push query of a client",
            "TERMINATE",
        ],
    );
    let (status, text) = server.request("POST", "/ksql/terminate", Some(&json!({}))).expect("an answer");
    assert_eq!(status, 200, "{text}");
    wait_for(&server, &["the service is to be ended"]);
    let log = server.log();
    assert!(!log.contains("sesame") && !log.contains("424242"), "{log}");
    log
}
