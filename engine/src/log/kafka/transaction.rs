//! A worker's transactions: what makes a writer whole.
//!
//! librdkafka can't tell how a transaction ended whose end it did not hear of, nor go on safely after an error in one (it lacks
//! the epochs by transaction of newer brokers). So there is one way out of everything: the producer is dropped and another one
//! takes its transactional id, which ends what was open, one way or the other, and shuts out what is still on its way. Each
//! transaction carries a record with its number; where its end was not heard of, a look at what was committed tells.
//!
//! That way must not be taken by who was replaced: before a producer takes an id it looks who wrote itself down as its holder
//! last. Another process did: this one is done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::Shared;
use super::errors::Failure;
use super::ffi::Client;
use super::ffi::produce::Producer;
use super::hub::Hub;
use super::reader::KafkaReader;
use crate::clock::{Clock, SystemClock};
use crate::log::{LogError, LogReader, Offset, OffsetSpec, OutRecord, RecordRef, Subscription, TransactionalId};
use crate::points::{self, Point};

/// How long brokers may take to give an id to a producer. The first transaction of a cluster makes it create a topic.
const INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the end of a transaction is waited for until it is looked at.
const END_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause before a log that is away is asked again how a transaction ended.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a look at the topic of marks may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(20);
const LOOK_STEP: Duration = Duration::from_millis(2);
/// Bytes that may wait unread meanwhile.
const LOOK_BYTES: usize = 4 << 20;
/// How many records from the end are looked at first; then eight times as many, and so on.
const FIRST_LOOK_RECORDS: i64 = 256;

pub(super) struct Transaction {
    id: TransactionalId,
    hub: Arc<Hub>,
    /// Numbers the transactions of this writer.
    number: u64,
}

impl Transaction {
    /// Takes an id, and with it a producer.
    pub(super) fn new(shared: &Shared, hub: Arc<Hub>, id: &TransactionalId) -> Result<(Transaction, Producer), LogError> {
        let number = u64::try_from(SystemClock.now_ms()).unwrap_or_default();
        let transaction = Transaction { id: id.clone(), hub, number: number << 16 };
        let producer = transaction.take_id(shared)?;
        Ok((transaction, producer))
    }

    /// A producer that has the id from now on.
    fn take_id(&self, shared: &Shared) -> Result<Producer, LogError> {
        if let Some(outage) = shared.health.outage() {
            return Err(LogError::Retriable(outage));
        }
        self.check_holder(shared)?;
        let properties = shared.with_batch_limit(shared.properties.for_transactions(&self.id.name));
        let timeout_ms = properties.get("transaction.timeout.ms").cloned().unwrap_or_default();
        let producer = Producer::new(Client::producer(&properties, &shared.health)?);
        points::log(Point::TransactionalIdBefore)?;
        let began = Instant::now();
        producer.init_transactions(INIT_TIMEOUT).map_err(|failure| {
            // Where it can do nothing any more, the reason is told apart.
            explain(producer.fatal().unwrap_or(failure), &self.id.name, &timeout_ms)
        })?;
        tracing::debug!(target: "kafka", id = &*self.id.name, elapsed_ms = began.elapsed().as_millis(), "took a transactional id");
        points::log(Point::TransactionalIdAfter)?;
        Ok(producer)
    }

    /// Another transaction begins.
    pub(super) fn begin(&mut self, producer: &Producer) -> Result<(), LogError> {
        self.number += 1;
        points::log(Point::TransactionBegun)?;
        producer.begin_transaction().map_err(|failure| {
            LogError::Retriable(format!("Kafka: a transaction can't begin (transactional id '{}'): {}", self.id.name, failure.in_words()))
        })
    }

    /// The record that tells how the transaction at hand ended: its key and value, and where it goes.
    pub(super) fn outcome(&self) -> (Vec<u8>, [u8; 16]) {
        (self.id.outcome_key(), self.id.outcome(self.number))
    }

    pub(super) fn id(&self) -> &TransactionalId {
        &self.id
    }

    /// Why the transaction at hand can't go on, if so.
    pub(super) fn failure(&self, producer: &Producer) -> Option<Failure> {
        // Within a transaction another can't begin: what is said is that, or why this one has failed.
        producer.begin_transaction().err().filter(|failure| !failure.is_in_wrong_state())
    }

    /// Ends the transaction, all of which is delivered. Gives another producer where this one can't be used any more.
    ///
    /// # Errors
    /// See [`crate::log::Log::transactional_writer`].
    pub(super) fn commit(&self, shared: &Shared, producer: &Producer) -> Result<Option<Producer>, LogError> {
        points::log(Point::TransactionEndBefore)?;
        let ended = producer.commit_transaction(END_TIMEOUT);
        // An error that is planted here is an acknowledgement that was lost.
        let lost = points::fault(Point::TransactionEndAfter).map(Failure::late);
        match ended.and(lost.map_or(Ok(()), Err)) {
            Ok(()) => Ok(None),
            Err(failure) => self.find_out(shared, &failure).map(Some),
        }
    }

    /// Finds out how a transaction ended.
    fn find_out(&self, shared: &Shared, failure: &Failure) -> Result<Producer, LogError> {
        let id = &self.id.name;
        tracing::warn!(target: "kafka", id = &**id, reason = failure.in_words(), "looking whether a transaction was committed");
        let unknown = |reason: String| {
            LogError::Fatal(format!("Kafka: it is not known whether a transaction was committed (transactional id '{id}'): {reason}"))
        };
        loop {
            let found = self.take_id(shared).and_then(|producer| Ok((producer, self.last_value(shared, &self.id.outcome_key())?)));
            match found {
                Ok((producer, last)) if last.as_deref() == Some(&self.outcome().1[..]) => {
                    tracing::info!(target: "kafka", id = &**id, "it was committed");
                    return Ok(producer);
                }
                Ok(_) => {
                    let reason = failure.in_words();
                    return Err(LogError::Retriable(format!("Kafka: a transaction was aborted (transactional id '{id}'): {reason}")));
                }
                Err(LogError::Retriable(reason)) if shared.gives_up() => return Err(unknown(reason)),
                Err(LogError::Retriable(_)) => std::thread::sleep(PAUSE),
                Err(fenced @ LogError::Fenced(_)) => return Err(fenced),
                Err(error) => return Err(unknown(error.to_string())),
            }
        }
    }

    /// Refuses where another process has taken the id since this one did.
    fn check_holder(&self, shared: &Shared) -> Result<(), LogError> {
        let key = TransactionalId::holder_key(&self.id.name);
        let (_, end) = self.bounds(shared)?;
        let holder = self.last_between(shared, &key, self.id.since, end)?;
        if holder.is_none_or(|holder| holder == self.id.session.to_be_bytes()) {
            return Ok(());
        }
        Err(LogError::Fenced(format!(
            "another server of this service uses the transactional id '{}' and has taken this one's place; two servers with one service \
             id would write everything twice, so nothing is written here any more: stop one of them, or set ksql.service.id to another \
             name",
            self.id.name
        )))
    }

    fn bounds(&self, shared: &Shared) -> Result<(Offset, Offset), LogError> {
        let ask = |spec| Ok::<_, LogError>(shared.groups.offsets(std::slice::from_ref(&self.id.place), spec)?.first().copied());
        Ok((ask(OffsetSpec::Earliest)?.unwrap_or_default(), ask(OffsetSpec::Latest)?.unwrap_or_default()))
    }

    /// The last committed value of a key.
    fn last_value(&self, shared: &Shared, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        let (first, end) = self.bounds(shared)?;
        let mut length = FIRST_LOOK_RECORDS;
        loop {
            let from = first.max(Offset(end.0.saturating_sub(length)));
            let found = self.last_between(shared, key, from, end)?;
            if found.is_some() || from <= first {
                return Ok(found);
            }
            length = length.saturating_mul(8);
        }
    }

    fn last_between(&self, shared: &Shared, key: &[u8], from: Offset, end: Offset) -> Result<Option<Vec<u8>>, LogError> {
        let mut found = None;
        self.read(shared, from, end, &mut |record| {
            if record.key == Some(key) {
                found = record.value.map(<[u8]>::to_vec);
            }
        })?;
        Ok(found)
    }

    /// Reads the topic of marks between two offsets.
    fn read(&self, shared: &Shared, from: Offset, end: Offset, visit: &mut dyn FnMut(RecordRef<'_>)) -> Result<(), LogError> {
        if from >= end {
            return Ok(());
        }
        let subscription =
            Subscription { partitions: vec![(self.id.place.clone(), from)], wake: Arc::new(|| {}), max_buffered_bytes: LOOK_BYTES };
        let mut reader = KafkaReader::new(Arc::clone(&self.hub), Arc::clone(&shared.health), subscription, &[])?;
        let deadline = Instant::now() + LOOK_TIMEOUT;
        loop {
            match reader.poll()? {
                Some(arrived) => {
                    for record in (arrived.first..arrived.batch.len()).map(|index| arrived.batch.record(index)) {
                        if record.offset >= end {
                            return Ok(());
                        }
                        visit(record);
                    }
                }
                None if reader.passed(0).is_some_and(|passed| passed >= end) => return Ok(()),
                None if Instant::now() > deadline => {
                    return Err(LogError::Retriable(format!("Kafka: topic '{}' can't be read", self.id.place.topic)));
                }
                None => std::thread::sleep(LOOK_STEP),
            }
        }
    }

    /// Where the record of the outcome goes.
    pub(super) fn outcome_record<'r>(&self, key: &'r [u8], value: &'r [u8]) -> OutRecord<'r> {
        OutRecord { partition: self.id.place.partition, timestamp: 1, key: Some(key), value: Some(value), headers: &[] }
    }
}

/// Why an id can't be had, and what to do.
fn explain(failure: Failure, id: &str, timeout_ms: &str) -> LogError {
    let is = |code| failure.is(code);
    let at_least_once = "or run with processing.guarantee=at_least_once";
    if is(Code::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED) {
        // Behind it come the server's name and a number.
        let prefix = id.rsplitn(3, '-').last().unwrap_or(id);
        return LogError::Fatal(format!(
            "Kafka: not allowed to use the transactional id '{id}', which processing.guarantee=exactly_once_v2 needs: grant WRITE and \
             DESCRIBE on transactional ids with the prefix '{prefix}', {at_least_once}"
        ));
    }
    if is(Code::RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT) {
        return LogError::Fatal(format!(
            "Kafka: transaction.timeout.ms={timeout_ms} is above what the brokers allow (their transaction.max.timeout.ms): set \
             ksql.streams.producer.transaction.timeout.ms to less"
        ));
    }
    if is(Code::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) || is(Code::RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION) {
        return LogError::Fatal(format!(
            "Kafka: the brokers are too old for transactions, which processing.guarantee=exactly_once_v2 needs (Apache Kafka has them from \
             version 0.11 on): {}; use newer brokers, {at_least_once}",
            failure.in_words()
        ));
    }
    if failure.is_retriable() {
        return LogError::Retriable(format!(
            "Kafka: no transactional id ('{id}') within {} s: {} (a cluster with fewer brokers than its \
             transaction.state.log.replication.factor can't make the topic that it keeps transactions in)",
            INIT_TIMEOUT.as_secs(),
            failure.in_words()
        ));
    }
    failure.about(&format!("taking the transactional id '{id}'"), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_the_cause_and_the_setting() {
        let said = |code| explain(Failure::new(code, "no"), "_confluent-ksql-x_transaction-a1b2c3-3", "900001");
        let fatal = |code, parts: &[&str]| match said(code) {
            LogError::Fatal(text) => assert!(parts.iter().all(|part| text.contains(part)), "{text}"),
            other => panic!("{other}"),
        };
        fatal(
            Code::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            &["prefix '_confluent-ksql-x_transaction'", "WRITE and DESCRIBE", "at_least_once"],
        );
        fatal(
            Code::RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT,
            &["transaction.timeout.ms=900001", "transaction.max.timeout.ms", "ksql.streams.producer.transaction.timeout.ms"],
        );
        fatal(Code::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, &["too old", "0.11", "at_least_once"]);
        let late = said(Code::RD_KAFKA_RESP_ERR__TIMED_OUT);
        assert!(matches!(&late, LogError::Retriable(text) if text.contains("transaction.state.log.replication.factor")), "{late}");
    }
}
