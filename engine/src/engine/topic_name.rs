//! Names that Kafka takes for a topic. They are checked here, so that a name that it would refuse is told as the statement's
//! mistake, and alike over Kafka and over embedded topics.

use super::{Engine, EngineError};
use crate::plan::QueryPlan;

/// Characters of a topic's name at most.
const MAX_LENGTH: usize = 249;

/// # Errors
/// Kafka takes no topic of that name; what would be right.
pub(super) fn check_topic_name(name: &str) -> Result<(), String> {
    let why = match name {
        "" => "it is empty".to_owned(),
        "." | ".." => "it may not be '.' or '..'".to_owned(),
        _ => match name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-')) {
            Some(wrong) => format!("it has {wrong:?}; letters, digits, '.', '_' and '-' are possible"),
            None if name.len() > MAX_LENGTH => format!("it has {} characters; {MAX_LENGTH} are possible", name.len()),
            None => return Ok(()),
        },
    };
    Err(format!("Invalid topic name '{name}': {why}."))
}

impl Engine {
    /// Topics that a query keeps to itself are named after the service and the query. One that can't be made would end the query
    /// as soon as it starts.
    ///
    /// # Errors
    /// The log would not take the name of one of them; with `advice`, what helps.
    pub(super) fn check_own_topics(&self, plan: &QueryPlan, advice: &str) -> Result<(), EngineError> {
        let mut topics = self.runtime.internal_topics(plan);
        // All are named when the longest can be.
        topics.sort_by_key(|topic| std::cmp::Reverse(topic.len()));
        for topic in topics {
            check_topic_name(&topic).map_err(|why| {
                let id = &plan.query_id;
                EngineError::user(format!(
                    "{why} Query {id} needs this topic for itself; its name is made of ksql.service.id and the query's id. {advice}"
                ))
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_kafka_takes() {
        for good in ["a", "A.b_c-9", "...", &"x".repeat(MAX_LENGTH)] {
            assert_eq!(check_topic_name(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", "is empty"),
            (".", "'.' or '..'"),
            ("..", "'.' or '..'"),
            ("bad topic", "it has ' '"),
            ("a/b", "it has '/'"),
            ("é", "it has 'é'"),
            (&"x".repeat(MAX_LENGTH + 1), "250 characters"),
        ] {
            assert!(check_topic_name(bad).is_err_and(|message| message.contains(why)), "{bad}");
        }
    }
}
