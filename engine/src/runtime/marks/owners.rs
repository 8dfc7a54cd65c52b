//! From where on the changelogs of tasks are this process's (see [`crate::runtime::epoch`]): a record for each task with state,
//! written before it runs. A task without state says so by its mark, of the new epoch.

use std::sync::Arc;

use super::found::{key, owner_key};
use super::{Marked, Marks, Owners, PARTITIONS, Place};
use crate::log::{Log, LogError, OutRecord, PartitionId, TopicHandle};
use crate::runtime::epoch::{self, Owner};

/// A task that is about to run.
pub(in crate::runtime) struct Declared {
    pub query: Arc<str>,
    pub place: Place,
    pub begin: Begin,
}

/// Where it begins.
pub(in crate::runtime) enum Begin {
    /// With state.
    Owner(Owner),
    /// Without: at this mark, which the worker writes.
    Mark(usize, Marked),
}

/// The partition, the key and the value of a record.
type Said = (PartitionId, Vec<u8>, Option<Vec<u8>>);

impl Marks {
    /// Who had a task's changelogs last, as far as that is known.
    pub fn owner(&self, query: &str, place: Place) -> Option<Owner> {
        self.owners.lock().get(query)?.get(&place).filter(|owner| epoch::read(owner.epoch) > 0).cloned()
    }

    /// A task's mark, where it is an earlier process's: such another one, that comes late, has to count less.
    pub fn outdated(&self, query: &str, place: Place) -> Option<Marked> {
        let known = self.known.lock();
        let kept = known.get(query)?.get(&place)?;
        (kept.marked.commit.epoch < self.epoch()).then(|| kept.marked.clone())
    }

    /// Learns who has the tasks of the service by now, without a claim to any.
    ///
    /// # Errors
    /// The log is away.
    pub fn look_at_owners(&self, log: &dyn Log) -> Result<(), LogError> {
        let is_known = {
            let opening = self.opening.lock();
            opening.is_read && !opening.is_lost
        };
        if is_known {
            self.learn_owners(self.read(log, log.topic(&self.topic)?.1)?.owners);
        }
        Ok(())
    }

    /// Takes what others have written down of tasks that they had.
    pub(super) fn learn_owners(&self, found: Owners) {
        let mut known = self.owners.lock();
        for (query, tasks) in found {
            let known = known.entry(query).or_default();
            for (place, owner) in tasks {
                if known.get(&place).is_none_or(|known| known.epoch < owner.epoch) {
                    known.insert(place, owner);
                }
            }
        }
    }

    /// Writes down where tasks begin and who has their changelogs from now on. It is durable once this returns.
    ///
    /// # Errors
    /// The log is away: nothing of the tasks must run. Where the topic has gone, the next attempt makes it anew.
    pub fn declare(&self, log: &dyn Log, declared: Vec<Declared>, now_ms: i64) -> Result<(), LogError> {
        if declared.is_empty() {
            return Ok(());
        }
        let Some(handle) = *self.handle.lock() else { return Err(LogError::Fatal("the topic of marks is not open".into())) };
        let said = |Declared { query, place, begin }: &Declared| match begin {
            Begin::Owner(owner) => (owners_partition(*place), owner_key(query, *place), encode(owner)),
            Begin::Mark(worker, marked) => (self.partition(*worker), key(query, *place), Some(marked.encode())),
        };
        match append(log, handle, &declared.iter().map(said).collect::<Vec<_>>(), now_ms) {
            Err(LogError::UnknownTopic(topic)) => {
                self.is_lost();
                return Err(LogError::Retriable(format!("topic {topic} has gone, and is made anew")));
            }
            result => result?,
        }
        for Declared { query, place, begin } in declared {
            match begin {
                Begin::Owner(owner) => {
                    self.owners.lock().entry(query).or_default().insert(place, owner);
                }
                Begin::Mark(worker, marked) => self.committed(worker, (&query, place.0, place.1), marked),
            }
        }
        Ok(())
    }

    /// Writes again what is known of a query's tasks; or takes it back, where the query is gone.
    pub(super) fn write_owners(&self, log: &dyn Log, handle: TopicHandle, query: &str, is_gone: bool, now_ms: i64) -> Result<(), LogError> {
        let known = if is_gone { self.owners.lock().remove(query) } else { self.owners.lock().get(query).cloned() };
        let value = |owner: &Owner| if is_gone { None } else { encode(owner) };
        let tasks = known.iter().flatten();
        let said: Vec<Said> = tasks.map(|(place, owner)| (owners_partition(*place), owner_key(query, *place), value(owner))).collect();
        append(log, handle, &said, now_ms)
    }
}

fn encode(owner: &Owner) -> Option<Vec<u8>> {
    serde_json::to_vec(owner).ok()
}

/// All that is said of a task's owners stands in one partition, so that the last of it stays.
fn owners_partition(place: Place) -> PartitionId {
    PartitionId::try_from(place.1.unsigned_abs() % PARTITIONS).unwrap_or_default()
}

fn append(log: &dyn Log, handle: TopicHandle, said: &[Said], now_ms: i64) -> Result<(), LogError> {
    let records = said.iter().map(|(partition, key, value)| OutRecord {
        partition: *partition,
        timestamp: now_ms,
        key: Some(key),
        value: value.as_deref(),
        headers: &[],
    });
    log.append_all(handle, &records.collect::<Vec<_>>()).map_err(|undone| undone.error)
}
