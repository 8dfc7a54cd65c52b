//! Properties from the environment, and what they hold a client back from.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use tidemill_engine::engine::LogChoice;
use tidemill_engine::log::kafka::KafkaLog;
use tidemill_engine::state::StateBatch;
use tidemill_server::ConfigBuilder;
use tidemill_server::config::streams::{self, StreamsProperty};
use tidemill_server::config::{Kind, Role};
use tidemill_tests::server::ServerProcess;

fn post(server: &ServerProcess, sql: &str, properties: Json) -> (u16, Json) {
    let body = json!({"ksql": sql, "streamsProperties": properties});
    let (status, text) = server.request("POST", "/ksql", Some(&body)).expect("an answer");
    (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
}

fn message(answer: &Json) -> &str {
    answer["message"].as_str().unwrap_or_default()
}

const STREAM: &str = "CREATE STREAM s (id INT KEY, v STRING) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');";

#[test]
fn an_environment_of_the_image_configures_the_server() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let environment = [
        ("KSQL_KSQL_SERVICE_ID", "image_"),
        ("KSQL_HOST_NAME", "ksqldb-server"),
        ("KSQL_HEAP_OPTS", "-Xmx1g"),
        ("KSQL_KSQL_LOGGING_PROCESSING_STREAM_NAME", "What_Failed"),
        ("KSQL_KSQL_SCHEMA_REGISTRY_URL", "http://schema-registry:8081"),
        ("TIDEMILL_SCHEMA_REGISTRY_TIMEOUT_MS", "500"),
        ("KSQL_KSQL_SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO", "me:hush"),
        ("KSQL_KSQL_CONNECT_URL", "http://connect:8083"),
        ("KSQL_SASL_JAAS_CONFIG", "a.PlainLoginModule required username=\"me\" password=\"hush\";"),
        ("KSQL_KSQL_OUTPUT_TOPIC_NAME_PREFIX", "out-"),
        ("TIDEMILL_NO_SUCH", "1"),
    ];
    let server = ServerProcess::start_in(&folder.path().join("data"), &[], &environment);
    let started = server.log();
    let (_, info) = server.request("GET", "/info", None).expect("an answer");
    assert!(info.contains("\"image_\""), "{info}");
    // A sink's topic has the prefix unless the statement names it.
    server.ksql(&format!("{STREAM} CREATE STREAM a AS SELECT * FROM s; CREATE STREAM b WITH (KAFKA_TOPIC='mine') AS SELECT * FROM s;"));
    let topics = server.ksql("SHOW TOPICS;").to_string();
    assert!(topics.contains("\"out-A\"") && topics.contains("\"mine\"") && !topics.contains("out-mine"), "{topics}");
    let (status, answer) = post(&server, "CREATE STREAM c AS SELECT * FROM s;", json!({"ksql.output.topic.name.prefix": "mine-"}));
    assert_eq!(status, 200, "{answer}");
    assert!(answer.to_string().contains("mine-C"), "{answer}");
    // Who is not there is named where a statement needs it.
    for (sql, expected) in [
        (
            "CREATE STREAM t (v STRING) WITH (KAFKA_TOPIC='t', PARTITIONS=1, VALUE_FORMAT='AVRO');",
            "http://schema-registry:8081 can't be reached",
        ),
        ("SHOW CONNECTORS;", "http://connect:8083 can't be reached"),
    ] {
        let (status, answer) = post(&server, sql, json!({}));
        assert!(status >= 400 && message(&answer).contains(expected), "{sql}: {status} {answer}");
    }
    let streams = server.ksql("SHOW STREAMS;").to_string();
    assert!(streams.contains("\"What_Failed\"") && !streams.contains("KSQL_PROCESSING_LOG"), "{streams}");
    let shown = server.ksql("SHOW PROPERTIES;").to_string();
    assert!(shown.contains("[hidden]") && shown.contains("ksql.streams.sasl.jaas.config"), "{shown}");
    for text in [shown, server.log()] {
        assert!(!text.contains("hush"), "{text}");
    }
    for expected in ["KSQL_HEAP_OPTS, KSQL_HOST_NAME", "TIDEMILL_NO_SUCH"] {
        assert_eq!(started.matches(expected).count(), 1, "{expected}: {started}");
    }
}

#[test]
fn a_session_is_told_what_it_cannot_have() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(STREAM);
    // On the embedded log exactly once is what there is.
    for name in ["processing.guarantee", "ksql.streams.processing.guarantee"] {
        let (status, answer) = post(&server, "SHOW STREAMS;", json!({name: "exactly_once_v2"}));
        assert_eq!(status, 200, "{answer}");
    }
    for (name, value, expected) in [
        ("ksql.streams.producer.acks", "all", "shared by all queries"),
        ("ksql.cast.strings.preserve.nulls", "false", "CAST of null"),
        ("ksql.internal.topic.replicas", "3", "one copy"),
    ] {
        let (status, answer) = post(&server, "SHOW STREAMS;", json!({name: value}));
        assert!(status == 400 && message(&answer).contains(expected), "{name}: {status} {answer}");
        let (status, answer) = post(&server, &format!("SET '{name}' = '{value}';"), json!({}));
        assert!(status == 400 && message(&answer).contains(expected), "SET {name}: {status} {answer}");
    }
    let (status, answer) = post(&server, "SET 'ksql.streams.sasl.jaas.config' = 'x password=hush';", json!({}));
    assert!(status == 400 && answer.to_string().contains("[hidden]") && !answer.to_string().contains("hush"), "{answer}");
    for (name, expected) in [("ksql.cast.strings.preserve.nulls", 200), ("processing.guarantee", 200), ("listeners", 400)] {
        let (status, text) = server.request("GET", &format!("/is_valid_property/{name}"), None).expect("an answer");
        assert_eq!(status, expected, "{name}: {text}");
    }
}

#[test]
fn limits_hold() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let environment = [
        ("KSQL_KSQL_QUERY_PERSISTENT_ACTIVE_LIMIT", "2"),
        ("KSQL_KSQL_QUERY_PULL_MAX_QPS", "1"),
        ("KSQL_KSQL_READONLY_TOPICS", "kept.*"),
        ("KSQL_KSQL_CREATE_OR_REPLACE_ENABLED", "false"),
        ("KSQL_KSQL_SUPPRESS_ENABLED", "false"),
        ("KSQL_KSQL_QUERY_PULL_LIMIT_CLAUSE_ENABLED", "false"),
    ];
    let server = ServerProcess::start_in(&folder.path().join("data"), &[], &environment);
    server.ksql(&format!(
        "{STREAM} CREATE STREAM kept (id INT KEY, v STRING) WITH (KAFKA_TOPIC='kept-1', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE TABLE t AS SELECT id, COUNT(*) AS n FROM s GROUP BY id;"
    ));
    for (sql, expected) in [
        ("INSERT INTO kept (id, v) VALUES (1, 'x');", "read-only topic: kept-1"),
        ("INSERT INTO kept SELECT * FROM s;", "read-only topic: kept-1"),
        ("CREATE STREAM k2 WITH (KAFKA_TOPIC='kept-2') AS SELECT * FROM s;", "read-only topic: kept-2"),
        ("DROP STREAM kept DELETE TOPIC;", "read-only topic: kept-1"),
        ("CREATE OR REPLACE STREAM a AS SELECT * FROM s;", "ksql.create.or.replace.enabled"),
        ("CREATE TABLE f AS SELECT id, COUNT(*) FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY id EMIT FINAL;", "ksql.suppress.enabled"),
    ] {
        let (status, answer) = post(&server, sql, json!({}));
        assert!(status == 400 && message(&answer).contains(expected), "{sql}: {status} {answer}");
    }
    server.ksql("CREATE STREAM a AS SELECT * FROM s;");
    let (status, answer) = post(&server, "INSERT INTO a SELECT * FROM s;", json!({}));
    assert!(status == 400 && message(&answer).contains("Current persistent query count: 2. Configured limit: 2."), "{answer}");
    server.ksql("TERMINATE ALL; CREATE TABLE t2 AS SELECT id, COUNT(*) AS n FROM s GROUP BY id;");

    let limited = server.request("POST", "/query-stream", Some(&json!({"sql": "SELECT * FROM t2 LIMIT 1;"}))).expect("an answer");
    assert!(limited.0 == 400 && limited.1.contains("ksql.query.pull.limit.clause.enabled"), "{limited:?}");
    let body = json!({"sql": "SELECT * FROM t2 WHERE id = 1;"});
    let answers: Vec<(u16, String)> = (0..20).map(|_| server.request("POST", "/query-stream", Some(&body)).expect("an answer")).collect();
    assert!(answers.iter().any(|(status, _)| *status == 200), "{answers:?}");
    let refused: Vec<&String> = answers.iter().filter(|(status, _)| *status == 429).map(|(_, text)| text).collect();
    assert!(refused.iter().all(|text| text.contains("42900") && text.contains("Currently set to 1.0 qps")), "{refused:?}");
    assert!(!refused.is_empty(), "twenty within a second or a few: {answers:?}");
}

/// The head of the answer to a request of a browser.
fn ask(server: &ServerProcess, method: &str, path: &str, origin: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).expect("a connection");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase()
}

#[test]
fn browsers_are_told_who_may_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = "http://page.example";
    let environment = [("KSQL_ACCESS_CONTROL_ALLOW_ORIGIN", page), ("KSQL_ACCESS_CONTROL_ALLOW_METHODS", "GET,POST")];
    let server = ServerProcess::start_in(&folder.path().join("data"), &[], &environment);
    let asked = ask(&server, "OPTIONS", "/ksql", page);
    assert!(asked.starts_with("http/1.1 204"), "{asked}");
    assert!(asked.contains("access-control-allow-origin: http://page.example") && asked.contains("get,post"), "{asked}");
    assert!(ask(&server, "GET", "/info", page).contains("access-control-allow-origin: http://page.example"));
    let other = ask(&server, "OPTIONS", "/ksql", "http://other.example");
    assert!(!other.contains("access-control-allow") && !other.starts_with("http/1.1 204"), "{other}");
}

/// A value that a property of Kafka's clients takes.
fn sample(property: &StreamsProperty) -> String {
    match (property.name, property.kind) {
        ("ssl.endpoint.identification.algorithm", _) => "https".to_owned(),
        ("ssl.enabled.protocols", _) => "TLSv1.2,TLSv1.3".to_owned(),
        ("ssl.cipher.suites", _) => "ECDHE-RSA-AES256-GCM-SHA384".to_owned(),
        ("sasl.jaas.config", _) => "a.ScramLoginModule required username=\"me\" password=\"p\";".to_owned(),
        ("security.protocol", _) => "SASL_PLAINTEXT".to_owned(),
        (_, Kind::Bool) => "true".to_owned(),
        (_, Kind::Int { .. } | Kind::Long { .. }) => "5".to_owned(),
        (_, Kind::OneOf(words)) => words.first().copied().unwrap_or_default().to_owned(),
        _ => "x".to_owned(),
    }
}

/// Every name that is handed to the clients is one that they have, with a value that they take: connecting looks at them all
/// and needs no broker.
#[test]
fn the_clients_take_what_they_are_handed() {
    // How tokens are fetched is the server's own matter (tests/kafka/tokens.rs).
    let is_of_tokens = |name: &str| name.starts_with("sasl.oauthbearer.") || name.starts_with("sasl.login.");
    let handed = streams::properties().filter(|p| matches!(p.role, Role::Client | Role::Tuning) && !is_of_tokens(p.name));
    let mut set: Vec<(String, String)> = handed.map(|p| (format!("ksql.streams.{}", p.name), sample(p))).collect();
    // The largest and the smallest, and one kind of client.
    set.extend(
        [
            ("ksql.streams.producer.max.request.size", "2147483647"),
            ("ksql.streams.producer.delivery.timeout.ms", "2147483647"),
            ("ksql.streams.producer.linger.ms", "9223372036854775807"),
            ("ksql.streams.producer.batch.size", "0"),
            ("ksql.streams.consumer.fetch.min.bytes", "0"),
            ("ksql.streams.consumer.fetch.max.bytes", "2147483647"),
            ("ksql.streams.admin.request.timeout.ms", "0"),
            ("ksql.streams.producer.acks", "1"),
            ("ksql.streams.enable.idempotence", "false"),
            ("ksql.streams.connections.max.idle.ms", "-1"),
            ("bootstrap.servers", "127.0.0.1:1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let builder = set.iter().fold(ConfigBuilder::new(), |builder, (name, value)| builder.set(name, value, "test"));
    let config = builder.build().expect("valid");
    let LogChoice::Kafka { bootstrap_servers, client_properties } = &config.engine.log else { panic!("Kafka") };
    let log = KafkaLog::connect(bootstrap_servers, client_properties, Arc::new(|state: StateBatch| state.write()));
    assert!(log.is_ok(), "{}", log.err().map(|error| error.to_string()).unwrap_or_default());
}
