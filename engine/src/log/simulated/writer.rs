//! Writing the simulated log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::faults::{Fate, Planted};
use super::topic::StoredRecord;
use super::{LogState, Shared, dead, wake};
use crate::log::{Commit, LogError, LogWriter, OutRecord, TopicHandle, TransactionalId};

/// A record that was sent and is not to be seen yet.
pub(super) type Pending = (TopicHandle, i32, StoredRecord);

/// A writer: what was sent since the last commit (where the log is atomic), or since the last publication.
pub(super) struct SimulatedWriter {
    shared: Arc<Shared>,
    pending: Vec<Pending>,
}

impl SimulatedWriter {
    pub fn new(shared: Arc<Shared>) -> Self {
        SimulatedWriter { shared, pending: Vec::new() }
    }

    /// Makes the first `count` records that are pending visible; the rest waits on.
    fn publish(&mut self, log: &mut LogState, count: usize) -> Result<Vec<Arc<super::ReaderState>>, LogError> {
        let mut published: Vec<Pending> = self.pending.drain(..count.min(self.pending.len())).collect();
        plant(log, &mut published);
        let mut topics = BTreeSet::new();
        for (handle, partition, record) in published {
            log.append(handle, partition, record, None)?;
            topics.insert(handle.0);
        }
        let names: Vec<String> =
            topics.into_iter().filter_map(|handle| log.topic(TopicHandle(handle)).ok().map(|topic| topic.info.name.clone())).collect();
        Ok(names.iter().flat_map(|name| log.arm_down(name)).collect())
    }

    /// Loses what is pending; where the log is not atomic, a part of it was delivered before.
    fn lose(&mut self, log: &mut LogState) -> Vec<Arc<super::ReaderState>> {
        let delivered = match (self.shared.atomic, log.faults.scatters()) {
            (true, _) => 0,
            (false, false) => log.faults.part(self.pending.len()),
            (false, true) => self.scatter(log),
        };
        let woken = self.publish(log, delivered).unwrap_or_default();
        let lost = std::mem::take(&mut self.pending);
        if !self.shared.atomic && log.has_died() && log.faults.keeps_late() {
            // Who writes itself down as the holder of an id waits for that before it does anything else, and a start takes longer than
            // what a dead process has on its way to one record.
            let is_holder = |record: &StoredRecord| record.key.as_deref().is_some_and(|key| TransactionalId::held(key).is_some());
            let is_kept =
                |(topic, _, record): &Pending| log.topic(*topic).is_ok_and(|topic| is_spared(&topic.info.name)) && !is_holder(record);
            let late: Vec<Pending> = lost.into_iter().filter(is_kept).collect();
            log.late.extend(late);
        }
        woken
    }

    /// Brings the records that are delivered before the others: of each partition the first ones. How many they are.
    fn scatter(&mut self, log: &mut LogState) -> usize {
        let mut left: BTreeMap<(u32, i32), usize> = BTreeMap::new();
        for (topic, partition, _) in &self.pending {
            *left.entry((topic.0, *partition)).or_default() += 1;
        }
        left.values_mut().for_each(|count| *count = log.faults.part(*count));
        let (delivered, lost): (Vec<Pending>, Vec<Pending>) =
            std::mem::take(&mut self.pending).into_iter().partition(|(topic, partition, _)| match left.get_mut(&(topic.0, *partition)) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    true
                }
                _ => false,
            });
        let count = delivered.len();
        self.pending = delivered.into_iter().chain(lost).collect();
        count
    }

    /// Carries out the first parts of a commit: records, state, offsets.
    fn carry_out(&mut self, log: &mut LogState, commit: Commit, parts: u32) -> Result<Vec<Arc<super::ReaderState>>, LogError> {
        // Before anything is done: a commit that can't be carried out changes nothing.
        for (handle, _, _) in &self.pending {
            if let Err(error) = log.topic(*handle) {
                self.pending.clear();
                return Err(error);
            }
        }
        // Where all happens at once, the state is what may fail; else it comes behind the records.
        let mut woken = Vec::new();
        if !self.shared.atomic {
            woken = self.publish(log, self.pending.len())?;
        }
        if parts >= 2
            && let Err(error) = log.take_state(commit.state)
        {
            self.pending.clear();
            return Err(LogError::Fatal(error.to_string()));
        }
        woken.extend(self.publish(log, self.pending.len())?);
        if parts >= 3 {
            for (group, offsets) in commit.offsets {
                log.groups.entry(group).or_default().extend(offsets);
            }
        }
        Ok(woken)
    }

    fn try_commit(&mut self, log: &mut LogState, commit: Commit) -> (Vec<Arc<super::ReaderState>>, Result<(), LogError>) {
        let fate = log.faults.fate(self.shared.atomic);
        let (parts, said) = match fate {
            Fate::Fails => return (self.lose(log), Err(LogError::Retriable("simulated fault: lost before the commit".into()))),
            Fate::Crashes(0) => {
                log.is_dead = true;
                return (self.lose(log), Err(dead()));
            }
            Fate::Crashes(parts) => (parts, Err(dead())),
            Fate::Unknown(parts) => (parts, Err(LogError::Retriable("simulated fault: outcome of the commit unknown".into()))),
            Fate::OffsetsRefused => (2, Ok(())),
            Fate::Succeeds => (3, Ok(())),
        };
        let done = self.carry_out(log, commit, parts);
        log.is_dead |= matches!(fate, Fate::Crashes(_));
        match done {
            Ok(woken) => (woken, said),
            Err(error) => (Vec::new(), Err(error)),
        }
    }
}

impl Drop for SimulatedWriter {
    /// A process that dies leaves a part of what it sent on its way, and that part arrives.
    fn drop(&mut self) {
        let shared = self.shared.clone();
        let mut log = shared.state.lock();
        if !self.pending.is_empty() && log.faults.may_crash() {
            let woken = self.lose(&mut log);
            drop(log);
            wake(woken);
        }
    }
}

impl LogState {
    /// Lets some of what processes that died had on their way arrive.
    fn bring_late(&mut self) {
        let count = self.faults.arrives_late(self.late.len());
        for (topic, partition, record) in self.late.drain(..count).collect::<Vec<_>>() {
            // Nobody waits for what stands in these topics.
            let _ = self.append(topic, partition, record, None);
        }
    }

    /// Whether whoever writes is of a process that has died.
    fn has_died(&self) -> bool {
        self.is_dead || self.is_dying
    }
}

/// Topics in which nothing is spoilt: nobody outside reads them.
pub(super) fn is_spared(topic: &str) -> bool {
    topic.ends_with("-changelog") || topic.ends_with("_positions")
}

/// Spoils what is about to be published, where a defect is planted.
pub(super) fn plant(log: &mut LogState, records: &mut Vec<Pending>) {
    let mut at = 0;
    while at < records.len() {
        let name = log.topic(records[at].0).map(|topic| topic.info.name.as_str()).unwrap_or_default();
        if log.loses_rows && !is_spared(name) {
            records.remove(at);
            log.faults.count_planted();
            continue;
        }
        let hit = if is_spared(name) { None } else { log.faults.planted() };
        let same = |one: &Pending, other: &Pending| one.0 == other.0 && one.1 == other.1 && one.2.key == other.2.key;
        match hit {
            Some(Planted::Loss) => {
                records.remove(at);
                log.faults.count_planted();
                continue;
            }
            Some(Planted::Duplicate) => {
                records.insert(at, records[at].clone());
                log.faults.count_planted();
                at += 1;
            }
            Some(Planted::Reorder) => {
                if let Some(before) = (0..at).rev().find(|before| same(&records[*before], &records[at])) {
                    records.swap(before, at);
                    log.faults.count_planted();
                }
            }
            Some(Planted::Torn | Planted::Hidden) | None => {}
        }
        at += 1;
    }
}

impl LogWriter for SimulatedWriter {
    fn send(&mut self, topic: TopicHandle, record: OutRecord<'_>) -> Result<(), LogError> {
        self.shared.state.lock().accept(topic, &record)?;
        self.pending.push((topic, record.partition, record.into()));
        Ok(())
    }

    fn hint_idle(&mut self) {
        if !self.shared.atomic {
            let shared = self.shared.clone();
            let mut log = shared.state.lock();
            if log.is_dead {
                return;
            }
            log.bring_late();
            // A topic that was deleted meanwhile loses its records, as it would on a broker.
            let woken = self.publish(&mut log, usize::MAX).unwrap_or_default();
            drop(log);
            wake(woken);
        }
    }

    fn flush(&mut self) -> Result<(), LogError> {
        if self.shared.atomic {
            return Ok(());
        }
        let shared = self.shared.clone();
        let mut log = shared.state.lock();
        log.alive()?;
        log.bring_late();
        if log.faults.dies_in_flush() {
            log.is_dead = true;
            let woken = self.lose(&mut log);
            drop(log);
            wake(woken);
            return Err(dead());
        }
        let fails = log.faults.flush_fails();
        let woken = if fails { Ok(self.lose(&mut log)) } else { self.publish(&mut log, usize::MAX) };
        drop(log);
        wake(woken?);
        if fails { Err(LogError::Retriable("simulated fault: flush".into())) } else { Ok(()) }
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        let shared = self.shared.clone();
        let mut log = shared.state.lock();
        log.alive()?;
        log.bring_late();
        let (woken, result) = self.try_commit(&mut log, commit);
        drop(log);
        wake(woken);
        result
    }
}
