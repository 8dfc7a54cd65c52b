//! A broker that wants to know who comes: TLS, certificates of clients, logins, ACLs. One broker for all of it.

use std::path::Path;

use serde_json::{Value as Json, json};
use tidemill_tests::broker::{self, Broker, BrokerError, GUEST, USER, password_of};
use tidemill_tests::certificates::Authority;
use tidemill_tests::server::ServerProcess;

use crate::support::PATIENCE;

/// A server by the properties of Java's clients.
fn started(folder: &Path, name: &str, port: u16, lines: &[String]) -> ServerProcess {
    let file = folder.join(format!("{name}.properties"));
    let common = format!(
        "bootstrap.servers=127.0.0.1:{port}\nksql.service.id={name}_\ntidemill.schema.registry.enabled=false\n\
         ksql.logging.processing.topic.auto.create=false\nssl.truststore.location={}\n",
        folder.join("ca.pem").display()
    );
    std::fs::write(&file, common + &lines.join("\n")).expect("a configuration");
    ServerProcess::start(&folder.join(name), &["--config", file.to_str().expect("a path")])
}

/// Java's line for a login.
fn jaas(module: &str, user: &str, password: &str) -> String {
    format!("sasl.jaas.config=org.apache.kafka.common.security.{module} required username=\"{user}\" password=\"{password}\";")
}

/// Writes and reads topics, with state that has a changelog.
fn works(server: &ServerProcess, name: &str) {
    server.ksql(&format!(
        "CREATE STREAM {name} (k STRING KEY, n INT) WITH (KAFKA_TOPIC='{name}', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE TABLE {name}_t WITH (KAFKA_TOPIC='{name}_t') AS SELECT k, COUNT(*) AS c FROM {name} GROUP BY k;
         INSERT INTO {name} (k, n) VALUES ('a', 1);
         INSERT INTO {name} (k, n) VALUES ('a', 2);"
    ));
    server.pull_until(&format!("SELECT c FROM {name}_t WHERE k = 'a';"), PATIENCE, |rows| rows == [json!([2])]);
}

/// How the guest's own topics and groups begin.
const OWN: &str = "_confluent-ksql-guest";

fn refused(server: &ServerProcess, sql: &str) -> (u16, Json) {
    let (status, text) = server.request("POST", "/ksql", Some(&json!({ "ksql": sql }))).expect("an answer");
    (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
}

#[test]
fn locked_brokers_are_opened_by_javas_properties_and_denials_name_topic_and_operation() {
    let test = "locked_brokers_are_opened_by_javas_properties_and_denials_name_topic_and_operation";
    let folder = tempfile::tempdir().expect("a folder");
    let Some(authority) = Authority::new(folder.path()) else { return };
    authority.sign("broker", "subjectAltName=IP:127.0.0.1");
    authority.sign("client", "extendedKeyUsage=clientAuth");
    let broker = match Broker::start_locked(&authority) {
        Ok(broker) => broker,
        Err(BrokerError::Missing(reason)) => return broker::skipped(test, &reason),
        Err(BrokerError::Failed(reason)) => panic!("{reason}"),
    };
    let locks = broker.locks();
    for user in [USER, "CN=client"] {
        broker.allow(user, &["--operation", "All", "--topic", "*", "--group", "*", "--transactional-id", "*", "--cluster"]);
    }
    // The guest may keep what the server needs for itself, and do as it likes with topics of one name.
    broker.allow(GUEST, &["--operation", "All", "--topic", OWN, "--group", OWN, "--resource-pattern-type", "prefixed"]);
    broker.allow(GUEST, &["--operation", "Describe", "--topic", "__consumer_offsets"]);
    broker.allow(GUEST, &["--operation", "All", "--topic", "open", "--resource-pattern-type", "prefixed"]);
    broker.allow(GUEST, &["--operation", "Describe", "--operation", "DescribeConfigs", "--operation", "Write", "--topic", "unread"]);
    broker.allow(GUEST, &["--operation", "Describe", "--operation", "DescribeConfigs", "--operation", "Read", "--topic", "unwritten"]);
    broker.allow(GUEST, &["--operation", "Describe", "--operation", "DescribeConfigs", "--topic", "closed"]);

    let (plain, scram) = ("plain.PlainLoginModule", "scram.ScramLoginModule");
    let key = |name: &str| format!("ssl.keystore.location={}", authority.path(name).display());
    let ways: [(&str, u16, Vec<String>); 5] = [
        ("mutual", locks.mutual, vec!["security.protocol=SSL".to_owned(), key("client.both.pem")]),
        ("store", locks.mutual, vec!["security.protocol=SSL".to_owned(), key("client.p12"), "ssl.keystore.password=opens".to_owned()]),
        (
            "plain",
            locks.login,
            vec!["security.protocol=SASL_SSL".to_owned(), "sasl.mechanism=PLAIN".to_owned(), jaas(plain, USER, &password_of(USER))],
        ),
        (
            "scram",
            locks.login,
            vec![
                "ksql.streams.security.protocol=SASL_SSL".to_owned(),
                "ksql.streams.sasl.mechanism=SCRAM-SHA-512".to_owned(),
                format!("ksql.streams.{}", jaas(scram, USER, &password_of(USER))),
            ],
        ),
        (
            "clear",
            locks.plain_login,
            vec![
                "security.protocol=SASL_PLAINTEXT".to_owned(),
                "sasl.mechanism=SCRAM-SHA-256".to_owned(),
                jaas(scram, USER, &password_of(USER)),
            ],
        ),
    ];
    for (name, port, lines) in ways {
        let server = started(folder.path(), name, port, &lines);
        works(&server, name);
        assert!(!server.log().contains(&password_of(USER)), "{name}: {}", server.log());
        assert_eq!(server.terminate(), Some(0), "{name}");
    }

    // Somebody whom nobody knows: the server says so, with no word of the password, and takes no statement.
    let wrong = folder.path().join("wrong.properties");
    let lines = ["security.protocol=SASL_SSL".to_owned(), "sasl.mechanism=PLAIN".to_owned(), jaas(plain, USER, "wr0ng-s3cret")];
    let text = format!("bootstrap.servers=127.0.0.1:{}\nssl.truststore.location={}\n", locks.login, authority.path("ca.pem").display());
    std::fs::write(&wrong, text + &lines.join("\n")).expect("a configuration");
    let server = ServerProcess::start_listening(&folder.path().join("wrong"), &["--config", wrong.to_str().expect("a path")]);
    let began = std::time::Instant::now();
    while !server.log().to_lowercase().contains("authentication") {
        assert!(began.elapsed() < PATIENCE, "{}", server.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(!server.log().contains("wr0ng-s3cret"), "{}", server.log());
    drop(server);

    // What ACLs deny.
    let admin = started(
        folder.path(),
        "admin",
        locks.plain_login,
        &["security.protocol=SASL_PLAINTEXT".to_owned(), "sasl.mechanism=PLAIN".to_owned(), jaas(plain, USER, &password_of(USER))],
    );
    for topic in ["unread", "unwritten", "unseen"] {
        admin
            .ksql(&format!("CREATE STREAM {topic} (k STRING KEY, n INT) WITH (KAFKA_TOPIC='{topic}', PARTITIONS=1, VALUE_FORMAT='JSON');"));
    }
    assert_eq!(admin.terminate(), Some(0));
    let guest = started(
        folder.path(),
        "guest",
        locks.plain_login,
        &["security.protocol=SASL_PLAINTEXT".to_owned(), "sasl.mechanism=PLAIN".to_owned(), jaas(plain, GUEST, &password_of(GUEST))],
    );
    works(&guest, "open");
    for (sql, operation, topic) in [
        ("CREATE STREAM c (k STRING KEY) WITH (KAFKA_TOPIC='closed', PARTITIONS=1, VALUE_FORMAT='JSON');", "Create", "closed"),
        ("CREATE STREAM c (k STRING KEY, n INT) WITH (KAFKA_TOPIC='unread', VALUE_FORMAT='JSON');", "Read", "unread"),
        ("CREATE STREAM c WITH (KAFKA_TOPIC='unwritten', PARTITIONS=1) AS SELECT * FROM open;", "Write", "unwritten"),
        ("CREATE STREAM c WITH (KAFKA_TOPIC='closed') AS SELECT * FROM open;", "Create", "closed"),
    ] {
        let (status, error) = refused(&guest, sql);
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains(&format!("Authorization denied to {operation} on topic(s): [{topic}]")), "{sql}: {error}");
        assert_eq!((status, &error["error_code"]), (403, &json!(40301)), "{sql}: {error}");
    }
    guest.ksql("CREATE STREAM readable (k STRING KEY, n INT) WITH (KAFKA_TOPIC='unwritten', VALUE_FORMAT='JSON');");
    let (status, error) = refused(&guest, "INSERT INTO readable (k, n) VALUES ('a', 1);");
    assert!(status >= 400 && error["message"].as_str().is_some_and(|m| m.contains("unwritten")), "{error}");
    let (status, error) = refused(&guest, "CREATE STREAM c (k STRING KEY) WITH (KAFKA_TOPIC='unseen', VALUE_FORMAT='JSON');");
    assert!(status == 403 && error["message"].as_str().is_some_and(|m| m.contains("Describe on topic(s): [unseen]")), "{error}");
    works(&guest, "open_still");

    // Transactional ids have rights of their own. Without them the query that needs them fails, alone, and says what to grant.
    once(&guest, "open_once", "open");
    logs(&guest, "grant WRITE and DESCRIBE on transactional ids with the prefix '_confluent-ksql-guest_transaction'");
    works(&guest, "open_beside");
    assert_eq!(guest.terminate(), Some(0));
}

/// A query with exactly once.
fn once(server: &ServerProcess, table: &str, of: &str) {
    let sql = format!("CREATE TABLE {table} WITH (KAFKA_TOPIC='{table}') AS SELECT k, COUNT(*) AS c FROM {of} GROUP BY k;");
    let properties = json!({"processing.guarantee": "exactly_once_v2", "auto.offset.reset": "earliest"});
    let (status, text) = server.request("POST", "/ksql", Some(&json!({"ksql": sql, "streamsProperties": properties}))).expect("an answer");
    assert_eq!(status, 200, "{text}");
}

/// Waits for words in the server's log.
fn logs(server: &ServerProcess, words: &str) {
    let began = std::time::Instant::now();
    while !server.log().contains(words) {
        assert!(began.elapsed() < PATIENCE, "{}", server.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
