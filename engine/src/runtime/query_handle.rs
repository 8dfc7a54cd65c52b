//! What the outside sees of a running query: its state and its counters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::restore::{Progress, RestoreState};
use super::work::Work;
use crate::letters::LetterKind;
use crate::pace::Signal;
use crate::processing_log::ProcessingErrorKind;
use crate::task::TaskCounts;

/// Tasks of which it is shown that they wait.
const MAX_WAITS_SHOWN: usize = 4;

/// What ended a query, or kept it from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryFailure {
    /// For the user.
    pub reason: String,
    pub cause: FailureCause,
    /// A topic that is not there: when it comes back, it is another one of the same name.
    pub gone: Option<String>,
    /// A topic that is another one than before; a RESUME says to go on with it.
    pub swapped: Option<String>,
}

/// What is to change before it can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureCause {
    /// The log comes back.
    LogAway,
    /// Something outside: a topic that is made again, a limit that is raised, a right that is granted.
    Outside,
    /// Nothing that could change by itself: a defect, a plan that can't run. Trying again would only fail again.
    Lasting,
}

impl QueryFailure {
    pub fn outside(reason: impl Into<String>) -> Self {
        QueryFailure { reason: reason.into(), cause: FailureCause::Outside, gone: None, swapped: None }
    }

    /// Whether it says that this topic was missed: readers tell that by their reason alone.
    pub fn misses(&self, topic: &str) -> bool {
        self.reason.contains(&format!("topic '{topic}'")) && self.reason.contains("has gone")
    }

    pub fn lasting(reason: impl Into<String>) -> Self {
        QueryFailure { reason: reason.into(), cause: FailureCause::Lasting, gone: None, swapped: None }
    }
}

/// A record, a topic or a broker that is not as it should be.
impl From<String> for QueryFailure {
    fn from(reason: String) -> Self {
        QueryFailure::outside(reason)
    }
}

/// Where a query stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryState {
    /// Restoring its stores; nothing is processed yet.
    Restoring,
    Running,
    Paused,
    /// Ended by a fatal error.
    Failed(QueryFailure),
    /// Ended because it was told to.
    Stopped,
}

/// Counters of a query, raised once a chunk. What goes between its own sub-topologies does not count.
#[derive(Debug, Default)]
pub struct QueryMetrics {
    /// What was read, by topic.
    reads: Mutex<Vec<(Arc<str>, Arc<TopicReads>)>>,
    /// Written to the sink, or sent to the client.
    pub records_out: AtomicU64,
    /// Of keys and values that were written to the sink.
    pub bytes_out: AtomicU64,
    /// Records that were left out, or of which something was, by [`LetterKind`].
    left_out: [AtomicU64; LetterKind::ALL.len()],
    /// Letters that were written of them.
    pub letters: AtomicU64,
    /// By [`ProcessingErrorKind`].
    failures: [AtomicU64; ProcessingErrorKind::ALL.len()],
    /// Commits of its tasks.
    pub commits: AtomicU64,
    /// How long they took together, microseconds; a commit of several tasks counts for each of them.
    pub commit_us: AtomicU64,
    /// Wall-clock time of the last input, milliseconds since the epoch; 0: none yet.
    pub last_record_ms: AtomicI64,
}

/// What a query has read of one topic.
#[derive(Debug, Default)]
pub struct TopicReads {
    pub records: AtomicU64,
    /// Of their keys and values.
    pub bytes: AtomicU64,
}

impl QueryMetrics {
    /// The counters of a topic.
    pub fn reads(&self, topic: &str) -> Arc<TopicReads> {
        let mut reads = self.reads.lock();
        if let Some((_, counters)) = reads.iter().find(|(name, _)| **name == *topic) {
            return counters.clone();
        }
        let counters = Arc::new(TopicReads::default());
        reads.push((topic.into(), counters.clone()));
        counters
    }

    pub(super) fn read(&self, counters: &TopicReads, records: u64, bytes: u64, now_ms: i64) {
        counters.records.fetch_add(records, Ordering::Relaxed);
        counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.last_record_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Everything that was read, topic by topic.
    pub fn all_reads(&self) -> Vec<(Arc<str>, Arc<TopicReads>)> {
        self.reads.lock().clone()
    }

    /// Records and expressions that failed, of whatever kind.
    pub fn errors(&self) -> u64 {
        self.failures.iter().map(|count| count.load(Ordering::Relaxed)).fold(0, u64::saturating_add)
    }

    /// Records and expressions that failed in one way.
    pub fn errors_of(&self, kind: ProcessingErrorKind) -> u64 {
        self.failures.get(kind as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Records that were left out for one reason.
    pub fn left_out(&self, kind: LetterKind) -> u64 {
        self.left_out.get(kind as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Rows that came too late for a window.
    pub fn late(&self) -> u64 {
        self.left_out(LetterKind::Late)
    }

    /// Adds what a task has done since it was last asked.
    pub(super) fn add(&self, before: &TaskCounts, now: &TaskCounts) {
        if before == now {
            return;
        }
        let raise = |counter: &AtomicU64, before: u64, now: u64| {
            if now > before {
                counter.fetch_add(now - before, Ordering::Relaxed);
            }
        };
        raise(&self.records_out, before.rows_out, now.rows_out);
        raise(&self.bytes_out, before.bytes_out, now.bytes_out);
        raise(&self.letters, before.letters, now.letters);
        for (counter, (before, now)) in self.left_out.iter().zip(before.left_out.iter().zip(&now.left_out)) {
            raise(counter, *before, *now);
        }
        for (counter, (before, now)) in self.failures.iter().zip(before.errors.iter().zip(&now.errors)) {
            raise(counter, *before, *now);
        }
    }

    pub(super) fn committed(&self, took: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.commit_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Called once with the final state.
type EndListener = Box<dyn FnOnce(&QueryState) + Send>;

/// Shared between a query's tasks, the engine and whoever looks.
pub struct QueryHandle {
    pub id: Arc<str>,
    pub metrics: QueryMetrics,
    state: RwLock<QueryState>,
    /// What its tasks are told while they are busy.
    signal: Arc<Signal>,
    on_end: Mutex<Option<EndListener>>,
    /// What is to be known of it while it runs: what it does not read, and why.
    remarks: Mutex<Vec<String>>,
    /// Why tasks wait, by sub-topology and partition.
    waits: Mutex<BTreeMap<(usize, i32), String>>,
    /// Its tasks read the topic of letters that are to go through it again.
    reads_replays: AtomicBool,
    /// How far its stores are restored.
    pub(super) restore: Progress,
    /// What its operators have done.
    pub work: Work,
}

/// Says why a task waits, for as long as it is held.
pub(super) struct WaitNote {
    handle: Arc<QueryHandle>,
    task: (usize, i32),
}

impl WaitNote {
    /// Says nothing yet.
    pub fn new(handle: Arc<QueryHandle>, task: (usize, i32)) -> Self {
        WaitNote { handle, task }
    }

    pub fn say(&self, reason: String) {
        self.handle.waits.lock().insert(self.task, reason);
    }
}

impl Drop for WaitNote {
    fn drop(&mut self) {
        self.handle.waits.lock().remove(&self.task);
    }
}

impl std::fmt::Debug for QueryHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryHandle").field("id", &self.id).field("state", &self.state()).finish_non_exhaustive()
    }
}

impl QueryHandle {
    pub fn new(id: Arc<str>) -> Arc<Self> {
        Arc::new(QueryHandle {
            id,
            metrics: QueryMetrics::default(),
            state: RwLock::new(QueryState::Restoring),
            signal: Arc::default(),
            on_end: Mutex::new(None),
            remarks: Mutex::new(Vec::new()),
            waits: Mutex::default(),
            reads_replays: AtomicBool::new(false),
            restore: Progress::default(),
            work: Work::default(),
        })
    }

    pub fn state(&self) -> QueryState {
        match &*self.state.read() {
            // Paused before its tasks came to run: they never will until it is resumed.
            QueryState::Running | QueryState::Restoring if self.is_paused() => QueryState::Paused,
            state => state.clone(),
        }
    }

    pub fn is_paused(&self) -> bool {
        self.signal.is_paused()
    }

    pub(super) fn set_paused(&self, paused: bool) {
        self.signal.set_paused(paused);
    }

    /// Moves on, but never away from a final state.
    pub(super) fn set_state(&self, new: QueryState) {
        {
            let mut state = self.state.write();
            if matches!(*state, QueryState::Failed(_) | QueryState::Stopped) {
                return;
            }
            match &new {
                QueryState::Running if *state != QueryState::Running => tracing::info!(query = %self.id, "query runs"),
                QueryState::Stopped => tracing::info!(query = %self.id, "query ended"),
                // A failure is told where it happens, with its place.
                _ => {}
            }
            *state = new.clone();
        }
        if self.has_ended() {
            self.interrupt();
            if let Some(listener) = self.on_end.lock().take() {
                listener(&new);
            }
        }
    }

    /// Asks the query's tasks to leave the record at hand, however much there is to do for it.
    pub(super) fn interrupt(&self) {
        self.signal.stop();
    }

    /// For its tasks.
    pub(super) fn signal(&self) -> Arc<Signal> {
        self.signal.clone()
    }

    /// How far its state is restored; `None`: it is whole, or the query has ended.
    pub fn restoring(&self) -> Option<RestoreState> {
        self.restore.state().filter(|_| !self.has_ended())
    }

    /// What is to be known of it while it runs, a sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let mut all = self.remarks.lock().clone();
        all.extend(self.restoring().map(|state| format!("its state is being restored: {state}")));
        // Tasks mostly wait for the same.
        all.extend(self.waits.lock().values().take(MAX_WAITS_SHOWN).cloned());
        all
    }

    /// Whether its tasks read the topic of letters that are to go through it again.
    pub fn reads_replays(&self) -> bool {
        self.reads_replays.load(Ordering::Acquire)
    }

    pub(super) fn set_reads_replays(&self) {
        self.reads_replays.store(true, Ordering::Release);
    }

    /// Replaces the remarks; new ones are logged.
    pub(super) fn set_remarks(&self, remarks: Vec<String>) {
        let mut known = self.remarks.lock();
        for remark in remarks.iter().filter(|remark| !known.contains(remark)) {
            tracing::warn!(query = %self.id, "{remark}");
        }
        *known = remarks;
    }

    /// Has a listener called once the query ends; at once if it has ended already.
    pub fn on_end(&self, listener: EndListener) {
        *self.on_end.lock() = Some(listener);
        if self.has_ended()
            && let Some(listener) = self.on_end.lock().take()
        {
            let state = self.state();
            listener(&state);
        }
    }

    /// Whether the query has ended, by error or by command.
    pub fn has_ended(&self) -> bool {
        matches!(*self.state.read(), QueryState::Failed(_) | QueryState::Stopped)
    }
}
