//! Connectors of a real Kafka Connect: one fills a topic that a query reads, one writes what the query made.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;
use tidemill_tests::{broker, kafka_connect};

/// How long connectors may take to start and to hand lines on.
const PATIENCE: Duration = Duration::from_secs(90);

/// The status and body of what is answered to a statement.
fn ksql(server: &ServerProcess, sql: &str) -> (u16, Json) {
    let (status, text) = server.request("POST", "/ksql", Some(&json!({ "ksql": sql }))).expect("the server answers");
    (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
}

fn message(answer: &Json) -> &str {
    answer["message"].as_str().unwrap_or_default()
}

/// Asks until the answer satisfies a condition.
fn ask_until(server: &ServerProcess, sql: &str, done: impl Fn(&Json) -> bool) -> Json {
    let started = Instant::now();
    loop {
        let (status, answer) = ksql(server, sql);
        if status == 200 && done(&answer[0]) {
            return answer[0].clone();
        }
        assert!(started.elapsed() < PATIENCE, "{sql}: {answer}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn connectors_fill_topics_and_empty_them() {
    const TEST: &str = "connectors_fill_topics_and_empty_them";
    let Some(bootstrap) = broker::shared(TEST) else { return };
    let Some(connect) = kafka_connect::own(TEST, &bootstrap) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (input, output) = (folder.path().join("in.txt"), folder.path().join("out.txt"));
    fs::write(&input, "one\ntwo\n").expect("written");
    let (url, service) = (connect.url(), format!("connect_{}_", std::process::id()));
    let environment =
        [("KSQL_KSQL_CONNECT_URL", url.as_str()), ("KSQL_KSQL_SERVICE_ID", &service), ("KSQL_KSQL_CONNECT_REQUEST_TIMEOUT_MS", "60000")];
    let server = ServerProcess::start_in(&folder.path().join("data"), &["--bootstrap-servers", &bootstrap], &environment);

    // Streams, a query and connectors in one script, with a variable.
    let script = format!(
        "DEFINE file = '{}';
         CREATE STREAM cf_lines (line STRING) WITH (KAFKA_TOPIC='cf_lines', PARTITIONS=1, VALUE_FORMAT='KAFKA');
         CREATE STREAM cf_loud WITH (KAFKA_TOPIC='cf_loud', VALUE_FORMAT='KAFKA') AS SELECT UCASE(line) AS line FROM cf_lines;
         CREATE SOURCE CONNECTOR reader WITH ('connector.class'='FileStreamSource', 'file'='${{file}}', 'topic'='cf_lines');
         CREATE SINK CONNECTOR IF NOT EXISTS `writer` WITH (\"connector.class\"='org.apache.kafka.connect.file.FileStreamSinkConnector',
           'file'='{}', 'topics'='cf_loud', 'tasks.max'=1);",
        input.display(),
        output.display()
    );
    let (status, made) = ksql(&server, &script);
    assert_eq!(status, 200, "{made}\n{}", connect.log());
    let info = |at: usize| (made[at]["info"]["name"].as_str(), made[at]["info"]["type"].as_str());
    assert_eq!((info(2), info(3)), ((Some("READER"), Some("source")), (Some("writer"), Some("sink"))));

    let started = Instant::now();
    while lines(&output) != ["ONE", "TWO"] {
        assert!(started.elapsed() < PATIENCE, "{:?}\n{}\n{}", lines(&output), connect.log(), server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let running = "RUNNING (1/1 tasks RUNNING)";
    let listed = ask_until(&server, "SHOW CONNECTORS;", |list| {
        list["connectors"].as_array().is_some_and(|all| all.iter().filter(|c| c["state"] == running).count() == 2)
    });
    let mut names: Vec<&str> = listed["connectors"].as_array().into_iter().flatten().filter_map(|c| c["name"].as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["READER", "writer"]);
    let (_, sinks) = ksql(&server, "SHOW SINK CONNECTORS; LIST CONNECTOR PLUGINS;");
    assert_eq!(sinks[0]["connectors"].as_array().map(Vec::len), Some(1), "{sinks}");
    assert_eq!(sinks[0]["connectors"][0]["className"], "org.apache.kafka.connect.file.FileStreamSinkConnector");
    let plugins = sinks[1]["connectorsPlugins"].as_array().cloned().unwrap_or_default();
    assert!(plugins.iter().any(|p| p["className"] == "org.apache.kafka.connect.file.FileStreamSourceConnector" && p["type"] == "source"));
    let described = ask_until(&server, "DESCRIBE CONNECTOR reader;", |d| d["topics"] == json!(["cf_lines"]));
    assert_eq!((&described["status"]["connector"]["state"], &described["sources"][0]["name"]), (&json!("RUNNING"), &json!("CF_LINES")));

    for (sql, code, expected) in [
        (
            "CREATE SOURCE CONNECTOR reader WITH ('connector.class'='FileStreamSource', 'topic'='x');",
            40900,
            "Connector READER already exists",
        ),
        (
            "CREATE SOURCE CONNECTOR other WITH ('connector.class'='FileStreamSource');",
            40001,
            "Validation error: topic - Missing required configuration \"topic\"",
        ),
        ("CREATE SOURCE CONNECTOR other WITH ('connector.class'='org.NoSuch', 'password'='s3cret');", 40001, "org.NoSuch"),
        ("DROP CONNECTOR other;", 40400, "Failed to drop connector: Connector OTHER not found"),
        ("DESCRIBE CONNECTOR other;", 40400, "Failed to query connector status: No status found for connector OTHER"),
    ] {
        let (status, refused) = ksql(&server, sql);
        let is_right = refused["error_code"] == code && u64::from(status) == code / 100 && message(&refused).contains(expected);
        assert!(is_right && !refused.to_string().contains("s3cret"), "{sql}: {status} {refused}");
    }
    let (_, dropped) = ksql(&server, "DROP CONNECTOR reader; DROP CONNECTOR `writer`; DROP CONNECTOR IF EXISTS `writer`;");
    let kinds: Vec<&Json> = (0..3).map(|at| &dropped[at]["@type"]).collect();
    assert_eq!(kinds, ["drop_connector", "drop_connector", "warning_entity"], "{dropped}");
    ask_until(&server, "SHOW CONNECTORS;", |list| list["connectors"] == json!([]));

    drop(connect);
    let (status, refused) = ksql(&server, "SHOW CONNECTORS;");
    assert!(status == 500 && message(&refused).contains("can't be reached"), "{refused}");
    assert_eq!(ksql(&server, "SHOW QUERIES;").0, 200, "nothing else suffers");
}
