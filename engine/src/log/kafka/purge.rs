//! Deleting what nobody reads again: the records of repartition topics that their query has processed. A thread asks the
//! brokers now and then; what fails is asked again with what has come since.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;

use super::ffi::{Client, offsets};
use super::topics::request_timeout;
use crate::log::{GroupOffsets, LogError, Offset, TopicPartition};

/// How often the brokers are asked.
const INTERVAL: Duration = Duration::from_secs(5);

type Waiting = Mutex<BTreeMap<TopicPartition, Offset>>;

/// The thread, which ends when this is dropped.
pub(super) struct Purger {
    waiting: Arc<Waiting>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Purger {
    pub(super) fn start(admin: Arc<Client>) -> Result<Purger, LogError> {
        let waiting = Arc::new(Waiting::default());
        let (stop, stopped) = bounded::<()>(0);
        let shared = Arc::clone(&waiting);
        let thread = std::thread::Builder::new().name("kafka-purge".into()).spawn(move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                purge(&admin, &shared);
            }
        });
        let thread = thread.map_err(|error| LogError::Fatal(format!("a thread for deleting records: {error}")))?;
        Ok(Purger { waiting, stop: Some(stop), thread: Some(thread) })
    }

    /// Takes note of records that may go.
    pub(super) fn add(&self, before: GroupOffsets) {
        let mut waiting = self.waiting.lock();
        for (partition, offset) in before {
            let known = waiting.entry(partition).or_insert(offset);
            *known = offset.max(*known);
        }
    }

    /// Forgets a topic that is being deleted.
    pub(super) fn forget(&self, topic: &str) {
        self.waiting.lock().retain(|partition, _| *partition.topic != *topic);
    }
}

impl Drop for Purger {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn purge(admin: &Arc<Client>, waiting: &Waiting) {
    let before: GroupOffsets = std::mem::take(&mut *waiting.lock()).into_iter().collect();
    if before.is_empty() {
        return;
    }
    if let Err(failure) = offsets::delete_records(admin, &before, request_timeout()) {
        tracing::debug!(target: "kafka", reason = failure.in_words(), "records of repartition topics remain; trying again");
        let mut waiting = waiting.lock();
        for (partition, offset) in before.into_iter().filter(|_| failure.is_retriable()) {
            waiting.entry(partition).or_insert(offset);
        }
    }
}
