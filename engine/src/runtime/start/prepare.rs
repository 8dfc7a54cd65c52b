//! What a query needs of its log before it runs: internal topics, and what is there of those that it reads and writes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::restore::{Positions, tombstones};
use super::super::{Runtime, growth};
use super::StartError;
use crate::log::{self, LogError, PartitionId, TopicHandle, TopicId, TopicPartition};
use crate::operators::TaskSpec;
use crate::state::StoreKind;

/// From here on (a thousand years) windows are kept for ever, milliseconds.
const MAX_CHANGELOG_RETENTION_MS: i64 = 1000 * 366 * 24 * 3600 * 1000;

/// Whatever the broker's default, records keep the timestamps that they are written with.
const OWN_TIME: (&str, &str) = ("message.timestamp.type", "CreateTime");
/// Records bear the event time of their rows.
const REPARTITION_CONFIG: [(&str, &str); 3] = [("cleanup.policy", "delete"), ("retention.ms", "-1"), OWN_TIME];

/// The topic of the orders in which a sub-topology's tasks read, where they keep to one.
pub(in crate::runtime) fn order_topic(group: &str, sub_topology: usize) -> String {
    format!("{group}-{sub_topology}-order")
}

/// A sub-topology with what the log says of its topics.
pub(in crate::runtime) struct Prepared {
    pub spec: TaskSpec,
    /// How many of the sources' partitions are read, from 0.
    pub partitions: u32,
    pub(super) source_partitions: Vec<u32>,
    pub(super) sinks: Vec<(TopicHandle, u32)>,
    /// Where its tasks write down in which order they read.
    pub(super) order: Option<(String, TopicHandle)>,
    /// The topic of letters that go through the query again, with its partitions.
    pub(super) replays: Option<(Arc<str>, u32)>,
    pub(super) changelogs: Vec<Option<(String, TopicHandle)>>,
    /// Changelogs that were made anew and are filled from the state.
    pub(in crate::runtime) refill: BTreeSet<String>,
    /// The changelogs' ids, of those that were there.
    pub ids: BTreeMap<String, TopicId>,
    /// The topics of the sinks and changelogs.
    pub(super) writes: Arc<[String]>,
    /// What the query's group has committed of the sources.
    pub(super) committed: Positions,
    /// Partitions that are there and not read, and why.
    pub remark: Option<String>,
}

impl Prepared {
    pub(in crate::runtime) fn changelog_topics(&self) -> impl Iterator<Item = &str> {
        self.changelogs.iter().flatten().map(|(name, _)| name.as_str())
    }
}

impl Runtime {
    /// Makes the internal topics of a sub-topology and looks up what it reads and writes.
    pub(in crate::runtime) fn prepare(
        &self,
        query: &str,
        spec: TaskSpec,
        ephemeral: bool,
        replays: Option<&(Arc<str>, u32)>,
    ) -> Result<Prepared, StartError> {
        let log = &self.parts.log;
        let mut source_partitions = Vec::with_capacity(spec.sources.len());
        for source in &spec.sources {
            source_partitions.push(log.topic(&source.topic)?.1);
        }
        // Each store's changelog, and the topic where it is there.
        let mut found = Vec::with_capacity(spec.stores.len());
        for store in &spec.stores {
            let has_one = store.changelog && !ephemeral && !log.is_atomic();
            let name = has_one.then(|| self.changelog_name(query, &store.name));
            let topic = match name.as_deref().map(|name| log.topic(name)) {
                Some(Ok(topic)) => Some(topic),
                Some(Err(LogError::UnknownTopic(_))) | None => None,
                Some(Err(error)) => return Err(error.into()),
            };
            found.push((name, topic));
        }
        let kept = found.iter().filter_map(|(_, topic)| topic.map(|(_, partitions)| partitions)).max();
        let most = source_partitions.iter().copied().max().unwrap_or(1);
        // State that is there is kept by partition: a topic that has grown since is read as far as the state goes.
        let partitions = match kept {
            Some(kept) if source_partitions.iter().all(|count| *count >= kept) => kept,
            _ => most,
        };
        let grown = spec.sources.iter().zip(&source_partitions).filter(|(source, count)| !source.is_repartition && **count > partitions);
        let remark = grown.max_by_key(|(_, count)| **count).map(|(source, count)| growth::unread(&source.topic, *count, partitions));
        if let Some(odd) = source_partitions.iter().position(|p| *p < partitions) {
            let names: Vec<String> = spec.sources.iter().zip(&source_partitions).map(|(s, p)| format!("{} has {p}", s.topic)).collect();
            return Err(StartError::NotCopartitioned(format!(
                "topics that are joined must have the same number of partitions: {} (repartition {})",
                names.join(", "),
                spec.sources[odd].topic
            )));
        }
        let mut sinks = Vec::with_capacity(spec.sinks.len());
        for sink in &spec.sinks {
            if sink.is_repartition {
                self.ensure_topic(&sink.topic, sink.partitions.unwrap_or(partitions), &REPARTITION_CONFIG)?;
            }
            sinks.push(log.topic(&sink.topic)?);
        }
        let mut order = None;
        if spec.keeps_order && !ephemeral && !log.is_atomic() {
            let name = order_topic(&self.group(query), spec.id);
            self.ensure_topic(&name, partitions, &REPARTITION_CONFIG)?;
            let (handle, _) = log.topic(&name)?;
            order = Some((name, handle));
        }
        let mut changelogs = Vec::with_capacity(spec.stores.len());
        for (store, (name, topic)) in spec.stores.iter().zip(found) {
            changelogs.push(match name {
                Some(name) => {
                    let (handle, existing) = match topic {
                        Some(topic) => topic,
                        None => {
                            self.ensure_topic(&name, partitions, &changelog_config(store.kind))?;
                            log.topic(&name)?
                        }
                    };
                    if existing < partitions {
                        return Err(StartError::NotCopartitioned(format!(
                            "the topics that the query reads have {partitions} partitions, its state in {name} has {existing}: drop the \
                             query and create it again"
                        )));
                    }
                    Some((name, handle))
                }
                None => None,
            });
        }
        let changelog_topics = changelogs.iter().flatten().map(|(name, _)| name.clone());
        let writes = spec.sinks.iter().map(|sink| sink.topic.clone()).chain(changelog_topics).collect();
        let topics = spec.sources.iter().map(|source| source.topic.as_str()).zip(source_partitions.iter().copied());
        let topics = topics.chain(order.as_ref().map(|(name, _)| (name.as_str(), partitions)));
        let topics = topics.chain(replays.map(|(name, partitions)| (&**name, *partitions)));
        let marked = if spec.stores.is_empty() { self.marks.of_all(query, spec.id) } else { Positions::new() };
        let committed = if ephemeral { Positions::new() } else { self.committed(query, marked, topics)? };
        let (refill, ids) = (BTreeSet::new(), BTreeMap::new());
        Ok(Prepared {
            writes,
            spec,
            partitions,
            source_partitions,
            sinks,
            order,
            changelogs,
            refill,
            ids,
            committed,
            remark,
            replays: replays.cloned(),
        })
    }

    /// How far a query has read topics, whether it reads all of their partitions or not: by its marks where these are not in
    /// changelogs, else by what its group has committed.
    fn committed<'t>(&self, query: &str, marked: Positions, topics: impl Iterator<Item = (&'t str, u32)>) -> Result<Positions, StartError> {
        let partitions: Vec<TopicPartition> = topics.flat_map(|(topic, count)| log::partitions_of(topic, count)).collect();
        if partitions.iter().all(|partition| marked.contains_key(partition)) {
            return Ok(marked);
        }
        let committed = self.parts.log.committed(&self.group(query), &partitions)?;
        let committed = partitions.into_iter().zip(committed).filter_map(|(partition, offset)| Some((partition, offset?)));
        Ok(committed.chain(marked).collect())
    }

    /// Makes an internal topic unless it is there.
    pub(in crate::runtime) fn ensure_topic(
        &self,
        name: &str,
        partitions: u32,
        config: &[(&str, impl AsRef<str>)],
    ) -> Result<(), StartError> {
        Ok(log::ensure_topic(&*self.parts.log, name, partitions, self.config.replicas, config)?)
    }
}

/// What a partition of a sub-topology reads. A topic that is read as two streams or tables is read once, and each record goes
/// to both: one topic has one position.
pub(super) fn lanes(sub: &Prepared, partition: PartitionId) -> Vec<(TopicPartition, Vec<usize>)> {
    let mut lanes: Vec<(TopicPartition, Vec<usize>)> = Vec::with_capacity(sub.spec.sources.len());
    for (index, (source, partitions)) in sub.spec.sources.iter().zip(&sub.source_partitions).enumerate() {
        if partition >= PartitionId::try_from(*partitions).unwrap_or(PartitionId::MAX) {
            continue;
        }
        match lanes.iter_mut().find(|(lane, _)| *lane.topic == *source.topic) {
            Some((_, sources)) => sources.push(index),
            None => lanes.push((TopicPartition { topic: source.topic.as_str().into(), partition }, vec![index])),
        }
    }
    if let Some((topic, _)) = &sub.order {
        lanes.push((TopicPartition { topic: topic.as_str().into(), partition }, Vec::new()));
    }
    if let Some((topic, _)) = sub.replays.as_ref().filter(|(_, count)| u32::try_from(partition).is_ok_and(|number| number < *count)) {
        lanes.push((TopicPartition { topic: topic.clone(), partition }, Vec::new()));
    }
    lanes
}

/// A changelog keeps the last value of each key. Where windows expire, its beginning is deleted as they do
/// ([`super::changelog_head`]), which topics that are only compacted refuse; not by the wall clock, for windows stay open where no
/// input comes. Timestamps bear their writer's epoch.
fn changelog_config(kind: StoreKind) -> Vec<(&'static str, &'static str)> {
    match kind {
        StoreKind::Windowed { retention_ms } if retention_ms < MAX_CHANGELOG_RETENTION_MS => {
            vec![("cleanup.policy", "compact,delete"), ("retention.ms", "-1"), tombstones::KEPT, OWN_TIME]
        }
        _ => vec![("cleanup.policy", "compact"), tombstones::KEPT, OWN_TIME],
    }
}
