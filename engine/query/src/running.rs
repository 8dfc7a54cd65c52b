//! Queries that are under way, and how far each is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How far a query is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    read: AtomicU64,
    /// Records of the topics that are read.
    records: AtomicU64,
    /// How many rows a table has, nobody knows before they are read.
    reads_tables: AtomicBool,
}

impl Progress {
    /// A topic is read, of so many records.
    pub fn will_read(&self, records: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
    }

    pub fn will_read_table(&self) {
        self.reads_tables.store(true, Ordering::Relaxed);
    }

    pub fn has_read(&self, rows: usize) {
        self.read.fetch_add(rows as u64, Ordering::Relaxed);
    }
}

/// A query under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningQuery {
    pub text: String,
    pub elapsed: Duration,
    /// Of topics and tables.
    pub rows_read: u64,
    /// How many it reads at most, where it reads only topics.
    pub rows_total: Option<u64>,
}

struct Entry {
    text: String,
    began: Instant,
    progress: Arc<Progress>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Running(Mutex<Vec<Arc<Entry>>>);

/// A query is under way for as long as this is there.
pub(crate) struct UnderWay {
    running: Arc<Running>,
    entry: Arc<Entry>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.running.0.lock().retain(|known| !Arc::ptr_eq(known, &self.entry));
    }
}

impl UnderWay {
    pub fn begin(running: &Arc<Running>, text: &str) -> Self {
        let entry = Arc::new(Entry { text: text.to_owned(), began: Instant::now(), progress: Arc::default() });
        running.0.lock().push(entry.clone());
        UnderWay { running: running.clone(), entry }
    }

    pub fn progress(&self) -> Arc<Progress> {
        self.entry.progress.clone()
    }
}

impl Running {
    /// All of them, the oldest first.
    pub fn all(&self) -> Vec<RunningQuery> {
        let all = self.0.lock();
        let shown = all.iter().map(|entry| {
            let Progress { read, records, reads_tables } = &*entry.progress;
            let total = records.load(Ordering::Relaxed);
            RunningQuery {
                text: entry.text.clone(),
                elapsed: entry.began.elapsed(),
                rows_read: read.load(Ordering::Relaxed),
                rows_total: (total > 0 && !reads_tables.load(Ordering::Relaxed)).then_some(total),
            }
        });
        shown.collect()
    }
}
