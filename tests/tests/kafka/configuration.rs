//! Properties that only mean something on Kafka: what is not kept there is refused, what is set reaches the clients.

use std::process::Command;

use serde_json::json;
use tidemill_engine::log::Log;
use tidemill_tests::broker;
use tidemill_tests::server::{ServerProcess, free_port, tidemill_binary};

use crate::support::log_on;

#[test]
fn a_guarantee_that_nobody_knows_is_refused_everywhere() {
    let Some(bootstrap) = broker::shared("a_guarantee_that_nobody_knows_is_refused_everywhere") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(tidemill_binary())
        .args(["server", "--listen", &format!("127.0.0.1:{}", free_port()), "--data-dir"])
        .arg(folder.path().join("refused"))
        .env_clear()
        .envs([("KSQL_BOOTSTRAP_SERVERS", bootstrap.as_str()), ("KSQL_KSQL_STREAMS_PROCESSING_GUARANTEE", "exactly_once_v3")])
        .output()
        .expect("the binary starts");
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains("processing.guarantee") && line.contains("exactly_once_v2") && line.trim_end().lines().count() == 1, "{line}");

    let environment = [("KSQL_BOOTSTRAP_SERVERS", bootstrap.as_str()), ("KSQL_KSQL_SERVICE_ID", "guarantee_")];
    let server = ServerProcess::start_in(&folder.path().join("data"), &[], &environment);
    let body = json!({"ksql": "SHOW STREAMS;", "streamsProperties": {"processing.guarantee": "exactly_thrice"}});
    let (status, text) = server.request("POST", "/ksql", Some(&body)).expect("an answer");
    assert!(status == 400 && text.contains("exactly_thrice") && text.contains("at_least_once"), "{status} {text}");
    let body = json!({"ksql": "SHOW STREAMS;", "streamsProperties": {"processing.guarantee": "exactly_once_v2"}});
    assert_eq!(server.request("POST", "/ksql", Some(&body)).expect("an answer").0, 200);
}

#[test]
fn what_is_set_reaches_topics_and_clients() {
    let Some(bootstrap) = broker::shared("what_is_set_reaches_topics_and_clients") else { return };
    let log = log_on(&bootstrap);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let environment = [
        ("KSQL_BOOTSTRAP_SERVERS", bootstrap.as_str()),
        ("KSQL_KSQL_SERVICE_ID", "reaching_"),
        ("KSQL_KSQL_LOGGING_PROCESSING_TOPIC_PARTITIONS", "3"),
        ("KSQL_KSQL_STREAMS_PRODUCER_MAX_REQUEST_SIZE", "20000"),
        ("KSQL_KSQL_STREAMS_PRODUCER_LINGER_MS", "1"),
        ("KSQL_KSQL_STREAMS_CONSUMER_FETCH_MAX_WAIT_MS", "50"),
        ("KSQL_KSQL_STREAMS_PRODUCER_ACKS", "all"),
        ("KSQL_SECURITY_PROTOCOL", "PLAINTEXT"),
        ("KSQL_PRODUCER_INTERCEPTOR_CLASSES", "io.confluent.monitoring.clients.interceptor.MonitoringProducerInterceptor"),
    ];
    let server = ServerProcess::start_in(&folder.path().join("data"), &[], &environment);
    let found = log.describe_topic("reaching_ksql_processing_log").expect("an answer").expect("the processing log");
    assert_eq!(found.partitions, 3);
    let command_topic = log.describe_topic("_confluent-ksql-reaching__command_topic").expect("an answer").expect("the command topic");
    assert_eq!(command_topic.replicas, 1);
    server.ksql("CREATE STREAM reaching (id INT KEY, v STRING) WITH (KAFKA_TOPIC='reaching', PARTITIONS=1, VALUE_FORMAT='JSON');");
    server.ksql("INSERT INTO reaching (id, v) VALUES (1, 'small');");
    let big = format!("INSERT INTO reaching (id, v) VALUES (1, '{}');", "x".repeat(40_000));
    let (status, text) = server.request("POST", "/ksql", Some(&json!({"ksql": big}))).expect("an answer");
    assert!(status >= 400, "max.request.size holds: {status} {text}");
}
