//! The processing log as a topic: one JSON record for each failure, written by a thread of its own.
//!
//! Failures come in floods (a million bad records in a row), so the queue is bounded: what does not fit is counted, and
//! the count is logged.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use serde_json::{Value as Json, json};

use super::{ProcessingError, ProcessingErrorKind, ProcessingLog};
use crate::clock::Clock;
use crate::log::{Commit, Log, LogError, LogWriter, OutRecord, TopicHandle, partition_for};
use crate::state::StateBatch;

/// The stream that shows the processing log.
pub const LOG_STREAM: &str = "KSQL_PROCESSING_LOG";
/// Failures that may wait to be written.
const MAX_WAITING: usize = 10_000;
/// Failures written in one commit at the most.
const MAX_BATCH: usize = 1_000;
/// Warnings that are remembered, so that they are not told again; when there are more, all are forgotten.
const MAX_REMEMBERED: usize = 10_000;
/// How often dropped failures are mentioned.
const DROPPED_INTERVAL: Duration = Duration::from_secs(10);

/// Columns of [`LOG_STREAM`], as SQL.
pub fn stream_columns() -> &'static str {
    "logger VARCHAR, level VARCHAR, time BIGINT, message STRUCT<type INT, \
     deserializationError STRUCT<target VARCHAR, errorMessage VARCHAR, recordB64 VARCHAR, cause ARRAY<VARCHAR>, `topic` VARCHAR>, \
     recordProcessingError STRUCT<errorMessage VARCHAR, record VARCHAR, cause ARRAY<VARCHAR>>, \
     productionError STRUCT<errorMessage VARCHAR>, \
     serializationError STRUCT<target VARCHAR, errorMessage VARCHAR, record VARCHAR, cause ARRAY<VARCHAR>, `topic` VARCHAR>, \
     kafkaStreamsThreadError STRUCT<errorMessage VARCHAR, threadName VARCHAR, cause ARRAY<VARCHAR>>>"
}

/// How bad an entry is, as the stream's `level` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warn,
}

/// What waits to be written.
type Entry = (Level, ProcessingError);

/// Writes failures to a topic. Dropping it waits until all of them are written.
pub struct ProcessingLogWriter {
    /// `None` once it is being dropped.
    queue: Option<Sender<Entry>>,
    dropped: Arc<AtomicU64>,
    include_rows: bool,
    thread: Option<JoinHandle<()>>,
}

impl ProcessingLogWriter {
    /// Starts the thread; it ends when the writer is dropped. The topic must exist.
    pub fn start(log: Arc<dyn Log>, topic: &str, include_rows: bool, clock: Arc<dyn Clock>) -> Result<Self, LogError> {
        let (handle, partitions) = log.topic(topic)?;
        let (queue, inbox) = bounded(MAX_WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let writing = WriterThread {
            log,
            handle,
            partitions,
            include_rows,
            clock,
            counter: 0,
            writer: None,
            warned: HashSet::new(),
            dropped: dropped.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("processing-log".into())
            .spawn(move || writing.run(&inbox))
            .map_err(|e| LogError::Fatal(format!("processing log: {e}")))?;
        Ok(ProcessingLogWriter { queue: Some(queue), dropped, include_rows, thread: Some(thread) })
    }
}

impl ProcessingLogWriter {
    fn send(&self, entry: Entry) {
        let Some(queue) = &self.queue else { return };
        if let Err(TrySendError::Full(_)) = queue.try_send(entry) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for ProcessingLogWriter {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl ProcessingLog for ProcessingLogWriter {
    fn report(&self, error: ProcessingError) {
        self.send((Level::Error, error));
    }

    fn warn(&self, warning: ProcessingError) {
        self.send((Level::Warn, warning));
    }

    fn includes_rows(&self) -> bool {
        self.include_rows
    }
}

struct WriterThread {
    log: Arc<dyn Log>,
    handle: TopicHandle,
    partitions: u32,
    include_rows: bool,
    clock: Arc<dyn Clock>,
    counter: u32,
    writer: Option<Box<dyn LogWriter>>,
    /// Warnings that were written, by query and text: the tasks of a query give the same ones.
    warned: HashSet<(Arc<str>, String)>,
    dropped: Arc<AtomicU64>,
}

impl WriterThread {
    fn run(mut self, inbox: &Receiver<Entry>) {
        loop {
            match inbox.recv_timeout(DROPPED_INTERVAL) {
                Ok(first) => {
                    if let Err(error) = self.write(std::iter::once(first).chain(inbox.try_iter().take(MAX_BATCH - 1))) {
                        tracing::warn!(%error, "the processing log can't be written");
                        self.writer = None;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                tracing::warn!(dropped, "the processing log could not keep up; some failures are only counted");
            }
        }
    }

    /// Whether an entry was not told before.
    fn is_new(&mut self, (level, error): &Entry) -> bool {
        if *level == Level::Error {
            return true;
        }
        if self.warned.len() >= MAX_REMEMBERED {
            self.warned.clear();
        }
        self.warned.insert((error.query_id.clone(), error.message.clone()))
    }

    fn write(&mut self, entries: impl Iterator<Item = Entry>) -> Result<(), LogError> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.log.writer()?,
        };
        for entry in entries {
            if !self.is_new(&entry) {
                continue;
            }
            let timestamp = self.clock.now_ms();
            let value = record(&entry, timestamp, self.include_rows).to_string();
            let partition = partition_for(None, self.partitions, &mut self.counter);
            writer.send(self.handle, OutRecord { partition, timestamp, key: None, value: Some(value.as_bytes()), headers: &[] })?;
        }
        writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() })?;
        self.writer = Some(writer);
        Ok(())
    }
}

/// A failure in the shape of [`stream_columns`].
fn record((level, error): &Entry, now_ms: i64, include_rows: bool) -> Json {
    let level = if *level == Level::Warn { "WARN" } else { "ERROR" };
    let row = if include_rows { json!(error.record) } else { Json::Null };
    let mut message = json!({
        "type": error.kind as i32,
        "deserializationError": null,
        "recordProcessingError": null,
        "productionError": null,
        "serializationError": null,
        "kafkaStreamsThreadError": null,
    });
    let (field, detail) = match error.kind {
        ProcessingErrorKind::Deserialization => (
            "deserializationError",
            json!({"target": error.target, "errorMessage": error.message, "recordB64": row, "cause": error.cause, "topic": error.topic}),
        ),
        ProcessingErrorKind::RecordProcessing => {
            ("recordProcessingError", json!({"errorMessage": error.message, "record": row, "cause": error.cause}))
        }
        ProcessingErrorKind::Production => ("productionError", json!({"errorMessage": error.message})),
        ProcessingErrorKind::Serialization => (
            "serializationError",
            json!({"target": error.target, "errorMessage": error.message, "record": row, "cause": error.cause, "topic": error.topic}),
        ),
        ProcessingErrorKind::KafkaStreamsThread => {
            ("kafkaStreamsThreadError", json!({"errorMessage": error.message, "threadName": null, "cause": error.cause}))
        }
    };
    message[field] = detail;
    let logger = if error.step.is_empty() { error.query_id.to_string() } else { format!("{}.{}", error.query_id, error.step) };
    json!({"logger": format!("processing.{logger}"), "level": level, "time": now_ms, "message": message})
}
