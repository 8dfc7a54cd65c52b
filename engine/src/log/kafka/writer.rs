//! A worker's writer: one idempotent producer for each worker, so that a commit waits for the worker's own records only
//! and no lock is shared. Partitions are explicit, topic handles cached, successes not reported. One that is to write
//! transactions (see [`super::transactional`]) begins each with its first record, and never goes on after a failure.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::errors::Failure;
use super::ffi::produce::{Producer, ProducerTopic, Undelivered};
use super::hub::Hub;
use super::properties::Role;
use super::rules::{TopicRules, is_about_a_record};
use super::transaction::Transaction;
use super::{Shared, StateSink};
use crate::clock::{Clock, SystemClock};
use crate::log::{Commit, Delivery, LogError, LogWriter, Offset, OutRecord, TopicHandle, TopicPartition, TransactionalId};
use crate::points::{self, Point};

/// How long a send waits for room in a full queue, milliseconds. As Java's `max.block.ms`.
const SEND_TIMEOUT_MS: u64 = 60_000;
/// How long a commit waits beyond the records' own time limit, seconds.
const COMMIT_GRACE_S: u64 = 10;
/// The records' time limit where the configuration does not say, milliseconds.
const DELIVERY_TIMEOUT_MS: u64 = 120_000;
/// How long an idle worker's producer is told not to linger, milliseconds: librdkafka's threads look at it when they are
/// woken, which takes far less.
const KICK_MS: u64 = 1;
/// Beyond so many records since the worker was last idle it is busy, and more are about to come: they may linger.
const MAX_KICKED_RECORDS: usize = 256;
/// A flush first looks in small steps, microseconds, for a while, milliseconds; then in larger ones, milliseconds.
const FLUSH_STEP_US: u64 = 100;
const OWN_FLUSH_MS: u64 = 20;
const FLUSH_MS: u64 = 100;
/// Records that a task may write before it looks again whether there is room.
const RESERVE_RECORDS: usize = 16_384;
/// The queue's limit where the configuration does not say, records.
const MAX_QUEUED_RECORDS: usize = 100_000;
/// One step of waiting, milliseconds.
const STEP_MS: u64 = 1;
/// How long a producer may take to learn of new partitions, seconds.
const REFRESH_TIMEOUT_S: u64 = 10;

pub(super) struct KafkaWriter {
    shared: Arc<Shared>,
    producer: Producer,
    /// By handle; made at the first send.
    topics: Vec<Option<OpenTopic>>,
    /// The deletions that `topics` knows of.
    deletions: u64,
    /// Something was sent since the last flush.
    is_dirty: bool,
    /// Of that, records went down with a producer that had to be replaced: the next flush says so.
    has_lost: bool,
    /// Records sent since the worker was last idle.
    sent: usize,
    /// As many records may be queued before the writer has no more room.
    room: usize,
    /// As many were queued when there was no room for another.
    full_at: usize,
    /// Of which groups and partitions state remembers the positions of the next commit.
    remembered: HashSet<(Arc<str>, TopicPartition)>,
    /// It has committed offsets, which go to the brokers in the background.
    has_offsets: bool,
    delivery_timeout: Duration,
    /// Bytes of a batch at most, as far as topics have a say in it; `usize::MAX`: none has.
    batch_bytes: usize,
    /// The client does not compress.
    sends_as_is: bool,
    state: StateSink,
    transaction: Option<Transaction>,
    /// The next record is the first of a transaction.
    must_begin: bool,
    /// What a record that was sent before has come to.
    verdict: Option<LogError>,
}

/// A topic that the writer writes to.
struct OpenTopic {
    handle: ProducerTopic,
    /// Where it has refused a batch: what it demands of each record.
    rules: Option<Arc<TopicRules>>,
}

impl KafkaWriter {
    pub(super) fn new(shared: Arc<Shared>, state: StateSink) -> Result<KafkaWriter, LogError> {
        let producer = Producer::new(shared.producer()?);
        let properties = shared.properties.for_role(Role::Producer);
        Ok(Self::with(shared, state, producer, &properties))
    }

    /// A writer of transactions.
    pub(super) fn transactional(
        shared: Arc<Shared>,
        hub: Arc<Hub>,
        state: StateSink,
        id: &TransactionalId,
    ) -> Result<KafkaWriter, LogError> {
        let properties = shared.properties.for_transactions(&id.name);
        let (transaction, producer) = Transaction::new(&shared, hub, id)?;
        let writer = Self::with(shared, state, producer, &properties);
        Ok(KafkaWriter { transaction: Some(transaction), must_begin: true, ..writer })
    }

    fn with(shared: Arc<Shared>, state: StateSink, producer: Producer, properties: &BTreeMap<String, String>) -> KafkaWriter {
        let delivery_ms = properties.get("message.timeout.ms").and_then(|text| text.parse().ok()).unwrap_or(DELIVERY_TIMEOUT_MS);
        let max_queued = properties.get("queue.buffering.max.messages").and_then(|text| text.parse().ok());
        let max_queued: usize = max_queued.unwrap_or(MAX_QUEUED_RECORDS);
        let compression = properties.get("compression.type").or_else(|| properties.get("compression.codec"));
        let sends_as_is = compression.is_none_or(|name| name == "none");
        let batch_bytes = shared.rules.batch_bytes();
        let deletions = shared.topics.deletions();
        let delivery_timeout = Duration::from_millis(delivery_ms);
        KafkaWriter {
            shared,
            producer,
            topics: Vec::new(),
            deletions,
            is_dirty: false,
            has_lost: false,
            sent: 0,
            room: max_queued - RESERVE_RECORDS.min(max_queued / 2),
            full_at: usize::MAX,
            remembered: HashSet::new(),
            has_offsets: false,
            delivery_timeout,
            batch_bytes,
            sends_as_is,
            state,
            transaction: None,
            must_begin: false,
            verdict: None,
        }
    }

    #[cold]
    fn begin(&mut self) -> Result<(), LogError> {
        if let Some(transaction) = &mut self.transaction {
            transaction.begin(&self.producer)?;
        }
        self.must_begin = false;
        Ok(())
    }

    /// As [`LogWriter::commit`], of a writer of transactions; tells when all is delivered.
    pub(super) fn commit_transaction(&mut self, commit: Commit, delivery: &Delivery) -> Result<(), LogError> {
        let remembered = std::mem::take(&mut self.remembered);
        self.end_transaction(delivery)?;
        self.finish(commit, &remembered)
    }

    /// Commits the transaction at hand, if there is one.
    fn end_transaction(&mut self, delivery: &Delivery) -> Result<(), LogError> {
        let Some(transaction) = self.transaction.as_ref().filter(|_| !self.must_begin) else {
            delivery.tell(true);
            return Ok(());
        };
        let (topic, (key, value)) = (transaction.id().topic, transaction.outcome());
        let record = transaction.outcome_record(&key, &value);
        self.send(topic, record)?;
        self.deliver()?;
        delivery.tell(true);
        let Some(transaction) = &self.transaction else { return Ok(()) };
        if let Some(producer) = transaction.commit(&self.shared, &self.producer)? {
            self.topics.clear();
            self.producer = producer;
        }
        self.must_begin = true;
        self.is_dirty = false;
        self.sent = 0;
        Ok(())
    }

    /// What comes behind the records of a commit: state, then the groups' offsets.
    fn finish(&mut self, commit: Commit, remembered: &HashSet<(Arc<str>, TopicPartition)>) -> Result<(), LogError> {
        points::log(Point::StateHandOver).map_err(|error| self.behind_the_end(error))?;
        if !commit.state.is_empty() {
            (self.state)(commit.state).map_err(|error| LogError::Fatal(error.to_string()))?;
        }
        self.has_offsets |= !commit.offsets.is_empty();
        let is_remembered = |group: &Arc<str>, partition: &TopicPartition| remembered.contains(&(Arc::clone(group), partition.clone()));
        points::reach(Point::OffsetsBefore);
        self.shared.committer.commit(commit.offsets, is_remembered);
        points::reach(Point::OffsetsAfter);
        let deletions = self.shared.topics.deletions();
        if deletions != self.deletions {
            self.deletions = deletions;
            self.topics.clear();
        }
        Ok(())
    }

    /// A transaction that is committed can't be taken back, whatever went wrong behind it.
    fn behind_the_end(&self, error: LogError) -> LogError {
        match error {
            LogError::Retriable(reason) if self.transaction.is_some() => LogError::Fatal(reason),
            other => other,
        }
    }

    /// Why the transaction at hand can't be committed: the first record that was not delivered, or what happened to the producer.
    fn broken(&mut self, failure: &Failure) -> LogError {
        self.producer.poll(Duration::ZERO);
        let lost = self.producer.take_undelivered();
        let left = self.producer.queued();
        let error = match self.judge_loss(lost, left) {
            Ok(error) | Err(error) => error,
        };
        let reason = format!("Kafka: a transaction has to begin anew: {}", failure.in_words());
        // It need not be this record's matter.
        self.verdict = Some(error);
        LogError::Retriable(reason)
    }

    /// Makes sure that there is a handle of this producer for the topic.
    fn open(&mut self, topic: TopicHandle) -> Result<usize, LogError> {
        let index = usize::try_from(topic.0).unwrap_or(usize::MAX);
        if let Some(Some(_)) = self.topics.get(index) {
            return Ok(index);
        }
        let name = self.shared.topics.name(topic).ok_or_else(|| LogError::Fatal(format!("no topic has handle {}", topic.0)))?;
        let opened = self.producer.topic(&name).map_err(|failure| failure.about("writing to topic", Some(&name)))?;
        if self.topics.len() <= index {
            self.topics.resize_with(index + 1, || None);
        }
        if let Some(slot) = self.topics.get_mut(index) {
            *slot = Some(OpenTopic { handle: opened, rules: self.shared.rules.of(&name) });
        }
        Ok(index)
    }

    /// Judges a record by what its topic demands, before it can spoil a batch.
    #[cold]
    fn judge(&mut self, index: usize, topic: TopicHandle, record: &OutRecord<'_>) -> Result<(), LogError> {
        let Some(Some(OpenTopic { rules: Some(rules), .. })) = self.topics.get(index) else { return Ok(()) };
        let name = self.shared.topics.name(topic).unwrap_or_default();
        let now_ms = SystemClock.now_ms();
        let Some(reason) = rules.refuses(&name, record, now_ms, self.sends_as_is) else { return Ok(()) };
        let mut refusal = Some(reason);
        // Somebody may have raised the limit since.
        if rules.are_old(Instant::now())
            && let Some(rules) = self.shared.rules.learn(&self.shared.admin, &name)
        {
            refusal = rules.refuses(&name, record, now_ms, self.sends_as_is);
            if let Some(Some(open)) = self.topics.get_mut(index) {
                open.rules = Some(rules);
            }
        }
        refusal.map_or(Ok(()), |reason| Err(LogError::Undeliverable { topic: name.to_string(), reason }))
    }

    /// The slow path of a send: waits for room, or for the producer to learn of a partition.
    fn send_again(&mut self, topic: TopicHandle, record: OutRecord<'_>, mut failure: Failure) -> Result<(), LogError> {
        let deadline = Instant::now() + Duration::from_millis(SEND_TIMEOUT_MS);
        let mut was_refreshed = false;
        if self.transaction.is_some() && (failure.is_in_wrong_state() || self.producer.fatal().is_some()) {
            return Err(self.broken(&failure));
        }
        if let Some(fatal) = self.producer.fatal() {
            // This producer does nothing any more, whatever the topic. Others' records go down with it, and only the one that
            // sends now hears of it here.
            self.producer.poll(Duration::ZERO);
            self.has_lost |= self.producer.queued() > 0 || self.producer.take_undelivered().is_some();
            self.start_over()?;
            return Err(LogError::Retriable(format!("Kafka: the producer has to be replaced: {}", fatal.in_words())));
        }
        loop {
            let index = self.open(topic)?;
            let Some(Some(handle)) = self.topics.get(index) else { return Err(LogError::Fatal("a topic handle is missing".into())) };
            if failure.is_queue_full() && Instant::now() < deadline && !self.shared.gives_up() {
                self.full_at = self.full_at.min(self.producer.queued());
                self.producer.poll(Duration::from_millis(STEP_MS));
            } else if failure.is_unknown_topic() && !was_refreshed {
                was_refreshed = true;
                let _ = self.producer.refresh(&handle.handle, Duration::from_secs(REFRESH_TIMEOUT_S));
            } else {
                let name = self.shared.topics.name(topic).unwrap_or_default();
                let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
                if is_about_a_record(&failure) {
                    let reason = too_large_for_client(size, record.partition, &self.shared.properties.for_role(Role::Producer));
                    return Err(LogError::Undeliverable { topic: name.to_string(), reason });
                }
                failure.text = format!("{} (a record of {size} bytes for partition {})", failure.text, record.partition);
                return Err(failure.about("writing to topic", Some(&name)));
            }
            match self.producer.send(&handle.handle, record) {
                Ok(()) => return Ok(()),
                Err(next) => failure = next,
            }
        }
    }

    /// Waits until everything sent is delivered.
    fn deliver(&mut self) -> Result<(), LogError> {
        if self.has_lost {
            self.start_over()?;
            self.has_lost = false;
            return Err(LogError::Retriable("Kafka: records were lost with a producer that had to be replaced".into()));
        }
        let began = Instant::now();
        let deadline = began + self.delivery_timeout + Duration::from_secs(COMMIT_GRACE_S);
        // Cuts the linger short. Its further steps are too large: successes are not reported, so it looks every 10 ms only.
        if self.producer.queued() > 0 {
            self.producer.flush(Duration::from_millis(KICK_MS));
        }
        while self.producer.queued() > 0 && self.producer.fatal().is_none() && Instant::now() < deadline && !self.shared.gives_up() {
            if began.elapsed() < Duration::from_millis(OWN_FLUSH_MS) {
                self.producer.poll(Duration::ZERO);
                std::thread::sleep(Duration::from_micros(FLUSH_STEP_US));
            } else {
                self.producer.flush(Duration::from_millis(FLUSH_MS));
            }
        }
        let lost = self.producer.take_undelivered();
        let left = self.producer.queued();
        if lost.is_none() && left == 0 {
            return Ok(());
        }
        let error = self.judge_loss(lost, left)?;
        self.start_over()?;
        Err(error)
    }

    /// What is said of records that were lost.
    fn judge_loss(&mut self, lost: Option<Undelivered>, left: usize) -> Result<LogError, LogError> {
        let fatal = self.producer.fatal();
        if lost.is_some() && fatal.is_none() && self.transaction.is_none() {
            // What waited too long or was refused, but perhaps not what came behind it.
            self.shared.gaps.fetch_add(1, Ordering::AcqRel);
        }
        let first = lost.as_ref().and_then(|lost| lost.first.as_ref());
        let refusing = first.filter(|first| fatal.is_none() && is_about_a_record(&first.failure)).map(|first| first.topic.clone());
        if let Some(topic) = refusing
            && let Some(error) = self.learn_from(&topic)?
        {
            return Err(error);
        }
        // Records go down with their transaction; what happened to that is the reason.
        let of_transaction = self.transaction.as_ref().and_then(|transaction| transaction.failure(&self.producer));
        let is_known = lost.as_ref().and_then(|lost| lost.first.as_ref()).is_some_and(|first| !first.failure.is_retriable());
        if let Some(failure) = of_transaction.filter(|_| !is_known) {
            let reason = format!("Kafka: a transaction failed: {}", failure.in_words());
            return Ok(if failure.is_lasting() { LogError::Fatal(reason) } else { LogError::Retriable(reason) });
        }
        Ok(lost_records(lost, left, fatal))
    }

    /// A topic refused a batch for one of its records. Looks its demands up, and makes sure that no batch is larger than a
    /// record may be: when all of it is sent again, by a new writer, each record is judged alone. `None`: that was so already.
    fn learn_from(&mut self, topic: &str) -> Result<Option<LogError>, LogError> {
        let known = self.shared.rules.of(topic);
        let Some(rules) = self.shared.rules.learn(&self.shared.admin, topic) else { return Ok(None) };
        let was_judged = known.is_some_and(|known| known.demands_as(&rules)) && self.batch_bytes <= rules.max_bytes;
        if was_judged {
            return Ok(None);
        }
        tracing::warn!(target: "kafka", topic, max_message_bytes = rules.max_bytes, "a batch was refused; sending again, record by record");
        self.shared.limit_batches(rules.max_bytes);
        self.start_over()?;
        Ok(Some(LogError::Retriable(format!("Kafka: topic '{topic}' refused a batch; its records are judged one by one now"))))
    }

    /// Forgets what is not delivered. The caller goes back to its last commit and sends it again.
    fn start_over(&mut self) -> Result<(), LogError> {
        if self.transaction.is_some() {
            // It is thrown away.
            return Ok(());
        }
        if self.producer.fatal().is_some() || self.batch_bytes > self.shared.rules.batch_bytes() {
            self.producer.purge();
            self.topics.clear();
            self.batch_bytes = self.shared.rules.batch_bytes();
            self.producer = Producer::new(self.shared.producer()?);
        } else {
            self.producer.purge();
            self.producer.flush(Duration::from_secs(COMMIT_GRACE_S));
            let _ = self.producer.take_undelivered();
        }
        Ok(())
    }
}

/// What is said of a record that the client itself refuses.
fn too_large_for_client(size: usize, partition: i32, properties: &BTreeMap<String, String>) -> String {
    let limit = properties.get("message.max.bytes").map_or("1000000", String::as_str);
    format!(
        "a record of {size} bytes for partition {partition} is larger than the client sends: max.request.size is {limit} \
         (ksql.streams.producer.max.request.size)"
    )
}

/// What a failed flush says.
fn lost_records(lost: Option<Undelivered>, left: usize, fatal: Option<Failure>) -> LogError {
    let count = lost.as_ref().map_or(0, |lost| lost.records) + left as u64;
    let first = lost.and_then(|lost| lost.first);
    // A producer that can do no more is replaced, after which the records can be sent again.
    let (topic, reason) = match (fatal, first) {
        (Some(failure), _) => (None, failure.in_words()),
        (None, Some(first)) => ((!first.failure.is_retriable()).then_some(first.topic), first.failure.in_words()),
        (None, None) => (None, "no broker answered in time".to_owned()),
    };
    let reason = format!("Kafka: {count} records could not be written: {reason}");
    match topic {
        Some(topic) => LogError::Undeliverable { topic, reason },
        None => LogError::Retriable(reason),
    }
}

impl LogWriter for KafkaWriter {
    fn send(&mut self, topic: TopicHandle, record: OutRecord<'_>) -> Result<(), LogError> {
        let mut index = usize::try_from(topic.0).unwrap_or(usize::MAX);
        if !matches!(self.topics.get(index), Some(Some(_))) {
            index = self.open(topic)?;
        }
        if matches!(self.topics.get(index), Some(Some(OpenTopic { rules: Some(_), .. }))) {
            self.judge(index, topic, &record)?;
        }
        if self.must_begin {
            self.begin()?;
        }
        self.is_dirty = true;
        self.sent += 1;
        let sent = match self.topics.get(index) {
            Some(Some(open)) => self.producer.send(&open.handle, record),
            _ => return Err(LogError::Fatal("a topic handle is missing".into())),
        };
        match sent {
            Ok(()) => Ok(()),
            Err(failure) => self.send_again(topic, record, failure),
        }
    }

    fn has_room(&mut self) -> bool {
        if self.producer.queued() == 0 {
            self.full_at = usize::MAX;
            return true;
        }
        // The queue's other limit is in bytes, which cannot be asked for: it is known where it was met.
        let limit = self.room.min(self.full_at / 4 * 3);
        if self.producer.queued() < limit {
            return true;
        }
        // Failures count as queued until they are heard.
        self.producer.poll(Duration::ZERO);
        self.producer.queued() < limit
    }

    fn hint_idle(&mut self) {
        if (1..=MAX_KICKED_RECORDS).contains(&std::mem::take(&mut self.sent)) {
            self.producer.flush(Duration::from_millis(KICK_MS));
        }
    }

    fn flush(&mut self) -> Result<(), LogError> {
        // What a commit that failed said of state holds no more.
        self.remembered.clear();
        if self.is_dirty {
            points::log(Point::FlushBefore)?;
            self.deliver()?;
            self.is_dirty = false;
            self.sent = 0;
            points::log(Point::FlushAfter)?;
        }
        Ok(())
    }

    fn remembers(&mut self, group: &Arc<str>, inputs: &[(TopicPartition, Offset)]) {
        self.remembered.extend(inputs.iter().map(|(partition, _)| (Arc::clone(group), partition.clone())));
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        let remembered = std::mem::take(&mut self.remembered);
        self.flush()?;
        self.finish(commit, &remembered)
    }

    fn verdict(&mut self) -> Option<LogError> {
        self.verdict.take()
    }

    /// The offsets of its last commit are on their way: a worker that ends in order leaves none behind.
    fn close(&mut self) {
        if self.has_offsets && self.shared.health.outage().is_none() {
            self.shared.committer.settle();
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::super::KafkaLog;
    use super::*;
    use crate::log::Log;

    #[test]
    fn what_others_sent_is_not_lost_silently_with_a_producer() {
        let cluster = MockCluster::new(1).expect("a simulated cluster");
        cluster.create_topic("t", 1, 1).expect("a topic");
        // What is sent waits in the queue.
        let properties = BTreeMap::from([("linger.ms".to_owned(), "60000".to_owned())]);
        let log = KafkaLog::connect(&cluster.bootstrap_servers(), &properties, Arc::new(|_| Ok(()))).expect("a log");
        let mut writer = KafkaWriter::new(Arc::clone(&log.shared), Arc::clone(&log.state)).expect("a writer");
        let (topic, _) = log.topic("t").expect("the topic");
        let record = OutRecord { partition: 0, timestamp: 1, key: None, value: Some(b"v"), headers: &[] };
        writer.send(topic, record).expect("one task's record");
        writer.producer.fail_for_good();
        assert!(matches!(writer.send(topic, record), Err(LogError::Retriable(_))), "another task is told");
        writer.send(topic, record).expect("it sends again");
        assert!(matches!(writer.flush(), Err(LogError::Retriable(_))), "the first task's record is not there");
        // Everybody has gone back.
        writer.send(topic, record).expect("sent again");
        writer.flush().expect("delivered");
        // Nothing was under way this time.
        writer.producer.fail_for_good();
        assert!(matches!(writer.send(topic, record), Err(LogError::Retriable(_))));
        writer.send(topic, record).expect("it sends again");
        writer.flush().expect("delivered");
    }
}
