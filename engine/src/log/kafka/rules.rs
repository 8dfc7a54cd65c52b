//! What a topic demands of each record: its largest size, a key where it is compacted, a time near the clock.
//!
//! A broker judges whole batches: one record that it refuses takes hundreds of good ones with it, and the answer does not say
//! which it was. So once a topic has refused a batch its demands are looked up, and from then on each record is judged
//! before it is sent, and named if it does not do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::errors::Failure;
use super::ffi::{Client, admin};
use super::topics::request_timeout;
use crate::log::OutRecord;

/// For how long what was looked up is good enough to refuse a record.
const MAX_AGE: Duration = Duration::from_secs(10);
/// For how long a topic is not asked again whose configuration the user may not read.
const DENIED_FOR: Duration = Duration::from_secs(60);
/// Bytes of a batch besides its records.
const BATCH_OVERHEAD_BYTES: usize = 61;
/// Bytes of a lone record for its attributes, and for its differences of time and offset to its batch.
const RECORD_FIXED_BYTES: usize = 3;

/// Failures that are one record's, not its topic's or the connection's.
pub(super) fn is_about_a_record(failure: &Failure) -> bool {
    [
        Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        Code::RD_KAFKA_RESP_ERR_INVALID_RECORD,
        Code::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
        Code::RD_KAFKA_RESP_ERR_INVALID_MSG,
    ]
    .iter()
    .any(|code| failure.is(*code))
}

/// What has been learnt of the topics of a log, for all its writers.
pub(super) struct Rules {
    by_topic: RwLock<HashMap<Arc<str>, Arc<TopicRules>>>,
    /// Topics that did not say what they demand when they were asked last.
    silent: Mutex<HashMap<Arc<str>, Silence>>,
    batch_bytes: AtomicUsize,
}

/// Why and since when a topic's demands are not known.
struct Silence {
    /// When it may be asked again.
    until: Instant,
    /// Of the failure.
    code: i32,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { by_topic: RwLock::default(), silent: Mutex::default(), batch_bytes: AtomicUsize::new(usize::MAX) }
    }
}

impl Rules {
    /// What was learnt of a topic before.
    pub(super) fn of(&self, topic: &str) -> Option<Arc<TopicRules>> {
        self.by_topic.read().get(topic).cloned()
    }

    /// A topic's demands as they are or were a moment ago; `None` where it can't be asked for them. One that has not answered is left
    /// alone for a while.
    pub(super) fn recent(&self, client: &Arc<Client>, topic: &str) -> Option<Arc<TopicRules>> {
        self.recent_by(topic, Instant::now(), || admin::topic_config(client, topic, request_timeout()))
    }

    fn recent_by(
        &self,
        topic: &str,
        now: Instant,
        ask: impl FnOnce() -> Result<BTreeMap<String, String>, Failure>,
    ) -> Option<Arc<TopicRules>> {
        if let Some(known) = self.of(topic).filter(|rules| !rules.are_old(now)) {
            return Some(known);
        }
        if self.silent.lock().get(topic).is_some_and(|silence| now < silence.until) {
            return None;
        }
        self.learn_by(topic, now, ask)
    }

    /// Looks a topic's demands up; `None` where it can't be asked for them, which is said once.
    pub(super) fn learn(&self, client: &Arc<Client>, topic: &str) -> Option<Arc<TopicRules>> {
        self.learn_by(topic, Instant::now(), || admin::topic_config(client, topic, request_timeout()))
    }

    fn learn_by(
        &self,
        topic: &str,
        now: Instant,
        ask: impl FnOnce() -> Result<BTreeMap<String, String>, Failure>,
    ) -> Option<Arc<TopicRules>> {
        match ask() {
            Ok(config) => {
                let rules = Arc::new(TopicRules::new(&config, now));
                self.by_topic.write().insert(topic.into(), Arc::clone(&rules));
                self.silent.lock().remove(topic);
                Some(rules)
            }
            Err(failure) => {
                if self.note_silence(topic, &failure, now) {
                    let reason = failure.in_words();
                    tracing::warn!(target: "kafka", topic, reason, "the topic's configuration can't be read: rows for it are sent one by one");
                }
                None
            }
        }
    }

    /// A topic has not said what it demands; whether that is news.
    fn note_silence(&self, topic: &str, failure: &Failure, now: Instant) -> bool {
        let until = now + if failure.is_retriable() { MAX_AGE } else { DENIED_FOR };
        let silence = Silence { until, code: failure.code };
        self.silent.lock().insert(topic.into(), silence).is_none_or(|before| before.code != failure.code)
    }

    /// Bytes of a batch at most, for producers that are made from now on: a batch must not be larger than the smallest limit
    /// of a topic that refused one. `usize::MAX`: as the configuration has it.
    pub(super) fn batch_bytes(&self) -> usize {
        self.batch_bytes.load(Ordering::Acquire)
    }

    /// Batches must not be larger than this.
    pub(super) fn limit_batches(&self, bytes: usize) {
        self.batch_bytes.fetch_min(bytes, Ordering::AcqRel);
    }
}

/// The demands of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicRules {
    learnt: Instant,
    /// `max.message.bytes`.
    pub(super) max_bytes: usize,
    /// Compacted topics take no record without a key.
    needs_key: bool,
    /// `message.timestamp.before.max.ms` and `.after.max.ms`: how far from the clock a record's time may be. None where the
    /// broker sets the time itself.
    before_max_ms: Option<i64>,
    after_max_ms: Option<i64>,
}

impl TopicRules {
    /// From a topic's configuration as the broker gives it.
    pub(super) fn new(config: &BTreeMap<String, String>, learnt: Instant) -> TopicRules {
        let number = |name: &str| config.get(name).and_then(|value| value.parse::<i64>().ok());
        let stamps_itself = config.get("message.timestamp.type").is_some_and(|kind| kind == "LogAppendTime");
        let distance = |name: &str| number(name).or_else(|| number("message.timestamp.difference.max.ms")).filter(|_| !stamps_itself);
        TopicRules {
            learnt,
            max_bytes: number("max.message.bytes").and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX),
            needs_key: config.get("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
            before_max_ms: distance("message.timestamp.before.max.ms"),
            after_max_ms: distance("message.timestamp.after.max.ms"),
        }
    }

    /// Whether others demand the same.
    pub(super) fn demands_as(&self, other: &TopicRules) -> bool {
        *self == TopicRules { learnt: self.learnt, ..other.clone() }
    }

    /// Whether they should be looked up again before a record is refused for them.
    pub(super) fn are_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.learnt) > MAX_AGE
    }

    /// How many of the records, from the first on, go together: a batch of them is no larger than the topic takes.
    pub(super) fn together(&self, records: &[OutRecord<'_>]) -> usize {
        let sizes = records.iter().map(batch_bytes).scan(0_usize, |all, bytes| {
            *all = all.saturating_add(bytes);
            Some(*all)
        });
        sizes.take_while(|all| *all <= self.max_bytes).count().max(1).min(records.len())
    }

    /// Why the topic would refuse the record, if it would. `sends_as_is`: the client does not compress, so that the sizes here
    /// are those that the broker sees.
    pub(super) fn refuses(&self, topic: &str, record: &OutRecord<'_>, now_ms: i64, sends_as_is: bool) -> Option<String> {
        let bytes = batch_bytes(record);
        if sends_as_is && bytes > self.max_bytes {
            let limit = self.max_bytes;
            return Some(format!(
                "a record of {bytes} bytes for partition {} is larger than the topic takes: max.message.bytes of topic '{topic}' is {limit}",
                record.partition
            ));
        }
        if self.needs_key && record.key.is_none() {
            return Some(format!("topic '{topic}' is compacted and takes no record without a key"));
        }
        let (early, late) = (now_ms.saturating_sub(record.timestamp), record.timestamp.saturating_sub(now_ms));
        for (is_off, name, limit) in [
            (self.before_max_ms.is_some_and(|max| early > max), "message.timestamp.before.max.ms", self.before_max_ms),
            (self.after_max_ms.is_some_and(|max| late > max), "message.timestamp.after.max.ms", self.after_max_ms),
        ] {
            if is_off {
                let (time, limit) = (record.timestamp, limit.unwrap_or_default());
                return Some(format!("a record with the time {time} is too far from now: {name} of topic '{topic}' is {limit}"));
            }
        }
        None
    }
}

/// The size of the batch that a record makes alone, in the message format of Kafka since 0.11.
fn batch_bytes(record: &OutRecord<'_>) -> usize {
    let field = |bytes: Option<&[u8]>| bytes.map_or(1, |bytes| varint_bytes(bytes.len()) + bytes.len());
    let headers: usize = record.headers.iter().map(|h| field(Some(h.key.as_bytes())) + field(h.value.as_deref())).sum();
    let body = RECORD_FIXED_BYTES + field(record.key) + field(record.value) + varint_bytes(record.headers.len()) + headers;
    BATCH_OVERHEAD_BYTES + varint_bytes(body) + body
}

/// Bytes of a length as a zigzag varint.
fn varint_bytes(length: usize) -> usize {
    let bits = usize::BITS - (length.saturating_mul(2) | 1).leading_zeros();
    usize::try_from(bits.div_ceil(7)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Header;

    fn rules(pairs: &[(&str, &str)]) -> TopicRules {
        let config = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        TopicRules::new(&config, Instant::now())
    }

    fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>, timestamp: i64) -> OutRecord<'a> {
        OutRecord { partition: 3, timestamp, key, value, headers: &[] }
    }

    #[test]
    fn sizes_are_those_of_the_wire() {
        // A batch of one record without anything: 61 bytes, its length, attributes, two differences, no key, no value, no headers.
        assert_eq!(batch_bytes(&record(None, None, 0)), 61 + 1 + 3 + 1 + 1 + 1);
        assert_eq!(batch_bytes(&record(Some(b"k"), Some(&[0; 63]), 0)), 61 + 2 + 3 + 2 + 64 + 1);
        assert_eq!(batch_bytes(&record(Some(b"k"), Some(&[0; 64]), 0)), 61 + 2 + 3 + 2 + 66 + 1);
        let headers = [Header { key: "h".into(), value: None }];
        assert_eq!(batch_bytes(&OutRecord { headers: &headers, ..record(None, None, 0) }), 61 + 1 + 3 + 1 + 1 + 1 + 3);
    }

    #[test]
    fn a_record_is_refused_for_what_the_topic_demands() {
        let value = vec![0; 1_000];
        let large = record(Some(b"k"), Some(&value), 0);
        let said = rules(&[("max.message.bytes", "1000")]).refuses("t", &large, 0, true).expect("it is too large");
        assert!(said.contains("of 1071 bytes for partition 3") && said.contains("max.message.bytes of topic 't' is 1000"), "{said}");
        assert_eq!(rules(&[("max.message.bytes", "1071")]).refuses("t", &large, 0, true), None);
        assert_eq!(rules(&[("max.message.bytes", "1000")]).refuses("t", &large, 0, false), None, "it may be small once it is compressed");
        let bare = record(None, Some(b"v"), 0);
        assert!(rules(&[("cleanup.policy", "compact,delete")]).refuses("t", &bare, 0, true).is_some_and(|said| said.contains("compacted")));
        assert_eq!(rules(&[("cleanup.policy", "delete")]).refuses("t", &bare, 0, true), None);
        let times = [("message.timestamp.before.max.ms", "10"), ("message.timestamp.after.max.ms", "5")];
        for (timestamp, name) in [(89, Some("before")), (90, None), (105, None), (106, Some("after"))] {
            let said = rules(&times).refuses("t", &record(Some(b"k"), None, timestamp), 100, true);
            assert_eq!(said.is_some(), name.is_some(), "{timestamp}: {said:?}");
            assert!(said.is_none_or(|said| name.is_some_and(|name| said.contains(&format!("message.timestamp.{name}.max.ms")))));
        }
        let stamped = rules(&[("message.timestamp.type", "LogAppendTime"), ("message.timestamp.before.max.ms", "10")]);
        assert_eq!(stamped.refuses("t", &record(Some(b"k"), None, i64::MIN), 100, true), None);
    }

    #[test]
    fn a_topic_that_does_not_answer_is_left_alone_for_a_while() {
        let (known, began, mut asked) = (Rules::default(), Instant::now(), 0);
        let denied = || Failure::new(Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "no");
        let away = || Failure::new(Code::RD_KAFKA_RESP_ERR__TRANSPORT, "away");
        let mut ask = |after: Duration, answer: Result<(), Failure>| {
            let config = answer.map(|()| BTreeMap::from([("max.message.bytes".to_owned(), "7".to_owned())]));
            let found = known.recent_by("t", began + after, || {
                asked += 1;
                config
            });
            (found.map(|rules| rules.max_bytes), asked)
        };
        let second = Duration::from_secs(1);
        assert_eq!(ask(Duration::ZERO, Err(denied())), (None, 1));
        assert_eq!(ask(DENIED_FOR - second, Ok(())), (None, 1), "it was asked a moment ago");
        assert_eq!(ask(DENIED_FOR, Err(away())), (None, 2));
        assert_eq!(ask(DENIED_FOR + MAX_AGE - second, Ok(())), (None, 2));
        assert_eq!(ask(DENIED_FOR + MAX_AGE, Ok(())), (Some(7), 3), "a broker that is back is asked soon");
        assert_eq!(ask(DENIED_FOR + MAX_AGE + second, Err(denied())), (Some(7), 3), "what it said is still good");
        assert_eq!(ask(DENIED_FOR + 3 * MAX_AGE, Err(denied())), (None, 4));
        let fresh = Rules::default();
        let said = [denied(), denied(), away(), denied()].map(|failure| fresh.note_silence("t", &failure, began));
        assert_eq!(said, [true, false, true, true], "it is said once");
    }

    #[test]
    fn as_many_go_together_as_the_topic_takes_as_one_batch() {
        let value = [b'x'; 100];
        let record = OutRecord { partition: 0, timestamp: 1, key: None, value: Some(&value), headers: &[] };
        let records = [record; 50];
        let one = batch_bytes(&record);
        let together = |limit: usize| rules(&[("max.message.bytes", &limit.to_string())]).together(&records);
        assert_eq!([together(one), together(one * 10), together(one * 11 - 1), together(one * 1_000)], [1, 10, 10, 50]);
        assert_eq!(together(one - 1), 1, "it is the topic's to refuse it");
        assert_eq!(rules(&[]).together(&records), 50);
        assert_eq!(rules(&[]).together(&[]), 0);
    }
}
