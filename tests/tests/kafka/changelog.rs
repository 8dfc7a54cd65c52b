//! A changelog that takes no more is the matter of its query alone.

use std::time::{Duration, Instant};

use serde_json::json;
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::support::{log_on, new_topic};

const PATIENCE: Duration = Duration::from_secs(60);
/// Of one value; a record of Kafka's has about a million at most.
const VALUE_BYTES: usize = 100_000;

#[test]
fn a_changelog_that_takes_no_more_ends_its_query_alone() {
    let Some(bootstrap) = broker::shared("a_changelog_that_takes_no_more_ends_its_query_alone") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "input", 1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("server.properties");
    std::fs::write(&config, "ksql.service.id=too_large_\nksql.streams.commit.interval.ms=100\n").expect("a configuration");
    let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")];
    let server = ServerProcess::start(&folder.path().join("data"), &arguments);
    // What goes to the sinks is small; what one of them keeps is not.
    server.ksql(&format!(
        "CREATE STREAM input (id STRING KEY, v STRING) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE TABLE listed WITH (KAFKA_TOPIC='{topic}-listed') AS
           SELECT id, ARRAY_LENGTH(COLLECT_LIST(v)) AS n FROM input GROUP BY id;
         CREATE TABLE counted WITH (KAFKA_TOPIC='{topic}-counted') AS SELECT id, COUNT(*) AS n FROM input GROUP BY id;"
    ));
    let insert = || {
        server.ksql(&format!("INSERT INTO input (id, v) VALUES ('a', '{}');", "x".repeat(VALUE_BYTES)));
    };
    let counts = |expected: i64| {
        server.pull_until("SELECT n FROM counted WHERE id = 'a';", PATIENCE, |rows| rows == [json!([expected])]);
    };
    for number in 1..=12 {
        insert();
        counts(number);
    }
    let query = |name: &str| {
        let answer = server.ksql("SHOW QUERIES;");
        let queries = answer[0]["queries"].as_array().cloned().unwrap_or_default();
        queries.into_iter().find(|query| query["id"].as_str().is_some_and(|id| id.contains(name))).expect("it is listed")
    };
    let began = Instant::now();
    while query("LISTED")["state"] != "ERROR" {
        assert!(began.elapsed() < PATIENCE, "the changelog took it all:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let said = server.log();
    assert!(said.contains("-changelog' can't be written") && said.contains("max.message.bytes"), "{said}");
    // The other one goes on.
    insert();
    counts(13);
    assert_eq!(query("COUNTED")["state"], "RUNNING");
    assert_eq!(server.terminate(), Some(0));
}
