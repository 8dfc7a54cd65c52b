//! One server a service: a second one is refused, and a restart is not delayed by the server that it follows.

use std::path::Path;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
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

/// A member of the group with the running server's own instance id, which the broker shuts out for it.
fn take_the_place(bootstrap: &str, group: &str, server: &ServerProcess, said: &str) -> BaseConsumer {
    let client = |instance: Option<&str>| -> BaseConsumer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("group.id", group).set("session.timeout.ms", "6000");
        if let Some(instance) = instance {
            config.set("group.instance.id", instance);
        }
        config.create().expect("a consumer")
    };
    let began = Instant::now();
    let member = loop {
        let list = client(None).fetch_group_list(Some(group), PATIENCE).expect("the group");
        if let Some(member) = list.groups().iter().flat_map(|group| group.members()).next() {
            break member.id().to_owned();
        }
        assert!(began.elapsed() < PATIENCE, "the server is not in its group");
        std::thread::sleep(Duration::from_millis(50));
    };
    // The broker appends 36 characters and a hyphen of its own.
    let instance = &member[..member.len() - 37];
    let (before, rival) = (server.log().matches(said).count(), client(Some(instance)));
    rival.subscribe(&["_confluent-ksql-rival__command_topic"]).expect("a subscription");
    while server.log().matches(said).count() == before {
        assert!(began.elapsed() < PATIENCE, "the server notices nothing:\n{}", server.log());
        drop(rival.poll(Duration::from_millis(50)));
    }
    rival
}

#[test]
fn a_place_that_nobody_keeps_is_taken_back() {
    let Some(bootstrap) = broker::shared("a_place_that_nobody_keeps_is_taken_back") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "rival", 1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("server.properties");
    std::fs::write(&config, "ksql.service.id=rival_\n").expect("a configuration");
    let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")];
    let server = ServerProcess::start(&folder.path().join("data"), &arguments);
    server.ksql(&format!(
        "CREATE STREAM rival (id STRING KEY, n INT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE STREAM copied WITH (KAFKA_TOPIC='{topic}-copied') AS SELECT * FROM rival;"
    ));
    let group = "_confluent-ksql-rival_servers";
    let wait = |said: &str| {
        let began = Instant::now();
        while !server.log().contains(said) {
            assert!(began.elapsed() < PATIENCE, "the server does not say '{said}':\n{}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    };

    // What a request to join leaves that the server sent twice: nobody is behind it.
    drop(take_the_place(&bootstrap, group, &server, "another may have taken its place"));
    wait("the service is still this server's");
    fill_json(&log, &topic, 0, (0..10).map(|n| json!({"n": n})));
    server.pull_until("SELECT n FROM copied;", PATIENCE, |rows| rows.len() == 10);

    // A server on a copy of the folder.
    let _rival = take_the_place(&bootstrap, group, &server, "another may have taken its place");
    wait("another server has taken the place of this one");
    wait("All queries are stopped here");
}
