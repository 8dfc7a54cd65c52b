//! Servers that share a service behind locked doors: they ask each other by https, as a user of the service, and say so where one of
//! them may not.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value as Json, json};
use tidemill_tests::broker;
use tidemill_tests::certificates::Authority;
use tidemill_tests::server::{HttpAnswer, ServerProcess, exchange, free_port};

use crate::cluster_sql::fill;
use crate::support::{PATIENCE, log_on, new_topic};

const PARTITIONS: u32 = 12;
const KEYS: usize = 2_000;
const RIGHT: &str = "the-peers-password";
const WRONG: &str = "not-the-peers-password";

/// A server that encrypts, and asks who it is; asked by its plain port, known to the others by the encrypted one.
struct Guarded {
    process: ServerProcess,
    secure: SocketAddr,
}

impl Guarded {
    fn start(folder: &Path, bootstrap: &str, lines: &str, name: &str, password: &str) -> Self {
        let secure: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let config = folder.join(format!("{name}.properties"));
        let text = format!(
            "{lines}tidemill.cluster.basic.auth.user.info=peer:{password}\nksql.advertised.listener=https://{secure}\n\
             bootstrap.servers={bootstrap}\n"
        );
        std::fs::write(&config, text).expect("a configuration");
        let process = ServerProcess::start_secure_at(&folder.join(name), &["--config", &config.display().to_string()], secure);
        Guarded { process, secure }
    }

    /// As the administrator.
    fn post(&self, path: &str, body: &Json) -> HttpAnswer {
        let login = format!("Basic {}", BASE64_STANDARD.encode("anna:her-own-password"));
        let answer = exchange(self.process.address(), "POST", path, &[("Authorization", &login)], body.to_string().as_bytes());
        answer.unwrap_or_else(|error| panic!("{body}: {error}\n{}", self.process.log()))
    }

    fn ksql(&self, sql: &str) -> String {
        let answer = self.post("/ksql", &json!({"ksql": sql, "streamsProperties": {"auto.offset.reset": "earliest"}}));
        assert_eq!(answer.status, 200, "{sql}: {}", answer.body);
        answer.body
    }

    /// The rows of an answer, or the error that it ends with.
    fn rows(&self, sql: &str) -> Result<Vec<String>, String> {
        let answer = self.post("/query-stream", &json!({"sql": sql}));
        let rows: Vec<String> = answer.body.lines().skip(1).map(str::to_owned).collect();
        if answer.status != 200 || rows.iter().any(|row| !row.starts_with('[')) { Err(answer.body) } else { Ok(rows) }
    }

    /// The same once slots that have just moved have arrived.
    fn settled(&self, sql: &str, done: impl Fn(&[String]) -> bool) -> Vec<String> {
        let began = Instant::now();
        loop {
            match self.rows(sql) {
                Ok(rows) if done(&rows) => return rows,
                Ok(rows) => assert!(began.elapsed() < PATIENCE, "{sql}: {} rows, {:?}", rows.len(), rows.first()),
                Err(error) => assert!(began.elapsed() < PATIENCE && error.contains("again later"), "{sql}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn answers_right(&self) {
        self.settled("SELECT COUNT(*) AS n, SUM(s) AS s FROM facts;", |rows| rows == [format!("[{KEYS},{}]", KEYS * (KEYS - 1) / 2)]);
        self.settled("SELECT id FROM facts;", |rows| rows.len() == KEYS);
        for number in (0..KEYS).step_by(97) {
            self.settled(&format!("SELECT id, s FROM facts WHERE id = 'k{number:05}';"), |rows| {
                rows == [format!("[\"k{number:05}\",{number}]")]
            });
        }
    }
}

/// Waits until each of them has slots.
fn shared(asked: &Guarded, servers: &[&Guarded]) {
    let began = Instant::now();
    loop {
        let text = asked.ksql("SHOW SERVERS;");
        let listed: Json = serde_json::from_str(&text).expect("JSON");
        let busy = |server: &Json| server["slots"].as_u64().is_some_and(|slots| slots > 0);
        let count = listed[0]["servers"].as_array().into_iter().flatten().filter(|server| busy(server)).count();
        if count == servers.len() && servers.iter().all(|server| text.contains(&format!("https://{}", server.secure))) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{text}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn servers_ask_each_other_by_https_as_a_user() {
    let Some(bootstrap) = broker::shared("servers_ask_each_other_by_https_as_a_user") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(authority) = Authority::new(folder.path()) else { return };
    authority.sign("server", "subjectAltName=IP:127.0.0.1");
    let path = |file: &str| authority.path(file).display().to_string();
    std::fs::write(path("users"), format!("anna: her-own-password,admin\npeer: {RIGHT},read\n")).expect("written");
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "guarded", PARTITIONS);
    fill(&log, &topic, KEYS);
    let lines = format!(
        "ksql.service.id={topic}_\nksql.streams.commit.interval.ms=100\ntidemill.cluster.enabled=true\nssl.keystore.location={}\n\
         ssl.truststore.location={}\nauthentication.method=BASIC\ntidemill.auth.users.file={}\n",
        path("server.both.pem"),
        path("ca.pem"),
        path("users")
    );
    let start = |name: &str, password: &str| Guarded::start(folder.path(), &bootstrap, &lines, name, password);
    let one = start("one", RIGHT);
    one.ksql(&format!(
        "CREATE STREAM given (id STRING KEY, n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE TABLE facts AS SELECT id, SUM(n) AS s FROM given GROUP BY id EMIT CHANGES;"
    ));
    let two = start("two", RIGHT);
    shared(&one, &[&one, &two]);
    for server in [&one, &two] {
        server.answers_right();
    }

    // Who says who it is wrongly is told so; the other one still gets its answers.
    assert_eq!(two.process.terminate(), Some(0));
    let two = start("two", WRONG);
    shared(&one, &[&one, &two]);
    let began = Instant::now();
    let refused = loop {
        let error = two.rows("SELECT COUNT(*) AS n FROM facts;").expect_err("the rows that the other has are not to be had");
        if error.contains("does not take this server's questions") {
            break error;
        }
        assert!(began.elapsed() < PATIENCE && error.contains("again later"), "{error}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(refused.contains("HTTP 401") && refused.contains("tidemill.cluster.basic.auth.user.info"), "{refused}");
    assert!(!refused.contains(WRONG) && !two.process.log().contains(WRONG), "{refused}");
    one.answers_right();
}
