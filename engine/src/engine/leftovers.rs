//! What a process that was killed leaves half done: a topic that was made for a statement which then was not written, one that
//! was to be deleted with its stream, internal topics and state of a query that is gone. The data folder knows of each before
//! it is begun, and the next start clears it up or finishes it.
//!
//! **Invariant:** nothing is deleted by its name alone. What was made for a statement goes where it is empty; what was to be
//! deleted, and what a query kept to itself, where its id is the one that it had then.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Engine, EngineError};
use crate::catalog::{Catalog, Source};
use crate::log::{Log, LogError, OffsetSpec, TopicIdentity};
use crate::plan::TopicFormat;
use crate::runtime::{KnownTopics, all_known_topics};
use crate::state::{StateDb, StateError};

/// Begins the keys under which the data folder keeps intents; the topic follows.
const INTENT: u8 = b'L';

/// What is about to happen to a topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "intent")]
pub enum Intent {
    /// It is made for a stream or table that is then declared. `made`: which topic that was, once it is known.
    Make { source: String, made: Option<TopicIdentity> },
    /// It is deleted once its stream or table is dropped, and with it the schemas of its subjects.
    Delete { source: String, topic: Option<TopicIdentity>, format: Box<TopicFormat> },
}

/// What is to be done about a topic that an intent speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// What was intended was done, or is no longer to be done.
    Nothing,
    Delete,
    /// Delete it if it has no records.
    DeleteIfEmpty,
}

/// Decides, when no statement is under way; `now`: the topic that has the name.
pub fn remedy(intent: &Intent, topic: &str, now: Option<&TopicIdentity>, catalog: &Catalog) -> Remedy {
    remedy_unless(catalog.sources().any(|source| source.format.topic == topic), intent, now)
}

/// As [`remedy`]; `is_used`: a stream or table has the topic.
pub fn remedy_unless(is_used: bool, intent: &Intent, now: Option<&TopicIdentity>) -> Remedy {
    let Some(now) = now.filter(|_| !is_used) else { return Remedy::Nothing };
    let is_it = |known: &Option<TopicIdentity>| known.is_some_and(|known| known.id.is_some() && known.may_be(now));
    match intent {
        Intent::Delete { topic: known, .. } if is_it(known) => Remedy::Delete,
        Intent::Delete { .. } => Remedy::Nothing,
        Intent::Make { made, .. } if made.is_none() || is_it(made) => Remedy::DeleteIfEmpty,
        Intent::Make { .. } => Remedy::Nothing,
    }
}

/// Internal topics of queries that nobody knows any more, by query.
pub fn left_over(known: impl IntoIterator<Item = (String, KnownTopics)>, queries: &BTreeSet<String>) -> Vec<(String, KnownTopics)> {
    let is_left = |(query, _): &(String, KnownTopics)| !queries.contains(query);
    let internal = |(query, topics): (String, KnownTopics)| {
        (query, topics.into_iter().filter(|(_, known)| known.role.is_internal()).collect::<KnownTopics>())
    };
    known.into_iter().filter(is_left).map(internal).collect()
}

/// The intents that the data folder knows, by topic.
pub fn intents(state: &StateDb) -> Result<Vec<(String, Intent)>, StateError> {
    let mut all = Vec::new();
    state.notes(&[INTENT], &mut |topic, intent| {
        if let (Ok(topic), Ok(intent)) = (std::str::from_utf8(topic), serde_json::from_slice(intent)) {
            all.push((topic.to_owned(), intent));
        }
    })?;
    Ok(all)
}

/// Whether a topic has no records and never had any.
pub fn is_empty(log: &dyn Log, topic: &str) -> Result<bool, LogError> {
    let Some(info) = log.describe_topic(topic)? else { return Ok(true) };
    Ok(log.offsets(&info.all_partitions(), OffsetSpec::Latest)?.iter().all(|end| end.0 == 0))
}

fn key(topic: &str) -> Vec<u8> {
    [&[INTENT], topic.as_bytes()].concat()
}

impl Engine {
    fn state(&self) -> &StateDb {
        &self.runtime.parts().state
    }

    /// Notes what is about to happen to a topic.
    pub(super) fn intend(&self, topic: &str, intent: &Intent) -> Result<(), EngineError> {
        let intent = serde_json::to_vec(intent).map_err(|error| EngineError::internal(error.to_string()))?;
        Ok(self.state().put_notes(vec![(key(topic), Some(intent))])?)
    }

    /// What was intended has been done.
    pub(super) fn is_done(&self, topic: &str) {
        if let Err(error) = self.state().put_notes(vec![(key(topic), None)]) {
            tracing::warn!(topic, %error, "the data folder can't be written; the next start looks at the topic again");
        }
    }

    /// Notes that a source's topic is about to be deleted, before the source is dropped.
    pub(super) fn intend_deletion(&self, source: &Source) -> Result<(), EngineError> {
        let topic = self.log.identify(&[&source.format.topic])?.first().copied().flatten();
        let format = Box::new(source.format.clone());
        self.intend(&source.format.topic, &Intent::Delete { source: source.name.clone(), topic, format })
    }

    /// Clears up what earlier processes left behind. To be called before the first statement, with all queries known. What can't
    /// be cleared now is left to the next start.
    pub(super) fn clear_leftovers(&self) {
        if self.command_log_problem().is_some() {
            // What is not known may still be wanted.
            return;
        }
        if let Err(error) = self.finish_intents() {
            tracing::warn!(reason = error.message, "what an earlier process left half done can't be looked at; the next start does");
        }
        if let Err(error) = self.forget_lost_queries() {
            tracing::warn!(reason = error.message, "what queries that are gone left behind can't be looked at; the next start does");
        }
    }

    fn finish_intents(&self) -> Result<(), EngineError> {
        let catalog = self.catalog();
        for (topic, intent) in intents(self.state())? {
            let now = self.log.identify(&[&topic])?.first().copied().flatten();
            let is_to_go = match remedy(&intent, &topic, now.as_ref(), &catalog) {
                Remedy::Nothing => false,
                Remedy::Delete => true,
                Remedy::DeleteIfEmpty => is_empty(&*self.log, &topic)?,
            };
            if is_to_go {
                tracing::warn!(topic, "an earlier process did not come to delete this topic, which nothing uses: it is deleted now");
                match self.log.delete_topic(&topic) {
                    Ok(()) | Err(LogError::UnknownTopic(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if let Intent::Delete { source, format, .. } = &intent
                && catalog.source(source).is_none()
                && catalog.sources().all(|source| source.format.topic != topic)
                && let Some(left) = self.delete_subjects(format)
            {
                tracing::warn!(topic, "{left}");
            }
            self.is_done(&topic);
        }
        Ok(())
    }

    fn forget_lost_queries(&self) -> Result<(), EngineError> {
        let queries: BTreeSet<String> = self.queries.persistent().iter().map(|query| query.id.clone()).collect();
        for (query, topics) in left_over(all_known_topics(self.state())?, &queries) {
            let names: Vec<&str> = topics.keys().map(String::as_str).collect();
            let now = if names.is_empty() { Vec::new() } else { self.log.identify(&names)? };
            let ours = topics
                .iter()
                .zip(now)
                .filter(|((_, known), now)| now.is_some_and(|now| known.topic.id.is_some() && known.topic.may_be(&now)));
            let ours: Vec<String> = ours.map(|((topic, _), _)| topic.clone()).collect();
            tracing::warn!(
                query,
                topics = ours.len(),
                "an earlier process did not come to delete what this query left behind: it is deleted now"
            );
            self.runtime.forget(&query, &ours);
        }
        for query in self.state().queries().into_iter().filter(|query| !queries.contains(query)) {
            tracing::warn!(query, "state of a query that is gone is deleted");
            self.state().drop_query(&query)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::TopicId;
    use crate::plan::FormatSpec;

    #[test]
    fn only_what_is_known_to_be_ours_is_deleted() {
        let catalog = Catalog::default();
        let topic = |id: u128| TopicIdentity { id: Some(TopicId(id)), partitions: 1 };
        let spec = FormatSpec { name: "JSON".into(), unwrapped: false, delimiter: None, schema: None };
        let format = TopicFormat { topic: "t".into(), key: spec.clone(), value: spec, windowed_key: None };
        let make = |made| Intent::Make { source: "S".into(), made };
        let delete = |topic| Intent::Delete { source: "S".into(), topic, format: Box::new(format.clone()) };
        let no_id = TopicIdentity { id: None, partitions: 1 };
        for (intent, now, expected) in [
            (make(None), None, Remedy::Nothing),
            (make(None), Some(topic(1)), Remedy::DeleteIfEmpty),
            (make(Some(topic(1))), Some(topic(1)), Remedy::DeleteIfEmpty),
            (make(Some(topic(1))), Some(topic(2)), Remedy::Nothing),
            (delete(Some(topic(1))), Some(topic(1)), Remedy::Delete),
            (delete(Some(topic(1))), Some(topic(2)), Remedy::Nothing),
            (delete(Some(topic(1))), None, Remedy::Nothing),
            (delete(None), Some(topic(1)), Remedy::Nothing),
            // A broker without ids can't say that it is the same.
            (delete(Some(no_id)), Some(no_id), Remedy::Nothing),
        ] {
            assert_eq!(remedy(&intent, "t", now.as_ref(), &catalog), expected, "{intent:?} {now:?}");
            let text = serde_json::to_vec(&intent).unwrap();
            assert_eq!(serde_json::from_slice::<Intent>(&text).unwrap(), intent);
        }
    }
}
