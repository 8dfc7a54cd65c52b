//! Topics that are deleted, made anew, truncated or garbled by others, under a server and while none runs.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_engine::log::{Log, OffsetSpec, OutRecord, TopicSpec};
use tidemill_tests::server::ServerProcess;
use tidemill_tests::{admin, broker};

use crate::support::{fill_json, handle, log_on, new_topic, partition};

/// A missing topic is believed to be gone after some time only.
const NOTICED_WITHIN: Duration = Duration::from_secs(90);

struct World {
    bootstrap: String,
    service: String,
    folder: tempfile::TempDir,
}

impl World {
    fn new(bootstrap: &str, service: &str) -> World {
        World::with(bootstrap, service, "")
    }

    fn with(bootstrap: &str, service: &str, properties: &str) -> World {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let more = "metadata.max.age.ms=1000\nksql.query.retry.backoff.initial.ms=200\nksql.query.retry.backoff.max.ms=500\n";
        std::fs::write(folder.path().join("server.properties"), format!("ksql.service.id={service}\n{more}{properties}"))
            .expect("a configuration");
        World { bootstrap: bootstrap.to_owned(), service: service.to_owned(), folder }
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    fn start(&self) -> ServerProcess {
        self.start_on(&self.data())
    }

    fn start_on(&self, data: &Path) -> ServerProcess {
        let config = self.folder.path().join("server.properties");
        ServerProcess::start(data, &["--bootstrap-servers", &self.bootstrap, "--config", config.to_str().expect("a path")])
    }

    /// A statement to a server that dies at a point of its way.
    fn die(&self, point: &str, sql: &str) {
        let config = self.folder.path().join("server.properties");
        let arguments = ["--bootstrap-servers", &self.bootstrap, "--config", config.to_str().expect("a path")];
        let mut server = ServerProcess::begin_faulty(&self.data(), &arguments, &format!("{point}=return(kill)"));
        assert!(server.is_up(NOTICED_WITHIN), "{}", server.log());
        let body = json!({"ksql": sql, "streamsProperties": {"ksql.streams.auto.offset.reset": "earliest"}});
        let answer = server.request("POST", "/ksql", Some(&body));
        wait_until("its death", || server.has_ended(), || format!("{answer:?}"));
    }

    /// What `tidemill doctor` says, and its exit code.
    fn doctor(&self) -> (Option<i32>, String) {
        let config = self.folder.path().join("server.properties");
        let output = std::process::Command::new(tidemill_tests::server::tidemill_binary())
            .args(["doctor", "--config"])
            .arg(config)
            .arg("--data-dir")
            .arg(self.data())
            .args(["--bootstrap-servers", &self.bootstrap])
            .output()
            .expect("the binary runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    }

    fn command_topic(&self) -> String {
        format!("_confluent-ksql-{}_command_topic", self.service)
    }
}

fn wait(server: &ServerProcess, what: &str, holds: impl FnMut() -> bool) {
    wait_until(what, holds, || server.log());
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool, more: impl Fn() -> String) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < NOTICED_WITHIN, "{what}: it does not come\n{}", more());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The state of the query whose id contains this, and what SHOW QUERIES remarks.
fn state(server: &ServerProcess, name: &str) -> (String, String) {
    let answer = server.ksql("SHOW QUERIES;");
    let found = answer[0]["queries"].as_array().into_iter().flatten().find(|q| q["id"].as_str().is_some_and(|id| id.contains(name)));
    let state = found.map_or(String::new(), |query| query["state"].as_str().unwrap_or_default().to_owned());
    (state, answer[0]["warnings"].to_string())
}

fn wait_for_state(server: &ServerProcess, name: &str, wanted: &str) -> String {
    wait(server, wanted, || state(server, name).0 == wanted);
    state(server, name).1
}

/// Waits until the query stands still, with the reason.
fn wait_for_refusal(server: &ServerProcess, name: &str) -> String {
    let refusal = || {
        let answer = server.ksql("SHOW QUERIES;");
        let mut warnings = answer[0]["warnings"].as_array().into_iter().flatten().filter_map(|warning| warning["message"].as_str());
        // Each begins with the query's id.
        let is_its = |said: &&str| said.split(' ').next().is_some_and(|id| id.contains(name));
        warnings.find(|said| is_its(said) && said.contains("Trying again would not help")).map(str::to_owned)
    };
    wait(server, "a refusal", || refusal().is_some());
    refusal().unwrap_or_default()
}

fn make(log: &dyn Log, topic: &str, partitions: u32) {
    log.create_topic(&TopicSpec { name: topic.to_owned(), partitions, replicas: 1, config: Default::default() }).expect("a topic");
}

fn remake(log: &dyn Log, topic: &str, partitions: u32) {
    log.delete_topic(topic).expect("it goes");
    make(log, topic, partitions);
}

/// Lets the query go on with the topics as they are, and waits until it does.
fn resume(server: &ServerProcess, name: &str) {
    let answer = server.ksql("SHOW QUERIES;");
    let ids = answer[0]["queries"].as_array().into_iter().flatten().filter_map(|q| q["id"].as_str());
    let id = ids.into_iter().find(|id| id.contains(name)).expect("it is listed").to_owned();
    server.ksql(&format!("RESUME {id};"));
    wait_for_state(server, name, "RUNNING");
}

fn records(from: i64, to: i64) -> impl Iterator<Item = Json> {
    (from..to).map(|n| json!({"n": n, "g": "x"}))
}

fn health(server: &ServerProcess) -> Json {
    let (_, text) = server.request("GET", "/healthcheck", None).expect("it answers");
    serde_json::from_str(&text).expect("JSON")
}

fn streams(server: &ServerProcess) -> String {
    server.ksql("SHOW STREAMS;")[0].to_string()
}

#[test]
fn a_deleted_command_topic_is_written_anew() {
    let Some(bootstrap) = broker::shared("a_deleted_command_topic_is_written_anew") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "commands", 1);
    let world = World::new(&bootstrap, "lostcommands_");
    let server = world.start();
    server.ksql(&format!(
        "CREATE STREAM kept (k STRING KEY, n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE STREAM copied WITH (KAFKA_TOPIC='{topic}-copied') AS SELECT * FROM kept;"
    ));
    // Under the server, and the very next statement.
    log.delete_topic(&world.command_topic()).expect("it goes");
    server.ksql("CREATE TYPE added AS STRUCT<a INT>;");
    // Under the server, which looks now and then.
    log.delete_topic(&world.command_topic()).expect("it goes");
    wait(&server, "the topic", || log.describe_topic(&world.command_topic()).expect("an answer").is_some());
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(world.doctor(), (Some(0), world.doctor().1));
    // While nobody runs.
    log.delete_topic(&world.command_topic()).expect("it goes");
    let (code, said) = world.doctor();
    assert!(code == Some(3) && said.contains("statements are written to it from the folder"), "{said}");
    let server = world.start();
    assert!(streams(&server).contains("KEPT") && streams(&server).contains("COPIED"));
    assert!(server.ksql("SHOW TYPES;")[0].to_string().contains("ADDED"));
    fill_json(&log, &topic, 0, records(0, 10));
    server.pull_until("SELECT n FROM copied;", NOTICED_WITHIN, |rows| rows.len() == 10);
    assert_eq!(health(&server)["isHealthy"], true);
    let (code, said) = world.doctor();
    assert!(code == Some(0) || code == Some(3), "a server that runs does not keep the doctor out: {said}");
    assert_eq!(server.terminate(), Some(0));
    // The topic is whole: a server with an empty folder gets all from it.
    let server = world.start_on(&world.folder.path().join("other"));
    assert!(streams(&server).contains("COPIED") && server.ksql("SHOW TYPES;")[0].to_string().contains("ADDED"));
    server.pull_until("SELECT n FROM copied;", NOTICED_WITHIN, |rows| rows.len() == 10);
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_command_topic_that_is_not_whole_is_told_of_and_queries_go_on() {
    let Some(bootstrap) = broker::shared("a_command_topic_that_is_not_whole_is_told_of_and_queries_go_on") else { return };
    let log = log_on(&bootstrap);
    for (service, what) in
        [("garbled_", "can't be read"), ("later_", "written by a later version"), ("truncated_", "before offset 1 are gone")]
    {
        let topic = new_topic(&log, "notwhole", 1);
        let world = World::new(&bootstrap, service);
        let server = world.start();
        server.ksql(&format!(
            "CREATE STREAM kept (k STRING KEY, n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
             CREATE STREAM copied WITH (KAFKA_TOPIC='{topic}-copied') AS SELECT * FROM kept;"
        ));
        let record = match service {
            "truncated_" => {
                admin::delete_records(&bootstrap, &world.command_topic(), 0, 1);
                None
            }
            "garbled_" => Some("\u{0}garbage"),
            _ => Some(r#"{"version":9,"statement":"x","properties":{},"action":"Nothing"}"#),
        };
        if let Some(record) = record {
            let value = Some(record.as_bytes());
            let record = OutRecord { partition: 0, timestamp: 1, key: None, value, headers: &[] };
            log.append(handle(&log, &world.command_topic()), record).expect("an append");
        }
        let degraded = |server: &ServerProcess, count: usize| {
            wait(server, "the problem", || health(server)["details"]["commandRunner"]["isHealthy"] == false);
            assert_eq!(health(server)["isHealthy"], false);
            assert!(state(server, "COPIED").1.contains(what) && streams(server).contains(what), "{}", streams(server));
            let statement = json!({"ksql": "CREATE TYPE refused AS STRUCT<a INT>;"});
            let (status, said) = server.request("POST", "/ksql", Some(&statement)).expect("an answer");
            assert!(status != 200 && said.contains(what) && said.contains("delete the topic") | said.contains("Start the later"), "{said}");
            fill_json(&log, &topic, 0, records(0, 10));
            server.pull_until("SELECT n FROM copied;", NOTICED_WITHIN, |rows| rows.len() == count);
        };
        degraded(&server, 10);
        assert_eq!(server.terminate(), Some(0));
        let (code, said) = world.doctor();
        assert!(code == Some(4) && said.contains(what), "{said}");
        let server = world.start();
        degraded(&server, 20);
        // The way out.
        log.delete_topic(&world.command_topic()).expect("it goes");
        wait(&server, "health", || health(&server)["isHealthy"] == true);
        server.ksql("CREATE TYPE taken AS STRUCT<a INT>;");
        assert_eq!(server.terminate(), Some(0));
        assert_eq!(world.doctor().0, Some(0), "{}", world.doctor().1);
    }
}

#[test]
fn a_deleted_changelog_is_filled_from_the_state() {
    let Some(bootstrap) = broker::shared("a_deleted_changelog_is_filled_from_the_state") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "counted", 1);
    let world = World::new(&bootstrap, "lostchangelog_");
    let server = world.start();
    server.ksql(&format!(
        "CREATE STREAM counted (k STRING KEY, n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE TABLE counts WITH (KAFKA_TOPIC='{topic}-counts') AS SELECT k, COUNT(*) AS c FROM counted GROUP BY k;"
    ));
    let count = |server: &ServerProcess, expected: i64| {
        server.pull_until("SELECT c FROM counts WHERE k = 'k';", NOTICED_WITHIN, |rows| rows == [json!([expected])]);
    };
    fill_json(&log, &topic, 0, records(0, 1_100));
    count(&server, 1_100);
    let changelog = || {
        let all = log.list_topics().expect("topics").into_iter().map(|topic| topic.name);
        all.into_iter().find(|name| name.contains("lostchangelog_query_CTAS_COUNTS") && name.ends_with("-changelog"))
    };
    let name = changelog().expect("a changelog");
    // Committed.
    wait(&server, "the changelog", || log.offsets(&[partition(&name, 0)], OffsetSpec::Latest).expect("an offset")[0].0 > 0);
    // Under the server, which nobody gives anything to do.
    log.delete_topic(&name).expect("it goes");
    wait(&server, "the changelog", || changelog().is_some());
    wait_for_state(&server, "COUNTS", "RUNNING");
    count(&server, 1_100);
    fill_json(&log, &topic, 0, records(0, 100));
    count(&server, 1_200);
    assert_eq!(server.terminate(), Some(0));
    // While nobody runs; and made anew as a broker would.
    for is_made_anew in [false, true] {
        log.delete_topic(&name).expect("it goes");
        if is_made_anew {
            make(&log, &name, 1);
        }
        let (code, said) = world.doctor();
        assert!(code == Some(3) && said.contains("filled from the state in the folder"), "{said}");
        let server = world.start();
        count(&server, 1_200);
        let info = log.describe_topic(&name).expect("an answer").expect("it is there");
        assert_eq!(info.config.get("cleanup.policy").map(String::as_str), Some("compact"));
        assert_eq!(server.terminate(), Some(0));
        assert_eq!(world.doctor().0, Some(0), "{}", world.doctor().1);
    }
    // It is whole: a server with an empty folder has the count from it.
    let server = world.start_on(&world.folder.path().join("other"));
    count(&server, 1_200);
    fill_json(&log, &topic, 0, records(0, 1));
    count(&server, 1_201);
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_source_that_was_made_anew_is_not_read_from_the_middle() {
    let Some(bootstrap) = broker::shared("a_source_that_was_made_anew_is_not_read_from_the_middle") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "swapped", 1);
    let world = World::new(&bootstrap, "swapped_");
    let server = world.start();
    server.ksql(&format!(
        "CREATE STREAM swapped (k STRING KEY, n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE TABLE counts WITH (KAFKA_TOPIC='{topic}-counts') AS SELECT k, COUNT(*) AS c FROM swapped GROUP BY k;
         CREATE STREAM copied WITH (KAFKA_TOPIC='{topic}-copied') AS SELECT * FROM swapped;"
    ));
    let count = |server: &ServerProcess, expected: i64| {
        server.pull_until("SELECT c FROM counts WHERE k = 'k';", NOTICED_WITHIN, |rows| rows == [json!([expected])]);
    };
    fill_json(&log, &topic, 0, records(0, 1_000));
    count(&server, 1_000);
    server.pull_until("SELECT n FROM copied;", NOTICED_WITHIN, |rows| rows.len() == 1_000);
    assert_eq!(server.terminate(), Some(0));
    remake(&log, &topic, 1);
    fill_json(&log, &topic, 0, records(0, 1_500));
    let (code, said) = world.doctor();
    assert!(code == Some(4) && said.contains("was deleted and made anew"), "{said}");
    let server = world.start();
    for query in ["COUNTS", "COPIED"] {
        let said = wait_for_refusal(&server, query);
        assert!(said.contains(&format!("topic '{topic}', which the query reads, was deleted and made anew")), "{said}");
        assert_eq!(state(&server, query).0, "ERROR");
    }
    resume(&server, "COUNTS");
    count(&server, 2_500);
    resume(&server, "COPIED");
    server.pull_until("SELECT n FROM copied;", NOTICED_WITHIN, |rows| rows.len() == 2_500);
    assert_eq!(server.terminate(), Some(0));
    // Nobody has to say it twice.
    let server = world.start();
    fill_json(&log, &topic, 0, records(0, 1));
    count(&server, 2_501);
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn topics_that_are_made_anew_with_fewer_partitions_stop_their_query() {
    let Some(bootstrap) = broker::shared("topics_that_are_made_anew_with_fewer_partitions_stop_their_query") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "fewer", 4);
    let world = World::new(&bootstrap, "fewer_");
    let server = world.start();
    server.ksql(&format!(
        "CREATE STREAM fewer (k STRING KEY, n INT, g STRING) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE STREAM copied WITH (KAFKA_TOPIC='{topic}-copied') AS SELECT * FROM fewer;
         CREATE TABLE counts WITH (KAFKA_TOPIC='{topic}-counts') AS SELECT g, COUNT(*) AS c FROM fewer GROUP BY g;"
    ));
    let count = |server: &ServerProcess, expected: i64| {
        server.pull_until("SELECT c FROM counts WHERE g = 'x';", NOTICED_WITHIN, |rows| rows == [json!([expected])]);
    };
    fill_json(&log, &topic, 2, records(0, 100));
    count(&server, 100);
    let repartition = {
        let all = log.list_topics().expect("topics").into_iter().map(|topic| topic.name);
        all.into_iter().find(|name| name.contains("fewer_query_CTAS_COUNTS") && name.ends_with("-repartition")).expect("a topic")
    };
    // Under the server.
    remake(&log, &repartition, 1);
    remake(&log, &format!("{topic}-copied"), 1);
    let said = wait_for_refusal(&server, "COUNTS");
    assert!(said.contains(&repartition) && said.contains("1 partition;") && said.contains("4 partitions"), "{said}");
    let said = wait_for_refusal(&server, "COPIED");
    assert!(said.contains(&format!("topic '{topic}-copied', which the query writes, was deleted and made anew")), "{said}");
    resume(&server, "COUNTS");
    resume(&server, "COPIED");
    assert_eq!(log.describe_topic(&repartition).expect("an answer").expect("it is there").partitions, 4);
    fill_json(&log, &topic, 1, records(0, 50));
    count(&server, 150);
    assert_eq!(server.terminate(), Some(0));
    // While nobody runs.
    remake(&log, &repartition, 1);
    let server = world.start();
    let said = wait_for_refusal(&server, "COUNTS");
    assert!(said.contains(&repartition), "{said}");
    assert_eq!(state(&server, "COPIED").0, "RUNNING");
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn the_topic_of_positions_is_made_again() {
    let Some(bootstrap) = broker::shared("the_topic_of_positions_is_made_again") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "positions", 1);
    let world = World::with(&bootstrap, "lostpositions_", "processing.guarantee=exactly_once_v2\n");
    let server = world.start();
    server.ksql(&format!(
        "CREATE STREAM read (k STRING KEY, n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE STREAM copied WITH (KAFKA_TOPIC='{topic}-copied') AS SELECT * FROM read;"
    ));
    let copied = |server: &ServerProcess, expected: usize| {
        server.pull_until("SELECT n FROM copied;", NOTICED_WITHIN, |rows| rows.len() == expected);
    };
    fill_json(&log, &topic, 0, records(0, 10));
    copied(&server, 10);
    let positions = "_confluent-ksql-lostpositions__positions";
    log.delete_topic(positions).expect("it goes");
    wait(&server, "the topic", || log.describe_topic(positions).expect("an answer").is_some());
    wait_for_state(&server, "COPIED", "RUNNING");
    fill_json(&log, &topic, 0, records(10, 20));
    copied(&server, 20);
    assert_eq!(server.terminate(), Some(0));
    // It is whole.
    let server = world.start();
    fill_json(&log, &topic, 0, records(20, 30));
    copied(&server, 30);
    assert_eq!(server.terminate(), Some(0));
    // While nobody runs there is nobody who knows them.
    log.delete_topic(positions).expect("it goes");
    let (code, said) = world.doctor();
    assert!(code == Some(3) && said.contains(positions), "{said}");
    let server = world.start();
    let said = wait_for_refusal(&server, "COPIED");
    assert!(said.contains(positions) && said.contains("consumer group"), "{said}");
    resume(&server, "COPIED");
    fill_json(&log, &topic, 0, records(30, 31));
    server.pull_until("SELECT n FROM copied WHERE n = 30;", NOTICED_WITHIN, |rows| rows.len() == 1);
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn what_a_killed_statement_leaves_behind_is_cleared_up() {
    let Some(bootstrap) = broker::shared("what_a_killed_statement_leaves_behind_is_cleared_up") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "leftovers", 1);
    let world = World::new(&bootstrap, "leftovers_");
    let server = world.start();
    server.ksql(&format!("CREATE STREAM read (k STRING KEY, n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');"));
    assert_eq!(server.terminate(), Some(0));
    let sink = format!("{topic}-half");
    let is_there = || log.describe_topic(&sink).expect("an answer").is_some();
    let create = format!("CREATE TABLE half WITH (KAFKA_TOPIC='{sink}') AS SELECT k, COUNT(*) AS c FROM read GROUP BY k;");
    // The topic is made, and the statement is written nowhere.
    world.die("create.topic-made", &create);
    assert!(is_there());
    let (code, said) = world.doctor();
    assert!(code == Some(3) && said.contains("made for HALF"), "{said}");
    let server = world.start();
    wait(&server, "that it goes", || !is_there());
    // The statement is there, and the topic as well.
    server.ksql(&create);
    assert_eq!(server.terminate(), Some(0));
    world.die("drop.appended", "DROP TABLE half DELETE TOPIC;");
    assert!(is_there());
    let (code, said) = world.doctor();
    assert!(code == Some(3) && said.contains("to be deleted with HALF"), "{said}");
    let server = world.start();
    wait(&server, "that it goes", || !is_there());
    let internal = || log.list_topics().expect("topics").into_iter().any(|topic| topic.name.contains("leftovers_query_CTAS_HALF"));
    wait(&server, "that its changelog goes", || !internal());
    assert_eq!(server.ksql("SHOW TABLES;")[0]["tables"], json!([]));
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(world.doctor().0, Some(0), "{}", world.doctor().1);
}
