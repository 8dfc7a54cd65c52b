//! Writing: records with partition and timestamp straight into librdkafka's queue.

use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::codes::{self, NO_ERROR};
use super::{Client, RecordFailure, Topic, done, failure_of};
use crate::log::OutRecord;
use crate::log::kafka::errors::Failure;
use crate::log::kafka::reports::{Reports, Ticket};
use crate::row::Header;

/// librdkafka reads a timestamp of 0 as "now" and cannot send it: the nearest that it can send, milliseconds.
const SMALLEST_TIMESTAMP_MS: i64 = 1;

/// A client that writes.
pub struct Producer {
    client: Arc<Client>,
}

/// A topic that a producer writes to.
pub struct ProducerTopic(Topic);

/// What became of the records that failed since the last look.
#[derive(Debug)]
pub struct Undelivered {
    pub records: u64,
    /// The first of them, before all one that failed for good.
    pub first: Option<RecordFailure>,
}

impl Producer {
    pub fn new(client: Arc<Client>) -> Producer {
        Producer { client }
    }

    pub(super) fn rk(&self) -> *mut rd::rd_kafka_t {
        self.client.rk()
    }

    pub fn topic(&self, name: &str) -> Result<ProducerTopic, Failure> {
        self.client.topic(name).map(ProducerTopic)
    }

    /// Copies a record into the queue.
    ///
    /// # Errors
    /// `__QUEUE_FULL` when there is no room now; `__UNKNOWN_PARTITION` where the topic has fewer partitions.
    pub fn send(&self, topic: &ProducerTopic, record: OutRecord<'_>) -> Result<(), Failure> {
        self.send_reported(topic, record, Ticket::NONE)
    }

    /// The fates of records that went with a ticket. The client must be one that reports successes, too.
    pub fn reports(&self) -> &Reports {
        &self.client.context.reports
    }

    /// As [`Self::send`]; the record's fate goes to [`Self::reports`].
    ///
    /// # Errors
    /// As there; nothing is reported then.
    pub fn send_reported(&self, topic: &ProducerTopic, record: OutRecord<'_>, ticket: Ticket) -> Result<(), Failure> {
        use rd::rd_kafka_vtype_t as Kind;
        let (key, key_len) = pointer(record.key);
        let (value, value_len) = pointer(record.value);
        let headers = headers(record.headers);
        let timestamp = record.timestamp.max(SMALLEST_TIMESTAMP_MS);
        let mut arguments = [
            argument(Kind::RD_KAFKA_VTYPE_RKT, Union { rkt: topic.0.rkt() }),
            argument(Kind::RD_KAFKA_VTYPE_PARTITION, Union { i32_: record.partition }),
            argument(Kind::RD_KAFKA_VTYPE_MSGFLAGS, Union { i: rd::RD_KAFKA_MSG_F_COPY }),
            argument(Kind::RD_KAFKA_VTYPE_VALUE, Union { mem: Memory { ptr: value, size: value_len } }),
            argument(Kind::RD_KAFKA_VTYPE_KEY, Union { mem: Memory { ptr: key, size: key_len } }),
            argument(Kind::RD_KAFKA_VTYPE_TIMESTAMP, Union { i64_: timestamp }),
            argument(Kind::RD_KAFKA_VTYPE_OPAQUE, Union { ptr: std::ptr::without_provenance_mut(ticket.0) }),
            argument(Kind::RD_KAFKA_VTYPE_HEADERS, Union { headers }),
        ];
        // The last argument is the headers': left out where there are none.
        let count = if headers.is_null() { arguments.len() - 1 } else { arguments.len() };
        // SAFETY: client and topic are valid, each argument has the member that its kind names; key and value are
        // copied during the call. On success the headers belong to the message, on failure they stay ours.
        unsafe {
            let error = rd::rd_kafka_produceva(self.client.rk(), arguments.as_mut_ptr(), count);
            match failure_of(error) {
                None => Ok(()),
                Some(failed) => {
                    rd::rd_kafka_error_destroy(error);
                    if !headers.is_null() {
                        rd::rd_kafka_headers_destroy(headers);
                    }
                    Err(failed)
                }
            }
        }
    }

    /// As [`Self::send`] by the plain call, which takes neither headers nor a timestamp: the bare limit that benchmarks
    /// compare with.
    pub fn send_plain(&self, topic: &ProducerTopic, partition: i32, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), Failure> {
        let (key, key_len) = pointer(key);
        let (value, value_len) = pointer(value);
        // SAFETY: the topic is valid; key and value are copied during the call.
        let result = unsafe {
            rd::rd_kafka_produce(topic.0.rkt(), partition, rd::RD_KAFKA_MSG_F_COPY, value, value_len, key, key_len, std::ptr::null_mut())
        };
        if result == 0 { Ok(()) } else { Err(super::last_error()) }
    }

    /// Serves the reports of failed records for at most this long (zero: without waiting).
    pub fn poll(&self, timeout: Duration) {
        let timeout = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the client is valid; the callback runs within.
        unsafe { rd::rd_kafka_poll(self.client.rk(), timeout) };
    }

    /// Sends everything at once, without lingering, and waits until it is delivered or has failed. False where time
    /// ran out before.
    pub fn flush(&self, timeout: Duration) -> bool {
        // SAFETY: the client is valid.
        unsafe { codes::rd_kafka_flush(self.client.rk(), super::millis(timeout)) == NO_ERROR }
    }

    /// Forgets what is queued and in flight.
    pub fn purge(&self) {
        // SAFETY: the client is valid.
        unsafe { codes::rd_kafka_purge(self.client.rk(), rd::RD_KAFKA_PURGE_F_QUEUE | rd::RD_KAFKA_PURGE_F_INFLIGHT) };
    }

    /// Records that are not delivered yet.
    pub fn queued(&self) -> usize {
        // SAFETY: the client is valid.
        usize::try_from(unsafe { rd::rd_kafka_outq_len(self.client.rk()) }).unwrap_or(0)
    }

    /// Takes the failures since the last call.
    pub fn take_undelivered(&self) -> Option<Undelivered> {
        let context = &self.client.context;
        if context.undelivered.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let first = context.first_failure.lock().take();
        Some(Undelivered { records: context.undelivered.swap(0, Ordering::Relaxed), first })
    }

    /// Why this producer can do no more, if so: it must be replaced.
    pub fn fatal(&self) -> Option<Failure> {
        let mut text = [0 as c_char; super::ERROR_TEXT_BYTES];
        // SAFETY: the client is valid, the buffer outlives the call.
        let code = unsafe { codes::rd_kafka_fatal_error(self.client.rk(), text.as_mut_ptr(), text.len()) };
        (code != NO_ERROR).then(|| Failure::raw(code, super::buffer_text(&text)))
    }

    /// Lets it come to such an end.
    #[cfg(test)]
    pub fn fail_for_good(&self) {
        let code = rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        // SAFETY: the client is valid, the text ends with a zero.
        unsafe { rd::rd_kafka_test_fatal_error(self.client.rk(), code, c"planted".as_ptr()) };
    }

    /// Asks the cluster about a topic, so that the producer learns of partitions made since.
    pub fn refresh(&self, topic: &ProducerTopic, timeout: Duration) -> Result<(), Failure> {
        let mut metadata = std::ptr::null();
        // SAFETY: client and topic are valid; the answer is freed at once.
        unsafe {
            done(codes::rd_kafka_metadata(self.client.rk(), 0, topic.0.rkt(), &raw mut metadata, super::millis(timeout)))?;
            rd::rd_kafka_metadata_destroy(metadata);
        }
        Ok(())
    }
}

use rd::rd_kafka_vu_s__bindgen_ty_1 as Union;
use rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 as Memory;

fn argument(vtype: rd::rd_kafka_vtype_t, u: Union) -> rd::rd_kafka_vu_t {
    rd::rd_kafka_vu_t { vtype, u }
}

fn pointer(bytes: Option<&[u8]>) -> (*mut c_void, usize) {
    match bytes {
        Some(bytes) => (bytes.as_ptr().cast_mut().cast::<c_void>(), bytes.len()),
        None => (std::ptr::null_mut(), 0),
    }
}

/// Headers in librdkafka's form; null where there are none.
fn headers(headers: &[Header]) -> *mut rd::rd_kafka_headers_t {
    if headers.is_empty() {
        return std::ptr::null_mut();
    }
    // SAFETY: names and values are given with their lengths and copied.
    unsafe {
        let list = rd::rd_kafka_headers_new(headers.len());
        for header in headers {
            let (value, size) = pointer(header.value.as_deref());
            let (name, name_size) = (header.key.as_ptr().cast::<c_char>(), isize::try_from(header.key.len()).unwrap_or(0));
            rd::rd_kafka_header_add(list, name, name_size, value, isize::try_from(size).unwrap_or(0));
        }
        list
    }
}
