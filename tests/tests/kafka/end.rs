//! SIGTERM under full load.

use tidemill_engine::log::{Log, OutRecord};
use tidemill_tests::broker;
use tidemill_tests::ending::{Load, PushClient, end_in_order};
use tidemill_tests::server::ServerProcess;

use crate::support::{PATIENCE, commit, handle, log_on, new_topic};

/// How often, with every build; `make chaos` does it 200 times.
const ROUNDS: usize = 3;

#[test]
fn a_server_under_load_ends_in_order() {
    let Some(bootstrap) = broker::shared("a_server_under_load_ends_in_order") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "loaded", 4);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (config, data) = (folder.path().join("server.properties"), folder.path().join("data"));
    std::fs::write(&config, "ksql.service.id=loaded_\n").expect("a configuration");
    let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")];
    for round in 0..ROUNDS {
        let server = ServerProcess::start(&data, &arguments);
        if round == 0 {
            server.ksql(&format!(
                "CREATE STREAM loaded (k STRING KEY, n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
                 CREATE STREAM copied WITH (KAFKA_TOPIC='{topic}-copied') AS SELECT * FROM loaded;
                 CREATE TABLE by_key WITH (KAFKA_TOPIC='{topic}-by-key') AS SELECT k, COUNT(*) AS c FROM loaded GROUP BY k;
                 CREATE TABLE by_n WITH (KAFKA_TOPIC='{topic}-by-n') AS SELECT n, COUNT(*) AS c FROM loaded GROUP BY n;"
            ));
        }
        let client = PushClient::start(server.address(), "SELECT * FROM copied EMIT CHANGES;");
        let (bootstrap, loaded) = (bootstrap.clone(), topic.clone());
        let sending = log_on(&bootstrap);
        let load = Load::start(1, move |_| {
            let (handle, mut writer) = (handle(&sending, &loaded), sending.writer().expect("a writer"));
            for n in 0..5_000_i32 {
                let (key, value) = (format!("k{}", n % 97), format!("{{\"N\": {}}}", n % 1_000));
                let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
                let record = OutRecord { partition: n % 4, timestamp: 1_000, key, value, headers: &[] };
                writer.send(handle, record).expect("a send");
            }
            commit(&mut *writer);
        });
        server.pull_until("SELECT c FROM by_key WHERE k = 'k1';", PATIENCE, |rows| !rows.is_empty());
        end_in_order(server, load, client, &data, &arguments);
    }
}
