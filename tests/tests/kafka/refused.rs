//! What can't run is refused before anything runs, with its place; what can't go on ends alone.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_engine::log::Log;
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::support::{fill, log_on, new_topic};

/// librdkafka waits half a minute for a topic that is missing: it may be on its way.
const NOTICED_WITHIN: Duration = Duration::from_secs(90);

fn start(bootstrap: &str, service: &str, folder: &tempfile::TempDir) -> ServerProcess {
    let config = folder.path().join("server.properties");
    std::fs::write(&config, format!("ksql.service.id={service}\n")).expect("a configuration");
    let arguments = ["--bootstrap-servers", bootstrap, "--config", config.to_str().expect("a path")];
    ServerProcess::start(&folder.path().join("data"), &arguments)
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    let Some(bootstrap) = broker::shared("what_does_not_fit_is_refused_with_its_place") else { return };
    let log = log_on(&bootstrap);
    let (three, two) = (new_topic(&log, "three", 3), new_topic(&log, "two", 2));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = start(&bootstrap, "refused_", &folder);
    server.ksql(&format!(
        "CREATE STREAM three (id STRING KEY, n INT) WITH (KAFKA_TOPIC='{three}', VALUE_FORMAT='JSON');
         CREATE TABLE two (id STRING PRIMARY KEY, m INT) WITH (KAFKA_TOPIC='{two}', VALUE_FORMAT='JSON');"
    ));
    let cases = [
        (
            "CREATE STREAM absent (id STRING KEY)\n  WITH (KAFKA_TOPIC='nowhere', VALUE_FORMAT='JSON');",
            "Line: 2, Col: 21",
            "Topic 'nowhere' does not exist",
        ),
        (
            "CREATE STREAM joined AS SELECT three.id, n, m\n  FROM three JOIN two ON three.id = two.id;",
            "Line: 2, Col: 26",
            "`THREE` partitions = 3; `TWO` partitions = 2",
        ),
        ("CREATE STREAM wrong AS SELECT id,\n  nope FROM three;", "Line: 2, Col: 3", "NOPE"),
        ("CREATE STREAM wrong AS SELECT id, n FROM three\nWHERE n = 'x';", "Line: 2, Col: 7", "Cannot compare N (INTEGER) to 'x' (STRING)"),
    ];
    for (sql, place, fact) in cases {
        let (status, text) = server.request("POST", "/ksql", Some(&json!({"ksql": sql}))).expect("an answer");
        let answer: Json = serde_json::from_str(&text).expect("JSON");
        let message = answer["message"].as_str().expect("a message");
        assert_eq!(status, 400, "{text}");
        assert!(message.contains(place) && message.contains(fact), "{sql}\n{message}");
    }
    assert_eq!(server.running_queries(), Vec::<String>::new());
    let topics: Vec<String> = log.list_topics().expect("topics").into_iter().map(|topic| topic.name).collect();
    assert!(!topics.iter().any(|topic| topic == "JOINED" || topic == "WRONG"), "nothing was made: {topics:?}");
}

#[test]
fn a_query_whose_topic_is_deleted_ends_alone() {
    let Some(bootstrap) = broker::shared("a_query_whose_topic_is_deleted_ends_alone") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "input", 2);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = start(&bootstrap, "deleted_", &folder);
    server.ksql(&format!(
        "CREATE STREAM input (n INT) WITH (KAFKA_TOPIC='{topic}', KEY_FORMAT='KAFKA', VALUE_FORMAT='KAFKA');
         CREATE STREAM lost WITH (KAFKA_TOPIC='{topic}-lost') AS SELECT n FROM input;
         CREATE TABLE kept WITH (KAFKA_TOPIC='{topic}-kept') AS SELECT 1 AS one, COUNT(*) AS c FROM input GROUP BY 1;"
    ));
    let count = |expected: i64| {
        server.pull_until("SELECT c FROM kept WHERE one = 1;", NOTICED_WITHIN, |rows| rows == [json!([expected])]);
    };
    // Values of four bytes, as INT in KAFKA's format.
    fill(&log, &topic, 0, 1_000, 1_010);
    count(10);
    log.delete_topic(&format!("{topic}-lost")).expect("the topic goes");
    fill(&log, &topic, 1, 1_000, 1_020);
    let began = Instant::now();
    let state = |name: &str| {
        let answer = server.ksql("SHOW QUERIES;");
        let queries = answer[0]["queries"].as_array().cloned().unwrap_or_default();
        let query = queries.iter().find(|query| query["id"].as_str().is_some_and(|id| id.contains(name))).expect("it is listed");
        query["state"].as_str().unwrap_or_default().to_owned()
    };
    while state("LOST") != "ERROR" {
        assert!(began.elapsed() < NOTICED_WITHIN, "the missing topic was not noticed:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(state("KEPT"), "RUNNING");
    // Whether its writer or the look at its topics told first: the reason names the topic.
    let said = server.log();
    let why = said.lines().find(|line| line.contains("query failed") && line.contains("LOST")).unwrap_or_default();
    assert!(why.contains(&format!("'{topic}-lost'")), "{said}");
    fill(&log, &topic, 0, 1_000, 1_003);
    // The constant key goes through a repartition topic. Records that the client gave up may be missing in the middle of what it
    // sent, so what comes again is counted again: better twice than not at all.
    server.pull_until("SELECT c FROM kept WHERE one = 1;", NOTICED_WITHIN, |rows| rows[0][0].as_i64().is_some_and(|c| c >= 33));

    // Without its source a query ends as well, and says why.
    log.delete_topic(&topic).expect("the topic goes");
    let began = Instant::now();
    while state("KEPT") != "ERROR" {
        assert!(began.elapsed() < NOTICED_WITHIN, "the missing topic was not noticed:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    // Whether its reader or its offsets told first: the reason names the topic.
    let said = server.log();
    let why = said.lines().find(|line| line.contains("query failed") && line.contains("KEPT")).unwrap_or_default();
    assert!(why.contains(&format!("'{topic}'")), "{said}");
    assert_eq!(server.terminate(), Some(0));
}
