//! One suite of tests for every log: embedded and simulated in unit tests, Apache Kafka in the tests package.
//!
//! [`run`] makes topics and groups whose names begin with a prefix of its caller's choice, so that it can run again on a
//! broker that stays. It panics where the log fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};

use super::*;
use crate::state::StateBatch;

/// How long anything may take to happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// Buffer of readers that don't test back-pressure, bytes.
const BUFFER_BYTES: usize = 1 << 20;
/// Where the suite's times begin, milliseconds: not at 0, which Kafka's client takes for "now".
const BEGIN_MS: i64 = 1_700_000_000_000;

/// Runs the whole suite. `prefix` must be new to the log.
pub fn run(log: &dyn Log, prefix: &str) {
    let suite = Suite { log, prefix };
    suite.topics_are_made_described_and_deleted();
    suite.records_come_back_whole();
    suite.partitions_keep_their_order();
    suite.a_reader_is_waked();
    suite.several_readers_see_everything();
    suite.readers_seek();
    suite.offsets_by_time();
    suite.groups_remember();
    suite.little_memory_is_enough();
    suite.large_records_pass();
}

/// A record as the suite compares it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<Header>,
}

/// Timestamp, key, value and headers of a record.
type Case<'a> = (i64, Option<&'a [u8]>, Option<&'a [u8]>, Vec<Header>);

/// A reader with what wakes it.
struct Reading {
    reader: Box<dyn LogReader>,
    woken: Receiver<()>,
}

impl Reading {
    /// Reads until each partition has brought as many records as asked for; fails where one brings more.
    fn read(&mut self, wanted: &[usize]) -> Vec<Vec<Seen>> {
        let mut seen = vec![Vec::new(); wanted.len()];
        let deadline = Instant::now() + PATIENCE;
        while seen.iter().zip(wanted).any(|(seen, wanted)| seen.len() < *wanted) {
            assert!(Instant::now() < deadline, "records are missing: {:?} of {wanted:?}", seen.iter().map(Vec::len).collect::<Vec<_>>());
            if let Some(arrived) = self.next(deadline) {
                seen[arrived.source].extend(see(&arrived));
            }
        }
        assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), wanted, "records too many");
        seen
    }

    /// The next batch, waited for.
    fn next(&mut self, deadline: Instant) -> Option<ArrivedBatch> {
        match self.reader.poll() {
            Ok(Some(arrived)) => return Some(arrived),
            Ok(None) => {
                let _ = self.woken.recv_deadline(deadline);
            }
            Err(LogError::Retriable(_)) => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("{error}"),
        }
        None
    }

    /// Nothing comes, though it is given the time to.
    fn read_nothing(&mut self) {
        let deadline = Instant::now() + Duration::from_millis(100);
        while Instant::now() < deadline {
            assert!(self.next(deadline).is_none(), "a record too many");
        }
    }
}

fn see(arrived: &ArrivedBatch) -> Vec<Seen> {
    assert!(arrived.first <= arrived.batch.len());
    (arrived.first..arrived.batch.len())
        .map(|index| {
            let record = arrived.batch.record(index);
            Seen {
                offset: record.offset.0,
                timestamp: record.timestamp,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: arrived.batch.headers(index),
            }
        })
        .collect()
}

struct Suite<'a> {
    log: &'a dyn Log,
    prefix: &'a str,
}

impl Suite<'_> {
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn create(&self, name: &str, partitions: u32) -> String {
        let name = self.name(name);
        let config = BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]);
        self.log.create_topic(&TopicSpec { name: name.clone(), partitions, replicas: 1, config }).unwrap();
        self.wait_for(|| self.log.topic(&name).is_ok_and(|(_, count)| count == partitions));
        name
    }

    fn wait_for(&self, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "waited in vain");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn partition(&self, topic: &str, partition: PartitionId) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }

    fn partitions(&self, topic: &str) -> Vec<TopicPartition> {
        let (_, count) = self.log.topic(topic).unwrap();
        (0..count).map(|index| self.partition(topic, PartitionId::try_from(index).unwrap())).collect()
    }

    fn read_from(&self, partitions: Vec<(TopicPartition, Offset)>, max_buffered_bytes: usize) -> Reading {
        let (wake, woken) = bounded(1);
        let wake = Arc::new(move || {
            let _ = wake.try_send(());
        });
        let reader = self.log.subscribe(Subscription { partitions, wake, max_buffered_bytes }).unwrap();
        Reading { reader, woken }
    }

    /// A reader of all partitions from their beginning.
    fn read(&self, topic: &str) -> Reading {
        self.read_from(self.partitions(topic).into_iter().map(|partition| (partition, Offset(0))).collect(), BUFFER_BYTES)
    }

    /// Writes numbered records, one commit.
    fn write(&self, topic: &str, partition: PartitionId, numbers: std::ops::Range<i64>) {
        let mut writer = self.log.writer().unwrap();
        let (handle, _) = self.log.topic(topic).unwrap();
        for number in numbers {
            let value = number.to_string();
            let record = OutRecord { partition, timestamp: BEGIN_MS + number, key: None, value: Some(value.as_bytes()), headers: &[] };
            writer.send(handle, record).unwrap();
        }
        commit(&mut *writer, Vec::new());
    }

    fn topics_are_made_described_and_deleted(&self) {
        let log = self.log;
        let name = self.name("made");
        assert!(log.describe_topic(&name).unwrap().is_none());
        assert!(matches!(log.topic(&name), Err(LogError::UnknownTopic(_))));
        let config =
            BTreeMap::from([("retention.ms".to_owned(), "1234567".to_owned()), ("cleanup.policy".to_owned(), "compact".to_owned())]);
        let spec = TopicSpec { name: name.clone(), partitions: 3, replicas: 1, config };
        log.create_topic(&spec).unwrap();
        self.wait_for(|| log.describe_topic(&name).unwrap().is_some());
        let info = log.describe_topic(&name).unwrap().unwrap();
        assert_eq!((info.name.as_str(), info.partitions, info.replicas), (name.as_str(), 3, 1));
        assert_eq!(info.config.get("retention.ms").map(String::as_str), Some("1234567"));
        assert_eq!(info.config.get("cleanup.policy").map(String::as_str), Some("compact"));
        assert_eq!(log.topic(&name).unwrap().1, 3);
        assert!(matches!(log.create_topic(&spec), Err(LogError::TopicExists(_))));
        let listed = log.list_topics().unwrap();
        assert!(listed.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(listed.iter().filter(|info| info.name == name).map(|info| info.partitions).collect::<Vec<_>>(), [3]);
        let none = TopicSpec { name: self.name("none"), partitions: 0, ..spec.clone() };
        assert!(log.create_topic(&none).is_err(), "a topic without partitions");
        let first = log.identify(&[&name]).unwrap()[0].expect("it is there");
        assert_eq!(log.identify(&[&name]).unwrap(), [Some(first)]);
        log.delete_topic(&name).unwrap();
        self.wait_for(|| log.describe_topic(&name).unwrap().is_none());
        assert!(log.list_topics().unwrap().iter().all(|info| info.name != name));
        assert!(matches!(log.delete_topic(&name), Err(LogError::UnknownTopic(_))));
        // Another of the same name is told from it. Asking makes none.
        assert_eq!(log.identify(&[&name, &name]).unwrap(), [None, None]);
        log.ping(PATIENCE).unwrap();
        self.wait_for(|| log.describe_topic(&name).unwrap().is_none());
        log.create_topic(&TopicSpec { partitions: 2, ..spec }).unwrap();
        let other = log.identify(&[&name, "no-such-topic", &name]).unwrap();
        assert_eq!((other[0].map(|topic| topic.partitions), other[1], other[2]), (Some(2), None, other[0]));
        assert!(first.id.is_some() && other[0].is_some_and(|other| other.id != first.id && !first.may_be(&other)), "{first} {other:?}");
        log.ping(PATIENCE).unwrap();
        assert!(!log.cluster_id().is_empty() && !log.kind().is_empty());
    }

    fn records_come_back_whole(&self) {
        let topic = self.create("whole", 1);
        let header = |key: &str, value: Option<&[u8]>| Header { key: key.into(), value: value.map(<[u8]>::to_vec) };
        let headers = vec![header("a", Some(b"1")), header("b", None), header("a", Some(b"")), header("", Some(b"\0\xff"))];
        let cases: Vec<Case<'_>> = vec![
            (1_700_000_000_000, Some(b"key"), Some(b"value"), headers),
            (7, None, Some(b"no key"), vec![]),
            (5, Some(b"tombstone"), None, vec![header("h", Some(b"x"))]),
            (4, Some(b""), Some(b""), vec![]),
            (1, None, None, vec![]),
            (i64::from(u32::MAX), Some(b"\0\x01"), Some(&[0xff; 300]), vec![]),
        ];
        let mut writer = self.log.writer().unwrap();
        let (handle, _) = self.log.topic(&topic).unwrap();
        for (timestamp, key, value, headers) in &cases {
            writer.send(handle, OutRecord { partition: 0, timestamp: *timestamp, key: *key, value: *value, headers }).unwrap();
        }
        let mut reading = self.read(&topic);
        if self.log.is_atomic() {
            reading.read_nothing();
        }
        commit(&mut *writer, Vec::new());
        let seen = reading.read(&[cases.len()]);
        for (index, (seen, (timestamp, key, value, headers))) in seen[0].iter().zip(&cases).enumerate() {
            let owned = |bytes: &Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            let (key, value, headers) = (owned(key), owned(value), headers.clone());
            assert_eq!(*seen, Seen { offset: i64::try_from(index).unwrap(), timestamp: *timestamp, key, value, headers });
        }
    }

    fn partitions_keep_their_order(&self) {
        const RECORDS: usize = 30_000;
        let topic = self.create("order", 3);
        let (handle, partitions) = self.log.topic(&topic).unwrap();
        let mut expected = vec![Vec::new(); 3];
        let mut writers = [self.log.writer().unwrap(), self.log.writer().unwrap()];
        let mut counter = 0;
        for number in 0..RECORDS {
            let key = (number % 100).to_string();
            let partition = partition_for(Some(key.as_bytes()), partitions, &mut counter);
            let value = number.to_string();
            // Each key has its writer, so that the order within a key is told.
            let writer = &mut writers[number % 2];
            let record = OutRecord { partition, timestamp: 7, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
            writer.send(handle, record).unwrap();
            expected[usize::try_from(partition).unwrap()].push((key, number));
            if number % 1000 < 2 {
                commit(&mut **writer, Vec::new());
            }
        }
        for writer in &mut writers {
            commit(&mut **writer, Vec::new());
        }
        let wanted: Vec<usize> = expected.iter().map(Vec::len).collect();
        assert!(wanted.iter().all(|count| *count > 0));
        let seen = self.read(&topic).read(&wanted);
        for (seen, expected) in seen.iter().zip(&expected) {
            assert!(seen.is_sorted_by(|a, b| a.offset < b.offset), "offsets out of order");
            let by_key = |pairs: Vec<(String, usize)>| {
                let mut keys: BTreeMap<String, Vec<usize>> = BTreeMap::new();
                pairs.into_iter().for_each(|(key, number)| keys.entry(key).or_default().push(number));
                keys
            };
            let text = |bytes: &Option<Vec<u8>>| String::from_utf8(bytes.clone().unwrap()).unwrap();
            let seen = seen.iter().map(|seen| (text(&seen.key), text(&seen.value).parse().unwrap())).collect();
            assert_eq!(by_key(seen), by_key(expected.clone()));
        }
    }

    fn a_reader_is_waked(&self) {
        let topic = self.create("wake", 2);
        let mut reading = self.read(&topic);
        for round in 0..20 {
            assert!(!matches!(reading.reader.poll(), Ok(Some(_))), "a record too many");
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    if round % 3 > 0 {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    self.write(&topic, round % 2, i64::from(round)..i64::from(round) + 1);
                });
                let wanted = [usize::from(round % 2 == 0), usize::from(round % 2 == 1)];
                let seen = reading.read(&wanted).concat();
                assert_eq!(seen[0].timestamp, BEGIN_MS + i64::from(round));
            });
        }
        self.wait_for(|| {
            let _ = reading.reader.poll();
            reading.reader.caught_up(0) && reading.reader.caught_up(1)
        });
    }

    fn several_readers_see_everything(&self) {
        let topic = self.create("several", 2);
        for round in 0..10 {
            self.write(&topic, 0, round * 100..round * 100 + 100);
            self.write(&topic, 1, round * 10..round * 10 + 10);
        }
        let mut readings: Vec<Reading> = (0..3).map(|_| self.read(&topic)).collect();
        let all: Vec<_> = readings.iter_mut().map(|reading| reading.read(&[1000, 100])).collect();
        assert!(all.iter().all(|seen| *seen == all[0]));
        self.write(&topic, 0, 0..1);
        for reading in &mut readings {
            assert_eq!(reading.read(&[1, 0])[0][0].offset, 1000);
        }
    }

    fn readers_seek(&self) {
        let topic = self.create("seek", 2);
        for round in 0..5 {
            self.write(&topic, 0, round * 100..round * 100 + 100);
            self.write(&topic, 1, round * 100..round * 100 + 100);
        }
        let mut reading =
            self.read_from(vec![(self.partition(&topic, 0), Offset(250)), (self.partition(&topic, 1), Offset(499))], BUFFER_BYTES);
        let seen = reading.read(&[250, 1]);
        assert_eq!((seen[0][0].timestamp, seen[1][0].timestamp), (BEGIN_MS + 250, BEGIN_MS + 499));
        reading.reader.seek(&[Offset(0), Offset(480)]).unwrap();
        let seen = reading.read(&[500, 20]);
        assert_eq!((seen[0][0].timestamp, seen[1][0].timestamp), (BEGIN_MS, BEGIN_MS + 480));
        reading.reader.seek(&[Offset(500), Offset(500)]).unwrap();
        reading.read_nothing();
        self.write(&topic, 1, 500..501);
        assert_eq!(reading.read(&[0, 1])[1][0].timestamp, BEGIN_MS + 500);
        assert!(reading.reader.seek(&[Offset(0)]).is_err(), "one offset for two partitions");
    }

    fn offsets_by_time(&self) {
        let topic = self.create("time", 2);
        let mut writer = self.log.writer().unwrap();
        let (handle, _) = self.log.topic(&topic).unwrap();
        for timestamp in [10, 30, 20, 50] {
            writer.send(handle, OutRecord { partition: 0, timestamp, key: None, value: Some(b"x"), headers: &[] }).unwrap();
        }
        commit(&mut *writer, Vec::new());
        let partitions = self.partitions(&topic);
        let cases = [
            (OffsetSpec::Earliest, [0, 0]),
            (OffsetSpec::Latest, [4, 0]),
            (OffsetSpec::AtTimestamp(0), [0, 0]),
            (OffsetSpec::AtTimestamp(10), [0, 0]),
            (OffsetSpec::AtTimestamp(11), [1, 0]),
            (OffsetSpec::AtTimestamp(31), [3, 0]),
            (OffsetSpec::AtTimestamp(51), [4, 0]),
        ];
        for (spec, expected) in cases {
            self.wait_for(|| self.log.offsets(&partitions, OffsetSpec::Latest).unwrap()[0] == Offset(4));
            assert_eq!(self.log.offsets(&partitions, spec).unwrap(), expected.map(Offset), "{spec:?}");
        }
        assert!(self.log.offsets(&[self.partition(&self.name("nowhere"), 0)], OffsetSpec::Latest).is_err());
    }

    fn groups_remember(&self) {
        let topic = self.create("groups", 2);
        let (group, other) = (self.name("group"), self.name("other"));
        let partitions = self.partitions(&topic);
        assert_eq!(self.log.committed(&group, &partitions).unwrap(), [None, None]);
        let mut writer = self.log.writer().unwrap();
        for offset in [3, 7] {
            commit(&mut *writer, vec![(group.as_str().into(), vec![(partitions[1].clone(), Offset(offset))])]);
            assert_eq!(self.log.committed(&group, &partitions).unwrap(), [None, Some(Offset(offset))]);
        }
        commit(
            &mut *writer,
            vec![
                (group.as_str().into(), vec![(partitions[0].clone(), Offset(1))]),
                (other.as_str().into(), vec![(partitions[0].clone(), Offset(2))]),
            ],
        );
        assert_eq!(self.log.committed(&group, &partitions).unwrap(), [Some(Offset(1)), Some(Offset(7))]);
        assert_eq!(self.log.committed(&other, &partitions).unwrap(), [Some(Offset(2)), None]);
        self.log.delete_group(&group).unwrap();
        self.wait_for(|| self.log.committed(&group, &partitions).unwrap() == [None, None]);
        assert_eq!(self.log.committed(&other, &partitions).unwrap(), [Some(Offset(2)), None]);
    }

    /// A reader that does not poll, beside one of the same partitions that reads all: what is kept for the slow one stays
    /// within its limit, and it misses nothing afterwards.
    fn little_memory_is_enough(&self) {
        const RECORDS: usize = 2000;
        const RECORD_BYTES: usize = 1000;
        const LIMIT_BYTES: usize = 20_000;
        let topic = self.create("pressure", 2);
        let (handle, _) = self.log.topic(&topic).unwrap();
        let mut writer = self.log.writer().unwrap();
        for number in 0..2 * RECORDS {
            let partition = PartitionId::try_from(number % 2).unwrap();
            let record = OutRecord { partition, timestamp: BEGIN_MS, key: None, value: Some(&[b'x'; RECORD_BYTES]), headers: &[] };
            writer.send(handle, record).unwrap();
        }
        commit(&mut *writer, Vec::new());
        let from_start = || self.partitions(&topic).into_iter().map(|partition| (partition, Offset(0))).collect();
        let mut slow = self.read_from(from_start(), LIMIT_BYTES);
        let mut quick = self.read_from(from_start(), LIMIT_BYTES);
        let (mut batches, mut read, mut largest) = (Vec::new(), 0, 0);
        let deadline = Instant::now() + PATIENCE;
        while read < 2 * RECORDS {
            assert!(Instant::now() < deadline, "{read} records of {}", 2 * RECORDS);
            if let Some(arrived) = quick.next(deadline) {
                read += arrived.batch.len() - arrived.first;
                largest = largest.max(arrived.batch.len() * RECORD_BYTES);
                batches.push(Arc::downgrade(&arrived.batch));
            }
        }
        drop(quick);
        let kept = || -> usize { batches.iter().filter_map(Weak::upgrade).map(|batch| batch.len() * RECORD_BYTES).sum() };
        let with_slow = kept();
        let seen = slow.read(&[RECORDS, RECORDS]);
        drop(slow);
        // What a log remembers for whoever comes next is not kept for this reader.
        let for_slow = with_slow.saturating_sub(kept());
        // For each partition the limit, and the batch that went beyond it.
        assert!(for_slow <= 2 * (LIMIT_BYTES + largest), "{for_slow} bytes are kept for a reader that does not poll");
        assert!(seen.iter().all(|seen| seen.iter().enumerate().all(|(index, seen)| usize::try_from(seen.offset) == Ok(index))));
    }

    fn large_records_pass(&self) {
        let topic = self.create("large", 1);
        let (handle, _) = self.log.topic(&topic).unwrap();
        let mut writer = self.log.writer().unwrap();
        let sizes = [10, 900_000, 1, 500_000];
        for size in sizes {
            let value = vec![b'x'; size];
            writer.send(handle, OutRecord { partition: 0, timestamp: 0, key: None, value: Some(&value), headers: &[] }).unwrap();
        }
        commit(&mut *writer, Vec::new());
        let seen = self.read(&topic).read(&[sizes.len()]).concat();
        assert_eq!(seen.iter().map(|seen| seen.value.as_ref().map_or(0, Vec::len)).collect::<Vec<_>>(), sizes);
    }
}

fn commit(writer: &mut dyn LogWriter, offsets: Vec<(Arc<str>, GroupOffsets)>) {
    writer.commit(Commit { offsets, state: StateBatch::default() }).unwrap();
}
