//! A schema registry that is not as it should be: what statements say, what queries do, and that nobody else is hit.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_tests::registry_double::{Manner, RegistryDouble};
use tidemill_tests::server::{ServerProcess, free_port};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);
const AVRO: &str = "CREATE STREAM a (k STRING KEY, v STRING) WITH (KAFKA_TOPIC='a', PARTITIONS=1, VALUE_FORMAT='AVRO');";
const COPY: &str = "CREATE STREAM o WITH (VALUE_FORMAT='JSON') AS SELECT * FROM a;";
/// Queries that have nothing to do with the registry.
const OTHERS: &str = "CREATE STREAM j (k STRING KEY, v STRING) WITH (KAFKA_TOPIC='j', PARTITIONS=1, VALUE_FORMAT='JSON');
                      CREATE TABLE counts AS SELECT k, COUNT(*) AS n FROM j GROUP BY k;";

/// A server that is quick to give a registry up.
fn start(folder: &Path, url: &str) -> ServerProcess {
    let environment = [
        ("KSQL_KSQL_SCHEMA_REGISTRY_URL", url),
        ("KSQL_KSQL_SCHEMA_REGISTRY_HTTP_READ_TIMEOUT_MS", "700"),
        ("TIDEMILL_SCHEMA_REGISTRY_TIMEOUT_MS", "1500"),
    ];
    ServerProcess::start_in(&folder.join("data"), &[], &environment)
}

fn post(server: &ServerProcess, sql: &str) -> (u16, Json) {
    let body = json!({"ksql": sql, "streamsProperties": {"ksql.streams.auto.offset.reset": "earliest"}});
    let (status, text) = server.request("POST", "/ksql", Some(&body)).expect("an answer");
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

fn insert(server: &ServerProcess, number: usize) {
    server.ksql(&format!("INSERT INTO j VALUES ('k', '{number}');"));
    server.pull_until("SELECT n FROM counts WHERE k = 'k';", PATIENCE, |rows| rows == [json!([number])]);
}

fn until(server: &ServerProcess, what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what} does not come\n{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The values that are in the topic of stream o.
fn copied(server: &ServerProcess) -> Vec<Json> {
    server.pull("SELECT v FROM o;").iter().map(|row| row[0].clone()).collect()
}

#[test]
fn statements_say_what_is_wrong_with_a_registry_and_others_go_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let registry = RegistryDouble::start(Manner::Good);
    let server = start(folder.path(), &registry.url());
    server.ksql(OTHERS);
    let mut number = 0;
    for (manner, expected) in [
        (Manner::Silent, "does not answer"),
        (Manner::HangsUp, "broke off"),
        (Manner::Truncated, "broke off"),
        (Manner::Html, "answers with 'text/html' (status 200) and not as a schema registry does"),
        (Manner::OtherJson, "not what was asked for"),
        (Manner::Broken, "answers with status 500"),
        (Manner::StoreAway, "error 50001"),
        (Manner::Endless, "MiB"),
        (Manner::Redirecting, "redirection"),
        (Manner::Unauthorized, "rejects the credentials"),
    ] {
        registry.behave(manner);
        let began = Instant::now();
        let (status, answer) = post(&server, AVRO);
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(status >= 400 && message.contains(expected), "{manner:?}: {status} {answer}");
        assert!(
            message.contains(&registry.url()) && ["Check", "check", "Set "].iter().any(|word| message.contains(word)),
            "{manner:?} says what to do: {answer}"
        );
        assert!(began.elapsed() < Duration::from_secs(10), "{manner:?}: {:?}", began.elapsed());
        number += 1;
        insert(&server, number);
    }
    registry.behave(Manner::Good);
    let (status, answer) = post(&server, AVRO);
    assert_eq!(status, 200, "{answer}");
    registry.behave(Manner::Flapping);
    server.ksql("INSERT INTO a VALUES ('k', 'x');");
    server.ksql("CREATE STREAM b (k STRING KEY, w STRING) WITH (KAFKA_TOPIC='b', PARTITIONS=1, VALUE_FORMAT='AVRO');");
}

/// A statement that waits for a registry does not hold up those that need none.
#[test]
fn other_statements_go_on_while_one_waits_for_a_registry() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let registry = RegistryDouble::start(Manner::Silent);
    let environment = [
        ("KSQL_KSQL_SCHEMA_REGISTRY_URL", registry.url()),
        ("KSQL_KSQL_SCHEMA_REGISTRY_HTTP_READ_TIMEOUT_MS", "60000".to_owned()),
        ("TIDEMILL_SCHEMA_REGISTRY_TIMEOUT_MS", "60000".to_owned()),
    ];
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = ServerProcess::start_in(&folder.path().join("data"), &[], &environment);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| post(&server, AVRO));
        until(&server, "a question to the registry", || registry.requests() > 0);
        server.ksql(OTHERS);
        insert(&server, 1);
        assert!(!waiting.is_finished(), "the registry has not answered yet");
        // The connection that kept silent is closed, and the statement asks again.
        registry.behave(Manner::Good);
        let (status, answer) = waiting.join().expect("an answer");
        assert_eq!(status, 200, "{answer}");
    });
    server.ksql("INSERT INTO a VALUES ('k', 'v');");
}

#[test]
fn nothing_is_dropped_by_half() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let registry = RegistryDouble::start(Manner::Good);
    let server = start(folder.path(), &registry.url());
    server.ksql(AVRO);
    registry.behave(Manner::Broken);
    let (status, answer) = post(&server, "DROP STREAM a DELETE TOPIC;");
    let message = answer["message"].as_str().unwrap_or_default();
    assert!(
        status >= 400
            && message.starts_with("Could not clean up the schema registry for topic: a.")
            && message.ends_with("Nothing was dropped."),
        "{answer}"
    );
    registry.behave(Manner::Good);
    server.ksql("INSERT INTO a VALUES ('k', 'v');");
    assert_eq!(server.pull("SELECT v FROM a;"), [json!(["v"])]);
    server.ksql("DROP STREAM a DELETE TOPIC;");
    server.ksql(AVRO);
    assert_eq!(server.pull("SELECT v FROM a;"), [] as [Json; 0]);
}

#[test]
fn a_query_waits_for_a_registry_that_is_away() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let registry = RegistryDouble::start(Manner::Good);
    let server = start(folder.path(), &registry.url());
    server.ksql(&format!("{OTHERS}{AVRO} INSERT INTO a VALUES ('k', 'x');"));
    registry.behave(Manner::Broken);
    server.ksql(COPY);
    let said = || server.ksql("SHOW QUERIES;")[0]["warnings"].to_string();
    until(&server, "a word on what is waited for", || said().contains("answers with status 500"));
    assert!(said().contains("CSAS_O_") && said().contains("topic 'a' waits at offset 0"), "{}", said());
    for text in [server.ksql("DESCRIBE o EXTENDED;").to_string(), server.log()] {
        assert!(text.contains("answers with status 500"), "{text}");
    }
    for number in 1..4 {
        insert(&server, number);
    }
    // It is not asked without a pause.
    let asked = registry.requests();
    assert!(asked < 40, "{asked} requests");
    let id = server.running_queries().into_iter().find(|id| id.starts_with("CSAS_O")).expect("the query");
    server.ksql(&format!("PAUSE {id}; RESUME {id};"));
    registry.behave(Manner::Good);
    until(&server, "the record", || copied(&server) == [json!("x")]);
    assert!(!said().contains("CSAS_O_"), "{}", said());
    // What is known is not asked for again.
    let asked = registry.requests();
    server.ksql("CREATE STREAM p WITH (VALUE_FORMAT='JSON') AS SELECT * FROM a WHERE v = 'x';");
    until(&server, "the record again", || server.pull("SELECT v FROM p;").len() == 1);
    assert_eq!(registry.requests(), asked);
}

#[test]
fn who_waits_can_be_ended_and_so_can_the_server() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let registry = RegistryDouble::start(Manner::Good);
    let server = start(folder.path(), &registry.url());
    server.ksql(&format!("{AVRO} INSERT INTO a VALUES ('k', 'x');"));
    registry.behave(Manner::Silent);
    server.ksql(&format!("{COPY} CREATE STREAM p WITH (VALUE_FORMAT='JSON') AS SELECT * FROM a;"));
    let waits = || server.ksql("SHOW QUERIES;")[0]["warnings"].to_string().matches("waits at offset 0").count();
    until(&server, "both wait", || waits() == 2);
    let began = Instant::now();
    let id = server.running_queries().into_iter().find(|id| id.starts_with("CSAS_O")).expect("the query");
    server.ksql(&format!("TERMINATE {id};"));
    until(&server, "the end of one", || waits() == 1);
    assert!(began.elapsed() < Duration::from_secs(5), "TERMINATE took {:?}", began.elapsed());
    let (status, text) = server.request("POST", "/query-stream", Some(&json!({"sql": "SELECT * FROM a;"}))).expect("an answer");
    assert!(status >= 400 || text.contains("can't be read yet"), "{status} {text}");
    let began = Instant::now();
    assert_eq!(server.terminate(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "SIGTERM took {:?}", began.elapsed());
    // The next start waits as well, and goes on where it was.
    let server = start(folder.path(), &registry.url());
    registry.behave(Manner::Good);
    until(&server, "the record", || server.pull("SELECT v FROM p;").len() == 1);
}

#[test]
fn an_id_that_the_registry_does_not_know_is_a_bad_record() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let registry = RegistryDouble::start(Manner::Good);
    let server = start(folder.path(), &registry.url());
    server.ksql(&format!(
        "{AVRO}{COPY}
         CREATE STREAM raw (k STRING KEY, v BYTES) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='KAFKA');
         INSERT INTO raw VALUES ('k', TO_BYTES('0000000063020278', 'hex'));
         INSERT INTO raw VALUES ('k', TO_BYTES('01', 'hex'));
         INSERT INTO a VALUES ('k', 'good');"
    ));
    until(&server, "the good record", || copied(&server) == [json!("good")]);
    let failed = || server.pull("SELECT * FROM KSQL_PROCESSING_LOG;");
    until(&server, "two reports", || failed().len() >= 2);
    let said = format!("{:?}", failed());
    assert!(said.contains("99") && said.contains("not found") && said.contains("magic byte"), "{said}");
}

#[test]
fn urls_and_credentials_are_used_as_they_are_said() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let registry = RegistryDouble::start(Manner::Good);
    let nobody = free_port();
    let address = registry.url().replace("http://", "");
    let server = start(folder.path(), &format!("http://127.0.0.1:{nobody},http://me:hush@{address}/"));
    server.ksql(AVRO);
    assert_eq!(registry.last_authorization().as_deref(), Some("Basic bWU6aHVzaA=="));
    let shown = server.ksql("SHOW PROPERTIES;").to_string();
    assert!(!shown.contains("hush") && !server.log().contains("hush"), "{shown}");
}

#[test]
fn what_cannot_be_used_stops_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (number, (lines, expected)) in [
        ("ksql.schema.registry.url=schema-registry:8081", "ksql.schema.registry.url: 'schema-registry:8081' does not begin with http://"),
        (
            "ksql.schema.registry.url=https://a:8081\nksql.schema.registry.ssl.keystore.location=/nowhere/keys.p12",
            "ksql.schema.registry.ssl.keystore.location: /nowhere/keys.p12 can't be read",
        ),
        (
            "ksql.schema.registry.url=http://a:8081\nksql.schema.registry.bearer.auth.client.secret=hush",
            "ksql.schema.registry.bearer.auth.client.secret=[hidden] can't be used: Tokens are not fetched",
        ),
        ("ksql.schema.registry.url=http://a:8081\nksql.schema.registry.ssl.trustore.location=x", "Did you mean"),
    ]
    .into_iter()
    .enumerate()
    {
        let file = folder.path().join(format!("{number}.properties"));
        std::fs::write(&file, lines).expect("a file");
        let path = file.display().to_string();
        let (code, said) = ServerProcess::start_refused(&folder.path().join(format!("data{number}")), &["--config", &path]);
        assert!(code == Some(1) && said.contains(expected) && !said.contains("hush"), "{code:?} {said}");
    }
}
