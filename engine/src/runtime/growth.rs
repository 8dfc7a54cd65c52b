//! Topics that change while a query reads them: they get more partitions, or go.
//!
//! A sub-topology without state takes the new partitions up as tasks of their own, from their first record, beside those
//! that run. One that keeps state by partition can't: when a topic grows, its producers put some keys into other partitions
//! than before, where nothing of their state is. It goes on with the partitions that it has, and says so.

use std::sync::Arc;

use super::Runtime;
use super::query_handle::{QueryFailure, QueryHandle, QueryState};
use super::start::{StartError, StartQuery};
use super::worker::Message;
use crate::log::{LogError, PartitionId};
use crate::operators::TaskSpec;

/// A sub-topology as it runs.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub spec: TaskSpec,
    /// Partitions that have tasks, from 0.
    pub partitions: u32,
}

/// What becomes of a sub-topology whose topics were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Growth {
    Same,
    /// It reads the partitions from here on, too.
    Follow(u32),
    /// It doesn't, and says why.
    Stay(String),
    /// A topic that it reads is not there.
    Gone(String),
}

/// For how long a topic must be missing until that is believed, milliseconds: a broker that starts may not know of its topics
/// yet.
pub(super) const MISSING_PATIENCE_MS: i64 = 10_000;

/// Decides for one sub-topology; `partitions_of` knows the topics as they are now.
fn decide(running: &Running, partitions_of: &dyn Fn(&str) -> Option<u32>) -> Growth {
    let outside = || running.spec.sources.iter().filter(|source| !source.is_repartition);
    if let Some(source) = outside().find(|source| partitions_of(&source.topic).is_none()) {
        return Growth::Gone(source.topic.clone());
    }
    let grown = outside().filter_map(|source| Some((source.topic.as_str(), partitions_of(&source.topic)?)));
    let Some((topic, now)) = grown.filter(|(_, now)| *now > running.partitions).max_by_key(|(_, now)| *now) else { return Growth::Same };
    if running.spec.stores.is_empty() { Growth::Follow(now) } else { Growth::Stay(unread(topic, now, running.partitions)) }
}

/// What is said of partitions that are not read.
pub(super) fn unread(topic: &str, now: u32, read: u32) -> String {
    let (which, verb) = match now.saturating_sub(read) {
        1 => (format!("partition {read}"), "is"),
        _ => (format!("partitions {read} to {}", now.saturating_sub(1)), "are"),
    };
    format!(
        "topic '{topic}' has {now} partitions now, and {which} {verb} not read: the query keeps its state by partition, and keys may have \
         moved to partitions where their state is not. To read all of them, drop what the query makes and create it again; it then \
         begins anew"
    )
}

impl Runtime {
    /// Lets every query follow its topics as they are now: takes up new partitions where it can, and notes where it can't. A
    /// query whose topic has gone ends; that the topic is missing is asked again before that.
    pub fn follow_topics(&self, partitions_of: &dyn Fn(&str) -> Option<u32>, now_ms: i64) {
        let (mut to_grow, mut to_end) = (Vec::new(), Vec::new());
        for query in self.queries.lock().values_mut().filter(|query| !query.handle.has_ended()) {
            let (mut remarks, mut gone) = (Vec::new(), None);
            for (index, running) in query.running.iter().enumerate() {
                match decide(running, partitions_of) {
                    Growth::Same => {}
                    Growth::Follow(_) => to_grow.push((query.handle.clone(), query.start.clone(), index, running.clone())),
                    Growth::Stay(remark) => remarks.push(remark),
                    Growth::Gone(topic) => gone = Some(topic),
                }
            }
            query.handle.set_remarks(remarks);
            match gone {
                Some(topic) if now_ms - *query.missing_since_ms.get_or_insert(now_ms) >= MISSING_PATIENCE_MS => {
                    to_end.push((query.handle.clone(), topic));
                }
                Some(_) => {}
                None => query.missing_since_ms = None,
            }
        }
        for (handle, topic) in to_end {
            if let Err(LogError::UnknownTopic(_)) = self.parts.log.topic(&topic) {
                let reason = format!("topic '{topic}' has gone");
                let failure = QueryFailure { gone: Some(topic), ..QueryFailure::outside(reason) };
                tracing::error!(query = %handle.id, reason = failure.reason, "query failed");
                handle.set_state(QueryState::Failed(failure));
            }
        }
        for (handle, start, index, running) in to_grow {
            if let Err(error) = self.grow(&handle, &start, index, &running) {
                tracing::warn!(query = %handle.id, %error, "new partitions can't be read yet; trying again");
            }
        }
    }

    /// Adds tasks for the partitions that a sub-topology has not got yet.
    fn grow(&self, handle: &Arc<QueryHandle>, start: &StartQuery, index: usize, running: &Running) -> Result<(), StartError> {
        let Some(lease) = self.queries.lock().get(&handle.id).map(|query| query.lease.clone()) else { return Ok(()) };
        let replays = self.replays(start, handle)?;
        let prepared = self.prepare(&handle.id, running.spec.clone(), start.collector.is_some(), replays.as_ref())?;
        let start = StartQuery { reads_new_partitions: true, ..start.clone() };
        let held = self.held.read();
        let (mut tasks, mut seats) = (Vec::new(), Vec::new());
        let mut readers = Default::default();
        for partition in running.partitions..prepared.partitions {
            let partition = PartitionId::try_from(partition).unwrap_or(PartitionId::MAX);
            let held = start.collector.is_none().then_some(&*held);
            let Some((seat, taken)) = self.seat(&handle.id, partition, held, &lease) else { continue };
            tasks.push(self.make_task(&start, handle, &prepared, partition, &seat, &mut readers)?);
            seats.push(((index, partition), taken));
        }
        let mut queries = self.queries.lock();
        // It may have ended meanwhile.
        let Some(query) = queries.get_mut(&handle.id).filter(|query| Arc::ptr_eq(&query.handle, handle)) else { return Ok(()) };
        if let Some(running) = query.running.get_mut(index) {
            // An older look at the topic may have been answered later.
            running.partitions = running.partitions.max(prepared.partitions);
        }
        query.seats.extend(seats);
        drop(queries);
        for source in &running.spec.sources {
            let (topic, from, to) = (&source.topic, running.partitions, prepared.partitions);
            tracing::info!(query = %handle.id, "topic '{topic}' has {to} partitions now; reading it from partition {from} on as well");
        }
        for (key, task) in tasks {
            let _ = self.worker_of(key).send(Message::Add(key, Box::new(task)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::SourceSpec;
    use crate::state::{StoreKind, StoreSpec};

    fn running(sources: &[(&str, bool)], has_state: bool, partitions: u32) -> Running {
        let source = |(topic, is_repartition): &(&str, bool)| SourceSpec {
            topic: (*topic).to_owned(),
            is_repartition: *is_repartition,
            from_beginning: false,
            wants_headers: false,
        };
        let store = StoreSpec { name: "s".into(), kind: StoreKind::KeyValue, changelog: true };
        let stores = if has_state { vec![store] } else { Vec::new() };
        Running {
            spec: TaskSpec { id: 0, sources: sources.iter().map(source).collect(), stores, sinks: Vec::new(), keeps_order: false },
            partitions,
        }
    }

    #[test]
    fn only_what_keeps_no_state_follows() {
        let now = |topic: &str| match topic {
            "grown" => Some(4),
            "same" => Some(1),
            _ => None,
        };
        for (running, expected) in [
            (running(&[("same", false)], false, 1), Growth::Same),
            (running(&[("same", false), ("gone", false)], false, 1), Growth::Gone("gone".to_owned())),
            (running(&[("gone", true)], false, 1), Growth::Same),
            (running(&[("grown", false)], false, 4), Growth::Same),
            (running(&[("grown", false)], false, 1), Growth::Follow(4)),
            (running(&[("grown", false)], true, 1), Growth::Stay(unread("grown", 4, 1))),
            (running(&[("same", false), ("grown", false)], true, 1), Growth::Stay(unread("grown", 4, 1))),
            // Nobody but the query itself makes and grows its repartition topics.
            (running(&[("grown", true)], true, 1), Growth::Same),
        ] {
            assert_eq!(decide(&running, &now), expected, "{running:?}");
        }
    }

    #[test]
    fn the_remark_names_the_partitions() {
        assert!(unread("t", 4, 1).contains("'t' has 4 partitions now, and partitions 1 to 3 are not read"));
        assert!(unread("t", 3, 2).contains("and partition 2 is not read"));
    }
}
