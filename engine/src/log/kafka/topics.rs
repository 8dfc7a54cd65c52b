//! Topics: creation that waits until the topic can be used, deletion, description, and handles for writers.
//!
//! What statements write to is looked up once and kept (`known`). That it has changed since is noticed by the record that
//! can't be written, which makes `append` forget the topic, or in the background: `refresh` asks again for what was used.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use super::errors::Failure;
use super::ffi::admin::{self, TopicMetadata};
use super::ffi::{Client, admin::metadata, identify::identify, rights};
use crate::log::{LogError, Operation, TopicHandle, TopicId, TopicIdentity, TopicInfo, TopicSpec};
use crate::points::{self, Point};

/// How long one admin request may take, seconds.
pub(super) const REQUEST_TIMEOUT_S: u64 = 10;
/// How long a created topic may take to have leaders, or a deleted one to go, seconds.
const SETTLE_TIMEOUT_S: u64 = 30;
/// First and longest pause between two looks at whether it did, milliseconds.
const SETTLE_PAUSE_MS: (u64, u64) = (1, 20);

/// Topics that one request describes.
const IDENTIFIED_AT_ONCE: usize = 500;

/// Topics as the administrating client sees them.
pub(super) struct Topics {
    client: Arc<Client>,
    handles: RwLock<Handles>,
    /// Raised by each deletion: writers then let go of their handles, which would go on asking for the topic.
    deletions: AtomicU64,
}

#[derive(Default)]
struct Handles {
    names: Vec<Arc<str>>,
    by_name: HashMap<Arc<str>, Entry>,
}

struct Entry {
    handle: TopicHandle,
    /// What is known of the topic, if that is to be relied on.
    known: Option<Known>,
}

struct Known {
    partitions: u32,
    /// Since the last refresh.
    was_used: AtomicBool,
}

impl Topics {
    pub(super) fn new(client: Arc<Client>) -> Topics {
        Topics { client, handles: RwLock::default(), deletions: AtomicU64::new(0) }
    }

    pub(super) fn create(&self, spec: &TopicSpec) -> Result<(), LogError> {
        if spec.partitions == 0 {
            return Err(LogError::Fatal(format!("topic '{}' needs at least one partition", spec.name)));
        }
        points::log(Point::TopicCreateBefore)?;
        admin::create_topic(&self.client, spec, request_timeout()).map_err(|failure| failure.about("creating topic", Some(&spec.name)))?;
        points::log(Point::TopicCreateAfter)?;
        self.settle(&spec.name, |found| found.is_some_and(|topic| topic.has_leaders() && topic.partitions == spec.partitions))
    }

    pub(super) fn delete(&self, name: &str) -> Result<(), LogError> {
        points::log(Point::TopicDeleteBefore)?;
        self.forget(name);
        admin::delete_topic(&self.client, name, request_timeout()).map_err(|failure| failure.about("deleting topic", Some(name)))?;
        self.deletions.fetch_add(1, Ordering::AcqRel);
        points::log(Point::TopicDeleteAfter)?;
        self.settle(name, |found| found.is_none())
    }

    pub(super) fn denied(&self, name: &str, wanted: &[Operation]) -> Vec<Operation> {
        rights::denied(&self.client, name, wanted, request_timeout()).unwrap_or_else(|failure| {
            tracing::debug!(topic = name, reason = failure.in_words(), "the rights to a topic can't be asked for");
            Vec::new()
        })
    }

    pub(super) fn describe(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        let Some(found) = self.find(name)? else { return Ok(None) };
        match admin::topic_config(&self.client, name, request_timeout()) {
            Ok(config) => Ok(Some(TopicInfo { config, ..info(found) })),
            Err(failure) if failure.is_unknown_topic() => Ok(None),
            Err(failure) => Err(failure.about("reading the configuration of topic", Some(name))),
        }
    }

    /// Which topics have these names; names may come more than once.
    pub(super) fn identify(&self, names: &[&str]) -> Result<Vec<Option<TopicIdentity>>, LogError> {
        let mut distinct = names.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let mut found: HashMap<String, TopicIdentity> = HashMap::with_capacity(distinct.len());
        for some in distinct.chunks(IDENTIFIED_AT_ONCE) {
            let named = identify(&self.client, some, request_timeout()).map_err(|failure| failure.about("describing topics", None))?;
            for topic in named {
                match Failure::of_code(topic.code) {
                    None => {
                        let id = Some(topic.id).filter(|id| *id != 0).map(TopicId);
                        found.insert(topic.name, TopicIdentity { id, partitions: topic.partitions });
                    }
                    Some(failure) if failure.is_unknown_topic() => {}
                    Some(failure) => return Err(failure.about("describing topic", Some(&topic.name))),
                }
            }
        }
        Ok(names.iter().map(|name| found.get(*name).copied()).collect())
    }

    pub(super) fn list(&self) -> Result<Vec<TopicInfo>, LogError> {
        let found = metadata(&self.client, None, request_timeout()).map_err(|failure| failure.about("listing topics", None))?;
        let mut topics: Vec<TopicInfo> = found.into_iter().filter(|topic| topic.code == 0).map(info).collect();
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(topics)
    }

    /// A topic's handle for writers, and how many partitions it has now.
    pub(super) fn handle(&self, name: &str) -> Result<(TopicHandle, u32), LogError> {
        let Some(found) = self.find(name)? else {
            self.forget(name);
            return Err(LogError::UnknownTopic(name.to_owned()));
        };
        let mut handles = self.handles.write();
        let handle = match handles.by_name.get(name) {
            Some(entry) => entry.handle,
            None => {
                let next = u32::try_from(handles.names.len()).map_err(|_| LogError::Fatal("too many topics".into()))?;
                handles.names.push(name.into());
                TopicHandle(next)
            }
        };
        let known = Some(Known { partitions: found.partitions, was_used: AtomicBool::new(true) });
        handles.by_name.insert(name.into(), Entry { handle, known });
        Ok((handle, found.partitions))
    }

    /// As [`Self::handle`], by what was found before where there is such.
    pub(super) fn known(&self, name: &str) -> Result<(TopicHandle, u32), LogError> {
        if let Some(Entry { handle, known: Some(known) }) = self.handles.read().by_name.get(name) {
            known.was_used.store(true, Ordering::Relaxed);
            return Ok((*handle, known.partitions));
        }
        self.handle(name)
    }

    /// What was found of a topic holds no more.
    pub(super) fn forget(&self, name: &str) {
        if let Some(entry) = self.handles.write().by_name.get_mut(name) {
            entry.known = None;
        }
    }

    /// Looks again at the topics that were used since the last time, and forgets the others. Asks by a client that nobody
    /// waits for.
    pub(super) fn refresh(&self, client: &Arc<Client>) {
        for name in self.used() {
            let found = match metadata(client, Some(&name), request_timeout()) {
                Ok(found) => found.into_iter().find(|topic| *topic.name == *name),
                // Whatever is wrong goes by, or the next record tells.
                Err(_) => return,
            };
            let failure = found.as_ref().and_then(|topic| Failure::of_code(topic.code));
            match (found, failure) {
                (Some(found), None) => {
                    if let Some(Entry { known: Some(known), .. }) = self.handles.write().by_name.get_mut(&name) {
                        known.partitions = found.partitions;
                    }
                }
                (_, Some(failure)) if failure.is_retriable() => {}
                _ => self.forget(&name),
            }
        }
    }

    /// The topics that were used since the last call; the others are forgotten.
    fn used(&self) -> Vec<Arc<str>> {
        let mut used = Vec::new();
        for (name, entry) in &mut self.handles.write().by_name {
            match &entry.known {
                Some(known) if known.was_used.swap(false, Ordering::Relaxed) => used.push(Arc::clone(name)),
                _ => entry.known = None,
            }
        }
        used
    }

    /// The name behind a handle.
    pub(super) fn name(&self, handle: TopicHandle) -> Option<Arc<str>> {
        self.handles.read().names.get(usize::try_from(handle.0).ok()?).cloned()
    }

    pub(super) fn deletions(&self) -> u64 {
        self.deletions.load(Ordering::Acquire)
    }

    /// Asks for the topic's metadata; `None` where it does not exist.
    fn find(&self, name: &str) -> Result<Option<TopicMetadata>, LogError> {
        let mut pauses = Pauses::new();
        loop {
            let found =
                metadata(&self.client, Some(name), request_timeout()).map_err(|failure| failure.about("describing topic", Some(name)))?;
            let Some(topic) = found.into_iter().find(|topic| topic.name == name) else { return Ok(None) };
            match Failure::of_code(topic.code) {
                None => return Ok(Some(topic)),
                Some(failure) if failure.is_unknown_topic() => return Ok(None),
                // Just created: its leaders are being chosen.
                Some(failure) if failure.is_retriable() && pauses.next() => {}
                Some(failure) => return Err(failure.about("describing topic", Some(name))),
            }
        }
    }

    fn settle(&self, name: &str, is_settled: impl Fn(Option<&TopicMetadata>) -> bool) -> Result<(), LogError> {
        let mut pauses = Pauses::new();
        while !is_settled(self.find(name)?.as_ref()) {
            if !pauses.next() {
                return Err(LogError::Retriable(format!("Kafka: topic '{name}' did not settle within {SETTLE_TIMEOUT_S} s")));
            }
        }
        Ok(())
    }
}

/// Pauses between two looks at a topic that settles: short at first, since it mostly takes a few milliseconds.
struct Pauses {
    deadline: Instant,
    next_ms: u64,
}

impl Pauses {
    fn new() -> Pauses {
        Pauses { deadline: Instant::now() + Duration::from_secs(SETTLE_TIMEOUT_S), next_ms: SETTLE_PAUSE_MS.0 }
    }

    /// Waits; false where it took too long already.
    fn next(&mut self) -> bool {
        if Instant::now() > self.deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(self.next_ms));
        self.next_ms = (self.next_ms * 2).min(SETTLE_PAUSE_MS.1);
        true
    }
}

pub(super) fn request_timeout() -> Duration {
    Duration::from_secs(REQUEST_TIMEOUT_S)
}

fn info(topic: TopicMetadata) -> TopicInfo {
    TopicInfo { name: topic.name, partitions: topic.partitions, replicas: topic.replicas, config: std::collections::BTreeMap::new() }
}
