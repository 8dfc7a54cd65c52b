//! One server a service: a second one is refused, and a restart is not delayed by the server that it follows.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::support::{PATIENCE, fill_json, log_on, new_topic};

/// A restart on the same folder takes far less than a session of the group, whatever ended the server before. Mostly it
/// takes half a second.
const QUICK: Duration = Duration::from_secs(5);

#[test]
fn a_second_server_of_a_service_is_refused() {
    let Some(bootstrap) = broker::shared("a_second_server_of_a_service_is_refused") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "second", 1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("server.properties");
    std::fs::write(&config, "ksql.service.id=second_\n").expect("a configuration");
    let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")];
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let start = |data: &Path| ServerProcess::start(data, &arguments);

    let server = start(&one);
    println!("the first start took {:?}", server.started_in);
    server.ksql(&format!(
        "CREATE STREAM second (id STRING KEY, n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE STREAM once WITH (KAFKA_TOPIC='{topic}-once') AS SELECT * FROM second;"
    ));
    let queries = server.running_queries();
    let (code, said) = ServerProcess::start_refused(&two, &arguments);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another server of service 'second_' is at 127.0.0.1"), "{said}");
    assert!(said.contains("set ksql.service.id to another name here"), "{said}");
    fill_json(&log, &topic, 0, (0..10).map(|n| json!({"n": n})));
    server.pull_until("SELECT n FROM once;", PATIENCE, |rows| rows.len() == 10);

    // Its own folder: at once, after an end in order and after a crash.
    assert_eq!(server.terminate(), Some(0));
    let server = start(&one);
    println!("a restart took {:?}", server.started_in);
    assert!(server.started_in < QUICK, "{:?}", server.started_in);
    server.kill();
    let server = start(&one);
    println!("a restart after kill -9 took {:?}", server.started_in);
    assert!(server.started_in < QUICK, "{:?}", server.started_in);
    assert_eq!(server.running_queries(), queries);
    // Another folder, as when a container is made anew: as soon as the group has forgotten the one that died.
    server.kill();
    let server = start(&two);
    println!("a start on another folder took {:?}", server.started_in);
    assert_eq!(server.running_queries(), queries);
    assert!(server.log().contains("if it has crashed, the group forgets it"), "{}", server.log());
    assert_eq!(server.terminate(), Some(0));
}
