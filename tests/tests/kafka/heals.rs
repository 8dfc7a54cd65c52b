//! Queries that fail for what is outside of them, and come back when that has passed.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_engine::log::Log;
use tidemill_tests::server::ServerProcess;
use tidemill_tests::{admin, broker};

use crate::support::{PATIENCE, fill_json, log_on, new_topic};

/// A missing topic is believed to be gone after some time only.
const NOTICED_WITHIN: Duration = Duration::from_secs(90);

fn start(bootstrap: &str, service: &str, folder: &tempfile::TempDir, more: &str) -> ServerProcess {
    let config = folder.path().join("server.properties");
    std::fs::write(&config, format!("ksql.service.id={service}\n{more}")).expect("a configuration");
    let arguments = ["--bootstrap-servers", bootstrap, "--config", config.to_str().expect("a path")];
    ServerProcess::start(&folder.path().join("data"), &arguments)
}

/// The query whose id contains this, and what SHOW QUERIES remarks.
fn query(server: &ServerProcess, name: &str) -> (Json, String) {
    let answer = server.ksql("SHOW QUERIES;");
    let found = answer[0]["queries"].as_array().into_iter().flatten().find(|q| q["id"].as_str().is_some_and(|id| id.contains(name)));
    (found.expect("it is listed").clone(), answer[0]["warnings"].to_string())
}

fn wait_for_state(server: &ServerProcess, name: &str, state: &str) -> String {
    let began = Instant::now();
    loop {
        let (query, said) = query(server, name);
        if query["state"] == state {
            return said;
        }
        assert!(began.elapsed() < NOTICED_WITHIN, "{query} does not become {state}:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_record_that_is_too_large_ends_its_query_alone_until_the_limit_is_raised() {
    let Some(bootstrap) = broker::shared("a_record_that_is_too_large_ends_its_query_alone_until_the_limit_is_raised") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "large", 1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = start(&bootstrap, "large_", &folder, "ksql.query.retry.backoff.initial.ms=600000\n");
    server.ksql(&format!(
        "CREATE STREAM large (id STRING KEY, n INT, text STRING) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE STREAM small WITH (KAFKA_TOPIC='{topic}-small') AS SELECT * FROM large;
         CREATE STREAM wide WITH (KAFKA_TOPIC='{topic}-wide') AS SELECT * FROM large;
         SET 'ksql.fail.on.production.error' = 'false';
         CREATE STREAM rest WITH (KAFKA_TOPIC='{topic}-rest') AS SELECT * FROM large;"
    ));
    for sink in ["small", "rest"] {
        admin::configure_topic(&bootstrap, &format!("{topic}-{sink}"), "max.message.bytes", "2000");
    }
    let record = |n: i64, length: usize| json!({"n": n, "text": "x".repeat(length)});
    // Small records make batches beyond the limit: that ends nobody.
    fill_json(&log, &topic, 0, (0..1_000).map(|n| record(n, 10)));
    for stream in ["small", "wide", "rest"] {
        server.pull_until(&format!("SELECT n FROM {stream};"), PATIENCE, |rows| rows.len() >= 1_000);
    }
    fill_json(&log, &topic, 0, [record(1_000, 3_000), record(1_001, 10)].into_iter());
    let said = wait_for_state(&server, "SMALL", "ERROR");
    let limit = format!("max.message.bytes of topic '{topic}-small' is 2000");
    assert!(said.contains(&limit) && said.contains("is larger than the topic takes"), "{said}");
    assert!(said.contains("is tried again in") && said.contains("; tries at once"), "{said}");
    // The others went on: one takes the record, one does without it and says so.
    let last = |rows: &[Json]| rows.iter().any(|row| row[0] == 1_001);
    let wide = server.pull_until("SELECT n FROM wide;", PATIENCE, last);
    assert!(wide.iter().any(|row| row[0] == 1_000));
    let rest = server.pull_until("SELECT n FROM rest;", PATIENCE, last);
    assert!(!rest.iter().any(|row| row[0] == 1_000));
    let left_out = "SELECT message->productionError->errorMessage AS m FROM KSQL_PROCESSING_LOG WHERE message->type = 2;";
    let said = server.pull_until(left_out, PATIENCE, |rows| !rows.is_empty());
    assert!(said[0][0].as_str().is_some_and(|m| m.contains(&format!("max.message.bytes of topic '{topic}-rest' is 2000"))), "{said:?}");

    admin::configure_topic(&bootstrap, &format!("{topic}-small"), "max.message.bytes", "1000000");
    let id = query(&server, "SMALL").0["id"].as_str().expect("an id").to_owned();
    // What was known of the limit is not believed for long.
    let began = Instant::now();
    while query(&server, "SMALL").0["state"] != "RUNNING" || server.pull("SELECT n FROM small WHERE n >= 1000;").len() < 2 {
        assert!(began.elapsed() < PATIENCE, "{}", server.log());
        server.ksql(&format!("RESUME {id};"));
        std::thread::sleep(Duration::from_secs(1));
    }
    // Larger than the client sends: another limit, named as such.
    fill_json(&log, &topic, 0, [record(1_002, 1_040_000)].into_iter());
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_query_comes_back_with_its_topic() {
    let Some(bootstrap) = broker::shared("a_query_comes_back_with_its_topic") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "again", 2);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = start(&bootstrap, "again_", &folder, "ksql.query.retry.backoff.initial.ms=200\nksql.query.retry.backoff.max.ms=1000\n");
    server.ksql(&format!(
        "CREATE STREAM again (id STRING KEY, n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE STREAM copied WITH (KAFKA_TOPIC='{topic}-copied') AS SELECT * FROM again;
         CREATE TABLE counted WITH (KAFKA_TOPIC='{topic}-counted') AS SELECT id, COUNT(*) AS c FROM again GROUP BY id;"
    ));
    let record = |n: i64| json!({"n": n});
    fill_json(&log, &topic, 0, (0..10).map(record));
    server.pull_until("SELECT c FROM counted WHERE id = 'k';", PATIENCE, |rows| rows == [json!([10])]);
    log.delete_topic(&topic).expect("the topic goes");
    let said = wait_for_state(&server, "COPIED", "ERROR");
    assert!(said.contains(&topic), "{said}");
    wait_for_state(&server, "COUNTED", "ERROR");
    log.create_topic(&tidemill_engine::log::TopicSpec { name: topic.clone(), partitions: 2, replicas: 1, config: Default::default() })
        .expect("the topic comes back");
    fill_json(&log, &topic, 0, (10..15).map(record));
    wait_for_state(&server, "COPIED", "RUNNING");
    let said = wait_for_state(&server, "COUNTED", "RUNNING");
    assert_eq!(said, "[]");
    server.pull_until("SELECT n FROM copied;", PATIENCE, |rows| rows.len() == 15);
    server.pull_until("SELECT c FROM counted WHERE id = 'k';", PATIENCE, |rows| rows == [json!([15])]);
    assert_eq!(server.terminate(), Some(0));
}
