//! Over a cluster that librdkafka simulates: readers that come, go, seek and are slow, all at once.

use std::collections::BTreeMap;

use parking_lot::Condvar;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::super::bare::BareProducer;
use super::super::health::Health;
use super::super::hub::Hub;
use super::super::properties::ClientProperties;
use super::*;

const TOPIC: &str = "t";
const RECORDS: i64 = 3_000;
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

struct Cluster {
    _mock: MockCluster<'static, DefaultProducerContext>,
    bootstrap: String,
    hub: Arc<Hub>,
}

impl Cluster {
    fn new() -> Cluster {
        let mock = MockCluster::new(1).expect("a simulated cluster");
        mock.create_topic(TOPIC, 1, 1).expect("a topic");
        let bootstrap = mock.bootstrap_servers();
        let properties = ClientProperties::new(&bootstrap, &BTreeMap::new()).expect("properties");
        let hub = Hub::new(properties, Health::new(&bootstrap)).expect("a hub");
        Cluster { _mock: mock, bootstrap, hub }
    }

    /// Records numbered from 0, in as many batches as flushes.
    fn fill(&self, from: i64, to: i64) {
        let producer = BareProducer::new(&self.bootstrap, &BTreeMap::new(), TOPIC).expect("a producer");
        for number in from..to {
            producer.send(0, None, Some(number.to_string().as_bytes())).expect("a send");
        }
        producer.flush(PATIENCE).expect("delivered");
    }
}

#[derive(Default)]
struct Bell(Mutex<bool>, Condvar);

/// A reader that sleeps until it is woken.
struct Reading {
    hub: Arc<Hub>,
    partition: Arc<SharedPartition>,
    member: MemberId,
    bell: Arc<Bell>,
    next: i64,
}

impl Reading {
    fn new(hub: &Arc<Hub>, from: i64, max_bytes: usize) -> Reading {
        let bell = Arc::new(Bell::default());
        let rung = Arc::clone(&bell);
        let wake = Arc::new(move || {
            *rung.0.lock() = true;
            rung.1.notify_all();
        });
        let (partition, member) = hub.join(&name(), from, None, max_bytes, wake).expect("a subscription");
        Reading { hub: Arc::clone(hub), partition, member, bell, next: from }
    }

    /// Takes a batch and checks that it goes on where the last one ended.
    fn take(&mut self) -> bool {
        let Some((batch, first)) = self.partition.poll(self.member).expect("no failure") else { return false };
        for index in first..batch.len() {
            let record = batch.record(index);
            assert_eq!(record.offset.0, self.next, "in order, none twice");
            assert_eq!(record.value, Some(self.next.to_string().as_bytes()));
            self.next += 1;
        }
        true
    }

    fn read_to(&mut self, end: i64) {
        let deadline = Instant::now() + PATIENCE;
        while self.next < end {
            if self.take() {
                continue;
            }
            let mut rung = self.bell.0.lock();
            while !*rung {
                assert!(!self.bell.1.wait_until(&mut rung, deadline).timed_out(), "nothing comes after {} of {end}", self.next);
            }
            *rung = false;
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.hub.leave(&name(), &self.partition, self.member);
    }
}

fn name() -> TopicPartition {
    TopicPartition { topic: TOPIC.into(), partition: 0 }
}

#[test]
fn readers_that_come_and_go_get_their_own() {
    let cluster = Cluster::new();
    cluster.fill(0, RECORDS);
    std::thread::scope(|scope| {
        for seed in 0..6 {
            let hub = &cluster.hub;
            scope.spawn(move || {
                let mut random = StdRng::seed_from_u64(seed);
                for _ in 0..12 {
                    let from = random.random_range(0..RECORDS);
                    // Some have room for next to nothing, so that they fall behind the others.
                    let mut reading = Reading::new(hub, from, if random.random_bool(0.5) { 1 } else { 1 << 20 });
                    for _ in 0..random.random_range(0..3) {
                        let until = random.random_range(reading.next..=RECORDS);
                        reading.read_to(until);
                        let back = random.random_range(0..=reading.next);
                        reading.partition.seek(reading.member, back).expect("a seek");
                        reading.next = back;
                    }
                    reading.read_to(RECORDS);
                }
            });
        }
    });
    // Nothing is left of it: whoever comes next begins anew.
    Reading::new(&cluster.hub, 5, 1 << 20).read_to(RECORDS);
}

#[test]
fn small_batches_that_wait_keep_no_response() {
    let cluster = Cluster::new();
    let (mut quick, mut slow) = (Reading::new(&cluster.hub, 0, 1 << 20), Reading::new(&cluster.hub, 0, 1 << 20));
    for batch in 0..3 {
        cluster.fill(10 * batch, 10 * (batch + 1));
        quick.read_to(10 * (batch + 1));
    }
    {
        let mut state = slow.partition.state.lock();
        let waiting = &state.member(slow.member).expect("a member").waiting;
        assert!(waiting.len() >= 3, "{} batches wait", waiting.len());
        let borrowed = waiting.iter().filter(|waiting| matches!(waiting.batch, Fetched::Borrowed(_))).count();
        assert_eq!(borrowed, 1, "but for the last one they are copies");
    }
    slow.read_to(30);
}

#[test]
fn a_topic_is_gone_when_it_is_missing_for_long() {
    let began = Instant::now();
    let at = |seconds| began + Duration::from_secs(seconds);
    let mut missing = Missing::default();
    let believed: Vec<u64> = (0..=12).filter(|second| missing.is_believed(at(*second))).collect();
    assert_eq!(believed, [10, 11, 12]);
    // It was there meanwhile, or nobody answered.
    assert!(!missing.is_believed(at(20)));
    assert!(!missing.is_believed(at(24)));
}
