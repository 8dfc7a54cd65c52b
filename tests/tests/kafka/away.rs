//! The broker goes and comes back under a running server, and is away when one starts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_engine::log::{Commit, Log, OffsetSpec, OutRecord, partition_for};
use tidemill_engine::state::StateBatch;
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::support::{PATIENCE, handle, log_on, new_topic, wait_until_back};

const PARTITIONS: u32 = 2;
const IDS: i64 = 7;
/// Records between two outages.
const STEP: i64 = 2_000;
/// Outages, seconds: shorter and longer than a request's time limit.
const OUTAGES_S: [u64; 2] = [2, 14];
/// How long a statement may take while the broker is away.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a server may take to end while its broker is away.
const END: Duration = Duration::from_secs(15);

fn produce(log: &dyn Log, topic: &str, from: i64, to: i64) {
    let topic = handle(log, topic);
    let mut writer = log.writer().expect("a writer");
    for n in from..to {
        let (key, value) = (format!("k{}", n % IDS), json!({"n": n, "g": n % 3}).to_string());
        let partition = partition_for(Some(key.as_bytes()), PARTITIONS, &mut 0);
        let record = OutRecord { partition, timestamp: 1_000 + n, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
        writer.send(topic, record).expect("a send");
    }
    writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).expect("a commit");
}

fn counted(rows: &[serde_json::Value]) -> i64 {
    rows.iter().map(|row| row[2].as_i64().unwrap_or(0)).sum()
}

/// The tables hold every record up to `count`, each once: also what is counted behind a repartition topic, which an outage may
/// have put there twice.
fn check(server: &ServerProcess, log: &dyn Log, count: i64) {
    let last = |rest: i64, of: i64| (count - 1 - rest) / of * of + rest;
    let complete = |rows: &[Json], of: i64| {
        let highs: BTreeMap<String, i64> = rows.iter().map(|row| (row[0].to_string(), row[1].as_i64().unwrap_or(-1))).collect();
        // The highest number may arrive before lower ones of other partitions.
        rows.len() == of as usize && counted(rows) >= count && (0..of).all(|rest| highs.values().any(|high| *high == last(rest, of)))
    };
    let rows = server.pull_until("SELECT * FROM latest;", PATIENCE, |rows| complete(rows, IDS));
    let mut rows: Vec<(String, i64, i64)> = rows
        .iter()
        .map(|row| (row[0].as_str().unwrap_or_default().to_owned(), row[1].as_i64().unwrap_or(-1), row[2].as_i64().unwrap_or(-1)))
        .collect();
    rows.sort();
    let exact: Vec<(String, i64, i64)> = (0..IDS).map(|id| (format!("k{id}"), last(id, IDS), (count - id + IDS - 1) / IDS)).collect();
    assert_eq!(rows, exact, "each record counts once");
    let topics = log.list_topics().expect("topics");
    let repartition =
        topics.iter().find(|t| t.name.contains("CTAS_GROUPS") && t.name.contains("repartition")).expect("a repartition topic");
    let in_between = || {
        let ends = log.offsets(&repartition.all_partitions(), OffsetSpec::Latest).expect("offsets");
        ends.iter().map(|end| end.0).sum::<i64>()
    };
    server.pull_until("SELECT * FROM groups;", PATIENCE, |rows| complete(rows, 3) && counted(rows) == count);
    println!("groups: {count} records, {} of them more than once in the topic", in_between() - count);
}

/// What can't be done without the broker is refused within 10 s, with its reason, and nothing of it is done; what can be done
/// is answered.
fn statements_while_away(server: &ServerProcess, topic: &str, latest: &str) {
    let statements = [
        format!("TERMINATE {latest};"),
        format!("PAUSE {latest};"),
        format!("RESUME {latest};"),
        "DROP TABLE latest;".to_owned(),
        format!("CREATE STREAM more (n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');"),
        "CREATE STREAM other AS SELECT * FROM away;".to_owned(),
    ];
    for sql in statements {
        let asked = Instant::now();
        let (status, text) = server.request("POST", "/ksql", Some(&json!({"ksql": sql}))).expect("an answer");
        assert!(asked.elapsed() < ANSWER, "{sql} took {:?}", asked.elapsed());
        let answer: Json = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status, &answer["@type"], &answer["error_code"]), (503, &json!("statement_error"), &json!(50300)), "{sql} {text}");
        assert!(answer["message"].as_str().is_some_and(|said| said.contains("Nothing was done")), "{text}");
    }
    let asked = Instant::now();
    let answer = server.ksql("SHOW QUERIES;");
    assert!(asked.elapsed() < ANSWER, "{:?}", asked.elapsed());
    for query in answer[0]["queries"].as_array().expect("queries") {
        assert_eq!((&query["state"], &query["statusCount"]), (&json!("UNRESPONSIVE"), &json!({"UNRESPONSIVE": 1})), "{query}");
    }
    assert!(answer[0]["warnings"].to_string().contains("is away"), "{answer}");
}

#[test]
fn a_server_outlasts_its_broker() {
    let Some(mut broker) = broker::own("a_server_outlasts_its_broker") else { return };
    let bootstrap = broker.bootstrap();
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "away", PARTITIONS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let server = ServerProcess::start(&data, &["--bootstrap-servers", &bootstrap]);
    server.ksql(&format!(
        "CREATE STREAM away (id STRING KEY, n BIGINT, g INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE TABLE latest AS SELECT id, MAX(n) AS last, COUNT(*) AS c FROM away GROUP BY id;
         CREATE TABLE groups AS SELECT g, MAX(n) AS high, COUNT(*) AS c FROM away GROUP BY g;"
    ));
    let queries = server.running_queries();
    produce(&log, &topic, 0, STEP);
    check(&server, &log, STEP);
    let latest = queries.iter().find(|id| id.contains("LATEST")).expect("it is listed").clone();

    let mut count = STEP;
    for outage_s in OUTAGES_S {
        // Some of it under way when the broker goes.
        produce(&log, &topic, count, count + STEP);
        count += STEP;
        let told = server.log().matches("away").count();
        broker.kill();
        let killed = Instant::now();
        // It says so, refuses what needs the broker, and answers what does not.
        while server.log().matches("away").count() == told {
            assert!(killed.elapsed() < PATIENCE, "the outage was not noticed:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(server.pull("SELECT * FROM latest;").len(), IDS as usize, "tables answer meanwhile");
        let (status, text) = server.request("GET", "/healthcheck", None).expect("an answer");
        let health: Json = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status, &health["isHealthy"], &health["details"]["kafka"]["isHealthy"]), (200, &json!(false), &json!(false)), "{text}");
        println!("noticed and asked within {:?}", killed.elapsed());
        statements_while_away(&server, &topic, &latest);
        std::thread::sleep(Duration::from_secs(outage_s).saturating_sub(killed.elapsed()));
        broker.start_again().expect("the broker comes back");
        let back = Instant::now();
        wait_until_back(&log);
        produce(&log, &topic, count, count + STEP);
        count += STEP;
        check(&server, &log, count);
        println!("caught up within {:?}", back.elapsed());
        assert_eq!(server.running_queries(), queries);
    }
    let (status, text) = server.request("GET", "/healthcheck", None).expect("an answer");
    let health: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, &health["isHealthy"]), (200, &json!(true)), "{text}");
    let lines = server.log().lines().count();
    assert!(lines < 50, "it does not repeat itself:\n{}", server.log());

    // It ends without its broker, and waits for it at the start: both with records that are under way.
    produce(&log, &topic, count, count + STEP);
    count += STEP;
    broker.kill();
    let ending = Instant::now();
    assert_eq!(server.terminate(), Some(0));
    assert!(ending.elapsed() < END, "it took {:?} to end", ending.elapsed());
    let starting = Instant::now();
    let server = ServerProcess::start_listening(&data, &["--bootstrap-servers", &bootstrap]);
    assert!(starting.elapsed() < ANSWER, "it listens while it waits");
    let (status, text) = server.request("GET", "/healthcheck", None).expect("an answer");
    let health: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, &health["isHealthy"], &health["details"]["kafka"]["isHealthy"]), (200, &json!(false), &json!(false)), "{text}");
    let (status, text) = server.request("GET", "/info", None).expect("an answer");
    let info: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, &info["KsqlServerInfo"]["ksqlServiceId"]), (200, &json!("default_")), "{text}");
    for (path, body) in [("/ksql", json!({"ksql": "SHOW QUERIES;"})), ("/query-stream", json!({"sql": "SELECT * FROM latest;"}))] {
        let (status, text) = server.request("POST", path, Some(&body)).expect("an answer");
        let answer: Json = serde_json::from_str(&text).expect("JSON");
        assert_eq!((status, &answer["@type"], &answer["error_code"]), (503, &json!("generic_error"), &json!(50302)), "{text}");
        assert!(answer["message"].as_str().is_some_and(|said| said.contains("not ready yet") && said.contains(&bootstrap)), "{text}");
    }
    broker.start_again().expect("the broker comes back");
    let back = Instant::now();
    wait_until_back(&log);
    while !server.request("GET", "/chc/ready", None).is_ok_and(|(status, _)| status == 200) {
        assert!(back.elapsed() < PATIENCE, "it does not go on:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(server.running_queries(), queries);
    check(&server, &log, count);
    assert_eq!(server.terminate(), Some(0));
}
