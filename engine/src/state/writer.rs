//! Writing state in the background, so that no worker waits for a hundred thousand entries: one thread for the process.
//!
//! For logs that keep changelogs: a commit there is done when the log has it, and the local database may follow. Where
//! the log writes state and records in one piece (embedded) nothing comes here.
//!
//! A batch that can't be written (a full disk) stays at the head of the queue and is tried again: what comes behind it
//! builds on it. Meanwhile it is read from the overlays, and workers that see [`StateWriter::is_behind`] add no more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{StateBatch, StateError};
use crate::points::{self, Point};

/// Batches that may wait before workers are asked to stop.
const MAX_WAITING_BATCHES: u64 = 64;
/// First and longest pause before a batch that could not be written is tried again.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// See the module. A cheap handle; the thread ends, after what it was given, with the last one.
#[derive(Clone)]
pub struct StateWriter {
    owner: Arc<Owner>,
}

/// Ends the thread.
struct Owner {
    shared: Arc<Shared>,
    /// `None`: the owner calls [`StateWriter::write_next`] itself.
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    /// The first one is being written, if any is.
    waiting: VecDeque<Arc<StateBatch>>,
    /// Batches that ever came, and that were ever done with.
    submitted: u64,
    done: u64,
    /// Why the first batch could not be written the last time.
    failure: Option<StateError>,
    is_closing: bool,
}

impl StateWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// `Storage` where no thread can be had.
    pub fn start() -> Result<Self, StateError> {
        let shared = Arc::new(Shared::default());
        let working = shared.clone();
        let thread = std::thread::Builder::new().name("state-writer".into()).spawn(move || working.work());
        let thread = thread.map_err(|error| StateError::Storage(format!("no thread for writing state: {error}")))?;
        Ok(StateWriter { owner: Arc::new(Owner { shared, thread: Mutex::new(Some(thread)) }) })
    }

    /// A writer without a thread, for tests that repeat themselves: [`Self::write_next`] does the work.
    #[cfg(test)]
    pub fn by_hand() -> Self {
        StateWriter { owner: Arc::new(Owner { shared: Arc::default(), thread: Mutex::new(None) }) }
    }

    /// Takes a batch whose commit has succeeded: its changes survive a rollback from now on. Batches are written in the
    /// order in which they come. Never waits.
    pub fn submit(&self, batch: StateBatch) {
        batch.mark_submitted();
        let mut queue = self.owner.shared.queue.lock();
        queue.waiting.push_back(Arc::new(batch));
        queue.submitted += 1;
        drop(queue);
        self.owner.shared.changed.notify_all();
    }

    /// Whether no more should be added for now: too much waits, or nothing can be written.
    pub fn is_behind(&self) -> bool {
        let queue = self.owner.shared.queue.lock();
        queue.failure.is_some() || queue.submitted - queue.done > MAX_WAITING_BATCHES
    }

    /// Waits until all that has come so far is written.
    ///
    /// # Errors
    /// Why it can't be written; it is still tried again.
    pub fn settle(&self) -> Result<(), StateError> {
        if self.owner.thread.lock().is_none() {
            while let Some(written) = self.write_next() {
                written?;
            }
            return Ok(());
        }
        let mut queue = self.owner.shared.queue.lock();
        let all = queue.submitted;
        while queue.done < all {
            if let Some(failure) = &queue.failure {
                return Err(failure.clone());
            }
            self.owner.shared.changed.wait(&mut queue);
        }
        Ok(())
    }

    /// Writes the batch at the head of the queue; `None`: nothing waits.
    pub fn write_next(&self) -> Option<Result<(), StateError>> {
        self.owner.shared.write_next()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.queue.lock().is_closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn work(&self) {
        let mut pause = RETRY_PAUSE.0;
        loop {
            match self.write_next() {
                Some(Ok(())) => pause = RETRY_PAUSE.0,
                Some(Err(_)) => {
                    let mut queue = self.queue.lock();
                    if queue.is_closing {
                        // The changelogs have what is lost here.
                        return;
                    }
                    self.changed.wait_for(&mut queue, pause);
                    pause = (pause * 2).min(RETRY_PAUSE.1);
                }
                None => {
                    let mut queue = self.queue.lock();
                    if queue.waiting.is_empty() {
                        if queue.is_closing {
                            return;
                        }
                        self.changed.wait(&mut queue);
                    }
                }
            }
        }
    }

    fn write_next(&self) -> Option<Result<(), StateError>> {
        let batch = self.queue.lock().waiting.front()?.clone();
        let result = points::state(Point::StateWriteBefore).and_then(|()| batch.write_in_slices());
        points::reach(Point::StateWriteAfter);
        let mut queue = self.queue.lock();
        match &result {
            Ok(()) => {
                queue.waiting.pop_front();
                queue.done += 1;
                if queue.failure.take().is_some() {
                    tracing::info!("state can be written again");
                }
            }
            Err(error) => {
                if queue.failure.is_none() {
                    tracing::error!(%error, "state can't be written; trying again, queries wait meanwhile");
                }
                queue.failure = Some(error.clone());
            }
        }
        drop(queue);
        self.changed.notify_all();
        Some(result)
    }
}
