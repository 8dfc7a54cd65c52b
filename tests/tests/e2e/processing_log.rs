//! Records that can't be decoded and expressions that fail: told in KSQL_PROCESSING_LOG, counted, and the query goes on.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

use crate::h2::Http2;

const PATIENCE: Duration = Duration::from_secs(20);

const STATEMENTS: &str = "
    CREATE STREAM raw (v STRING) WITH (KAFKA_TOPIC='orders', PARTITIONS=1, VALUE_FORMAT='KAFKA');
    CREATE STREAM orders (id INT, amount INT) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON');
    CREATE STREAM shares AS SELECT id, 100 / amount AS share FROM orders;";

/// Of each entry: the logger, the topic of a bad record, what is said.
const ENTRIES: &str = "SELECT logger, message->type, message->deserializationError->`topic` AS tp, \
                       message->deserializationError->errorMessage AS bad, message->recordProcessingError->errorMessage AS failed \
                       FROM KSQL_PROCESSING_LOG";

fn produce(server: &ServerProcess, value: &str) {
    server.ksql(&format!("INSERT INTO raw (v) VALUES ('{value}');"));
}

#[test]
fn bad_records_are_told_and_counted_and_the_query_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(STATEMENTS);
    let mut client = Http2::connect(server.address());
    // Followed from now on.
    let mut followed = client.post("/query-stream", &json!({"sql": format!("{ENTRIES} EMIT CHANGES;")}));
    assert_eq!(followed.status, 200);
    followed.frame(PATIENCE).expect("a header");
    for value in [r#"{"ID":1,"AMOUNT":4}"#, "no JSON", r#"{"ID":"one"}"#, r#"{"ID":2,"AMOUNT":0}"#, r#"{"ID":3,"AMOUNT":5}"#] {
        produce(&server, value);
    }
    // Good records come through; a failed expression is null.
    let rows = server.pull_until("SELECT * FROM shares;", PATIENCE, |rows| rows.len() == 3);
    assert_eq!(rows, [json!([1, 25]), json!([2, null]), json!([3, 20])]);

    let entries = server.pull_until(&format!("{ENTRIES};"), PATIENCE, |entries| entries.len() == 3);
    let is_source = |e: &Json| e[0].as_str().is_some_and(|l| l.contains("CSAS_SHARES_") && l.ends_with("KsqlTopic.Source.deserializer"));
    for (entry, said) in entries.iter().zip(["no", "ID"]) {
        assert!(is_source(entry) && entry[1] == 0 && entry[2] == "orders", "{entry}");
        assert!(entry[3].as_str().is_some_and(|m| m.contains(said)), "{entry}");
    }
    let failed = &entries[2];
    assert!(failed[0].as_str().is_some_and(|l| l.ends_with(".Project")) && failed[1] == 1 && failed[2].is_null(), "{failed}");
    assert!(failed[4].as_str().is_some_and(|m| m.contains("(100 / AMOUNT)") && m.contains("SHARE")), "{failed}");

    // The causes, from the outside in.
    let sql =
        "SELECT message->deserializationError->cause AS bad, message->recordProcessingError->cause AS failed FROM KSQL_PROCESSING_LOG;";
    let causes = server.pull(sql);
    assert_eq!(causes[0][0].as_array().map(Vec::len), Some(1), "{causes:?}");
    let said = "Can't coerce string to type. targetType: INTEGER";
    assert_eq!(causes[1][0], json!([format!("{said}, path: $.ID"), format!("{said}, path: .ID"), said]));
    assert_eq!(causes[2][1].as_array().map(Vec::len), Some(1), "{causes:?}");

    // As a push query and as a topic.
    for entry in &entries {
        let pushed: Json = serde_json::from_str(&followed.frame(PATIENCE).expect("an entry")).expect("JSON");
        assert_eq!(pushed, *entry);
    }
    let topic = server.ksql("DESCRIBE KSQL_PROCESSING_LOG;")[0]["sourceDescription"]["topic"].as_str().expect("a topic").to_owned();
    let (status, printed) =
        server.request("POST", "/query", Some(&json!({"ksql": format!("PRINT '{topic}' FROM BEGINNING LIMIT 3;")}))).expect("an answer");
    assert_eq!((status, printed.matches("CSAS_SHARES_").count()), (200, 3), "{printed}");
    // Records are no part of it unless the configuration says so.
    assert!(!printed.contains("bm8gSlNPTg"), "{printed}");

    let described = server.ksql("DESCRIBE orders EXTENDED;");
    let source = &described[0]["sourceDescription"];
    assert_eq!(source["clusterErrorStats"][0]["name"], "consumer-failed-messages", "{source}");
    assert_eq!(source["clusterErrorStats"][0]["value"], 3.0, "{source}");
    assert!(source["errorStats"].as_str().is_some_and(|s| s.contains("consumer-failed-messages:         3 ")), "{source}");
    assert_eq!(source["readQueries"][0]["state"], "RUNNING");
}

#[test]
fn rows_stand_in_the_log_where_the_configuration_allows_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("server.properties");
    std::fs::write(&config, "ksql.logging.processing.rows.include=true\nksql.logging.processing.topic.name=failures\n").expect("a file");
    let server = ServerProcess::start(&folder.path().join("data"), &["--config", &config.display().to_string()]);
    server.ksql(STATEMENTS);
    produce(&server, "no JSON");
    produce(&server, r#"{"ID":2,"AMOUNT":0}"#);
    let sql =
        "SELECT message->deserializationError->recordB64 AS bytes, message->recordProcessingError->record AS r FROM KSQL_PROCESSING_LOG;";
    let entries = server.pull_until(sql, PATIENCE, |entries| entries.len() == 2);
    assert_eq!(entries[0], json!(["bm8gSlNPTg==", null]));
    assert!(entries[1][1].as_str().is_some_and(|row| row.starts_with("[2,0,")), "{}", entries[1]);
    let topics = server.ksql("SHOW TOPICS;").to_string();
    assert!(topics.contains("\"failures\""), "{topics}");
}

#[test]
fn numbers_that_wrap_are_told_once_and_parts_that_fail_each_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(
        "CREATE STREAM raw (v STRING) WITH (KAFKA_TOPIC='orders', PARTITIONS=3, VALUE_FORMAT='KAFKA');
         CREATE STREAM orders (id INT, note STRING) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON');
         CREATE STREAM numbers AS SELECT id, COALESCE(CAST(note AS INT), -1) AS n FROM orders;",
    );
    for _ in 0..6 {
        produce(&server, r#"{"ID":3000000000,"NOTE":"one"}"#);
    }
    let rows = server.pull_until("SELECT * FROM numbers;", PATIENCE, |rows| rows.len() == 6);
    assert!(rows.iter().all(|row| *row == json!([-1_294_967_296, -1])), "{rows:?}");
    let select = "SELECT level, message->deserializationError->errorMessage AS w, message->recordProcessingError->errorMessage AS e \
                  FROM KSQL_PROCESSING_LOG;";
    let entries = server.pull_until(select, PATIENCE, |entries| entries.len() >= 7);
    let of_level = |level: &str| entries.iter().filter(|entry| entry[0] == level).collect::<Vec<_>>();
    let (warnings, errors) = (of_level("WARN"), of_level("ERROR"));
    assert!(
        matches!(warnings.as_slice(), [only] if only[1].as_str().is_some_and(|w| w.contains("orders") && w.contains("`ID`"))),
        "{entries:?}"
    );
    assert_eq!(errors.len(), 6, "{entries:?}");
    assert!(errors.iter().all(|e| e[2].as_str().is_some_and(|e| e.contains("counts as null"))), "{entries:?}");
}
