//! The load: a client that writes clicks, replies and two tables without a pause, until it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value as Json, json};
use tidemill_engine::clock::{Clock, SystemClock};

use super::model::REPLY_EVERY;

/// Clicks between two pauses, and the pause: some 600 clicks a second.
const BATCH: i64 = 6;
const PAUSE: Duration = Duration::from_millis(10);
/// Keys and groups of the clicks; keys of the tables.
const KEYS: i64 = 20;
const GROUPS: i64 = 13;
const ROWS: i64 = 5;
/// Each so many clicks there is a new version of a row, of either table in turn.
const ROW_EVERY: i64 = 5;
/// How long the last records may take.
const FLUSH: Duration = Duration::from_secs(90);

#[derive(Clone)]
pub struct Topics {
    pub clicks: String,
    pub replies: String,
    pub lefts: String,
    pub rights: String,
}

pub struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicI64>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    pub fn start(bootstrap: &str, topics: &Topics) -> Load {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "2")
            .set("message.timeout.ms", "120000")
            .set("log_level", "0")
            .create()
            .expect("a producer");
        let (stop, written, topics) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)), topics.clone());
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&written));
        let thread = std::thread::spawn(move || write(&producer, &topics, &stopped, &count));
        Load { stop, written, thread: Some(thread) }
    }

    /// Clicks so far.
    pub fn written(&self) -> i64 {
        self.written.load(Ordering::Acquire)
    }

    /// Waits until so many more clicks are written.
    pub fn wait_for(&self, more: i64) {
        let until = self.written() + more;
        while self.written() < until {
            std::thread::sleep(PAUSE);
        }
    }

    /// Ends when everything is at the broker.
    pub fn stop(mut self) -> i64 {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the load was written");
        }
        self.written()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn send(producer: &BaseProducer, topic: &str, key: &str, value: &Json) {
    let text = value.to_string();
    let mut record = BaseRecord::to(topic).key(key).payload(&text).timestamp(SystemClock.now_ms());
    while let Err((error, back)) = producer.send(record) {
        assert!(matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)), "{error}");
        producer.poll(PAUSE);
        record = back;
    }
}

fn write(producer: &BaseProducer, topics: &Topics, stop: &AtomicBool, written: &AtomicI64) {
    let mut id = 0;
    while !stop.load(Ordering::Acquire) {
        for _ in 0..BATCH {
            send(producer, &topics.clicks, &format!("k{}", id % KEYS), &json!({"ID": id, "G": format!("g{}", id * 7 % GROUPS)}));
            if id % REPLY_EVERY == 0 {
                send(producer, &topics.replies, &format!("r{}", id % 3), &json!({"REF": id}));
            }
            if id % ROW_EVERY == 0 {
                let turn = id / ROW_EVERY;
                let (side, row) = (turn % 2, turn / 2);
                let topic = if side == 0 { &topics.lefts } else { &topics.rights };
                send(producer, topic, &format!("t{}", row % ROWS), &json!({"V": row / ROWS + 1}));
            }
            id += 1;
        }
        written.store(id, Ordering::Release);
        producer.poll(Duration::ZERO);
        std::thread::sleep(PAUSE);
    }
    producer.flush(FLUSH).expect("the load arrives");
}
