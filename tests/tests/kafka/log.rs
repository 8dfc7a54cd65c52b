//! The log's contract on a real broker: records as they were written, topics, offsets, groups, partitioning.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tidemill_engine::log::{Commit, Log, LogError, Offset, OffsetSpec, OutRecord, TopicSpec, partition_for};
use tidemill_engine::row::Header;
use tidemill_engine::state::StateBatch;
use tidemill_tests::broker;

use crate::support::{PATIENCE, Waiting, commit, fill, handle, new_topic, partition, shared_log};

#[test]
fn the_suite_of_every_log_passes() {
    let Some(log) = shared_log("the_suite_of_every_log_passes") else { return };
    tidemill_engine::log::testing::run(&log, &format!("suite-{}-", std::process::id()));
}

#[test]
fn records_come_back_as_they_were_written() {
    let Some(log) = shared_log("records_come_back_as_they_were_written") else { return };
    let topic = new_topic(&log, "roundtrip", 2);
    let headers = [
        Header { key: "one".into(), value: Some(b"1".to_vec()) },
        Header { key: "none".into(), value: None },
        Header { key: "one".into(), value: Some(Vec::new()) },
    ];
    type Written<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, i64, &'a [Header]);
    let written: [Written<'_>; 5] = [
        (Some(b"k"), Some(b"v"), 1, &[]),
        (None, Some(b""), 1_436_918_400_000, &headers),
        (Some(b""), None, 1_436_918_400_000, &[]),
        (None, None, 2, &headers[..1]),
        (Some(b"\x00\xff"), Some(b"\x00"), 1_436_918_399_999, &[]),
    ];
    let mut writer = log.writer().expect("a writer");
    for (key, value, timestamp, headers) in written {
        writer.send(handle(&log, &topic), OutRecord { partition: 1, timestamp, key, value, headers }).expect("a send");
    }
    commit(&mut *writer);

    let mut reader = Waiting::new(&log, vec![(partition(&topic, 0), Offset(0)), (partition(&topic, 1), Offset(0))]);
    let read = reader.take(written.len());
    for (at, (read, (key, value, timestamp, _))) in read.iter().zip(written).enumerate() {
        assert_eq!((read.source, read.offset), (1, at as i64));
        assert_eq!(read.key.as_deref(), key);
        assert_eq!(read.value.as_deref(), value);
        assert_eq!(read.timestamp, timestamp);
    }
    reader.reader.seek(&[Offset(0), Offset(0)]).expect("a seek");
    let deadline = std::time::Instant::now() + PATIENCE;
    let batch = loop {
        if let Some(arrived) = reader.reader.poll().expect("a poll") {
            break arrived.batch;
        }
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(1));
    };
    for (at, (.., headers)) in written.iter().enumerate() {
        assert_eq!(batch.headers(at), *headers);
        assert_eq!(batch.headers(at), *headers, "a second look");
    }
}

#[test]
fn topics_are_created_described_listed_and_deleted() {
    let Some(log) = shared_log("topics_are_created_described_listed_and_deleted") else { return };
    let topic = new_topic(&log, "topics", 3);
    let described = log.describe_topic(&topic).expect("an answer").expect("the topic");
    assert_eq!((described.partitions, described.replicas), (3, 1));
    assert_eq!(described.config.get("retention.ms").map(String::as_str), Some("-1"));
    assert_eq!(described.config.get("cleanup.policy").map(String::as_str), Some("delete"), "defaults are shown too");
    assert!(log.list_topics().expect("topics").iter().any(|found| found.name == topic && found.partitions == 3));
    assert_eq!(log.topic(&topic).expect("a handle").1, 3);

    let spec = TopicSpec { name: topic.clone(), partitions: 3, replicas: 1, config: BTreeMap::new() };
    assert!(matches!(log.create_topic(&spec), Err(LogError::TopicExists(name)) if name == topic));
    let wrong = TopicSpec { name: format!("{topic}-replicas"), replicas: 7, ..spec.clone() };
    let error = log.create_topic(&wrong).expect_err("seven replicas on one broker").to_string();
    assert!(error.contains("replication factor"), "{error}");
    let wrong = TopicSpec { name: format!("{topic}-config"), config: BTreeMap::from([("no.such".into(), "1".into())]), ..spec.clone() };
    assert!(matches!(log.create_topic(&wrong), Err(LogError::Fatal(_))));

    log.delete_topic(&topic).expect("a deletion");
    assert!(log.describe_topic(&topic).expect("an answer").is_none());
    assert!(matches!(log.delete_topic(&topic), Err(LogError::UnknownTopic(_))));
    assert!(matches!(log.topic(&topic), Err(LogError::UnknownTopic(_))));

    // Made anew with more partitions: handles, writers and readers go on.
    log.create_topic(&TopicSpec { partitions: 5, ..spec }).expect("the same name again");
    fill(&log, &topic, 4, 0, 10);
    assert_eq!(Waiting::new(&log, vec![(partition(&topic, 4), Offset(0))]).take(10).len(), 10);
}

#[test]
fn a_writer_learns_of_a_topic_made_anew() {
    let Some(log) = shared_log("a_writer_learns_of_a_topic_made_anew") else { return };
    let topic = new_topic(&log, "anew", 1);
    let mut writer = log.writer().expect("a writer");
    let first = handle(&log, &topic);
    let record = |partition| OutRecord { partition, timestamp: 1, key: None, value: Some(b"x"), headers: &[] };
    writer.send(first, record(0)).expect("a send");
    commit(&mut *writer);
    let mut reader = Waiting::new(&log, vec![(partition(&topic, 0), Offset(0))]);
    reader.take(1);

    log.delete_topic(&topic).expect("a deletion");
    log.create_topic(&TopicSpec { name: topic.clone(), partitions: 4, replicas: 1, config: BTreeMap::new() }).expect("a topic");
    let again = handle(&log, &topic);
    for at in 0..4 {
        writer.send(again, record(at)).expect("a send to a new partition");
    }
    commit(&mut *writer);
    let ends = log.offsets(&(0..4).map(|at| partition(&topic, at)).collect::<Vec<_>>(), OffsetSpec::Latest).expect("ends");
    assert_eq!(ends, vec![Offset(1); 4]);
}

#[test]
fn offsets_are_found_by_place_and_time() {
    let Some(log) = shared_log("offsets_are_found_by_place_and_time") else { return };
    let topic = new_topic(&log, "offsets", 2);
    fill(&log, &topic, 0, 0, 100);
    let both = [partition(&topic, 0), partition(&topic, 1)];
    let find = |spec| log.offsets(&both, spec).expect("offsets").iter().map(|offset| offset.0).collect::<Vec<_>>();
    assert_eq!(find(OffsetSpec::Earliest), [0, 0]);
    assert_eq!(find(OffsetSpec::Latest), [100, 0]);
    assert_eq!(find(OffsetSpec::AtTimestamp(1_040)), [40, 0]);
    assert_eq!(find(OffsetSpec::AtTimestamp(9_999_999)), [100, 0], "the end where nothing is as late");
    let unknown = log.offsets(&[partition("no-such-topic", 0)], OffsetSpec::Latest);
    assert!(matches!(unknown, Err(LogError::UnknownTopic(_))), "{unknown:?}");
}

#[test]
fn each_group_has_its_own_offsets() {
    let Some(log) = shared_log("each_group_has_its_own_offsets") else { return };
    let topic = new_topic(&log, "groups", 2);
    let both = [partition(&topic, 0), partition(&topic, 1)];
    let (one, two): (Arc<str>, Arc<str>) = (format!("{topic}-one").into(), format!("{topic}-two").into());
    assert_eq!(log.committed(&one, &both).expect("an answer"), [None, None]);
    let mut writer = log.writer().expect("a writer");
    let offsets = |a: i64, b: Option<i64>| {
        let mut all = vec![(both[0].clone(), Offset(a))];
        all.extend(b.map(|b| (both[1].clone(), Offset(b))));
        all
    };
    let commit =
        Commit { offsets: vec![(one.clone(), offsets(3, None)), (two.clone(), offsets(0, Some(7)))], state: StateBatch::default() };
    writer.commit(commit).expect("a commit");
    assert_eq!(log.committed(&one, &both).expect("an answer"), [Some(Offset(3)), None]);
    assert_eq!(log.committed(&two, &both).expect("an answer"), [Some(Offset(0)), Some(Offset(7))]);
    drop((writer, log));
    let Some(log) = shared_log("each_group_has_its_own_offsets") else { return };
    assert_eq!(log.committed(&one, &both).expect("an answer"), [Some(Offset(3)), None], "the broker knows");
    assert_eq!(log.committed(&two, &both).expect("an answer"), [Some(Offset(0)), Some(Offset(7))]);
    log.delete_group(&one).expect("a deletion");
    log.delete_group(&one).expect("nothing to delete");
    assert_eq!(log.committed(&one, &both).expect("an answer"), [None, None]);
    assert_eq!(log.committed(&two, &both).expect("an answer"), [Some(Offset(0)), Some(Offset(7))]);
}

#[test]
fn keys_go_where_java_and_librdkafka_put_them() {
    let Some(log) = shared_log("keys_go_where_java_and_librdkafka_put_them") else { return };
    let Some(bootstrap) = broker::shared("keys_go_where_java_and_librdkafka_put_them") else { return };
    let topic = new_topic(&log, "partitioner", 7);
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("partitioner", "murmur2_random").create().expect("a producer");
    let keys: Vec<String> = (0..500).map(|number| format!("{}{number}", "key".repeat(number % 4))).collect();
    for key in &keys {
        producer.send(BaseRecord::to(&topic).key(key).payload("x")).map_err(|(error, _)| error).expect("a send");
    }
    producer.flush(PATIENCE).expect("a flush");
    let mut reader = Waiting::new(&log, (0..7).map(|at| (partition(&topic, at), Offset(0))).collect());
    for read in reader.take(keys.len()) {
        let mut unused = 0;
        assert_eq!(read.source as i32, partition_for(read.key.as_deref(), 7, &mut unused), "{read:?}");
    }
}

#[test]
fn a_wrong_property_is_named() {
    let state = || Arc::new(|state: StateBatch| state.write());
    for (name, value) in [("no.such.property", "1"), ("producer.linger.ms", "soon"), ("consumer.isolation.level", "none")] {
        let properties = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let bare = name.trim_start_matches("producer.").trim_start_matches("consumer.");
        let error = tidemill_engine::log::kafka::KafkaLog::connect("127.0.0.1:1", &properties, state()).err().expect("refused").to_string();
        assert!(error.contains(bare), "{error}");
    }
}

#[test]
fn what_was_processed_goes() {
    let Some(log) = shared_log("what_was_processed_goes") else { return };
    let topic = new_topic(&log, "processed", 2);
    fill(&log, &topic, 0, 0, 1_000);
    fill(&log, &topic, 1, 0, 10);
    let both = [partition(&topic, 0), partition(&topic, 1)];
    log.delete_before(vec![(both[0].clone(), Offset(10)), (both[1].clone(), Offset(5))]);
    log.delete_before(vec![(both[0].clone(), Offset(700))]);
    let began = Instant::now();
    while log.offsets(&both, OffsetSpec::Earliest).expect("offsets") != [Offset(700), Offset(5)] {
        assert!(began.elapsed() < PATIENCE, "the records remain");
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut reader = Waiting::new(&log, vec![(both[0].clone(), Offset(0))]);
    assert_eq!(reader.take(300).first().map(|read| read.offset), Some(700), "a reader goes on where records are");
}
