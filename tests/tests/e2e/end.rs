//! SIGTERM under full load, on the embedded log.

use std::time::Duration;

use serde_json::json;
use tidemill_tests::ending::{Load, PushClient, end_in_order};
use tidemill_tests::server::{ServerProcess, exchange};

/// How often, with every build; `make chaos` does it 200 times.
const ROUNDS: usize = 5;

#[test]
fn a_server_under_load_ends_in_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    for round in 0..ROUNDS {
        let server = ServerProcess::start(&data, &[]);
        if round == 0 {
            server.ksql(
                "CREATE STREAM loaded (k STRING KEY, n INT) WITH (KAFKA_TOPIC='loaded', PARTITIONS=4, VALUE_FORMAT='JSON');
                 CREATE STREAM copied AS SELECT * FROM loaded;
                 CREATE STREAM widened AS SELECT k, n, EXPLODE(GENERATE_SERIES(1, 50)) AS i FROM loaded;
                 CREATE TABLE by_key AS SELECT k, COUNT(*) AS c FROM widened GROUP BY k;
                 CREATE TABLE by_n AS SELECT n, COUNT(*) AS c FROM widened GROUP BY n;",
            );
        }
        let client = PushClient::start(server.address(), "SELECT * FROM widened EMIT CHANGES;");
        let address = server.address();
        let load = Load::start(2, move |thread| {
            let insert = |n| format!("INSERT INTO loaded (k, n) VALUES ('k{}', {n});", n % 7);
            let body = json!({"ksql": (0..50).map(insert).collect::<String>(), "streamsProperties": {}});
            // The server may end at any moment.
            if exchange(address, "POST", "/ksql", &[], body.to_string().as_bytes()).is_err() {
                std::thread::sleep(Duration::from_millis(10 + thread as u64));
            }
        });
        server.pull_until("SELECT c FROM by_key WHERE k = 'k1';", Duration::from_secs(60), |rows| !rows.is_empty());
        end_in_order(server, load, client, &data, &[]);
    }
}
