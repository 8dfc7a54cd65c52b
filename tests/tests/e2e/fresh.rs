//! Reading what one has written: a token of what was written goes with the query.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_tests::server::{HttpAnswer, ServerProcess, exchange};

const HEADER: &str = "tidemill-consistency-token";

fn ask(server: &ServerProcess, path: &str, token: Option<&str>, body: &Json) -> HttpAnswer {
    let headers: Vec<(&str, &str)> = token.map(|token| (HEADER, token)).into_iter().collect();
    exchange(server.address(), "POST", path, &headers, body.to_string().as_bytes()).expect("an answer")
}

fn header(answer: &HttpAnswer) -> Option<&str> {
    answer.head.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case(HEADER)).map(|(_, v)| v.trim())
}

fn rows(answer: &HttpAnswer) -> Vec<Json> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body.lines().skip(1).map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn who_writes_reads_it_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(
        "CREATE STREAM views (page STRING KEY, ms INT) WITH (KAFKA_TOPIC='views', PARTITIONS=3, VALUE_FORMAT='JSON');
         CREATE TABLE per_page AS SELECT page, COUNT(*) AS n FROM views GROUP BY page;
         CREATE TABLE per_ms AS SELECT ms, COUNT(*) AS n FROM views GROUP BY ms;",
    );
    let asked = json!({"ksql": "SHOW STREAMS;"});
    assert_eq!(header(&ask(&server, "/ksql", Some(""), &asked)), None, "nothing was written");
    let insert = json!({"ksql": "INSERT INTO views VALUES ('a', 7);"});
    assert_eq!(header(&ask(&server, "/ksql", None, &insert)), None, "nobody wants to know");
    for n in 2..60 {
        let wrote = ask(&server, "/ksql", Some(""), &insert);
        assert_eq!(wrote.status, 200, "{}", wrote.body);
        let token = header(&wrote).expect("a token").to_owned();
        assert!(token.starts_with("views:") && token.ends_with(&format!(":{}", n - 1)), "{token}");
        // A look-up, behind a repartition, and any SQL.
        let sql = match n % 3 {
            0 => "SELECT n FROM per_page WHERE page = 'a';",
            1 => "SELECT n FROM per_ms WHERE ms = 7;",
            _ => "SELECT SUM(n) FROM per_page;",
        };
        let answer = if n % 2 == 0 {
            ask(&server, "/query-stream", Some(&token), &json!({"sql": sql}))
        } else {
            let properties = json!({"tidemill.consistency.positions": token});
            ask(&server, "/query-stream", None, &json!({"sql": sql, "properties": properties}))
        };
        assert_eq!(rows(&answer), [json!([n])], "{sql}");
    }
    // What does not come is not waited for without end.
    let began = Instant::now();
    let properties = json!({"tidemill.consistency.timeout.ms": "300"});
    for sql in ["SELECT n FROM per_page WHERE page = 'a';", "SELECT n FROM per_ms WHERE ms = 7;", "SELECT SUM(n) FROM per_page;"] {
        let answer = ask(&server, "/query-stream", Some("views:1:4000"), &json!({"sql": sql, "properties": properties}));
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(answer.body.contains("'views'") && answer.body.contains("4000 was asked for"), "{}", answer.body);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    for sql in ["SELECT n FROM per_page WHERE page = 'a';", "SELECT SUM(n) FROM per_page;"] {
        let properties = json!({"tidemill.consistency.positions": "views"});
        let answer = ask(&server, "/query-stream", None, &json!({"sql": sql, "properties": properties}));
        assert!(answer.status == 400 && answer.body.contains("topic:partition:offset"), "{} {}", answer.status, answer.body);
    }
    let answer = ask(&server, "/query-stream", Some("views:1"), &json!({"sql": "SELECT n FROM per_page WHERE page = 'a';"}));
    assert!(answer.status == 400 && answer.body.contains(HEADER), "{}", answer.body);
}
