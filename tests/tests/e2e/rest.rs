//! The REST API as clients use it: HTTP/2 by prior knowledge and HTTP/1.1, streams that end, requests that are wrong.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

use crate::h2::Http2;

/// How long rows may take to arrive.
const PATIENCE: Duration = Duration::from_secs(20);
/// Larger than a body may be.
const TOO_LARGE_BYTES: usize = 11 << 20;

const STATEMENTS: &str = "
    CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
    CREATE TABLE t AS SELECT k, COUNT(*) AS c, SUM(n) AS total FROM s GROUP BY k;";

fn server(folder: &tempfile::TempDir) -> ServerProcess {
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(STATEMENTS);
    server
}

fn insert(server: &ServerProcess, rows: &[(&str, i32)]) {
    for (k, n) in rows {
        server.ksql(&format!("INSERT INTO s (k, n) VALUES ('{k}', {n});"));
    }
}

/// Ids of the push queries that run.
fn push_queries(server: &ServerProcess) -> Vec<String> {
    let answer = server.ksql("SHOW QUERIES;");
    let queries = answer[0]["queries"].as_array().cloned().unwrap_or_default();
    queries.iter().filter(|q| q["queryType"] == "PUSH").filter_map(|q| q["id"].as_str().map(str::to_owned)).collect()
}

#[test]
fn push_queries_stream_row_by_row_and_end_when_closed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(&folder);
    let mut client = Http2::connect(server.address());
    let mut answer = client.post("/query-stream", &json!({"sql": "SELECT * FROM s EMIT CHANGES;"}));
    assert_eq!(answer.status, 200);
    let header: Json = serde_json::from_str(&answer.frame(PATIENCE).expect("a header")).expect("JSON");
    assert_eq!(header["columnNames"], json!(["K", "N"]));
    for n in 0..5 {
        insert(&server, &[("a", n)]);
        // Each row in a frame of its own, as soon as it is there.
        assert_eq!(answer.frame(PATIENCE).as_deref(), Some(format!("[\"a\",{n}]\n").as_str()));
    }
    let id = header["queryId"].as_str().expect("an id").to_owned();
    assert_eq!(push_queries(&server), std::slice::from_ref(&id));
    // On the same connection, while the answer is open.
    assert_eq!(client.post("/close-query", &json!({ "queryId": id })).status, 200);
    assert_eq!(answer.frame(PATIENCE), None, "the answer ends");
    assert!(push_queries(&server).is_empty());
    let again = server.request("POST", "/close-query", Some(&json!({ "queryId": id }))).expect("an answer");
    assert_eq!(again.0, 400, "{}", again.1);
}

#[test]
fn a_client_that_leaves_ends_its_query() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(&folder);
    let mut client = Http2::connect(server.address());
    let mut answer = client.post("/query-stream", &json!({"sql": "SELECT * FROM s EMIT CHANGES;"}));
    answer.frame(PATIENCE).expect("a header");
    assert_eq!(push_queries(&server).len(), 1);
    drop(answer);
    drop(client);
    let started = std::time::Instant::now();
    while !push_queries(&server).is_empty() {
        assert!(started.elapsed() < PATIENCE, "the query of a client that left still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn tables_are_looked_up_by_key_range_and_as_a_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(&folder);
    insert(&server, &[("a", 1), ("b", 2), ("c", 3), ("a", 4), ("d", 5)]);
    server.pull_until("SELECT * FROM t;", PATIENCE, |rows| rows.len() == 4 && rows.contains(&json!(["d", 1, 5])));
    for (sql, expected) in [
        ("SELECT * FROM t WHERE k = 'a';", json!([["a", 2, 5]])),
        ("SELECT total, k FROM t WHERE k IN ('a', 'nobody', 'd');", json!([[5, "a"], [5, "d"]])),
        ("SELECT k FROM t WHERE k > 'a' AND k <= 'c';", json!([["b"], ["c"]])),
        ("SELECT k FROM t WHERE total > 2 AND total < 5;", json!([["c"]])),
        ("SELECT k FROM t WHERE k = 'nobody';", json!([])),
        ("SELECT k FROM t LIMIT 2;", json!([["a"], ["b"]])),
        ("SELECT n FROM s WHERE k = 'a';", json!([[1], [4]])),
    ] {
        let expected = expected.as_array().cloned().expect("rows");
        assert_eq!(server.pull(sql), expected, "{sql}");
        let mut client = Http2::connect(server.address());
        assert_eq!(client.post("/query-stream", &json!({ "sql": sql })).lines(PATIENCE).len(), expected.len() + 1, "over HTTP/2: {sql}");
    }
}

#[test]
fn limits_and_older_forms_end_by_themselves() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(&folder);
    insert(&server, &[("a", 1), ("b", 2), ("c", 3)]);
    let earliest = json!({"auto.offset.reset": "earliest"});
    let sql = "SELECT k, n FROM s EMIT CHANGES LIMIT 2;";
    let (status, body) = server.request("POST", "/query", Some(&json!({"ksql": sql, "streamsProperties": earliest}))).expect("an answer");
    assert_eq!(status, 200, "{body}");
    let parsed: Json = serde_json::from_str(&body).expect("one JSON document");
    assert_eq!(parsed[0]["header"]["schema"], "`K` STRING, `N` INTEGER");
    assert_eq!(parsed[2]["row"]["columns"], json!(["b", 2]));
    assert_eq!(parsed[3]["finalMessage"], "Limit Reached");
    let print = json!({"ksql": "PRINT 's' FROM BEGINNING LIMIT 3;"});
    let (status, body) = server.request("POST", "/query", Some(&print)).expect("an answer");
    assert_eq!(status, 200, "{body}");
    assert!(body.starts_with("Key format: KAFKA_STRING\nValue format: JSON or KAFKA_STRING\nrowtime: "), "{body}");
    assert_eq!(body.matches(", partition: 0\n").count(), 3, "{body}");
}

#[test]
fn everything_can_be_looked_at() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(&folder);
    insert(&server, &[("a", 1)]);
    server.pull_until("SELECT * FROM t;", PATIENCE, |rows| rows.len() == 1);
    let id = server.ksql("SHOW QUERIES;")[0]["queries"][0]["id"].as_str().expect("an id").to_owned();
    let explain = format!("EXPLAIN {id};");
    for (sql, pointer, expected) in [
        ("SHOW STREAMS;", "/0/streams/1/name", "S"),
        ("LIST TABLES;", "/0/tables/0/topic", "T"),
        ("SHOW TOPICS;", "/0/@type", "kafka_topics"),
        ("SHOW FUNCTIONS;", "/0/@type", "function_names"),
        ("SHOW PROPERTIES;", "/0/@type", "properties"),
        ("SHOW TYPES;", "/0/@type", "type_list"),
        ("DESCRIBE t;", "/0/sourceDescription/fields/0/type", "KEY"),
        ("DESCRIBE t EXTENDED;", "/0/sourceDescription/writeQueries/0/state", "RUNNING"),
        ("DESCRIBE FUNCTION COUNT;", "/0/type", "AGGREGATE"),
        ("EXPLAIN SELECT * FROM s EMIT CHANGES;", "/0/queryDescription/sources/0", "S"),
        (explain.as_str(), "/0/queryDescription/state", "RUNNING"),
    ] {
        let answer = server.ksql(sql);
        assert_eq!(answer.pointer(pointer), Some(&json!(expected)), "{sql}: {answer}");
    }
    let described = server.ksql("DESCRIBE s EXTENDED;");
    let statistics = described[0]["sourceDescription"]["statistics"].as_str().expect("a text");
    assert!(statistics.contains("consumer-total-messages:         1 "), "{statistics}");
}

#[test]
fn wrong_requests_are_answered_and_do_no_harm() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(&folder);
    let mut client = Http2::connect(server.address());
    let large = "x".repeat(TOO_LARGE_BYTES);
    // Path, body, status, error code.
    let wrong: [(&str, &str, u16, u64); 11] = [
        ("/ksql", "{\"ksql\": \"SHOW", 400, 40000),
        ("/ksql", "[]", 400, 40000),
        ("/query", "not JSON at all", 400, 40000),
        ("/query-stream", "{\"sql\": 5", 400, 40000),
        ("/query-stream", "{}", 400, 40000),
        ("/ksql", "{\"ksql\": \"SELEC;\"}", 400, 40001),
        ("/ksql", "{\"ksql\": \"SELECT * FROM s EMIT CHANGES;\"}", 400, 40002),
        ("/query-stream", "{\"sql\": \"SELECT * FROM nobody;\"}", 400, 40001),
        ("/close-query", "{\"queryId\": \"nobody\"}", 400, 40000),
        ("/ksql", &large, 413, 41300),
        ("/query-stream", &large, 413, 41300),
    ];
    for (path, body, status, code) in wrong {
        let shown = &body[..body.len().min(60)];
        let first = server.raw("POST", path, body.as_bytes()).expect("an answer");
        let mut second = client.post_text(path, body);
        for (got, text) in [first, (second.status, second.text(PATIENCE))] {
            let error: Json = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path} {shown}: {e}: {text}"));
            assert_eq!((got, error["error_code"].as_u64()), (status, Some(code)), "{path} {shown}: {text}");
            assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()), "{text}");
        }
    }
    for (method, path) in [("GET", "/ksql"), ("DELETE", "/query-stream"), ("PUT", "/no/such/path"), ("POST", "/no/such/path")] {
        assert_eq!(server.raw(method, path, b"").expect("an answer").0, 404, "{method} {path}");
    }
    assert_eq!(server.request("GET", "/healthcheck", None).expect("an answer").0, 200);
    insert(&server, &[("a", 1)]);
    server.pull_until("SELECT * FROM t WHERE k = 'a';", PATIENCE, |rows| rows == [json!(["a", 1, 1])]);
}

#[test]
fn sigterm_ends_push_queries_in_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(&folder);
    let mut client = Http2::connect(server.address());
    let mut lines = client.post("/query-stream", &json!({"sql": "SELECT * FROM s EMIT CHANGES;"}));
    let mut older = client.post("/query", &json!({"ksql": "SELECT * FROM s EMIT CHANGES;"}));
    let mut printed = client.post("/query", &json!({"ksql": "PRINT s;"}));
    lines.frame(PATIENCE).expect("a header");
    older.frame(PATIENCE).expect("a header");
    let address = server.address();
    // Waits much longer than the server may take to end.
    let waiting = std::thread::spawn(move || {
        let body = json!({"ksql": "ASSERT TOPIC nobody TIMEOUT 100 SECONDS;"});
        Http2::connect(address).try_post("/ksql", &body).is_none_or(|mut answer| answer.try_text().is_none())
    });
    std::thread::sleep(Duration::from_millis(200));
    let started = std::time::Instant::now();
    assert_eq!(server.terminate(), Some(0));
    assert!(started.elapsed() < PATIENCE, "neither push queries nor a statement that waits hold the end up");
    assert!(waiting.join().expect("a client"), "the statement did not wait");
    assert!(lines.lines(PATIENCE).is_empty());
    assert!(older.text(PATIENCE).ends_with("{\"finalMessage\":\"Server is shutting down\"}]"));
    assert_eq!(printed.text(PATIENCE), "");
}

#[test]
fn push_queries_have_a_limit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("server.properties");
    std::fs::write(&config, "ksql.max.push.queries=2\n").expect("a file");
    let server = ServerProcess::start(&folder.path().join("data"), &["--config", &config.display().to_string()]);
    server.ksql(STATEMENTS);
    let mut client = Http2::connect(server.address());
    let select = json!({"sql": "SELECT * FROM s EMIT CHANGES;"});
    let mut first = client.post("/query-stream", &select);
    first.frame(PATIENCE).expect("a header");
    let printing = client.post("/query", &json!({"ksql": "PRINT s;"}));
    for (path, body) in [("/query-stream", select.clone()), ("/query", json!({"ksql": "PRINT s;"}))] {
        let (status, text) = server.request("POST", path, Some(&body)).expect("an answer");
        assert!(status == 400 && text.contains("40003") && text.contains("ksql.max.push.queries"), "{text}");
    }
    // Pull queries are not meant.
    assert!(server.pull("SELECT * FROM t;").is_empty());
    drop(printing);
    let started = std::time::Instant::now();
    while client.post("/query-stream", &select).status != 200 {
        assert!(started.elapsed() < PATIENCE, "a PRINT that was left still counts");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn refused_statements_come_back_as_they_were_understood() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(&folder);
    for (sql, code, understood) in [
        (
            "CREATE STREAM x AS SELECT k, nope FROM s;",
            40001,
            "CREATE STREAM X WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='X', PARTITIONS=1, REPLICAS=1, RETENTION_MS=604800000) AS \
             SELECT\n  S.K K,\n  NOPE NOPE\nFROM S S\nEMIT CHANGES;",
        ),
        (
            "CREATE TABLE y (v INT) WITH (kafka_topic='s', value_format='JSON');",
            40001,
            "CREATE TABLE Y (V INTEGER) WITH (CLEANUP_POLICY='compact', KAFKA_TOPIC='s', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');",
        ),
        // Not understood: as it was written.
        ("CREATE STREAM z (k NOSUCHTYPE KEY) WITH (kafka_topic='s', value_format='JSON');", 40001, ""),
        ("INSERT INTO s (k, n) VALUES ('secret', 'text');", 40001, "INSERT INTO `S` (`K`, `N`) VALUES ('[value]', '[value]');"),
    ] {
        let (status, text) = server.request("POST", "/ksql", Some(&json!({ "ksql": sql }))).expect("an answer");
        let error: Json = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status, error["error_code"].as_u64()), (400, Some(code)), "{sql}: {text}");
        let expected = if understood.is_empty() { sql } else { understood };
        assert_eq!(error["statementText"], expected, "{sql}: {text}");
    }
}

#[test]
fn a_table_of_others_is_looked_up_where_it_is_declared_as_a_source() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(&folder);
    server.ksql("CREATE TABLE plain (k STRING PRIMARY KEY, c BIGINT) WITH (KAFKA_TOPIC='T', VALUE_FORMAT='JSON');");
    server.ksql("CREATE SOURCE TABLE kept (k STRING PRIMARY KEY, c BIGINT) WITH (KAFKA_TOPIC='T', VALUE_FORMAT='JSON');");
    insert(&server, &[("a", 1), ("a", 2)]);
    server.pull_until("SELECT * FROM kept WHERE k = 'a';", PATIENCE, |rows| rows == [json!(["a", 2])]);
    let (status, text) = server.request("POST", "/query-stream", Some(&json!({"sql": "SELECT * FROM plain;"}))).expect("an answer");
    assert!(status == 400 && text.contains("isn't queryable"), "{text}");
    let queries = server.ksql("SHOW QUERIES;").to_string();
    assert!(queries.contains("CST_KEPT_"), "{queries}");
    server.ksql("DROP TABLE kept;");
    assert!(!server.ksql("SHOW QUERIES;").to_string().contains("CST_KEPT_"));
}
