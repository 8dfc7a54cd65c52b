//! How much of a push query's answer may wait for its client: a client that is slower than the query must not fill the
//! memory. When too much waits the query pauses; it goes on when most of it was taken.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use parking_lot::Mutex;

/// A push query pauses while more rows than this wait for its client …
const PAUSE_ABOVE_ROWS: usize = 10_000;
/// … and goes on below this.
const RESUME_BELOW_ROWS: usize = 1_000;
/// The same for bytes, about. The record at hand of each of its tasks comes on top.
const PAUSE_ABOVE_BYTES: usize = 64 << 10;
const RESUME_BELOW_BYTES: usize = 16 << 10;

/// Counts what waits between a query's tasks and its client, and has the query pause and go on. Both sides only count;
/// the lock is for those who change what the query does.
pub(super) struct Flow<S> {
    rows: AtomicUsize,
    bytes: AtomicUsize,
    /// How many rows the client has taken.
    taken: AtomicU64,
    /// Also read without the lock, to see whether there is something to do.
    paused: AtomicBool,
    /// Pauses and resumes one after the other.
    switch: Mutex<S>,
}

/// What waits for a client that is slower than its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backlog {
    /// Rows that the client has taken so far.
    pub taken: u64,
    pub rows: usize,
    pub bytes: usize,
}

/// Has a query pause and go on.
pub(super) trait Switch {
    fn pause(&self);
    fn resume(&self);
}

impl<S: Switch> Flow<S> {
    pub fn new(switch: S) -> Self {
        Flow {
            rows: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
            paused: AtomicBool::new(false),
            switch: Mutex::new(switch),
        }
    }

    /// A row waits from now on; to be called before it is handed over.
    pub fn add(&self, bytes: usize) {
        let rows = self.rows.fetch_add(1, SeqCst) + 1;
        let bytes = self.bytes.fetch_add(bytes, SeqCst).saturating_add(bytes);
        if (rows > PAUSE_ABOVE_ROWS || bytes > PAUSE_ABOVE_BYTES) && !self.paused.load(SeqCst) {
            let switch = self.switch.lock();
            if self.paused.swap(true, SeqCst) {
                return;
            }
            // The client may have taken it all meanwhile. Either it has seen that the query is paused, or it is seen
            // here that little waits: one of the two has the query go on.
            if self.is_little() {
                self.paused.store(false, SeqCst);
            } else {
                switch.pause();
            }
        }
    }

    /// The client has taken a row.
    pub fn take(&self, bytes: usize) {
        self.taken.fetch_add(1, Relaxed);
        self.rows.fetch_sub(1, SeqCst);
        self.bytes.fetch_sub(bytes, SeqCst);
        if self.paused.load(SeqCst) && self.is_little() {
            let switch = self.switch.lock();
            if self.paused.swap(false, SeqCst) {
                switch.resume();
            }
        }
    }

    /// What waits, where the query is paused for that.
    pub fn backlog(&self) -> Option<Backlog> {
        let backlog = || Backlog { taken: self.taken.load(Relaxed), rows: self.rows.load(SeqCst), bytes: self.bytes.load(SeqCst) };
        self.paused.load(SeqCst).then(backlog)
    }

    fn is_little(&self) -> bool {
        self.rows.load(SeqCst) <= RESUME_BELOW_ROWS && self.bytes.load(SeqCst) <= RESUME_BELOW_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;

    /// A query that can be paused.
    #[derive(Default)]
    struct Query {
        paused: AtomicBool,
        pauses: AtomicU64,
    }

    impl Switch for Arc<Query> {
        fn pause(&self) {
            self.pauses.fetch_add(1, SeqCst);
            self.paused.store(true, SeqCst);
        }

        fn resume(&self) {
            self.paused.store(false, SeqCst);
        }
    }

    #[test]
    fn few_large_rows_pause_too() {
        let query = Arc::new(Query::default());
        let flow = Flow::new(query.clone());
        let large = PAUSE_ABOVE_BYTES / 2;
        flow.add(large);
        flow.add(large);
        assert!(!query.paused.load(SeqCst));
        flow.add(large);
        assert!(query.paused.load(SeqCst), "three rows are too much");
        flow.take(large);
        flow.take(large);
        assert!(query.paused.load(SeqCst));
        flow.take(large);
        assert!(!query.paused.load(SeqCst));
    }

    #[test]
    fn a_query_never_sleeps_while_nothing_waits() {
        const BURSTS: usize = 20_000;
        let query = Arc::new(Query::default());
        let flow = Flow::new(query.clone());
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let flow = &flow;
            scope.spawn(move || {
                while let Ok(bytes) = receiver.recv() {
                    flow.take(bytes);
                }
            });
            let mut slept = Duration::ZERO;
            for burst in 0..BURSTS {
                // Just around the threshold, where a pause and its end meet.
                for _ in 0..2 {
                    let bytes = PAUSE_ABOVE_BYTES / 2 + burst % 3;
                    flow.add(bytes);
                    sender.send(bytes).expect("a client");
                }
                let began = Instant::now();
                while query.paused.load(SeqCst) {
                    assert!(began.elapsed() < Duration::from_secs(20), "the query sleeps although all was taken (burst {burst})");
                    std::thread::yield_now();
                }
                slept += began.elapsed();
            }
            drop(sender);
            println!("{} pauses, {slept:?} asleep", query.pauses.load(SeqCst));
        });
        assert!(!query.paused.load(SeqCst));
        assert!(query.pauses.load(SeqCst) > 0, "nothing was ever paused");
    }
}
