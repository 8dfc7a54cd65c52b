//! What is asked of the brokers now and then, whoever waits for nothing: processed records of repartition topics go, and
//! topics that are written to are looked at again. One thread, on the connection of background work.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::ffi::Client;
use super::purge::Purger;
use super::topics::Topics;
use crate::log::LogError;

/// How often.
const INTERVAL: Duration = Duration::from_secs(5);

/// The thread, which ends when this is dropped.
pub(super) struct Upkeep {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    pub(super) fn start(client: Arc<Client>, purger: Arc<Purger>, topics: Arc<Topics>) -> Result<Upkeep, LogError> {
        let (stop, stopped) = bounded::<()>(0);
        let thread = std::thread::Builder::new().name("kafka-upkeep".into()).spawn(move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                purger.purge(&client);
                topics.refresh(&client);
            }
        });
        let thread = thread.map_err(|error| LogError::Fatal(format!("a thread for upkeep: {error}")))?;
        Ok(Upkeep { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
