//! What clients rely on: ids in any case of letters, variables that others mean, large answers, counters.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_tests::server::{ServerProcess, tidemill_binary};

use crate::h2::Http2;

const PATIENCE: Duration = Duration::from_secs(30);

fn started(properties: &str) -> (tempfile::TempDir, ServerProcess) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("server.properties");
    std::fs::write(&config, properties).expect("a file");
    let server = ServerProcess::start(&folder.path().join("data"), &["--config", &config.display().to_string()]);
    server.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=2, VALUE_FORMAT='JSON');");
    (folder, server)
}

fn refused(server: &ServerProcess, path: &str, body: &Json) -> Json {
    let (status, text) = server.request("POST", path, Some(body)).expect("an answer");
    assert!(status >= 400, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_push_query_is_found_by_its_id_in_any_case_of_letters() {
    let (_folder, server) = started("");
    let mut client = Http2::connect(server.address());
    for spelled in [str::to_owned as fn(&str) -> String, str::to_uppercase, |id| format!("`{id}`")] {
        let mut pushed = client.post("/query-stream", &json!({"sql": "SELECT n FROM s EMIT CHANGES;"}));
        let header: Json = serde_json::from_str(&pushed.frame(PATIENCE).expect("a header")).expect("JSON");
        let id = header["queryId"].as_str().expect("an id");
        let explained = server.ksql(&format!("EXPLAIN {};", spelled(id)))[0]["queryDescription"].clone();
        assert_eq!((&explained["id"], &explained["queryType"], &explained["state"]), (&json!(id), &json!("PUSH"), &json!("RUNNING")));
        assert_eq!((&explained["statementText"], &explained["sources"]), (&json!("SELECT n FROM s EMIT CHANGES;"), &json!(["S"])));
        let sql = format!("TERMINATE {};", spelled(id));
        let expected = json!([{"@type": "terminate_query", "statementText": sql, "queryId": id, "wasTerminated": true, "warnings": []}]);
        assert_eq!(server.ksql(&sql), expected);
        assert_eq!(pushed.frame(PATIENCE), None, "the answer ends");
        let error = refused(&server, "/ksql", &json!({ "ksql": sql }));
        assert!(error["message"].as_str().is_some_and(|m| m.contains(&id.to_uppercase()) || m.contains(id)), "{error}");
    }
    // The command log knows nothing of it.
    let created = server.ksql("CREATE STREAM one AS SELECT * FROM s;");
    assert_eq!(created[0]["commandStatus"]["queryId"], "CSAS_ONE_3", "{created}");
}

#[test]
fn only_variables_that_are_defined_are_replaced_within_texts() {
    let (_folder, server) = started("");
    for (text, defined, expected) in [
        ("'${topic}'", "'b'", json!("${topic}")),
        ("'${a} and ${topic}'", "'b'", json!("b and ${topic}")),
        ("'$${a}'", "'b'", json!("${a}")),
        ("'$${topic}'", "'b'", json!("${topic}")),
    ] {
        let sql = format!("DEFINE a = {defined}; DEFINE x = {text}; SHOW VARIABLES;");
        let answer = server.ksql(&sql);
        let shown = answer[0]["variables"].as_array().expect("a list").iter().find(|v| v["name"] == "x").cloned();
        assert_eq!(shown.expect("x")["value"], expected, "{sql}");
    }
    let error = refused(&server, "/ksql", &json!({"ksql": "DESCRIBE ${nobody};"}));
    assert!(error["message"].as_str().is_some_and(|m| m.contains("nobody")), "{error}");
    // Off, by SET and in the request, at every endpoint.
    let off = json!({"ksql.variable.substitution.enable": "false"});
    let sql = "SET 'ksql.variable.substitution.enable' = 'false'; DEFINE a = 'b'; DEFINE x = '${a}'; SHOW VARIABLES;";
    assert!(server.ksql(sql).to_string().contains("\"${a}\""));
    server.ksql("INSERT INTO s (k, n) VALUES ('${a}', 1);");
    let variables = json!({"a": "b"});
    let sql = "SELECT n FROM s WHERE k = '${a}';";
    for (path, body) in [
        ("/query", json!({"ksql": sql, "streamsProperties": off, "sessionVariables": variables})),
        ("/query-stream", json!({"sql": sql, "properties": off, "sessionVariables": variables})),
    ] {
        let (status, text) = server.request("POST", path, Some(&body)).expect("an answer");
        assert!(status == 200 && (text.contains("[1]")), "{path}: {text}");
    }
}

#[test]
fn answers_of_any_length_are_whole_in_every_form() {
    const ROWS: usize = 5_000;
    let (_folder, server) = started("");
    server.ksql("CREATE TABLE t AS SELECT k, COUNT(*) AS c FROM s GROUP BY k;");
    for first in (0..ROWS).step_by(1_000) {
        let rows = (first..first + 1_000).map(|n| format!("INSERT INTO s (k, n) VALUES ('{n}', {n});"));
        server.ksql(&rows.collect::<String>());
    }
    let all = server.pull_until("SELECT * FROM t;", PATIENCE, |rows| rows.len() == ROWS);
    let mut keys: Vec<usize> = all.iter().map(|row| row[0].as_str().and_then(|k| k.parse().ok()).expect("a number")).collect();
    keys.sort_unstable();
    assert_eq!(keys, (0..ROWS).collect::<Vec<_>>());
    for (sql, rows, last) in [
        ("SELECT k FROM t;", ROWS, None),
        ("SELECT k FROM t LIMIT 1500;", 1_500, None),
        ("SELECT k, n FROM s;", ROWS, Some("Query Completed")),
        ("SELECT k, n FROM s LIMIT 3000;", 3_000, Some("Limit Reached")),
    ] {
        assert_eq!(server.pull(sql).len(), rows, "{sql}");
        let (status, text) = server.request("POST", "/query", Some(&json!({ "ksql": sql }))).expect("an answer");
        let parsed: Vec<Json> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!((status, parsed.iter().filter(|row| row.get("row").is_some()).count()), (200, rows), "{sql}");
        assert_eq!(parsed.last().and_then(|l| l["finalMessage"].as_str()), last, "{sql}");
    }
    // A client that reads slowly gets all of it, and one that leaves is no trouble.
    let mut slow = TcpStream::connect(server.address()).expect("a connection");
    let body = json!({"sql": "SELECT * FROM s;"}).to_string();
    let head = format!("POST /query-stream HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    slow.write_all((head.clone() + &body).as_bytes()).expect("sent");
    let mut left = TcpStream::connect(server.address()).expect("a connection");
    left.write_all((head + &body).as_bytes()).expect("sent");
    drop(left);
    server.ksql("SHOW STREAMS;");
    let mut text = String::new();
    slow.read_to_string(&mut text).expect("an answer");
    assert_eq!(text.matches("\n[\"").count(), ROWS);
}

#[test]
fn counters_count_what_they_name() {
    let (_folder, server) = started("");
    server.ksql("CREATE STREAM u (k STRING KEY, g INT) WITH (KAFKA_TOPIC='u', PARTITIONS=2, VALUE_FORMAT='JSON');");
    server.ksql("CREATE STREAM moved AS SELECT * FROM s PARTITION BY n;");
    server.ksql("CREATE STREAM both AS SELECT s.k AS k, n, g FROM s JOIN u WITHIN 1 DAY ON s.k = u.k;");
    let counters = |name: &str| {
        let described = server.ksql(&format!("DESCRIBE {name} EXTENDED;"));
        let list = described[0]["sourceDescription"]["clusterStatistics"].as_array().cloned().unwrap_or_default();
        let total = |counter: &str| list.iter().find(|c| c["name"] == counter).and_then(|c| c["value"].as_f64()).unwrap_or_default();
        (total("consumer-total-messages"), total("total-messages"))
    };
    for n in 0..10 {
        server.ksql(&format!("INSERT INTO s (k, n) VALUES ('k{n}', {n});"));
    }
    for n in 0..3 {
        server.ksql(&format!("INSERT INTO u (k, g) VALUES ('k{n}', {n});"));
    }
    server.pull_until("SELECT * FROM moved;", PATIENCE, |rows| rows.len() == 10);
    server.pull_until("SELECT * FROM both;", PATIENCE, |rows| rows.len() == 3);
    let began = Instant::now();
    let expected = [("s", (20.0, 0.0)), ("u", (3.0, 0.0)), ("moved", (0.0, 10.0)), ("both", (0.0, 3.0))];
    while let Some((name, expected)) = expected.iter().find(|(name, expected)| counters(name) != *expected) {
        assert!(began.elapsed() < PATIENCE, "{name}: read, written {:?}, not {expected:?}", counters(name));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_failed_query_says_why_to_all_who_list_it() {
    let (_folder, server) = started("");
    server.ksql(
        "CREATE STREAM same (v STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='KAFKA');
         SET 'ksql.fail.on.deserialization.error' = 'true';
         CREATE STREAM o AS SELECT * FROM s;",
    );
    let listed = || server.ksql("SHOW QUERIES;")[0]["queries"][0].clone();
    assert!(listed().get("queryErrors").is_none(), "nothing has failed");
    server.ksql("INSERT INTO same (v) VALUES ('no JSON');");
    let began = Instant::now();
    let failed = loop {
        let query = listed();
        if query["statusCount"]["ERROR"] == 1 {
            break query;
        }
        assert!(began.elapsed() < PATIENCE, "{query}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let why = failed["queryErrors"][0]["errorMessage"].as_str().unwrap_or_default();
    assert!(why.contains('s') && !why.is_empty(), "{failed}");
    let explained = server.ksql(&format!("EXPLAIN {};", failed["id"].as_str().unwrap_or_default()));
    assert_eq!(explained[0]["queryDescription"]["queryErrors"], failed["queryErrors"], "{explained}");
    assert!(server.log().contains("query failed"), "{}", server.log());
    // At the shell, too.
    let shell = std::process::Command::new(tidemill_binary())
        .args(["shell", &format!("http://{}", server.address()), "-e", "SHOW QUERIES;"])
        .output()
        .expect("the shell runs");
    let text = String::from_utf8_lossy(&shell.stdout);
    assert!(text.contains(&format!("failed: {why}")), "{text}");
}

#[test]
fn an_idle_connection_stays_as_long_as_it_is_configured() {
    let (_folder, server) = started("ksql.idle.connection.timeout.seconds=2\n");
    let mut stream = TcpStream::connect(server.address()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut answer = [0; 4096];
    for _ in 0..2 {
        stream.write_all(b"GET /info HTTP/1.1\r\nhost: h\r\n\r\n").expect("sent");
        let length = stream.read(&mut answer).expect("an answer");
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
        std::thread::sleep(Duration::from_millis(500));
    }
    let began = Instant::now();
    assert_eq!(stream.read(&mut answer).expect("an end"), 0, "closed");
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

#[test]
fn an_empty_body_is_a_bad_request() {
    let (_folder, server) = started("");
    for path in ["/ksql", "/query", "/query-stream", "/close-query"] {
        let (status, text) = server.raw("POST", path, b"").expect("an answer");
        let error: Json = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status, &error["error_code"], &error["@type"]), (400, &json!(40000), &json!("generic_error")), "{path}: {text}");
    }
}
