//! The command log: a topic of one partition that holds, in order, every statement that changed something. A server that
//! starts reads it from the first record and stands where it stood.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::EngineConfig;
use super::error::EngineError;
use crate::log::{Log, LogError, Offset, OutRecord, TopicHandle, TopicPartition, TopicSpec, read_whole};
use crate::points::{self, Point};

/// How long reading the command topic may stall before the start gives up.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Appends to the command topic, and reads it at the start.
pub(super) struct CommandLog {
    log: Arc<dyn Log>,
    topic: String,
    handle: TopicHandle,
    /// Behind the last command that is known.
    next: Offset,
    /// An append failed, and it is not known whether the command was written.
    is_uncertain: bool,
}

/// Makes the topic where it is missing. One that is there with fewer copies than are asked for is named.
pub(super) fn ensure_topic(log: &dyn Log, settings: &EngineConfig) -> Result<(), LogError> {
    let topic = settings.command_topic();
    let (replicas, min_insync) = (settings.command_topic_replicas, settings.command_topic_min_insync_replicas);
    match log.describe_topic(&topic)? {
        None => {
            let min_insync = min_insync.to_string();
            let mut config = vec![("cleanup.policy", "delete"), ("retention.ms", "-1")];
            if min_insync != "1" {
                config.push(("min.insync.replicas", &min_insync));
            }
            let config = config.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            match log.create_topic(&TopicSpec { name: topic, partitions: 1, replicas, config }) {
                Ok(()) | Err(LogError::TopicExists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Some(found) => {
            if found.replicas < replicas {
                tracing::warn!(
                    "the command topic {topic} has {} copies, {replicas} are asked for by ksql.internal.topic.replicas: a topic that is \
                     there keeps its copies until the broker is told to move it",
                    found.replicas
                );
            }
            let insync = found.config.get("min.insync.replicas").and_then(|v| v.parse::<u16>().ok());
            if insync.is_some_and(|insync| insync < min_insync) {
                tracing::warn!(
                    "the command topic {topic} is taken to be written with {} copies in sync, {min_insync} are asked for by \
                     ksql.internal.topic.min.insync.replicas: alter the topic's min.insync.replicas",
                    insync.unwrap_or_default()
                );
            }
        }
    }
    Ok(())
}

impl CommandLog {
    /// Opens the topic, which [`ensure_topic`] has made.
    pub(super) fn open(log: Arc<dyn Log>, settings: &EngineConfig) -> Result<Self, LogError> {
        let topic = settings.command_topic();
        let (handle, _) = log.topic(&topic)?;
        Ok(CommandLog { log, topic, handle, next: Offset(0), is_uncertain: false })
    }

    /// Appends a command; it is durable once this returns.
    pub(super) fn append<T: Serialize>(&self, command: &T, now_ms: i64) -> Result<(), EngineError> {
        let value = serde_json::to_vec(command).map_err(|e| EngineError::internal(format!("command log: {e}")))?;
        points::log(Point::CommandAppendBefore)?;
        self.log.append(self.handle, OutRecord { partition: 0, timestamp: now_ms, key: None, value: Some(&value), headers: &[] })?;
        points::log(Point::CommandAppendAfter)?;
        Ok(())
    }

    /// Takes note of what became of an append: written, or nobody knows.
    pub(super) fn note(&mut self, is_written: bool) {
        if is_written {
            self.next.0 += 1;
        } else {
            self.is_uncertain = true;
        }
    }

    /// Whether there may be commands that nobody knows of.
    pub(super) fn is_uncertain(&self) -> bool {
        self.is_uncertain
    }

    /// All commands, first to last.
    ///
    /// # Errors
    /// A record that this version can't read: nothing may run then, lest it run wrongly.
    pub(super) fn read_all<T: DeserializeOwned>(&self) -> Result<Vec<T>, EngineError> {
        self.read_from(Offset(0)).map(|(commands, _)| commands)
    }

    /// The commands that were not read yet, first to last: all of them at first; later on those of appends that failed, and
    /// were written all the same.
    ///
    /// # Errors
    /// As for [`Self::read_all`].
    pub(super) fn read_new<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, EngineError> {
        let (commands, next) = self.read_from(self.next)?;
        (self.next, self.is_uncertain) = (next, false);
        Ok(commands)
    }

    /// The commands from an offset on, and the offset behind the last.
    fn read_from<T: DeserializeOwned>(&self, from: Offset) -> Result<(Vec<T>, Offset), EngineError> {
        let tp = TopicPartition { topic: self.topic.as_str().into(), partition: 0 };
        let (mut commands, mut unreadable) = (Vec::new(), None);
        let next = read_whole(&*self.log, &tp, from, READ_TIMEOUT, &mut |record| {
            let Some(value) = record.value.filter(|_| unreadable.is_none()) else { return };
            match serde_json::from_slice(value) {
                Ok(command) => commands.push(command),
                Err(error) => {
                    unreadable = Some(format!(
                        "command topic {}: the record at offset {} can't be read ({error}); it was written by a later version or is damaged",
                        self.topic, record.offset.0
                    ));
                }
            }
        })?;
        unreadable.map_or(Ok((commands, next)), |message| Err(EngineError::internal(message)))
    }
}
