//! Reading what one has written through any of several servers: a client writes through one, hands its token to another, and never gets
//! less, whatever becomes of the owner meanwhile.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_tests::broker;
use tidemill_tests::server::{ServerProcess, exchange};

use crate::support::{PATIENCE, log_on, new_topic};

const PARTITIONS: u32 = 6;
const KEYS: usize = 6;
const HEADER: &str = "Tidemill-Consistency-Token";
/// Rounds while all is well, and after the owner was killed.
const ROUNDS: [usize; 2] = [6, 14];

/// Adds a row through a server: the token; `None`: it was not written, or nobody knows.
fn write(server: &ServerProcess, key: usize, n: usize) -> Option<String> {
    let body = json!({"ksql": format!("INSERT INTO s (id, n) VALUES ('k{key}', {n});")}).to_string();
    let answer = exchange(server.address(), "POST", "/ksql", &[(HEADER, "")], body.as_bytes()).expect("an answer");
    if answer.status != 200 {
        println!("not written: {}", answer.body);
        return None;
    }
    let header = answer.head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(HEADER).then(|| value.trim().to_owned())
    });
    Some(header.unwrap_or_else(|| panic!("a token: {}", answer.head)))
}

/// What came of the questions.
#[derive(Debug, Default)]
struct Asked {
    answers: usize,
    errors: Vec<String>,
    longest: Duration,
}

impl Asked {
    /// Asks a server for what was written up to a token: the highest of each key is there, or an error that says why not.
    fn ask(&mut self, server: &ServerProcess, sql: &str, token: &str, holds: impl Fn(&[Json]) -> bool) {
        let (began, body) = (Instant::now(), json!({"sql": sql}).to_string());
        let answer = exchange(server.address(), "POST", "/query-stream", &[(HEADER, token)], body.as_bytes()).expect("an answer");
        self.longest = self.longest.max(began.elapsed());
        if answer.status == 503 {
            return self.errors.push(answer.body);
        }
        assert_eq!(answer.status, 200, "{sql}: {}", answer.body);
        let lines: Vec<Json> = answer.body.lines().skip(1).map(|line| serde_json::from_str(line).expect("JSON")).collect();
        // One that breaks off ends with an error in the place of a row.
        if let Some(error) = lines.iter().find(|line| line.is_object()) {
            return self.errors.push(error.to_string());
        }
        assert!(holds(&lines), "{sql} with {token} is behind: {lines:?}");
        self.answers += 1;
    }
}

#[test]
fn what_was_written_through_one_server_is_read_through_another() {
    let Some(bootstrap) = broker::shared("what_was_written_through_one_server_is_read_through_another") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "fresh", PARTITIONS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("server.properties");
    // A commit comes late enough that who does not wait is behind.
    let text = format!("ksql.service.id={topic}_\nksql.streams.commit.interval.ms=700\ntidemill.cluster.enabled=true\n");
    std::fs::write(&config, text).expect("a configuration");
    let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")];
    let start = |name: &str| ServerProcess::start(&folder.path().join(name), &arguments);
    let one = start("one");
    one.ksql(&format!("CREATE STREAM s (id STRING KEY, n BIGINT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');"));
    for (table, guarantee) in [("latest_eo", "exactly_once_v2"), ("latest_al", "at_least_once")] {
        let sql = format!("CREATE TABLE {table} WITH (KAFKA_TOPIC='{topic}-{table}') AS SELECT id, MAX(n) AS n FROM s GROUP BY id;");
        let properties = json!({"processing.guarantee": guarantee, "auto.offset.reset": "earliest"});
        let (status, text) = one.request("POST", "/ksql", Some(&json!({"ksql": sql, "streamsProperties": properties}))).expect("an answer");
        assert_eq!(status, 200, "{text}");
    }
    let (two, three) = (start("two"), start("three"));
    let began = Instant::now();
    loop {
        let listed = one.ksql("SHOW SERVERS;");
        let servers = listed[0]["servers"].as_array().cloned().unwrap_or_default();
        if servers.len() == 3 && servers.iter().all(|server| server["tasks"].as_u64().is_some_and(|tasks| tasks > 0)) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{listed}\n{}", one.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    for server in [&two, &three] {
        server.pull_until("SELECT * FROM latest_al;", PATIENCE, |_| true);
    }

    let (mut asked, mut three, mut n) = ([Asked::default(), Asked::default()], Some(three), 0);
    for (phase, rounds) in ROUNDS.into_iter().enumerate() {
        if phase == 1 {
            // In the middle: something of it is written, and not committed yet.
            let tokens: Vec<String> = (0..KEYS).filter_map(|key| write(&one, key, n + 1)).collect();
            assert_eq!(tokens.len(), KEYS);
            three.take().expect("it runs").kill();
        }
        for round in 0..rounds {
            n += 1;
            let (writer, reader) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
            let tokens: Vec<Option<String>> = (0..KEYS).map(|key| write(writer, key, n)).collect();
            let is_new = |row: &Json| row[1].as_u64().is_some_and(|value| value >= n as u64);
            for table in ["latest_eo", "latest_al"] {
                let key = round % KEYS;
                if let Some(token) = &tokens[key] {
                    let sql = format!("SELECT id, n FROM {table} WHERE id = 'k{key}';");
                    asked[phase].ask(reader, &sql, token, |rows| rows.len() == 1 && is_new(&rows[0]));
                }
                let Some(tokens) = tokens.iter().cloned().collect::<Option<Vec<String>>>() else { continue };
                let all = |rows: &[Json]| rows.len() == KEYS && rows.iter().all(is_new);
                asked[phase].ask(reader, &format!("SELECT id, n FROM {table};"), &tokens.join(","), all);
                let sql = format!("SELECT id, n FROM {table} ORDER BY id;");
                asked[phase].ask(reader, &sql, &tokens.join(","), all);
            }
        }
    }
    for (asked, when) in asked.iter().zip(["while all was well", "after an owner was killed"]) {
        println!("{when}: {} answers, none behind, {} errors, the longest took {:?}", asked.answers, asked.errors.len(), asked.longest);
        for error in &asked.errors {
            println!("  {error}");
        }
    }
    let [well, killed] = &asked;
    assert_eq!(well.errors.len(), 0, "{:?}", well.errors);
    assert!(killed.answers >= ROUNDS[1] && killed.errors.len() < killed.answers, "{killed:?}");
    for server in [one, two] {
        assert_eq!(server.terminate(), Some(0));
    }
}
