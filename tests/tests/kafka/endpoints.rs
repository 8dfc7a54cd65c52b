//! While the broker is away: what needs it fails or waits, and everything else answers as ever.

use std::time::{Duration, Instant};

use serde_json::json;
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::support::PATIENCE;

/// How long an answer may take that waits for nothing.
const QUICK: Duration = Duration::from_secs(3);
/// Requests of each kind that wait meanwhile: more than there are threads for any kind.
const WAITING: usize = 40;

#[test]
fn an_outage_stops_only_what_needs_the_broker() {
    let Some(mut broker) = broker::own("an_outage_stops_only_what_needs_the_broker") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &["--bootstrap-servers", &broker.bootstrap()]);
    server.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    let created = server.ksql("CREATE TABLE t AS SELECT k, COUNT(*) AS c FROM s GROUP BY k;");
    let last = created[0]["commandSequenceNumber"].as_i64().expect("a number");
    server.ksql("INSERT INTO s (k, n) VALUES ('a', 1);");
    server.pull_until("SELECT * FROM t WHERE k = 'a';", PATIENCE, |rows| rows == [json!(["a", 1])]);
    broker.kill();

    let statement = |number: usize| match number % 3 {
        0 => format!("CREATE STREAM x{number} (n INT) WITH (KAFKA_TOPIC='x{number}', PARTITIONS=1, VALUE_FORMAT='JSON');"),
        1 => "INSERT INTO s (k, n) VALUES ('b', 1);".to_owned(),
        _ => "SELECT * FROM s;".to_owned(),
    };
    std::thread::scope(|scope| {
        let server = &server;
        let waiting: Vec<_> = (0..WAITING)
            .flat_map(|number| {
                let statement = statement(number);
                let (path, name) = if statement.starts_with("SELECT") { ("/query-stream", "sql") } else { ("/ksql", "ksql") };
                let later = json!({"ksql": "SHOW STREAMS;", "commandSequenceNumber": last + 1_000});
                [(path, json!({ name: statement })), ("/ksql", later)]
            })
            .map(|(path, body)| scope.spawn(move || server.request("POST", path, Some(&body))))
            .collect();
        let began = Instant::now();
        // Found out once.
        let (_, health) = server.request("GET", "/healthcheck", None).expect("an answer");
        assert!(health.contains("\"isHealthy\":false") && began.elapsed() < Duration::from_secs(10), "{health}");
        let mut rounds = 0;
        // As long as something waits (an outage that is known lets nothing wait for long), and some rounds in any case.
        while rounds < 20 || waiting.iter().any(|w| !w.is_finished()) && began.elapsed() < Duration::from_secs(15) {
            for (path, says) in [("/info", "RUNNING"), ("/healthcheck", "\"isHealthy\":false"), ("/status", "commandStatuses")] {
                let asked = Instant::now();
                let (status, text) = server.request("GET", path, None).expect("an answer");
                assert!(status == 200 && text.contains(says), "{path}: {text}");
                assert!(asked.elapsed() < QUICK, "{path} took {:?}", asked.elapsed());
            }
            let asked = Instant::now();
            assert_eq!(server.pull("SELECT * FROM t WHERE k = 'a';"), [json!(["a", 1])]);
            assert!(asked.elapsed() < QUICK, "a look-up took {:?}", asked.elapsed());
            rounds += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        broker.start_again().expect("the broker comes back");
        for waiting in waiting {
            // Whether it was done or refused: it is answered.
            waiting.join().expect("no panic").expect("an answer");
        }
    });
    // Statements are refused until the server has seen that the broker is back.
    let insert = json!({"ksql": "INSERT INTO s (k, n) VALUES ('c', 1);"});
    let back = Instant::now();
    while server.request("POST", "/ksql", Some(&insert)).expect("an answer").0 != 200 {
        assert!(back.elapsed() < PATIENCE, "the broker is back, the server has not noticed");
        std::thread::sleep(Duration::from_millis(100));
    }
    server.pull_until("SELECT * FROM t WHERE k = 'c';", PATIENCE, |rows| rows == [json!(["c", 1])]);
}
