//! Reads topics as any client does that reads committed records.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde_json::Value as Json;

use super::check::{History, Seen};
use super::model::{Click, Inputs, Sink, step_of};

/// How long one look waits.
const STEP: Duration = Duration::from_millis(100);
/// How long a broker may take to say where a topic ends.
const ASK: Duration = Duration::from_secs(20);

fn consumer(bootstrap: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "chaos-oracle")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("fetch.queue.backoff.ms", "1")
        .set("log_level", "0")
        .create()
        .expect("a consumer")
}

fn assign(consumer: &BaseConsumer, topics: &[(&str, u32)]) {
    let mut list = TopicPartitionList::new();
    for (topic, partitions) in topics {
        for partition in 0..*partitions {
            list.add_partition_offset(topic, partition as i32, Offset::Beginning).expect("a partition");
        }
    }
    consumer.assign(&list).expect("an assignment");
}

fn json(message: &BorrowedMessage<'_>) -> Json {
    serde_json::from_slice(message.payload().expect("a value")).expect("JSON")
}

fn number(value: &Json, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_else(|| panic!("no {name} in {value}"))
}

fn text(value: &Json, name: &str) -> String {
    value[name].as_str().map_or_else(|| value[name].to_string(), str::to_owned)
}

/// Follows the sinks of the queries.
pub struct Sinks {
    consumer: BaseConsumer,
    topics: BTreeMap<String, Sink>,
    pub history: History,
}

impl Sinks {
    pub fn follow(bootstrap: &str, topics: BTreeMap<String, Sink>, partitions: u32) -> Sinks {
        let consumer = consumer(bootstrap);
        assign(&consumer, &topics.keys().map(|topic| (topic.as_str(), partitions)).collect::<Vec<_>>());
        Sinks { consumer, topics, history: History::new() }
    }

    /// Takes what has arrived, waiting for so long; how many records came.
    pub fn take(&mut self, timeout: Duration) -> usize {
        let deadline = Instant::now() + timeout;
        let mut count = 0;
        while Instant::now() < deadline {
            // An error is an outage that was planned.
            let Some(Ok(message)) = self.consumer.poll(STEP) else { continue };
            let sink = self.topics[message.topic()];
            let value = json(&message);
            let step = match sink {
                Sink::Passed => number(&value, "ID"),
                Sink::Counts | Sink::Groups | Sink::Windows => number(&value, "N"),
                Sink::Pairs => number(&value, "OTHER"),
                Sink::Joined => step_of(number(&value, "L"), number(&value, "R")),
            };
            let mut key = text(&value, "WHO");
            if sink == Sink::Windows {
                key = format!("{key}@{}", number(&value, "WS"));
            }
            let taken_ms = message.timestamp().to_millis().unwrap_or_default();
            self.history.entry(sink).or_default().push(Seen { key, step, taken_ms });
            count += 1;
        }
        count
    }
}

/// Reads the input topics as they are now: clicks, replies, lefts, rights.
pub fn inputs(bootstrap: &str, topics: [(&str, u32); 4]) -> Inputs {
    let consumer = consumer(bootstrap);
    assign(&consumer, &topics);
    let mut left: BTreeMap<(String, i32), i64> = BTreeMap::new();
    for (topic, partitions) in topics {
        for partition in 0..partitions as i32 {
            let (_, end) = consumer.fetch_watermarks(topic, partition, ASK).expect("the end of an input");
            if end > 0 {
                left.insert((topic.to_owned(), partition), end);
            }
        }
    }
    // Each partition's records, for a topic's partitions arrive in any order.
    let mut inputs = Inputs::default();
    let began = Instant::now();
    while !left.is_empty() {
        assert!(began.elapsed() < 3 * ASK, "the inputs can't be read: {left:?}");
        let Some(Ok(message)) = consumer.poll(STEP) else { continue };
        let place = (message.topic().to_owned(), message.partition());
        if left.get(&place).is_some_and(|end| message.offset() + 1 >= *end) {
            left.remove(&place);
        }
        let value = json(&message);
        let key = || String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
        let topic = topics.iter().position(|(topic, _)| *topic == message.topic());
        match topic {
            Some(0) => inputs.clicks.push(Click {
                key: key(),
                id: number(&value, "ID"),
                group: text(&value, "G"),
                time_ms: message.timestamp().to_millis().unwrap_or_default(),
            }),
            Some(1) => inputs.replies.push(number(&value, "REF")),
            Some(2) => inputs.lefts.push((key(), number(&value, "V"))),
            _ => inputs.rights.push((key(), number(&value, "V"))),
        }
    }
    inputs
}
