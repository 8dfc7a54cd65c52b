//! The raw calls into librdkafka, and the only `unsafe` of the project.
//!
//! Why not rdkafka's safe clients: they take messages one by one (a batch call costs about half), have no
//! AlterConsumerGroupOffsets, ListConsumerGroupOffsets nor ListOffsets, and start a polling thread for each admin client.
//! Everything outside this folder is safe Rust over the types here, which own what they point to.
//!
//! Rules: a pointer is owned by exactly one type, freed in its `Drop`; what lies in a message lives as long as its
//! [`consume::MessageBatch`]; a client outlives all its topics, queues and messages, which each hold it.
#![allow(unsafe_code)] // Calls to a C library cannot be safe; each block says why it is sound.

pub mod admin;
mod codes;
pub mod consume;
pub mod identify;
pub mod login;
pub mod offsets;
pub mod produce;
pub mod rights;
mod transactions;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::bindings as rd;

use super::errors::Failure;
use super::health::Health;
use super::reports::{Reports, Ticket};
use crate::log::LogError;

/// How librdkafka says that a topic or partition does not exist.
const UNKNOWN: [rd::rd_kafka_resp_err_t; 3] = [
    rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
    rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
];
/// Room for librdkafka's error texts, bytes.
const ERROR_TEXT_BYTES: usize = 512;

/// One librdkafka client: a few threads of its own and a connection to each broker it talks to. Thread-safe.
pub struct Client {
    rk: NonNull<rd::rd_kafka_t>,
    /// What the callbacks see, by a pointer that stays good when the client moves; let go after the client, whose threads
    /// use it.
    context: Arc<Context>,
}

/// What librdkafka's callbacks are given.
struct Context {
    health: Arc<Health>,
    /// Records that could not be delivered since the last look.
    undelivered: AtomicU64,
    /// The first of those failures, before all one that is there to stay.
    first_failure: Mutex<Option<RecordFailure>>,
    /// The records that somebody waits for, each by itself.
    reports: Reports,
}

/// A record that could not be delivered.
#[derive(Debug, Clone)]
pub struct RecordFailure {
    pub topic: String,
    pub failure: Failure,
}

// SAFETY: librdkafka documents its client handle as thread-safe; the context is made of Sync types.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    /// A client that reads (and administrates).
    pub(super) fn consumer(config: &BTreeMap<String, String>, health: &Arc<Health>) -> Result<Arc<Client>, LogError> {
        Self::new(rd::rd_kafka_type_t::RD_KAFKA_CONSUMER, config, health)
    }

    /// A client that writes.
    pub(super) fn producer(config: &BTreeMap<String, String>, health: &Arc<Health>) -> Result<Arc<Client>, LogError> {
        Self::new(rd::rd_kafka_type_t::RD_KAFKA_PRODUCER, config, health)
    }

    fn new(kind: rd::rd_kafka_type_t, config: &BTreeMap<String, String>, health: &Arc<Health>) -> Result<Arc<Client>, LogError> {
        let context = Arc::new(Context {
            health: Arc::clone(health),
            undelivered: AtomicU64::new(0),
            first_failure: Mutex::new(None),
            reports: Reports::default(),
        });
        let mut text = [0 as c_char; ERROR_TEXT_BYTES];
        // SAFETY: allocates a configuration, which rd_kafka_new takes over, or which is destroyed below.
        let conf = unsafe { rd::rd_kafka_conf_new() };
        for (name, value) in config {
            let failed = match (CString::new(name.as_str()), CString::new(value.as_str())) {
                (Ok(name), Ok(value)) => {
                    // SAFETY: the strings and the buffer outlive the call.
                    let result = unsafe { rd::rd_kafka_conf_set(conf, name.as_ptr(), value.as_ptr(), text.as_mut_ptr(), text.len()) };
                    (result != rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK).then(|| buffer_text(&text))
                }
                _ => Some("a NUL character".to_owned()),
            };
            if let Some(reason) = failed {
                // SAFETY: not given to a client yet.
                unsafe { rd::rd_kafka_conf_destroy(conf) };
                return Err(LogError::Fatal(format!("Kafka client property '{name}': {reason}")));
            }
        }
        // SAFETY: the callbacks have the signatures that librdkafka calls; the context outlives the client (see Drop).
        let rk = unsafe {
            rd::rd_kafka_conf_set_opaque(conf, Arc::as_ptr(&context).cast_mut().cast::<c_void>());
            rd::rd_kafka_conf_set_log_cb(conf, Some(on_log));
            // Tokens come without being asked for: the requests for them would gather where nobody polls.
            rd::rd_kafka_conf_enable_sasl_queue(conf, 1);
            if kind == rd::rd_kafka_type_t::RD_KAFKA_PRODUCER {
                rd::rd_kafka_conf_set_dr_msg_cb(conf, Some(on_delivery));
            }
            rd::rd_kafka_new(kind, conf, text.as_mut_ptr(), text.len())
        };
        let Some(rk) = NonNull::new(rk) else {
            // SAFETY: on failure the configuration stays ours.
            unsafe { rd::rd_kafka_conf_destroy(conf) };
            return Err(LogError::Fatal(format!("Kafka client: {}", buffer_text(&text))));
        };
        let client = Arc::new(Client { rk, context });
        if let Some(login) = health.login() {
            login.join(&client);
        }
        Ok(client)
    }

    fn rk(&self) -> *mut rd::rd_kafka_t {
        self.rk.as_ptr()
    }

    /// No broker answers, as far as is known.
    pub(super) fn is_away(&self) -> bool {
        self.context.health.outage().is_some()
    }

    /// Refuses while no broker is known to answer: a request would only wait for its time limit.
    fn is_reachable(&self) -> Result<(), Failure> {
        let outage = self.context.health.outage();
        outage.map_or(Ok(()), |outage| Err(Failure::new(rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TRANSPORT, outage)))
    }

    /// A handle of a topic, whether it exists or not.
    fn topic(self: &Arc<Self>, name: &str) -> Result<Topic, Failure> {
        let c_name = c_string(name)?;
        // SAFETY: the name outlives the call; a null configuration means the client's defaults.
        let rkt = unsafe { rd::rd_kafka_topic_new(self.rk(), c_name.as_ptr(), std::ptr::null_mut()) };
        match NonNull::new(rkt) {
            Some(rkt) => Ok(Topic { rkt, name: c_name, client: Arc::clone(self) }),
            None => Err(last_error()),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: topics, queues and messages each hold the client, so none is left. The call waits for the client's
        // threads; the context is freed after it, as a field.
        unsafe { rd::rd_kafka_destroy(self.rk()) };
    }
}

/// A topic handle of one client.
struct Topic {
    rkt: NonNull<rd::rd_kafka_topic_t>,
    name: CString,
    client: Arc<Client>,
}

// SAFETY: topic handles are as thread-safe as their client.
unsafe impl Send for Topic {}
// SAFETY: as above.
unsafe impl Sync for Topic {}

impl Topic {
    fn rkt(&self) -> *mut rd::rd_kafka_topic_t {
        self.rkt.as_ptr()
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: made by rd_kafka_topic_new, given back once; the client still lives.
        unsafe { rd::rd_kafka_topic_destroy(self.rkt()) };
    }
}

thread_local! {
    /// The last error line that librdkafka wrote on this thread. That a topic has gone is told to nobody else: taking
    /// messages from the partition's queue writes it to the log, on the thread that takes them.
    static SAID: Cell<Option<String>> = const { Cell::new(None) };
}

/// Forgets what was said on this thread so far; if it was that a topic or partition does not exist, that.
fn missing_topic() -> Option<Failure> {
    let said = SAID.take()?;
    UNKNOWN.iter().any(|code| said.contains(&failure(*code as i32).text)).then(|| Failure::new(UNKNOWN[0], said))
}

/// librdkafka's log lines. Runs on its threads.
unsafe extern "C" fn on_log(rk: *const rd::rd_kafka_t, level: c_int, facility: *const c_char, line: *const c_char) {
    if rk.is_null() {
        return;
    }
    // SAFETY: the opaque of every client is its context, which outlives it; the strings live for the call.
    unsafe {
        let context = rd::rd_kafka_opaque(rk).cast::<Context>();
        if let Some(context) = context.as_ref() {
            let (facility, line) = (text_of(facility), text_of(line));
            context.health.line(level, &facility, &line);
            if facility == "ERROR" {
                let _ = SAID.try_with(|said| said.replace(Some(line)));
            }
        }
    }
}

/// A record's fate: of those that somebody waits for always, of others where it failed. Runs within rd_kafka_poll and
/// rd_kafka_flush.
unsafe extern "C" fn on_delivery(_rk: *mut rd::rd_kafka_t, message: *const rd::rd_kafka_message_t, opaque: *mut c_void) {
    // SAFETY: the opaque of every client is its context; the message lives for the call.
    unsafe {
        let code = message_code(message);
        let ticket = Ticket((*message)._private.addr());
        if code == 0 && ticket == Ticket::NONE {
            return;
        }
        if let Some(context) = opaque.cast::<Context>().as_ref() {
            let failure = Failure::raw(code, text_of(rd::rd_kafka_message_produce_errstr(message)));
            if ticket != Ticket::NONE {
                return context.reports.report(ticket, if code == 0 { Ok(()) } else { Err(failure) });
            }
            context.undelivered.fetch_add(1, Ordering::Relaxed);
            let mut first = context.first_failure.lock();
            if first.as_ref().is_none_or(|first| first.failure.is_retriable() && !failure.is_retriable()) {
                let topic = if (*message).rkt.is_null() { String::new() } else { text_of(rd::rd_kafka_topic_name((*message).rkt)) };
                *first = Some(RecordFailure { topic, failure });
            }
        }
    }
}

/// The error code of a message as a number: a broker may send codes that the enum of the bindings lacks.
///
/// # Safety
/// The message must be valid.
unsafe fn message_code(message: *const rd::rd_kafka_message_t) -> i32 {
    // SAFETY: `err` is an `int` sized enum (repr(i32)) at the start of a valid message.
    unsafe { std::ptr::addr_of!((*message).err).cast::<i32>().read() }
}

/// The code of an error object that the callee keeps.
///
/// # Safety
/// The error must be valid or null.
unsafe fn failure_of(error: *const rd::rd_kafka_error_t) -> Option<Failure> {
    if error.is_null() {
        return None;
    }
    // SAFETY: valid as the caller says.
    unsafe { Some(Failure::raw(codes::rd_kafka_error_code(error), text_of(rd::rd_kafka_error_string(error)))) }
}

/// A C string that may be null.
///
/// # Safety
/// The pointer must be null or point to a NUL-terminated string.
unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(text).to_string_lossy().into_owned() }
}

fn buffer_text(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> = buffer.iter().take_while(|c| **c != 0).map(|c| c.to_ne_bytes()[0]).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn c_string(text: &str) -> Result<CString, Failure> {
    CString::new(text)
        .map_err(|_| Failure::new(rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__INVALID_ARG, format!("'{text}' holds a NUL character")))
}

/// A code that a call returned, with librdkafka's words for it.
pub(super) fn failure(code: i32) -> Failure {
    // SAFETY: returns a string for any code, which is copied before the next call on this thread.
    Failure::raw(code, unsafe { text_of(codes::rd_kafka_err2str(code)) })
}

/// What a call returned, unless it was that all went well.
fn done(code: i32) -> Result<(), Failure> {
    if code == codes::NO_ERROR { Ok(()) } else { Err(failure(code)) }
}

/// librdkafka did not answer in time.
fn timed_out() -> Failure {
    failure(rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT as i32)
}

/// The failure of the last call on this thread.
fn last_error() -> Failure {
    // SAFETY: reads a thread-local.
    failure(unsafe { codes::rd_kafka_last_error() })
}

/// A timeout in the form of librdkafka: milliseconds, at least 1.
fn millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_millis().max(1)).unwrap_or(c_int::MAX)
}

/// An array that librdkafka owns, as a slice.
///
/// # Safety
/// `items` must be null or point to `count` valid items that live as long as `'a`.
unsafe fn slice_of<'a, T>(items: *const T, count: usize) -> &'a [T] {
    if items.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: as the caller says.
    unsafe { std::slice::from_raw_parts(items, count) }
}

/// The items of an array of structures that hold an error code: pointers, since a reference would vouch for the code.
fn each<T>(items: *const T, count: c_int) -> impl Iterator<Item = *const T> {
    let count = if items.is_null() { 0 } else { usize::try_from(count).unwrap_or(0) };
    (0..count).map(move |index| items.wrapping_add(index))
}
