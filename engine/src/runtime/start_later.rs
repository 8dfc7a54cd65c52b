//! Starting a query whose state takes long to restore: its partitions are restored in the background, several at a time, and its
//! tasks begin when all of them are whole. Until then nobody reads its state.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use super::growth::Running;
use super::identity::{Identified, KnownTopics};
use super::moves::{Place, Seats};
use super::query_handle::{QueryFailure, QueryHandle, QueryState};
use super::restore::Positions;
use super::restorers::Job;
use super::seat::Seat;
use super::start::{Prepared, Readers, StartError, StartQuery};
use super::task_runner::Task;
use super::worker::{Message, panic_text};
use super::{RunningQuery, Runtime};
use crate::log::{OffsetSpec, PartitionId, TopicPartition};

/// A query with more records of changelogs to read than this is restored in the background.
const RESTORED_AT_ONCE: u64 = if cfg!(test) { 100 } else { 20_000 };

/// A query that is being restored.
struct Starting {
    start: Arc<StartQuery>,
    handle: Arc<QueryHandle>,
    prepared: Vec<Prepared>,
    /// Its topics, until they are remembered.
    identified: Mutex<Option<Identified>>,
    made: Mutex<Made>,
}

/// What of it is whole.
struct Made {
    left: usize,
    /// By sub-topology and partition, with the task's key and the readers of its stores.
    tasks: Vec<(Place, u64, Task, Readers)>,
}

impl Runtime {
    /// How many records of its changelogs a query has to read before it can run, where that is worth the background.
    pub(super) fn backlog<'p>(
        &self,
        query: &str,
        tasks: impl Iterator<Item = (&'p Prepared, PartitionId)>,
    ) -> Result<Option<u64>, StartError> {
        if !self.restorers.is_on() {
            return Ok(None);
        }
        let of_task = |(sub, partition): (&'p Prepared, PartitionId)| {
            sub.changelog_topics().map(move |topic| TopicPartition { topic: topic.into(), partition })
        };
        let partitions: Vec<TopicPartition> = tasks.flat_map(of_task).collect();
        if partitions.is_empty() {
            return Ok(None);
        }
        let positions: Positions = self.parts.state.positions(query)?;
        let ends = self.parts.log.offsets(&partitions, OffsetSpec::Latest)?;
        let firsts = self.parts.log.offsets(&partitions, OffsetSpec::Earliest)?;
        let records = partitions.iter().zip(ends.iter().zip(firsts)).map(|(partition, (end, first))| {
            // One that is past the end is another's, and is read anew.
            let position = positions.get(partition).filter(|position| *position <= end).map_or(first, |position| first.max(*position));
            u64::try_from(end.0.saturating_sub(position.0)).unwrap_or_default()
        });
        let records: u64 = records.sum();
        Ok((records > RESTORED_AT_ONCE).then_some(records))
    }

    /// Starts a query in the background.
    pub(super) fn start_later(
        self: &Arc<Self>,
        start: StartQuery,
        handle: Arc<QueryHandle>,
        (prepared, identified): (Vec<Prepared>, Identified),
        (seats, taken): Seats,
        (lease, gone): (Sender<Infallible>, Receiver<Infallible>),
        records: u64,
    ) -> Result<Arc<QueryHandle>, StartError> {
        let query = handle.id.clone();
        tracing::info!(%query, records, "restoring its state in the background");
        handle.restore.begin(records);
        let start = Arc::new(start);
        let running = prepared.iter().map(|prepared| Running { partitions: prepared.partitions, spec: prepared.spec.clone() }).collect();
        let registered = RunningQuery {
            handle: handle.clone(),
            start: start.clone(),
            running,
            seats: taken,
            leaving: BTreeMap::new(),
            ids: identified.ids(),
            topics: KnownTopics::new(),
            missing_since_ms: None,
            lost_since_ms: None,
            stores: Readers::default(),
            lease,
            gone,
        };
        let made = Mutex::new(Made { left: seats.len(), tasks: Vec::new() });
        let identified = Mutex::new(Some(identified));
        let starting = Arc::new(Starting { start, handle: handle.clone(), prepared, identified, made });
        let job = |(place, seat): (Place, Seat)| {
            let (runtime, starting) = (Arc::downgrade(self), starting.clone());
            let work = move || {
                let Some(runtime) = runtime.upgrade() else { return };
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| runtime.restore_one(&starting, place, &seat))) {
                    runtime.fail_start(&starting, QueryFailure::lasting(format!("internal error: {}", panic_text(&*panic))));
                }
            };
            Job { query: query.clone(), records, work: Box::new(work) }
        };
        let jobs = seats.into_iter().map(job).collect();
        let mut queries = self.queries.lock();
        // From here on whoever abandons the queries finds it.
        if self.is_abandoned.load(Ordering::Acquire) {
            return Err(StartError::Abandoned);
        }
        queries.insert(query.clone(), registered);
        drop(queries);
        if let Err(error) = self.restorers.submit(jobs) {
            self.queries.lock().remove(&query);
            return Err(StartError::NoThread(error.to_string()));
        }
        Ok(handle)
    }

    /// Restores one partition; the last one starts the query.
    fn restore_one(self: &Arc<Self>, starting: &Starting, (index, partition): Place, seat: &Seat) {
        let handle = &starting.handle;
        if handle.has_ended() || self.is_ending.load(Ordering::Acquire) {
            return;
        }
        let Some(sub) = starting.prepared.get(index) else { return };
        let mut readers = Readers::default();
        let task = match self.make_task(&starting.start, handle, sub, partition, seat, &mut readers) {
            Ok((key, task)) => Some(((index, partition), key, task, readers)),
            // It runs elsewhere.
            Err(StartError::CalledOff) if seat.is_given_up() => None,
            Err(StartError::CalledOff) => return,
            Err(error) => return self.fail_start(starting, error.into()),
        };
        let mut made = starting.made.lock();
        made.tasks.extend(task);
        made.left -= 1;
        if made.left == 0 {
            let tasks = std::mem::take(&mut made.tasks);
            drop(made);
            self.finish_start(starting, tasks);
        }
    }

    /// The query can't start.
    fn fail_start(&self, starting: &Starting, failure: QueryFailure) {
        let handle = &starting.handle;
        tracing::error!(query = %handle.id, reason = failure.reason, "its state can't be restored");
        self.restorers.forget(&handle.id);
        let made = std::mem::take(&mut starting.made.lock().tasks);
        drop(made);
        handle.set_state(QueryState::Failed(failure));
    }

    /// All partitions are whole: the query's tasks begin.
    fn finish_start(&self, starting: &Starting, mut tasks: Vec<(Place, u64, Task, Readers)>) {
        let handle = &starting.handle;
        let declared = self.declare_beginnings(&starting.start, tasks.iter_mut().map(|(_, key, task, _)| (*key, task)));
        if let Err(error) = declared {
            self.fail_start(starting, error.into());
            return;
        }
        let topics = match starting.identified.lock().take().map(|identified| self.remember(&handle.id, identified)) {
            Some(Ok(topics)) => topics,
            None => KnownTopics::new(),
            Some(Err(error)) => {
                self.fail_start(starting, error.into());
                return;
            }
        };
        tasks.sort_by_key(|(place, ..)| *place);
        let is_new = tasks.iter().any(|(_, _, task, _)| task.dirty);
        let offsets = tasks.iter().filter(|_| is_new).flat_map(|(_, _, task, _)| task.positions()).collect();
        self.parts.log.begin_group(&self.group(&handle.id), offsets);
        handle.set_remarks(starting.prepared.iter().filter_map(|sub| sub.remark.clone()).collect());
        {
            let mut queries = self.queries.lock();
            // It may have been told to end meanwhile.
            let Some(query) = queries.get_mut(&handle.id).filter(|query| Arc::ptr_eq(&query.handle, handle)) else { return };
            query.topics = topics;
            tasks.retain(|(_, _, task, _)| !task.seat.is_given_up());
            for (_, _, _, readers) in &mut tasks {
                query.add_readers(std::mem::take(readers));
            }
        }
        if tasks.is_empty() {
            handle.set_state(QueryState::Running);
        }
        handle.restore.end();
        tracing::info!(query = %handle.id, "its state is restored");
        for (_, key, task, _) in tasks {
            let _ = self.worker_of(key).send(Message::Add(key, Box::new(task)));
        }
    }
}
