//! Records that are deleted before a query could read them.

use serde_json::json;
use tidemill_tests::server::ServerProcess;
use tidemill_tests::{admin, broker};

use crate::support::{PATIENCE, fill_json, log_on, new_topic};

#[test]
fn records_that_retention_took_are_told_once() {
    let Some(bootstrap) = broker::shared("records_that_retention_took_are_told_once") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "lost", 1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("server.properties");
    std::fs::write(&config, "ksql.service.id=lost_\n").expect("a configuration");
    let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")];
    let data = folder.path().join("data");
    let server = ServerProcess::start(&data, &arguments);
    server.ksql(&format!(
        "CREATE STREAM lost (id STRING KEY, n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE STREAM kept WITH (KAFKA_TOPIC='{topic}-kept') AS SELECT * FROM lost;"
    ));
    let record = |n: i64| json!({"n": n});
    fill_json(&log, &topic, 0, (0..10).map(record));
    server.pull_until("SELECT n FROM kept;", PATIENCE, |rows| rows.len() == 10);
    assert_eq!(server.terminate(), Some(0));

    fill_json(&log, &topic, 0, (10..100).map(record));
    admin::delete_records(&bootstrap, &topic, 0, 60);
    let server = ServerProcess::start(&data, &arguments);
    server.pull_until("SELECT n FROM kept;", PATIENCE, |rows| rows.len() == 50);
    fill_json(&log, &topic, 0, (100..110).map(record));
    server.pull_until("SELECT n FROM kept;", PATIENCE, |rows| rows.len() == 60);
    let told = "SELECT message->recordProcessingError->errorMessage AS m FROM KSQL_PROCESSING_LOG;";
    let told = server.pull_until(told, PATIENCE, |rows| !rows.is_empty());
    let expected = format!("records of partition 0 of topic '{topic}' were deleted before they were read: offsets 10 to 59");
    assert!(told.len() == 1 && told[0][0].as_str().is_some_and(|said| said.starts_with(&expected)), "{told:?}");
    assert_eq!(server.log().matches(&expected).count(), 1, "{}", server.log());
    assert_eq!(server.terminate(), Some(0));
}
