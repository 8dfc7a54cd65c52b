//! Writing state in the background, so that no worker waits for a hundred thousand entries: one thread for the process.
//!
//! For logs that keep changelogs: a commit there is done when the log has it, and the local database may follow. Where
//! the log writes state and records in one piece (embedded) nothing comes here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::{StateBatch, StateError};

/// Batches that may wait; then `submit` waits.
const MAX_WAITING_BATCHES: usize = 64;

/// Called with the outcome, on the writer's thread; must be quick.
pub type OnWritten = Box<dyn FnOnce(Result<(), StateError>) + Send>;

/// See the module. A cheap handle; the thread ends, after what it was given, with the last one.
#[derive(Clone)]
pub struct StateWriter {
    shared: Arc<Shared>,
}

struct Shared {
    /// `None` once the last handle is going.
    queue: Option<Sender<(StateBatch, OnWritten)>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    waiting: Arc<AtomicUsize>,
}

impl StateWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// `Storage` where no thread can be had.
    pub fn start() -> Result<Self, StateError> {
        let (queue, work) = bounded(MAX_WAITING_BATCHES);
        let waiting = Arc::new(AtomicUsize::new(0));
        let counter = waiting.clone();
        let thread = std::thread::Builder::new()
            .name("state-writer".into())
            .spawn(move || run(&work, &counter))
            .map_err(|error| StateError::Storage(format!("no thread for writing state: {error}")))?;
        Ok(StateWriter { shared: Arc::new(Shared { queue: Some(queue), thread: Mutex::new(Some(thread)), waiting }) })
    }

    /// Takes a batch whose commit has succeeded: its changes survive a rollback from now on. Batches are written in the
    /// order in which they come; where one fails, later ones of the same stores fail, too. Waits while too many are
    /// waiting.
    pub fn submit(&self, batch: StateBatch, on_written: OnWritten) {
        batch.mark_submitted();
        self.shared.waiting.fetch_add(1, Ordering::AcqRel);
        let refused = match &self.shared.queue {
            Some(queue) => queue.send((batch, on_written)).err().map(|error| error.0),
            None => Some((batch, on_written)),
        };
        if let Some((_, on_written)) = refused {
            self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
            on_written(Err(StateError::Storage("the state writer has ended".into())));
        }
    }

    /// Batches that are not written yet.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Acquire)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.lock().take()
            // A callback may hold the last handle.
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

fn run(work: &Receiver<(StateBatch, OnWritten)>, waiting: &AtomicUsize) {
    while let Ok((batch, on_written)) = work.recv() {
        let result = batch.write_in_slices();
        drop(batch);
        waiting.fetch_sub(1, Ordering::AcqRel);
        on_written(result);
    }
}
