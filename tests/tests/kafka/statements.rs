//! What statements write and ask: single records that are durable at once, beside whatever goes on in the background.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use tidemill_engine::log::{Commit, Log, LogError, Offset, OffsetSpec, OutRecord, TopicPartition, TopicSpec};
use tidemill_engine::state::StateBatch;
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::support::{PATIENCE, Waiting, log_on, new_topic, partition, shared_log};

/// Groups whose offsets take a broker some seconds, 5 ms for each on a connection.
const GROUPS: usize = 1_000;
/// Statements at once.
const CLIENTS: usize = 24;

fn record(partition: i32, value: &[u8]) -> OutRecord<'_> {
    OutRecord { partition, timestamp: 1, key: None, value: Some(value), headers: &[] }
}

fn append(log: &dyn Log, topic: &str, partition: i32) -> Result<(), LogError> {
    let (handle, _) = log.known_topic(topic)?;
    log.append(handle, record(partition, b"x"))
}

#[test]
fn many_append_at_once() {
    let Some(log) = shared_log("many_append_at_once") else { return };
    let topic = new_topic(&log, "appended", 2);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (log, topic) = (&log, &topic);
            scope.spawn(move || {
                let (handle, partitions) = log.known_topic(topic).expect("a topic");
                assert_eq!(partitions, 2);
                for number in 0..20 {
                    log.append(handle, record((client % 2) as i32, format!("{client}:{number}").as_bytes())).expect("an append");
                    // It is there once the call returns.
                }
            });
        }
    });
    let both: Vec<TopicPartition> = (0..2).map(|at| partition(&topic, at)).collect();
    assert_eq!(log.offsets(&both, OffsetSpec::Latest).expect("ends"), vec![Offset(20 * CLIENTS as i64 / 2); 2]);
    let mut reader = Waiting::new(&log, both.into_iter().map(|at| (at, Offset(0))).collect());
    let mut next = BTreeMap::new();
    for read in reader.take(20 * CLIENTS) {
        let text = String::from_utf8(read.value.expect("a value")).expect("text");
        let (client, number) = text.split_once(':').expect("two numbers");
        let expected = next.entry(client.to_owned()).or_insert(0);
        assert_eq!(number.parse(), Ok(*expected), "in order for {client}");
        *expected += 1;
    }
}

#[test]
fn what_is_appended_together_is_judged_one_by_one() {
    let Some(log) = shared_log("what_is_appended_together_is_judged_one_by_one") else { return };
    let demanding = |name: &str, demand: (&str, &str)| {
        let name = format!("{}-demanding", new_topic(&log, name, 1));
        let config = BTreeMap::from([(demand.0.to_owned(), demand.1.to_owned())]);
        log.create_topic(&TopicSpec { name: name.clone(), partitions: 2, replicas: 1, config }).expect("a topic");
        name
    };
    // Far less than all of them take.
    let topic = demanding("together", ("max.message.bytes", "2000"));
    let (handle, _) = log.known_topic(&topic).expect("a topic");
    let values: Vec<String> = (0..500).map(|number| format!("{number:050}")).collect();
    let mut records: Vec<OutRecord<'_>> = values.iter().zip(0..).map(|(value, number)| record(number % 2, value.as_bytes())).collect();
    log.append_all(handle, &records).expect("all are small");
    let large = vec![b'x'; 3_000];
    records[300] = record(0, &large);
    let failed = log.append_all(handle, &records).expect_err("one is large");
    assert_eq!((failed.written, failed.beyond), (300, 0), "{failed}");
    let both: Vec<TopicPartition> = (0..2).map(|at| partition(&topic, at)).collect();
    assert_eq!(log.offsets(&both, OffsetSpec::Latest).expect("ends"), vec![Offset(400); 2]);
    let mut reader = Waiting::new(&log, both.into_iter().map(|at| (at, Offset(0))).collect());
    let mut seen = [Vec::new(), Vec::new()];
    for read in reader.take(800) {
        let number: usize = String::from_utf8(read.value.expect("a value")).expect("text").parse().expect("a number");
        seen[number % 2].push(number);
    }
    for (odd, seen) in seen.iter().enumerate() {
        let of = |count: usize| (0..count).filter(move |number| number % 2 == odd);
        assert_eq!(*seen, of(500).chain(of(300)).collect::<Vec<_>>(), "in order, and none twice");
    }
    // One without a key would take all of its batch with it.
    let compacted = demanding("together-compacted", ("cleanup.policy", "compact"));
    let (handle, _) = log.known_topic(&compacted).expect("a topic");
    let mut records = [OutRecord { partition: 0, timestamp: 1, key: Some(b"k"), value: Some(b"v"), headers: &[] }; 20];
    records[10].key = None;
    let failed = log.append_all(handle, &records).expect_err("one has no key");
    assert_eq!(failed.written, 10, "{failed}");
    assert!(failed.to_string().contains("takes no record without a key"), "{failed}");
}

#[test]
fn an_append_notices_what_became_of_its_topic() {
    let Some(log) = shared_log("an_append_notices_what_became_of_its_topic") else { return };
    let Some(bootstrap) = broker::shared("an_append_notices_what_became_of_its_topic") else { return };
    // Somebody else, of whom the log hears nothing.
    let other = log_on(&bootstrap);
    let topic = new_topic(&log, "remade", 1);
    append(&log, &topic, 0).expect("an append");
    assert_eq!(log.known_topic(&topic).expect("known").1, 1);

    other.delete_topic(&topic).expect("a deletion");
    let deadline = Instant::now() + PATIENCE;
    // The first may find it as it was; it is not answered with success.
    loop {
        match append(&log, &topic, 0) {
            Err(LogError::UnknownTopic(name)) => break assert_eq!(name, topic),
            Err(LogError::Retriable(_)) if Instant::now() < deadline => {}
            other => panic!("{other:?}"),
        }
    }
    other.create_topic(&TopicSpec { name: topic.clone(), partitions: 3, replicas: 1, config: BTreeMap::new() }).expect("a topic");
    assert_eq!(log.known_topic(&topic).expect("looked up again").1, 3);
    append(&log, &topic, 2).expect("an append to the new topic");
    assert_eq!(log.offsets(&[partition(&topic, 2)], OffsetSpec::Latest).expect("an end"), [Offset(1)]);
}

#[test]
fn new_partitions_are_noticed_in_the_background() {
    let Some(log) = shared_log("new_partitions_are_noticed_in_the_background") else { return };
    let Some(bootstrap) = broker::shared("new_partitions_are_noticed_in_the_background") else { return };
    let topic = new_topic(&log, "grows", 1);
    append(&log, &topic, 0).expect("an append");
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &bootstrap).create().expect("an administrating client");
    let (more, options) = ([NewPartitions::new(&topic, 4)], AdminOptions::new());
    let grown = admin.create_partitions(&more, &options);
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(grown).expect("more partitions");
    let deadline = Instant::now() + PATIENCE;
    while log.known_topic(&topic).expect("known").1 != 4 {
        assert!(Instant::now() < deadline, "four partitions were never noticed");
        std::thread::sleep(Duration::from_millis(50));
    }
    append(&log, &topic, 3).expect("an append to a new partition");
}

#[test]
fn statements_do_not_wait_for_the_offsets_of_groups() {
    let Some(log) = shared_log("statements_do_not_wait_for_the_offsets_of_groups") else { return };
    let Some(bootstrap) = broker::shared("statements_do_not_wait_for_the_offsets_of_groups") else { return };
    let topic = new_topic(&log, "offsets", 1);
    let group = |number: usize| -> Arc<str> { format!("{topic}-group-{number:05}").into() };
    // The first commit of a cluster makes the topic of offsets.
    let other = log_on(&bootstrap);
    let mut writer = other.writer().expect("a writer");
    let offsets = |groups: std::ops::Range<usize>| groups.map(|number| (group(number), vec![(partition(&topic, 0), Offset(7))])).collect();
    writer.commit(Commit { offsets: offsets(0..1), state: StateBatch::default() }).expect("a commit");
    drop(writer);
    append(&log, &topic, 0).expect("an append");

    let mut writer = log.writer().expect("a writer");
    let began = Instant::now();
    writer.commit(Commit { offsets: offsets(1..GROUPS), state: StateBatch::default() }).expect("a commit");
    for _ in 0..10 {
        append(&log, &topic, 0).expect("an append");
        log.describe_topic(&topic).expect("a description").expect("a topic");
    }
    let asked = began.elapsed();
    // As another client sees it: the last group's turn has not come.
    let last = other.committed(&group(GROUPS - 1), &[partition(&topic, 0)]).expect("an answer");
    assert_eq!(last, [None], "the offsets of {GROUPS} groups went first: the statements took {asked:?}");
    let deadline = Instant::now() + PATIENCE;
    while other.committed(&group(GROUPS - 1), &[partition(&topic, 0)]).expect("an answer") != [Some(Offset(7))] {
        assert!(Instant::now() < deadline, "the last group's offsets never came");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(writer);
}

/// Threads of librdkafka in a process: each client has some.
fn client_threads(pid: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    let names = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("rdk:")).count()
}

#[test]
fn inserts_at_once_make_no_clients_of_their_own() {
    let Some(bootstrap) = broker::shared("inserts_at_once_make_no_clients_of_their_own") else { return };
    let folder = tempfile::Builder::new().prefix("tidemill-inserts-").tempdir().expect("a folder");
    let config = folder.path().join("server.properties");
    fs::write(&config, "ksql.service.id=inserts_\n").expect("a configuration");
    let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")];
    let server = ServerProcess::start(&folder.path().join("data"), &arguments);
    let topic = format!("inserted_{}", std::process::id());
    server.ksql(&format!("CREATE STREAM {topic} (id INT KEY, v INT) WITH (KAFKA_TOPIC='{topic}', PARTITIONS=1, VALUE_FORMAT='JSON');"));
    let insert = |id: usize| server.ksql(&format!("INSERT INTO {topic} (id, v) VALUES ({id}, {id});"));
    insert(0);
    let before = client_threads(server.pid());
    std::thread::scope(|scope| {
        for client in 1..=CLIENTS {
            scope.spawn(move || (0..10).for_each(|row| drop(insert(100 * client + row))));
        }
    });
    assert_eq!(client_threads(server.pid()), before);
    let log = log_on(&bootstrap);
    assert_eq!(log.offsets(&[partition(&topic, 0)], OffsetSpec::Latest).expect("an end"), [Offset(1 + 10 * CLIENTS as i64)]);
}
