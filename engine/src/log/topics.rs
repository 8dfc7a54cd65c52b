//! What is done with topics whatever the log is made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Log, LogError, PartitionId, TopicPartition, TopicSpec};

/// So many partitions of a topic, from 0.
pub fn partitions_of(topic: &str, count: u32) -> Vec<TopicPartition> {
    let topic: Arc<str> = topic.into();
    let numbers = (0..count).filter_map(|number| PartitionId::try_from(number).ok());
    numbers.map(|partition| TopicPartition { topic: topic.clone(), partition }).collect()
}

/// Makes a topic of our own with its settings, unless it is there.
///
/// # Errors
/// The log can't be asked, or does not make it.
pub fn ensure_topic(log: &dyn Log, name: &str, partitions: u32, replicas: u16, config: &[(&str, impl AsRef<str>)]) -> Result<(), LogError> {
    if log.describe_topic(name)?.is_some() {
        return Ok(());
    }
    let config: BTreeMap<String, String> = config.iter().map(|(name, value)| ((*name).to_owned(), value.as_ref().to_owned())).collect();
    match log.create_topic(&TopicSpec { name: name.to_owned(), partitions, replicas, config }) {
        // Or somebody has made it meanwhile.
        Ok(()) | Err(LogError::TopicExists(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
