//! Push queries that begin with what a table holds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

use crate::h2::Http2;

const PATIENCE: Duration = Duration::from_secs(60);
const KEYS: usize = 7;
/// Clients that come while it is written.
const CLIENTS: usize = 6;

const TABLE: &str = "
    SET 'cache.max.bytes.buffering'='0';
    CREATE STREAM clicks (page STRING, ms INT) WITH (KAFKA_TOPIC='clicks', PARTITIONS=3, VALUE_FORMAT='JSON');
    CREATE TABLE per_page AS SELECT page, COUNT(*) AS n, LATEST_BY_OFFSET(ms) AS ms FROM clicks GROUP BY page EMIT CHANGES;";

fn started() -> (tempfile::TempDir, ServerProcess) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(TABLE);
    (folder, server)
}

fn with_snapshot(sql: &str) -> Json {
    json!({"sql": sql, "properties": {"tidemill.push.snapshot": "true"}})
}

#[test]
fn no_change_is_lost_and_none_comes_twice() {
    let (_folder, server) = started();
    let click = |number: usize| format!("INSERT INTO clicks (page, ms) VALUES ('p{}', {number});", number % KEYS);
    // Something is there already.
    server.ksql(&(0..200).map(click).collect::<String>());
    server.pull_until("SELECT COUNT(*) FROM per_page;", PATIENCE, |rows| rows == [json!([KEYS])]);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (server, is_done) = (&server, &is_done);
        let writing = scope.spawn(move || {
            let mut written = 200;
            while !is_done.load(Ordering::Acquire) {
                server.ksql(&(written..written + 20).map(click).collect::<String>());
                written += 20;
            }
            // The last click of each page tells each client that it has seen all.
            server.ksql(&(0..KEYS).map(|key| format!("INSERT INTO clicks (page, ms) VALUES ('p{key}', -1);")).collect::<String>());
            let mut clicks = vec![0_i64; KEYS];
            (0..written).for_each(|number| clicks[number % KEYS] += 1);
            clicks.into_iter().map(|count| count + 1).collect::<Vec<_>>()
        });
        let mut answers = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = Http2::connect(server.address());
            let mut answer = client.post("/query-stream", &with_snapshot("SELECT page, n, ms FROM per_page EMIT CHANGES;"));
            assert_eq!(answer.status, 200);
            // Its header and all pages: then it goes on with changes.
            answer.frame(PATIENCE).expect("a header");
            let mut seen: BTreeMap<String, (i64, i64)> = BTreeMap::new();
            let mut ends = 0;
            while seen.len() < KEYS {
                take(&answer.frame(PATIENCE).expect("a row"), &mut seen, &mut ends);
            }
            answers.push((answer, client, seen, ends));
        }
        is_done.store(true, Ordering::Release);
        let clicks = writing.join().expect("writes");
        for (answer, _, seen, ends) in &mut answers {
            while *ends < KEYS {
                take(&answer.frame(PATIENCE).expect("a row"), seen, ends);
            }
            let found: Vec<i64> = seen.values().map(|(n, _)| *n).collect();
            assert_eq!(found, clicks, "every page's last count");
        }
    });
}

/// Each count of a page is the one behind the last that was seen, whatever the first is.
fn take(frame: &str, seen: &mut BTreeMap<String, (i64, i64)>, ends: &mut usize) {
    for line in frame.lines().filter(|line| !line.is_empty()) {
        let row: Json = serde_json::from_str(line).expect("JSON");
        let page = row[0].as_str().expect("a page").to_owned();
        let (n, ms) = (row[1].as_i64().expect("a count"), row[2].as_i64().expect("a number"));
        if let Some((last, _)) = seen.get(&page) {
            assert_eq!(n, last + 1, "{page} after {last}");
        }
        *ends += usize::from(ms == -1);
        seen.insert(page, (n, ms));
    }
}

#[test]
fn where_and_limit_hold_for_the_rows_that_are_there() {
    let (_folder, server) = started();
    server.ksql(&(0..30).map(|n| format!("INSERT INTO clicks (page, ms) VALUES ('p{}', {n});", n % 3)).collect::<String>());
    server.pull_until("SELECT * FROM per_page WHERE n = 10;", PATIENCE, |rows| rows.len() == 3);
    // The topic holds what the table does once it is committed.
    server.ksql("CREATE STREAM changes (page STRING KEY, n BIGINT) WITH (KAFKA_TOPIC='PER_PAGE', VALUE_FORMAT='JSON');");
    server.pull_until("SELECT COUNT(*) FROM changes;", PATIENCE, |rows| rows == [json!([30])]);
    let rows_of = |sql: &str| -> Vec<Json> {
        let (status, text) = server.request("POST", "/query-stream", Some(&with_snapshot(sql))).expect("an answer");
        assert_eq!(status, 200, "{text}");
        let rows = text.lines().skip(1).filter(|line| !line.is_empty());
        let mut rows: Vec<Json> = rows.map(|line| serde_json::from_str(line).expect("JSON")).collect();
        rows.sort_by_key(Json::to_string);
        rows
    };
    assert_eq!(rows_of("SELECT page, n FROM per_page WHERE ms >= 28 EMIT CHANGES LIMIT 2;"), [json!(["p1", 10]), json!(["p2", 10])]);
    // A stream has no content to begin with, and what more than one table makes is refused.
    let joined = "SELECT a.page FROM per_page a JOIN per_page b ON a.page = b.page EMIT CHANGES;";
    let (status, text) = server.request("POST", "/query-stream", Some(&with_snapshot(joined))).expect("an answer");
    assert!(status == 400, "{text}");
}
