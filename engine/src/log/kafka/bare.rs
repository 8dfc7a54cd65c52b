//! librdkafka with nothing above it, for benchmarks: the limit that the engine is measured against. All partitions on
//! one queue, drained in batches; records copied by the plain produce call.

use std::collections::BTreeMap;
use std::time::Duration;

use super::errors::Failure;
use super::ffi::Client;
use super::ffi::consume::{MessageBatch, SharedQueue};
use super::ffi::produce::{Producer, ProducerTopic};
use super::health::Health;
use super::properties::{ClientProperties, Role};
use crate::log::{LogError, OutRecord};

/// The most records of a batch.
const BATCH_RECORDS: usize = 1_024;

/// Reads all partitions of one topic.
pub struct BareConsumer {
    queue: SharedQueue,
}

impl BareConsumer {
    /// Begins at the first record of each partition.
    ///
    /// # Errors
    /// Where a property is not accepted.
    pub fn new(
        bootstrap: &str,
        properties: &BTreeMap<String, String>,
        topic: &str,
        partitions: i32,
        offset: i64,
    ) -> Result<BareConsumer, LogError> {
        let properties = ClientProperties::new(bootstrap, properties)?;
        let client = Client::consumer(&properties.for_role(Role::Consumer), &Health::new(bootstrap))?;
        let queue = SharedQueue::start(&client, topic, partitions, offset, BATCH_RECORDS)
            .map_err(|failure| failure.about("reading topic", Some(topic)))?;
        Ok(BareConsumer { queue })
    }

    /// What has arrived, after waiting for the first record.
    ///
    /// # Errors
    /// What the cluster says of the topic.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<MessageBatch>, LogError> {
        self.queue.next(timeout).map_err(|failure| failure.about("reading", None))
    }
}

/// Writes to one topic.
pub struct BareProducer {
    producer: Producer,
    topic: ProducerTopic,
}

impl BareProducer {
    /// # Errors
    /// Where a property is not accepted.
    pub fn new(bootstrap: &str, properties: &BTreeMap<String, String>, topic: &str) -> Result<BareProducer, LogError> {
        let properties = ClientProperties::new(bootstrap, properties)?;
        let producer = Producer::new(Client::producer(&properties.for_role(Role::Producer), &Health::new(bootstrap))?);
        let topic = producer.topic(topic).map_err(|failure| failure.about("writing to topic", Some(topic)))?;
        Ok(BareProducer { producer, topic })
    }

    /// Queues a record with the time of now; waits while the queue is full.
    ///
    /// # Errors
    /// Where the record is not accepted.
    pub fn send(&self, partition: i32, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), LogError> {
        self.patiently(|| self.producer.send_plain(&self.topic, partition, key, value))
    }

    /// Queues a record with its own time and headers; waits while the queue is full.
    ///
    /// # Errors
    /// Where the record is not accepted.
    pub fn send_record(&self, record: OutRecord<'_>) -> Result<(), LogError> {
        self.patiently(|| self.producer.send(&self.topic, record))
    }

    /// Waits until all is delivered.
    ///
    /// # Errors
    /// Where something was not.
    pub fn flush(&self, timeout: Duration) -> Result<(), LogError> {
        let is_done = self.producer.flush(timeout);
        match self.producer.take_undelivered() {
            None if is_done => Ok(()),
            lost => Err(LogError::Retriable(format!("not delivered: {lost:?}, {} left", self.producer.queued()))),
        }
    }

    fn patiently(&self, mut send: impl FnMut() -> Result<(), Failure>) -> Result<(), LogError> {
        loop {
            match send() {
                Err(failure) if failure.is_queue_full() => self.producer.poll(Duration::from_millis(1)),
                result => return result.map_err(|failure| failure.about("writing", None)),
            }
        }
    }
}
