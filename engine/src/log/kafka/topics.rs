//! Topics: creation that waits until the topic can be used, deletion, description, and handles for writers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use super::errors::Failure;
use super::ffi::admin::{self, TopicMetadata};
use super::ffi::{Client, admin::metadata};
use crate::log::{LogError, TopicHandle, TopicInfo, TopicSpec};

/// How long one admin request may take, seconds.
pub(super) const REQUEST_TIMEOUT_S: u64 = 10;
/// How long a created topic may take to have leaders, or a deleted one to go, seconds.
const SETTLE_TIMEOUT_S: u64 = 30;
/// Pause between two looks at whether it did, milliseconds.
const SETTLE_PAUSE_MS: u64 = 10;

/// Topics as the administrating client sees them.
pub(super) struct Topics {
    client: Arc<Client>,
    names: RwLock<Vec<Arc<str>>>,
    /// Raised by each deletion: writers then let go of their handles, which would go on asking for the topic.
    deletions: AtomicU64,
}

impl Topics {
    pub(super) fn new(client: Arc<Client>) -> Topics {
        Topics { client, names: RwLock::default(), deletions: AtomicU64::new(0) }
    }

    pub(super) fn create(&self, spec: &TopicSpec) -> Result<(), LogError> {
        if spec.partitions == 0 {
            return Err(LogError::Fatal(format!("topic '{}' needs at least one partition", spec.name)));
        }
        admin::create_topic(&self.client, spec, request_timeout()).map_err(|failure| failure.about("creating topic", Some(&spec.name)))?;
        self.settle(&spec.name, |found| found.is_some_and(|topic| topic.has_leaders() && topic.partitions == spec.partitions))
    }

    pub(super) fn delete(&self, name: &str) -> Result<(), LogError> {
        admin::delete_topic(&self.client, name, request_timeout()).map_err(|failure| failure.about("deleting topic", Some(name)))?;
        self.deletions.fetch_add(1, Ordering::AcqRel);
        self.settle(name, |found| found.is_none())
    }

    pub(super) fn describe(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        let Some(found) = self.find(name)? else { return Ok(None) };
        match admin::topic_config(&self.client, name, request_timeout()) {
            Ok(config) => Ok(Some(TopicInfo { config, ..info(found) })),
            Err(failure) if failure.is_unknown_topic() => Ok(None),
            Err(failure) => Err(failure.about("describing topic", Some(name))),
        }
    }

    pub(super) fn list(&self) -> Result<Vec<TopicInfo>, LogError> {
        let found = metadata(&self.client, None, request_timeout()).map_err(|failure| failure.about("listing topics", None))?;
        let mut topics: Vec<TopicInfo> = found.into_iter().filter(|topic| topic.code == 0).map(info).collect();
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(topics)
    }

    /// A topic's handle for writers, and how many partitions it has now.
    pub(super) fn handle(&self, name: &str) -> Result<(TopicHandle, u32), LogError> {
        let found = self.find(name)?.ok_or_else(|| LogError::UnknownTopic(name.to_owned()))?;
        let mut names = self.names.write();
        let index = names.iter().position(|known| **known == *name).unwrap_or_else(|| {
            names.push(name.into());
            names.len() - 1
        });
        let index = u32::try_from(index).map_err(|_| LogError::Fatal("too many topics".into()))?;
        Ok((TopicHandle(index), found.partitions))
    }

    /// The name behind a handle.
    pub(super) fn name(&self, handle: TopicHandle) -> Option<Arc<str>> {
        self.names.read().get(usize::try_from(handle.0).ok()?).cloned()
    }

    pub(super) fn deletions(&self) -> u64 {
        self.deletions.load(Ordering::Acquire)
    }

    /// Asks for the topic's metadata; `None` where it does not exist.
    fn find(&self, name: &str) -> Result<Option<TopicMetadata>, LogError> {
        let deadline = Instant::now() + Duration::from_secs(SETTLE_TIMEOUT_S);
        loop {
            let found =
                metadata(&self.client, Some(name), request_timeout()).map_err(|failure| failure.about("describing topic", Some(name)))?;
            let Some(topic) = found.into_iter().find(|topic| topic.name == name) else { return Ok(None) };
            match Failure::of_code(topic.code) {
                None => return Ok(Some(topic)),
                Some(failure) if failure.is_unknown_topic() => return Ok(None),
                // Just created: its leaders are being chosen.
                Some(failure) if failure.is_retriable() && Instant::now() < deadline => pause(),
                Some(failure) => return Err(failure.about("describing topic", Some(name))),
            }
        }
    }

    fn settle(&self, name: &str, is_settled: impl Fn(Option<&TopicMetadata>) -> bool) -> Result<(), LogError> {
        let deadline = Instant::now() + Duration::from_secs(SETTLE_TIMEOUT_S);
        while !is_settled(self.find(name)?.as_ref()) {
            if Instant::now() > deadline {
                return Err(LogError::Retriable(format!("Kafka: topic '{name}' did not settle within {SETTLE_TIMEOUT_S} s")));
            }
            pause();
        }
        Ok(())
    }
}

pub(super) fn request_timeout() -> Duration {
    Duration::from_secs(REQUEST_TIMEOUT_S)
}

fn pause() {
    std::thread::sleep(Duration::from_millis(SETTLE_PAUSE_MS));
}

fn info(topic: TopicMetadata) -> TopicInfo {
    TopicInfo { name: topic.name, partitions: topic.partitions, replicas: topic.replicas, config: std::collections::BTreeMap::new() }
}
