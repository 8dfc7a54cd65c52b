//! The order in which the records of several partitions are taken, over random batches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::input::{Input, Next};
use crate::clock::ManualClock;
use crate::log::simulated::SimulatedLog;
use crate::log::{Commit, Log, Offset, OutRecord, RecordRef, Subscription, TopicPartition, TopicSpec};
use crate::operators::{NotYet, RecordClock};
use crate::state::StateBatch;

const LANES: usize = 3;

/// Finds a record's time in its value, and counts how often it is asked.
struct ValueClock(Arc<AtomicUsize>);

impl RecordClock for ValueClock {
    fn time(&mut self, record: RecordRef<'_>) -> Result<i64, NotYet> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let text = record.value.map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
        Ok(text.parse().unwrap_or(i64::MIN))
    }
}

#[test]
fn records_come_in_the_order_of_their_event_times() {
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let log = SimulatedLog::default();
        let mut partitions = Vec::new();
        let mut times: Vec<VecDeque<i64>> = Vec::new();
        for lane in 0..LANES {
            let name = format!("t{lane}");
            log.create_topic(&TopicSpec { name: name.clone(), partitions: 1, replicas: 1, config: BTreeMap::new() }).unwrap();
            let (topic, _) = log.topic(&name).unwrap();
            let mut writer = log.writer().unwrap();
            let mut own = VecDeque::new();
            for offset in 0..random.random_range(0..80) {
                let time = offset + random.random_range(-5..20i64);
                // The first lane's times are its records' own; the others' records say something else.
                let (timestamp, value) = if lane == 0 { (time, "x".to_owned()) } else { (1_000 - time, time.to_string()) };
                let record = OutRecord { partition: 0, timestamp, key: None, value: Some(value.as_bytes()), headers: &[] };
                writer.send(topic, record).unwrap();
                own.push_back(time);
                if random.random_range(0..10) == 0 {
                    writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).unwrap();
                }
            }
            writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).unwrap();
            times.push(own);
            partitions.push((TopicPartition { topic: name.as_str().into(), partition: 0 }, Offset(0)));
        }
        let asked: Vec<Arc<AtomicUsize>> = (0..LANES).map(|_| Arc::default()).collect();
        let begin = asked.iter().enumerate().map(|(lane, asked)| {
            let clock = || Box::new(ValueClock(asked.clone())) as Box<dyn RecordClock>;
            (Offset(0), (lane > 0).then(clock))
        });
        let reader = log.subscribe(Subscription { partitions, wake: Arc::new(|| {}), max_buffered_bytes: usize::MAX }).unwrap();
        let mut input = Input::new(reader, begin.collect(), Duration::ZERO, Arc::new(ManualClock::default()));
        input.fill().unwrap();
        let records: Vec<usize> = times.iter().map(VecDeque::len).collect();
        while let Next::Lane(lane) = input.next() {
            for _ in 0..input.run_length(lane, random.random_range(1..6)) {
                let time = times[lane].pop_front().unwrap();
                // None of the others has an older record; of the same time the first lane has the first.
                let others = times.iter().enumerate().filter_map(|(other, times)| Some((*times.front()?, other)));
                assert!(others.filter(|(_, other)| *other != lane).all(|other| (time, lane) < other), "seed {seed}");
                input.advance(lane, 1);
            }
            input.fill().unwrap();
        }
        assert!(times.iter().all(VecDeque::is_empty), "seed {seed}: {times:?}");
        for (asked, records) in asked.iter().zip(records).skip(1) {
            assert!(asked.load(Ordering::Relaxed) <= records, "a record is asked for its time once");
        }
    }
}
