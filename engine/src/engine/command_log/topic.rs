//! The command topic: how it is made.

use crate::engine::EngineConfig;
use crate::log::{Log, LogError, TopicSpec};

/// Makes the topic where it is missing. One that is there with fewer copies than are asked for is named.
pub(in crate::engine) fn ensure_topic(log: &dyn Log, settings: &EngineConfig) -> Result<(), LogError> {
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
