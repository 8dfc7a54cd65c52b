//! Commits the offsets of consumer groups in the background.
//!
//! A broker takes some 5 ms for each group and answers a connection's requests one by one: with a hundred queries, a
//! worker that waited would stand still for half a second at each commit. Offsets come last anyway and may lag: after a
//! crash the records since are read again, which "at least once" allows. Offsets that wait are overwritten by newer ones
//! of the same partition, so a backlog is never longer than there are groups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::errors::Failure;
use super::ffi::offsets::GroupCommit;
use super::groups::Groups;
use crate::log::{GroupOffsets, LogError, Offset, TopicPartition};

/// Groups of one round: what waits behind a round must not wait long.
const ROUND_GROUPS: usize = 100;
/// First and longest pause after a round in which something failed for now, milliseconds.
const BACKOFF_MS: (u64, u64) = (10, 500);
/// How long the last offsets may take when the log or a writer goes, seconds.
const CLOSE_PATIENCE_S: u64 = 5;

type ByGroup = BTreeMap<Arc<str>, BTreeMap<TopicPartition, Offset>>;

pub(super) struct Committer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    groups: Arc<Groups>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: ByGroup,
    /// Under way; `waiting` is newer.
    sending: ByGroup,
    /// Groups whose offsets were refused for good, until somebody is told.
    refused: BTreeMap<Arc<str>, LogError>,
    is_closing: bool,
}

impl State {
    fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.sending.is_empty()
    }
}

impl Committer {
    /// Starts the one thread.
    pub(super) fn new(groups: Arc<Groups>) -> Result<Committer, LogError> {
        let shared = Arc::new(Shared { groups, state: Mutex::default(), changed: Condvar::new() });
        let working = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("kafka-offsets".into()).spawn(move || working.work());
        let thread = thread.map_err(|error| LogError::Fatal(format!("a thread for offsets: {error}")))?;
        Ok(Committer { shared, thread: Some(thread) })
    }

    /// Takes the offsets to commit.
    ///
    /// # Errors
    /// Where earlier offsets of one of these groups were refused.
    pub(super) fn commit(&self, groups: Vec<(Arc<str>, GroupOffsets)>) -> Result<(), LogError> {
        let mut state = self.shared.state.lock();
        if let Some(error) = groups.iter().find_map(|(group, _)| state.refused.remove(group)) {
            return Err(error);
        }
        let mut has_any = false;
        for (group, offsets) in groups.into_iter().filter(|(_, offsets)| !offsets.is_empty()) {
            state.waiting.entry(group).or_default().extend(offsets);
            has_any = true;
        }
        if has_any {
            self.shared.changed.notify_all();
        }
        Ok(())
    }

    /// What is about to be committed of these partitions, newer than what brokers know.
    pub(super) fn pending(&self, group: &str, partitions: &[TopicPartition]) -> Vec<Option<Offset>> {
        let state = self.shared.state.lock();
        let find = |groups: &ByGroup, partition| groups.get(group).and_then(|offsets| offsets.get(partition)).copied();
        partitions.iter().map(|partition| find(&state.waiting, partition).or_else(|| find(&state.sending, partition))).collect()
    }

    /// Forgets a group, once nothing of it is under way.
    pub(super) fn forget(&self, group: &str) {
        let mut state = self.shared.state.lock();
        state.waiting.remove(group);
        state.refused.remove(group);
        let deadline = Instant::now() + Duration::from_secs(CLOSE_PATIENCE_S);
        while state.sending.contains_key(group) && !self.shared.changed.wait_until(&mut state, deadline).timed_out() {}
        state.waiting.remove(group);
    }

    /// Waits until everything is committed, as long as that may take at an end.
    pub(super) fn settle(&self) {
        let mut state = self.shared.state.lock();
        let deadline = Instant::now() + Duration::from_secs(CLOSE_PATIENCE_S);
        while !state.is_settled() && !self.shared.changed.wait_until(&mut state, deadline).timed_out() {}
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.shared.state.lock().is_closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn work(&self) {
        let mut state = self.state.lock();
        let mut backoff = BACKOFF_MS.0;
        let mut give_up = None;
        loop {
            if state.is_closing {
                let deadline = *give_up.get_or_insert_with(|| Instant::now() + Duration::from_secs(CLOSE_PATIENCE_S));
                if state.waiting.is_empty() || Instant::now() > deadline {
                    return;
                }
            }
            if state.waiting.is_empty() {
                self.changed.wait(&mut state);
                continue;
            }
            let all_done = self.round(&mut state);
            if all_done {
                backoff = BACKOFF_MS.0;
            } else {
                // New offsets may wake it earlier, and do no harm.
                self.changed.wait_for(&mut state, Duration::from_millis(backoff));
                backoff = (backoff * 2).min(BACKOFF_MS.1);
            }
        }
    }

    /// Commits what waits, or the first part of it. False where something must be tried again.
    fn round(&self, state: &mut MutexGuard<'_, State>) -> bool {
        while state.sending.len() < ROUND_GROUPS
            && let Some((group, offsets)) = state.waiting.pop_first()
        {
            state.sending.insert(group, offsets);
        }
        let sending = state.sending.clone();
        let commits: Vec<GroupCommit<'_>> = sending.iter().map(|(group, offsets)| GroupCommit { group, offsets }).collect();
        let results = MutexGuard::unlocked(state, || self.groups.commit(&commits));
        let mut all_done = true;
        for ((group, offsets), result) in std::mem::take(&mut state.sending).into_iter().zip(results) {
            match result {
                Ok(()) => {}
                Err(failure) if failure.is_retriable() => {
                    all_done = false;
                    let waiting = state.waiting.entry(group).or_default();
                    for (partition, offset) in offsets {
                        waiting.entry(partition).or_insert(offset);
                    }
                }
                Err(failure) => {
                    let error = refused(&group, failure);
                    tracing::error!(target: "kafka", "{error}");
                    state.refused.insert(group, error);
                }
            }
        }
        self.changed.notify_all();
        all_done
    }
}

fn refused(group: &str, failure: Failure) -> LogError {
    let hint = if failure.is(Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID) { " (another program reads with this group)" } else { "" };
    failure.about(&format!("committing the offsets of group '{group}'{hint}"), None)
}
