//! Writing the simulated log.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::topic::StoredRecord;
use super::{LogState, Shared, wake};
use crate::log::{Commit, LogError, LogWriter, OutRecord, TopicHandle};

/// A writer: what was sent since the last commit (where the log is atomic).
pub(super) struct SimulatedWriter {
    shared: Arc<Shared>,
    pending: Vec<(TopicHandle, i32, StoredRecord)>,
}

impl SimulatedWriter {
    pub fn new(shared: Arc<Shared>) -> Self {
        SimulatedWriter { shared, pending: Vec::new() }
    }

    /// Makes what is pending visible.
    fn publish(&mut self, log: &mut LogState) -> Result<Vec<Arc<super::ReaderState>>, LogError> {
        let mut topics = BTreeSet::new();
        for (handle, partition, record) in self.pending.drain(..) {
            log.append(handle, partition, record)?;
            topics.insert(handle.0);
        }
        let names: Vec<String> =
            topics.into_iter().filter_map(|handle| log.topic(TopicHandle(handle)).ok().map(|topic| topic.info.name.clone())).collect();
        Ok(names.iter().flat_map(|name| log.arm_down(name)).collect())
    }
}

impl LogWriter for SimulatedWriter {
    fn send(&mut self, topic: TopicHandle, record: OutRecord<'_>) -> Result<(), LogError> {
        let shared = self.shared.clone();
        let mut log = shared.state.lock();
        if log.faults.send_fails() {
            return Err(LogError::Retriable("simulated fault: send".into()));
        }
        let partitions = log.topic(topic)?.info.partitions;
        if u32::try_from(record.partition).map_or(true, |partition| partition >= partitions) {
            return Err(LogError::Fatal(format!("partition {} of {partitions}", record.partition)));
        }
        self.pending.push((topic, record.partition, record.into()));
        Ok(())
    }

    fn hint_idle(&mut self) {
        if !self.shared.atomic {
            let shared = self.shared.clone();
            let mut log = shared.state.lock();
            // A topic that was deleted meanwhile loses its records, as it would on a broker.
            let woken = self.publish(&mut log).unwrap_or_default();
            drop(log);
            wake(woken);
        }
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        let shared = self.shared.clone();
        let mut log = shared.state.lock();
        if log.faults.commit_fails() {
            self.pending.clear();
            return Err(LogError::Retriable("simulated fault: lost before the commit".into()));
        }
        // Before anything is done: a commit that can't be carried out changes nothing.
        for (handle, _, _) in &self.pending {
            if let Err(error) = log.topic(*handle) {
                self.pending.clear();
                return Err(error);
            }
        }
        let parts = log.faults.commit_unknown(shared.atomic);
        let done = parts.unwrap_or(3);
        if done >= 2
            && let Err(error) = commit.state.write()
        {
            self.pending.clear();
            return Err(LogError::Fatal(error.to_string()));
        }
        let woken = self.publish(&mut log)?;
        if done >= 3 {
            for (group, offsets) in commit.offsets {
                log.groups.entry(group).or_default().extend(offsets);
            }
        }
        drop(log);
        wake(woken);
        match parts {
            Some(_) => Err(LogError::Retriable("simulated fault: outcome of the commit unknown".into())),
            None => Ok(()),
        }
    }
}
