//! A topic gets more partitions under queries that read it.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;
use tidemill_tests::{admin, broker};

use crate::support::{PATIENCE, fill_json, log_on, new_topic};

/// How often topics are looked at in this test, milliseconds; 10 s by default.
const MAX_AGE_MS: u64 = 500;

#[test]
fn partitions_that_are_added_are_read_from_their_first_record() {
    let Some(bootstrap) = broker::shared("partitions_that_are_added_are_read_from_their_first_record") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "grown", 1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("server.properties");
    std::fs::write(&config, format!("ksql.service.id=grown_\nksql.streams.metadata.max.age.ms={MAX_AGE_MS}\n")).expect("a configuration");
    let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")];
    let server = ServerProcess::start(&folder.path().join("data"), &arguments);
    server.ksql(&format!(
        "CREATE STREAM grown (id STRING KEY, n INT, g INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE STREAM copy WITH (KAFKA_TOPIC='{topic}-copy', PARTITIONS=1) AS SELECT * FROM grown;
         CREATE TABLE groups WITH (KAFKA_TOPIC='{topic}-groups') AS SELECT g, COUNT(*) AS c FROM grown GROUP BY g;
         CREATE TABLE ids WITH (KAFKA_TOPIC='{topic}-ids') AS SELECT id, COUNT(*) AS c FROM grown GROUP BY id;"
    ));
    let record = |n: i64| json!({"n": n, "g": n % 2});
    fill_json(&log, &topic, 0, (0..25).map(record));
    let counted = |expected: i64| {
        server.pull_until("SELECT g, c FROM groups;", PATIENCE, |rows| {
            rows.iter().map(|row| row[1].as_i64().unwrap_or(0)).sum::<i64>() == expected
        });
    };
    counted(25);
    std::thread::scope(|scope| {
        let post = |path, body| server.request("POST", path, Some(&body)).expect("an answer");
        // Both begin now, with one partition, and end once they have seen all hundred records.
        let earliest = json!({"ksql.streams.auto.offset.reset": "earliest"});
        let pushed = scope
            .spawn(move || post("/query-stream", json!({"sql": "SELECT n FROM grown EMIT CHANGES LIMIT 100;", "properties": earliest})));
        let text = format!("PRINT '{topic}' FROM BEGINNING LIMIT 100;");
        let printed = scope.spawn(move || post("/query", json!({"ksql": text})));
        admin::grow_topic(&bootstrap, &topic, 4);
        for partition in 1..4 {
            let from = 25 * i64::from(partition);
            fill_json(&log, &topic, partition, (from..from + 25).map(record));
        }
        counted(100);
        let (status, rows) = pushed.join().expect("rows");
        let mut numbers: Vec<i64> = rows.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok()?[0].as_i64()).collect();
        numbers.sort_unstable();
        assert_eq!((status, numbers), (200, (0..100).collect()), "{rows}");
        let (status, lines) = printed.join().expect("lines");
        assert_eq!((status, lines.matches("value: ").count()), (200, 100), "{lines}");
        assert_eq!(lines.matches("partition: 3").count(), 25, "{lines}");
    });
    server.pull_until("SELECT n FROM copy;", PATIENCE, |rows| rows.len() == 100);

    // State that is kept by the source's own partitions stays with those that it has, and that is said.
    let ids = server.ksql("SHOW QUERIES;")[0]["queries"].as_array().into_iter().flatten().find_map(|query| {
        let id = query["id"].as_str()?;
        id.contains("IDS").then(|| id.to_owned())
    });
    let ids = ids.expect("the query is listed");
    let expected = format!("{ids}: topic '{topic}' has 4 partitions now, and partitions 1 to 3 are not read");
    let began = Instant::now();
    for sql in ["SHOW QUERIES;".to_owned(), "DESCRIBE ids;".to_owned(), "DESCRIBE grown;".to_owned(), format!("EXPLAIN {ids};")] {
        let said = loop {
            let answer = server.ksql(&sql);
            let said = answer[0]["warnings"].to_string();
            if said.contains(&expected) {
                break said;
            }
            assert!(began.elapsed() < PATIENCE, "{sql} {answer}");
            std::thread::sleep(Duration::from_millis(50));
        };
        assert!(said.contains("drop what the query makes and create it again"), "{said}");
    }
    assert!(server.log().contains(&format!("topic '{topic}' has 4 partitions now")), "{}", server.log());
    assert_eq!(server.pull("SELECT id, c FROM ids;"), [json!(["k", 25])]);
    let dropped = server.ksql("DROP TABLE ids;");
    assert_eq!(dropped[0]["commandStatus"]["status"], "SUCCESS");
    server.ksql(&format!("CREATE TABLE ids WITH (KAFKA_TOPIC='{topic}-ids') AS SELECT id, COUNT(*) AS c FROM grown GROUP BY id;"));
    // The test's key lies in all partitions, which no producer would do.
    server.pull_until("SELECT id, c FROM ids;", PATIENCE, |rows| rows.iter().map(|row| row[1].as_i64().unwrap_or(0)).sum::<i64>() == 100);
    assert_eq!(server.terminate(), Some(0));
}
