//! A broker that wants tokens (SASL/OAUTHBEARER), and a service that gives away such as hold for seconds: every login is renewed
//! many times while records are written and read.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tidemill_tests::broker::{self, Broker, BrokerError};
use tidemill_tests::certificates::Authority;
use tidemill_tests::server::ServerProcess;
use tidemill_tests::token_service::{BEGINNING, CLIENT, Manner, SECRET, TokenService};

use crate::support::PATIENCE;

/// How long the service's tokens hold.
const LIFE: Duration = Duration::from_secs(6);
/// Records of the load.
const RECORDS: usize = 200;

fn configured(folder: &Path, name: &str, port: u16, lines: &[String]) -> String {
    let file = folder.join(format!("{name}.properties"));
    let common = format!(
        "bootstrap.servers=127.0.0.1:{port}\nksql.service.id={name}_\ntidemill.schema.registry.enabled=false\n\
         ksql.logging.processing.topic.auto.create=false\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\n\
         sasl.login.retry.backoff.max.ms=500\n"
    );
    std::fs::write(&file, common + &lines.join("\n")).expect("a configuration");
    file.display().to_string()
}

fn module(options: &str) -> String {
    format!("sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required {options};")
}

/// Waits until the log says it, behind its first so many bytes.
fn logs_after(server: &ServerProcess, before: usize, words: &str) {
    let began = Instant::now();
    while !server.log().get(before..).is_some_and(|log| log.contains(words)) {
        assert!(began.elapsed() < PATIENCE, "{words}: {}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn logs(server: &ServerProcess, words: &str) {
    logs_after(server, 0, words);
}

fn says_no_secret(server: &ServerProcess) {
    let log = server.log();
    assert!(!log.contains(SECRET) && !log.contains(BEGINNING) && !log.contains("wr0ng-s3cret"), "{log}");
}

fn declare(server: &ServerProcess, name: &str, guarantee: &str) {
    server.ksql(&format!("CREATE STREAM {name} (k STRING KEY, n INT) WITH (KAFKA_TOPIC='{name}', PARTITIONS=1, VALUE_FORMAT='JSON');"));
    let sql =
        format!("CREATE TABLE {name}_t WITH (KAFKA_TOPIC='{name}_t') AS SELECT k, COUNT(*) AS c, MAX(n) AS m FROM {name} GROUP BY k;");
    let properties = json!({"processing.guarantee": guarantee, "auto.offset.reset": "earliest"});
    let (status, text) = server.request("POST", "/ksql", Some(&json!({"ksql": sql, "streamsProperties": properties}))).expect("an answer");
    assert_eq!(status, 200, "{text}");
}

/// Writes a record; how often that was refused before: on a machine that is busy enough a token may come late.
fn insert(server: &ServerProcess, name: &str, n: usize) -> usize {
    let began = Instant::now();
    let sql = format!("INSERT INTO {name} (k, n) VALUES ('a', {n});");
    let mut refused = 0;
    while !server.request("POST", "/ksql", Some(&json!({"ksql": sql}))).is_ok_and(|(status, _)| status == 200) {
        assert!(began.elapsed() < PATIENCE, "{}", server.log());
        refused += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    refused
}

/// Waits until the table holds the last record, and has counted all.
fn counted(server: &ServerProcess, name: &str, records: usize, refused: usize) {
    let last = json!(records - 1);
    let sql = format!("SELECT m, c FROM {name}_t WHERE k = 'a';");
    let rows = server.pull_until(&sql, PATIENCE, |rows| rows.first().is_some_and(|row| row[0] == last));
    // A record that was refused may have been written all the same.
    let count = rows[0][1].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
    assert!((records..=records + refused).contains(&count), "{count} of {records} ({refused} refused)");
}

#[test]
fn logins_by_tokens_are_renewed_under_load() {
    let test = "logins_by_tokens_are_renewed_under_load";
    let folder = tempfile::tempdir().expect("a folder");
    let Some(authority) = Authority::new(folder.path()) else { return };
    authority.sign("broker", "subjectAltName=IP:127.0.0.1");
    let broker = match Broker::start_locked(&authority) {
        Ok(broker) => broker,
        Err(BrokerError::Missing(reason)) => return broker::skipped(test, &reason),
        Err(BrokerError::Failed(reason)) => panic!("{reason}"),
    };
    broker.allow(CLIENT, &["--operation", "All", "--topic", "*", "--group", "*", "--transactional-id", "*", "--cluster"]);
    let port = broker.locks().tokens;
    let service = TokenService::start(LIFE);
    let url = format!("sasl.oauthbearer.token.endpoint.url={}", service.url());
    let handler = "sasl.login.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler";

    // A wrong secret is told, and the server waits; so is a service that is away. Neither a secret nor a token is said.
    let wrong = module(&format!("clientId=\"{CLIENT}\" clientSecret=\"wr0ng-s3cret\""));
    let file = configured(folder.path(), "wrong", port, &[url.clone(), wrong]);
    let server = ServerProcess::start_listening(&folder.path().join("wrong"), &["--config", &file]);
    logs(&server, "waiting for the log: Kafka at 127.0.0.1");
    logs(&server, "refuses the login of client 'tide' (status 401: invalid_client: Invalid client credentials)");
    says_no_secret(&server);
    drop(server);
    assert_eq!(service.given(), 0);

    let right = module(&format!("clientId=\"{CLIENT}\" clientSecret=\"{SECRET}\" scope=\"kafka write\" extension_traceId=\"7\""));
    let file = configured(folder.path(), "right", port, &[url.clone(), handler.to_owned(), right]);
    service.behave(Manner::Busy);
    let server = ServerProcess::start_listening(&folder.path().join("right"), &["--config", &file]);
    logs(&server, "answers with status 503: temporarily_unavailable");
    service.behave(Manner::Good);
    logs(&server, "a token for Kafka was fetched again");
    let began = Instant::now();
    while !server.request("POST", "/ksql", Some(&json!({"ksql": "SHOW STREAMS;"}))).is_ok_and(|(status, _)| status == 200) {
        assert!(began.elapsed() < PATIENCE, "{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(service.asked().last().map(String::as_str), Some("grant_type=client_credentials&scope=kafka+write"));

    // Load through several tokens, with both guarantees.
    declare(&server, "plain", "at_least_once");
    declare(&server, "once", "exactly_once_v2");
    let before = service.given();
    let (mut written, mut refused) = (0, 0);
    while written < RECORDS || service.given() < before + 3 {
        refused += insert(&server, "plain", written) + insert(&server, "once", written);
        written += 1;
    }
    for name in ["plain", "once"] {
        counted(&server, name, written, refused);
    }

    // The service goes: while its last token holds that is a warning. Behind that nothing can be read, until it is back.
    let before = server.log().len();
    service.behave(Manner::Busy);
    logs_after(&server, before, "the last token for Kafka holds for another");
    logs_after(&server, before, "nobody can log in to Kafka without a token");
    let (status, text) =
        server.request("POST", "/ksql", Some(&json!({"ksql": "INSERT INTO plain (k, n) VALUES ('b', 1);"}))).expect("an answer");
    assert!(status != 200 && text.contains("can't be logged in to"), "{status} {text}");
    service.behave(Manner::Good);
    logs_after(&server, before, "a token for Kafka was fetched again");
    for name in ["plain", "once"] {
        let refused = refused + insert(&server, name, written);
        counted(&server, name, written + 1, refused);
    }
    says_no_secret(&server);
    assert_eq!(server.terminate(), Some(0));

    // Tokens without a signature, made here.
    let lines = [module(&format!("unsecuredLoginStringClaim_sub=\"{CLIENT}\" unsecuredLoginLifetimeSeconds=\"6\""))];
    let file = configured(folder.path(), "unsigned", port, &lines);
    let server = ServerProcess::start(&folder.path().join("unsigned"), &["--config", &file]);
    declare(&server, "unsigned", "at_least_once");
    let refused = insert(&server, "unsigned", 0);
    counted(&server, "unsigned", 1, refused);
    assert!(server.log().contains("tokens are made here without a signature"), "{}", server.log());
    assert_eq!(server.terminate(), Some(0));
}
