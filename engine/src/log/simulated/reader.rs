//! Reading the simulated log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Shared;
use super::topic::{SimulatedBatch, offset_of};
use crate::log::{ArrivedBatch, LogError, LogReader, Offset, Subscription, TopicPartition};

/// What the log knows of a reader.
pub(super) struct ReaderState {
    partitions: Vec<TopicPartition>,
    /// The last poll found nothing: wake it when something comes.
    waiting: AtomicBool,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl ReaderState {
    pub fn reads(&self, topic: &str) -> bool {
        self.partitions.iter().any(|partition| &*partition.topic == topic)
    }

    pub fn partitions(&self) -> &[TopicPartition] {
        &self.partitions
    }

    pub fn take_waiting(&self) -> bool {
        self.waiting.swap(false, Ordering::AcqRel)
    }

    pub fn wake(&self) {
        (self.wake)();
    }
}

/// A reader: positions, and whose turn it is.
pub(super) struct SimulatedReader {
    shared: Arc<Shared>,
    pub state: Arc<ReaderState>,
    positions: Vec<Offset>,
    turn: usize,
}

impl SimulatedReader {
    pub fn new(shared: Arc<Shared>, subscription: Subscription) -> Self {
        let (partitions, positions) = subscription.partitions.into_iter().unzip();
        let state = ReaderState { partitions, waiting: AtomicBool::new(false), wake: subscription.wake };
        SimulatedReader { shared, state: Arc::new(state), positions, turn: 0 }
    }

    /// What a partition holds behind the reader's position, at most `limit` records.
    fn read(&self, log: &super::LogState, source: usize, limit: usize) -> Result<Option<SimulatedBatch>, LogError> {
        let (Some(partition), Some(position)) = (self.state.partitions.get(source), self.positions.get(source)) else { return Ok(None) };
        let gone = || LogError::Fatal(format!("topic '{}' has gone", partition.topic));
        let handle = log.handle(&partition.topic).map_err(|_| gone())?;
        let topic = log.topic(handle).map_err(|_| gone())?;
        let records = topic.partition(partition).map_err(|_| gone())?;
        let start = usize::try_from(topic.first(partition.partition).max(*position).0).unwrap_or(0);
        let found: Vec<_> = records.from(start).take(limit).cloned().collect();
        Ok((!found.is_empty()).then_some(SimulatedBatch(found)))
    }
}

impl LogReader for SimulatedReader {
    fn poll_from(&mut self, wanted: &dyn Fn(usize) -> bool) -> Result<Option<ArrivedBatch>, LogError> {
        let shared = self.shared.clone();
        let mut log = shared.state.lock();
        log.alive()?;
        if log.faults.poll_fails() {
            return Err(LogError::Retriable("simulated fault: poll".into()));
        }
        if log.holds_back(self.state.partitions()) {
            // What ends a transaction here is on its way.
            drop(log);
            self.state.wake();
            return Ok(None);
        }
        let sources = self.positions.len();
        let mut limit = log.poll_records;
        if let Some(random) = log.faults.reorder(sources * 64) {
            self.turn = random % sources.max(1);
            limit = limit.min(random / sources.max(1) + 1);
        }
        for _ in 0..sources {
            let source = self.turn % sources;
            self.turn = source + 1;
            let is_held =
                log.held.as_deref().is_some_and(|held| self.state.partitions().get(source).is_some_and(|read| *read.topic == *held));
            if is_held || !wanted(source) {
                continue;
            }
            if let Some(batch) = self.read(&log, source, limit)? {
                if let (Some(position), Some(last)) = (self.positions.get_mut(source), batch.0.last()) {
                    *position = Offset(last.offset.0 + 1);
                }
                return Ok(Some(ArrivedBatch { source, batch: Arc::new(batch), first: 0 }));
            }
        }
        self.state.waiting.store(true, Ordering::Release);
        Ok(None)
    }

    fn caught_up(&self, source: usize) -> bool {
        let log = self.shared.state.lock();
        matches!(self.read(&log, source, 1), Ok(None))
    }

    fn passed(&self, source: usize) -> Option<Offset> {
        let log = self.shared.state.lock();
        let (partition, position) = (self.state.partitions.get(source)?, self.positions.get(source)?);
        let records = log.topic(log.handle(&partition.topic).ok()?).ok()?.partition(partition).ok()?;
        let next = records.from(usize::try_from(position.0).ok()?).next();
        Some(next.map_or(offset_of(records.end()), |next| next.offset).max(*position))
    }

    fn seek(&mut self, offsets: &[Offset]) -> Result<(), LogError> {
        if offsets.len() != self.positions.len() {
            return Err(LogError::Fatal(format!("{} offsets for {} partitions", offsets.len(), self.positions.len())));
        }
        self.positions.copy_from_slice(offsets);
        Ok(())
    }
}
