//! Topics that nothing may be written to (`ksql.readonly.topics`): those of Kafka itself and of its neighbours, and the
//! engine's own internal ones.

use regex::Regex;

use super::{Engine, EngineError};

/// How topics of services begin, those of others as well: what is written to them breaks those.
const INTERNAL: &str = "_confluent-ksql-";

/// Patterns of whole names.
pub(super) struct ReadonlyTopics(Vec<Regex>);

impl ReadonlyTopics {
    /// # Errors
    /// A pattern that can't be read.
    pub(super) fn new(patterns: &[String]) -> Result<Self, EngineError> {
        let compiled = patterns.iter().map(|pattern| {
            let wrong = |error| EngineError::user(format!("ksql.readonly.topics: '{pattern}' is no pattern: {error}"));
            Regex::new(&format!("^(?:{pattern})$")).map_err(wrong)
        });
        Ok(ReadonlyTopics(compiled.collect::<Result<_, _>>()?))
    }

    fn contains(&self, topic: &str) -> bool {
        self.0.iter().any(|pattern| pattern.is_match(topic))
    }
}

impl Engine {
    /// # Errors
    /// Nothing may be written to the topic.
    pub(super) fn check_writable(&self, topic: &str) -> Result<(), EngineError> {
        self.check_not_readonly(topic, "Cannot write to the read-only topic")
    }

    /// # Errors
    /// The topic may not be deleted.
    pub(super) fn check_deletable(&self, topic: &str) -> Result<(), EngineError> {
        self.check_not_readonly(topic, "Cannot delete the read-only topic")
    }

    fn check_not_readonly(&self, topic: &str, what: &str) -> Result<(), EngineError> {
        let internal = topic.starts_with(INTERNAL) || topic.starts_with(&self.config.internal_prefix);
        if !internal && !self.readonly_topics.contains(topic) {
            return Ok(());
        }
        let why = if internal { "it belongs to a service" } else { "ksql.readonly.topics names it" };
        Err(EngineError::user(format!("{what}: {topic} ({why})")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_whole_names() {
        let topics = ReadonlyTopics::new(&["_confluent.*".to_owned(), "_schemas".to_owned()]).expect("patterns");
        for (name, expected) in [("_confluent-metrics", true), ("_schemas", true), ("_schemas2", false), ("my_confluent", false)] {
            assert_eq!(topics.contains(name), expected, "{name}");
        }
        assert!(ReadonlyTopics::new(&["(".to_owned()]).is_err());
    }
}
