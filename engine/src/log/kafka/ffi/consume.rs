//! Reading: one partition's own queue, drained in batches whose records are borrowed, not copied.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::bindings as rd;

use super::codes::{self, NO_ERROR};
use super::{Client, Topic, done, each, last_error, message_code, missing_topic, slice_of, text_of};
use crate::log::kafka::errors::Failure;
use crate::log::{Batch, Offset, RecordRef};
use crate::row::Header;

/// Told when a partition's queue is no longer empty.
pub struct Signal {
    /// Something may be waiting in the queue.
    ready: AtomicBool,
    /// Called from librdkafka's thread under the queue's lock: must be quick and call nothing of librdkafka.
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Signal {
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Arc<Signal> {
        Arc::new(Signal { ready: AtomicBool::new(false), wake })
    }

    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}

/// One partition being read by one client. Dropping it stops the reading.
pub struct PartitionQueue {
    topic: Topic,
    partition: i32,
    queue: NonNull<rd::rd_kafka_queue_t>,
    signal: Arc<Signal>,
    /// The position before the last seek: the client's thread may not have taken note yet.
    old_position: Option<i64>,
}

// SAFETY: queues are thread-safe like their client.
unsafe impl Send for PartitionQueue {}

/// What a drain found.
#[derive(Default)]
pub struct Drained {
    pub batch: Option<MessageBatch>,
    /// An error that the partition reported; what came before it is in the batch.
    pub failure: Option<Failure>,
    /// The offset that the error is about; negative where it is about none.
    pub failed_at: i64,
}

impl PartitionQueue {
    /// Begins to read at an offset. A client reads each partition at most once at a time.
    pub fn start(client: &Arc<Client>, topic: &str, partition: i32, offset: i64, signal: Arc<Signal>) -> Result<PartitionQueue, Failure> {
        let topic = client.topic(topic)?;
        // SAFETY: the client is valid.
        let queue = unsafe { rd::rd_kafka_queue_new(client.rk()) };
        let queue = NonNull::new(queue).ok_or_else(last_error)?;
        let reading = PartitionQueue { topic, partition, queue, signal, old_position: None };
        // SAFETY: topic and queue are valid; the signal is held by `reading`, which takes the callback away before it
        // lets the signal go.
        let result = unsafe {
            rd::rd_kafka_queue_cb_event_enable(
                reading.queue.as_ptr(),
                Some(on_not_empty),
                Arc::as_ptr(&reading.signal).cast_mut().cast::<c_void>(),
            );
            rd::rd_kafka_consume_start_queue(reading.topic.rkt(), partition, offset, reading.queue.as_ptr())
        };
        if result != 0 { Err(last_error()) } else { Ok(reading) }
    }

    /// Goes on at another offset; what was fetched before is discarded. Waits for nothing.
    pub fn seek(&mut self, offset: i64) -> Result<(), Failure> {
        self.old_position = self.position();
        // SAFETY: the topic is valid. The call puts a version barrier into the queue at once, so that older messages are not
        // handed out any more; without a timeout the client's thread does the rest later, after the start.
        done(unsafe { codes::rd_kafka_seek(self.topic.rkt(), self.partition, offset, 0) })
    }

    /// Begins anew at another offset, after an error that ended the reading. Waits for the client's thread.
    pub fn restart(&mut self, offset: i64) -> Result<(), Failure> {
        self.old_position = None;
        // SAFETY: topic and queue are valid; the queue keeps its callback.
        let result = unsafe {
            rd::rd_kafka_consume_stop(self.topic.rkt(), self.partition);
            rd::rd_kafka_consume_start_queue(self.topic.rkt(), self.partition, offset, self.queue.as_ptr())
        };
        if result != 0 { Err(last_error()) } else { Ok(()) }
    }

    /// Takes up to `scratch.len()` messages that have arrived, without waiting.
    pub fn drain(&mut self, scratch: &mut [*mut rd::rd_kafka_message_t]) -> Drained {
        // Before the drain: what arrives during it raises the flag again.
        self.signal.ready.store(false, Ordering::Release);
        // SAFETY: the queue is valid and ours.
        let (count, drained) = unsafe { drain(&self.topic.client, self.queue, scratch, 0) };
        if count > 0 && count == scratch.len() {
            // There may be more, for which the queue will not call again.
            self.signal.ready.store(true, Ordering::Release);
        }
        if drained.batch.is_some() {
            self.old_position = None;
        }
        drained
    }

    /// One past the last record of the partition as of the last fetch; `None` before the first.
    pub fn end(&self) -> Option<i64> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client and the name are valid, the numbers outlive the call, which reads a cache.
        let code = unsafe {
            codes::rd_kafka_get_watermark_offsets(
                self.topic.client.rk(),
                self.topic.name.as_ptr(),
                self.partition,
                &raw mut low,
                &raw mut high,
            )
        };
        (code == NO_ERROR && high >= 0).then_some(high)
    }

    /// One past the last record that was drained, transaction markers included; `None` before the first.
    pub fn position(&self) -> Option<i64> {
        // SAFETY: the list is made, read and destroyed here.
        unsafe {
            let list = rd::rd_kafka_topic_partition_list_new(1);
            rd::rd_kafka_topic_partition_list_add(list, self.topic.name.as_ptr(), self.partition);
            let code = codes::rd_kafka_position(self.topic.client.rk(), list);
            let offset = each((*list).elems, (*list).cnt).next().map(|element| (*element).offset);
            rd::rd_kafka_topic_partition_list_destroy(list);
            offset.filter(|offset| code == NO_ERROR && *offset >= 0 && Some(*offset) != self.old_position)
        }
    }
}

impl Drop for PartitionQueue {
    /// Waits for the client's thread: not to be called under a lock that others need.
    fn drop(&mut self) {
        // SAFETY: the callback is taken away first (both under the queue's lock), so the signal is not used after it;
        // then the reading stops, and the queue, made in `start`, is given back once.
        unsafe {
            rd::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, std::ptr::null_mut());
            rd::rd_kafka_consume_stop(self.topic.rkt(), self.partition);
            rd::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

/// Takes messages from a queue: how many, and what they are.
///
/// # Safety
/// The queue must be valid and belong to the client.
unsafe fn drain(
    client: &Arc<Client>,
    queue: NonNull<rd::rd_kafka_queue_t>,
    scratch: &mut [*mut rd::rd_kafka_message_t],
    timeout_ms: c_int,
) -> (usize, Drained) {
    let _ = missing_topic();
    // SAFETY: the queue is valid and the array has room for as many pointers as it is said to have.
    let count = unsafe { rd::rd_kafka_consume_batch_queue(queue.as_ptr(), timeout_ms, scratch.as_mut_ptr(), scratch.len()) };
    let Ok(count) = usize::try_from(count) else {
        return (0, Drained { batch: None, failure: Some(last_error()), failed_at: -1 });
    };
    let arrived = scratch.get(..count).unwrap_or_default();
    let mut messages = Vec::with_capacity(count);
    let mut bytes = 0;
    let (mut failed, mut failed_at) = (missing_topic(), -1);
    for message in arrived.iter().filter_map(|message| NonNull::new(*message)) {
        // SAFETY: each message is valid and ours until it is destroyed, here or by the batch.
        unsafe {
            match message_code(message.as_ptr()) {
                0 => {
                    bytes += message.as_ref().len + message.as_ref().key_len;
                    messages.push(message);
                }
                code => {
                    failed_at = message.as_ref().offset;
                    failed = Some(Failure::raw(code, text_of(rd::rd_kafka_message_errstr(message.as_ptr()))));
                    rd::rd_kafka_message_destroy(message.as_ptr());
                }
            }
        }
    }
    let batch = (!messages.is_empty()).then(|| MessageBatch {
        messages: messages.into_boxed_slice(),
        bytes,
        headers: Mutex::new(()),
        kept: OnceLock::new(),
        _client: Arc::clone(client),
    });
    (count, Drained { batch, failure: failed, failed_at })
}

/// All partitions of a topic on one queue: the barest way to read.
pub struct SharedQueue {
    topic: Topic,
    partitions: i32,
    queue: NonNull<rd::rd_kafka_queue_t>,
    scratch: Box<[*mut rd::rd_kafka_message_t]>,
}

// SAFETY: queues are thread-safe like their client; the scratch space holds nothing between calls.
unsafe impl Send for SharedQueue {}

impl SharedQueue {
    /// Begins to read all partitions at an offset.
    pub fn start(client: &Arc<Client>, topic: &str, partitions: i32, offset: i64, batch: usize) -> Result<SharedQueue, Failure> {
        let topic = client.topic(topic)?;
        // SAFETY: the client is valid.
        let queue = NonNull::new(unsafe { rd::rd_kafka_queue_new(client.rk()) }).ok_or_else(last_error)?;
        let reading = SharedQueue { topic, partitions, queue, scratch: scratch(batch) };
        for partition in 0..partitions {
            // SAFETY: topic and queue are valid.
            if unsafe { rd::rd_kafka_consume_start_queue(reading.topic.rkt(), partition, offset, queue.as_ptr()) } != 0 {
                return Err(last_error());
            }
        }
        Ok(reading)
    }

    /// What has arrived, after waiting for the first message: a blocking drain would wait its whole time unless it
    /// fills.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<MessageBatch>, Failure> {
        let SharedQueue { topic, queue, scratch, .. } = self;
        // SAFETY: the queue is valid and ours.
        let (_, found) = unsafe { drain(&topic.client, *queue, scratch, 0) };
        let found = match (found, scratch.get_mut(..1)) {
            (Drained { batch: None, failure: None, .. }, Some(one)) => {
                // SAFETY: as above.
                unsafe { drain(&topic.client, *queue, one, super::millis(timeout)) }.1
            }
            (found, _) => found,
        };
        found.failure.map_or(Ok(found.batch), Err)
    }
}

impl Drop for SharedQueue {
    fn drop(&mut self) {
        // SAFETY: each partition was started in `start`; the queue is given back once.
        unsafe {
            for partition in 0..self.partitions {
                rd::rd_kafka_consume_stop(self.topic.rkt(), partition);
            }
            rd::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

/// Runs on librdkafka's thread under the queue's lock when an empty queue is empty no more.
unsafe extern "C" fn on_not_empty(_rk: *mut rd::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: the opaque is the signal of a PartitionQueue, which lives while the callback is set.
    if let Some(signal) = unsafe { opaque.cast::<Signal>().as_ref() } {
        signal.ready.store(true, Ordering::Release);
        (signal.wake)();
    }
}

/// Scratch space for [`PartitionQueue::drain`].
pub fn scratch(records: usize) -> Box<[*mut rd::rd_kafka_message_t]> {
    vec![std::ptr::null_mut(); records].into_boxed_slice()
}

/// Records of one partition where librdkafka put them: keys and values are borrowed from its fetch buffers, which are
/// freed when the last batch that uses them is dropped.
pub struct MessageBatch {
    messages: Box<[NonNull<rd::rd_kafka_message_t>]>,
    bytes: usize,
    /// Headers are parsed on first use, which changes the message: one thread at a time.
    headers: Mutex<()>,
    /// The same, copied.
    kept: OnceLock<Arc<dyn Batch>>,
    /// Messages must be destroyed before their client.
    _client: Arc<Client>,
}

// SAFETY: messages do not change once fetched, but for their headers, which a lock guards.
unsafe impl Send for MessageBatch {}
// SAFETY: as above.
unsafe impl Sync for MessageBatch {}

impl MessageBatch {
    /// Keys and values together.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The copy of this batch; the first that asks makes it.
    pub fn kept(&self, copy: impl FnOnce(&Self) -> Arc<dyn Batch>) -> Arc<dyn Batch> {
        Arc::clone(self.kept.get_or_init(|| copy(self)))
    }

    /// The offset of the record at an index, which must be below `len`.
    pub fn offset(&self, index: usize) -> i64 {
        // SAFETY: messages are valid until the batch is dropped.
        unsafe { self.messages[index].as_ref().offset }
    }

    /// The partition of the record at an index, which must be below `len`.
    pub fn partition(&self, index: usize) -> i32 {
        // SAFETY: as above.
        unsafe { self.messages[index].as_ref().partition }
    }

    /// One past the last record.
    pub fn end(&self) -> i64 {
        self.offset(self.messages.len() - 1) + 1
    }
}

impl Batch for MessageBatch {
    fn len(&self) -> usize {
        self.messages.len()
    }

    fn record(&self, index: usize) -> RecordRef<'_> {
        let message = self.messages[index];
        // SAFETY: the message, its key and its value are valid and unchanged until the batch is dropped, which the
        // returned reference cannot outlive.
        unsafe {
            let timestamp = rd::rd_kafka_message_timestamp(message.as_ptr(), std::ptr::null_mut());
            let message = message.as_ref();
            RecordRef {
                offset: Offset(message.offset),
                timestamp,
                key: bytes_of(message.key, message.key_len),
                value: bytes_of(message.payload, message.len),
            }
        }
    }

    fn keeps_time(&self, index: usize) -> bool {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid until the batch is dropped; the call writes to `kind` alone.
        unsafe { rd::rd_kafka_message_timestamp(self.messages[index].as_ptr(), &mut kind) };
        kind == rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME
    }

    fn headers(&self, index: usize) -> Vec<Header> {
        let mut out = Vec::new();
        let _alone = self.headers.lock();
        let Some(headers) = headers_of(self.messages[index]) else { return out };
        // SAFETY: the headers belong to the message, which is valid; name and value live as long as it does and are copied.
        unsafe {
            for at in 0.. {
                let (mut name, mut value, mut size) = (std::ptr::null(), std::ptr::null(), 0);
                let code = codes::rd_kafka_header_get_all(headers, at, &raw mut name, &raw mut value, &raw mut size);
                if code != NO_ERROR {
                    break;
                }
                let value = (!value.is_null()).then(|| slice_of(value.cast::<u8>(), size).to_vec());
                out.push(Header { key: text_of(name), value });
            }
        }
        out
    }
}

/// The headers of a message, which own nothing of their own; `None` where there are none. The caller holds the batch's lock.
fn headers_of(message: NonNull<rd::rd_kafka_message_t>) -> Option<*mut rd::rd_kafka_headers_t> {
    let mut headers = std::ptr::null_mut();
    // SAFETY: messages are valid until their batch is dropped.
    let code = unsafe { codes::rd_kafka_message_headers(message.as_ptr(), &raw mut headers) };
    (code == NO_ERROR).then_some(headers)
}

impl Drop for MessageBatch {
    fn drop(&mut self) {
        for message in &self.messages {
            // SAFETY: ours since the drain, destroyed once, before the client.
            unsafe { rd::rd_kafka_message_destroy(message.as_ptr()) };
        }
    }
}

/// Bytes of a message; null means none, not empty.
///
/// # Safety
/// `data` must be null or point to `len` bytes that live as long as `'a`.
unsafe fn bytes_of<'a>(data: *const c_void, len: usize) -> Option<&'a [u8]> {
    if data.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    Some(unsafe { slice_of(data.cast::<u8>(), len) })
}
