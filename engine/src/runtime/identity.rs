//! Which topics a query knows. A topic that was deleted and made anew has the same name, and other records: positions in the old
//! one mean nothing in it. The data folder remembers the ids and partition counts of all topics that a query has run with; they
//! are compared when it starts and, now and then, while it runs.
//!
//! A changelog that has gone is made anew and filled from the state here ([`super::refill`]). Whatever else is another topic than
//! before stops the query, with the reason, until somebody says RESUME; a source that was seen to be missing, while the query
//! said so, is taken as it comes back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ends::CommitPlace;
use super::query_handle::{QueryFailure, QueryHandle, QueryState};
use super::start::{StartError, StartQuery, order_topic};
use super::{Guarantee, Runtime, growth};
use crate::log::{LogError, TopicId, TopicIdentity};
use crate::operators::TaskSpec;
use crate::state::{NoteChanges, StateDb, StateError};

/// Begins the keys under which the data folder keeps them; query and topic follow.
const NOTE: u8 = b'T';

/// What a topic is to a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Source,
    Sink,
    Repartition,
    Changelog,
    /// In which order the query took the records of several topics (see [`super::order`]).
    Order,
    /// The service's topic that holds how far queries have read (see [`super::marks`]).
    Positions,
    /// The same topic, of a query that runs exactly once and whose positions stand in changelogs alone: what is written down of
    /// transactions is there, and none ends without it.
    Transactions,
    /// Where its dead letters go, which others may write to as well.
    Letters,
    /// By which dead letters go through the query again (see [`super::replayed`]). Made by the first replay.
    Replay,
}

impl Role {
    /// Whether the topic belongs to the query alone, which makes and deletes it.
    pub fn is_internal(self) -> bool {
        matches!(self, Role::Repartition | Role::Changelog | Role::Order | Role::Replay)
    }
}

/// A topic that a query has run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownTopic {
    pub role: Role,
    #[serde(flatten)]
    pub topic: TopicIdentity,
}

/// By name.
pub type KnownTopics = BTreeMap<String, KnownTopic>;

/// What becomes of a topic at a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// As it was, or new, or not there where the start says so by itself.
    Same,
    /// Another's records: they are read from the first.
    Anew,
    /// It is made again, and filled from the state.
    Refill,
    /// It is made again, empty.
    Remake,
    Refuse,
}

/// Decides. `is_accepted`: somebody knows that the topic is another, and wants to go on.
fn decide(role: Role, known: Option<&TopicIdentity>, now: Option<&TopicIdentity>, is_accepted: bool) -> Verdict {
    let Some(known) = known else { return Verdict::Same };
    match (role, now) {
        (Role::Letters | Role::Transactions, _) => Verdict::Same,
        (Role::Replay, None) if *known == NOTHING => Verdict::Same,
        (Role::Replay, Some(now)) if *known == NOTHING || is_accepted && !known.may_be(now) => Verdict::Anew,
        (_, Some(now)) if known.may_be(now) => Verdict::Same,
        (Role::Source | Role::Sink, None) => Verdict::Same,
        (Role::Changelog, _) => Verdict::Refill,
        (Role::Source, Some(_)) if is_accepted => Verdict::Anew,
        (Role::Sink, Some(_)) | (Role::Positions, _) | (Role::Replay, None) if is_accepted => Verdict::Same,
        (Role::Repartition | Role::Order, _) if is_accepted => Verdict::Remake,
        _ => Verdict::Refuse,
    }
}

/// A topic that is not the one that the query knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swapped {
    pub query: String,
    pub topic: String,
    pub role: Role,
    pub known: TopicIdentity,
    pub now: Option<TopicIdentity>,
}

impl std::fmt::Display for Swapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Swapped { query, topic, known, now, .. } = self;
        let was = match now {
            Some(now) => format!("was deleted and made anew (it has {now}; the query knows one with {known})"),
            None => "was deleted".to_owned(),
        };
        match self.role {
            Role::Source => write!(
                f,
                "topic '{topic}', which the query reads, {was}. What the query has made so far came from the other one. To read the new topic \
                 from its first record, on top of that: RESUME {query}; To begin anew: drop what the query makes and create it again"
            ),
            Role::Sink => write!(
                f,
                "topic '{topic}', which the query writes, {was}: what was written to it is gone. To write on from here: RESUME {query}; To write \
                 all of it again: drop what the query makes and create it again"
            ),
            Role::Order => write!(
                f,
                "topic '{topic}', where the query writes down in which order it reads its topics, {was} by somebody else: of what it read since \
                 its last commit, rows may be counted twice or not at all. To make the topic anew and go on: RESUME {query}; To begin anew: drop \
                 what the query makes and create it again"
            ),
            Role::Positions => write!(
                f,
                "topic '{topic}', which holds how far queries have read, {was} by somebody else. How far this one was is known by its consumer \
                 group alone, which lags behind: records of its last seconds would be processed twice. To go on so: RESUME {query}; To begin \
                 anew: drop what the query makes and create it again"
            ),
            Role::Replay => write!(
                f,
                "topic '{topic}', by which dead letters go through the query again, {was} by somebody else: letters that were on their way in it \
                 are gone, and which ones were sent before is not known any more, so that the next REPLAY DEAD LETTERS sends all that are there. \
                 To go on so: RESUME {query}; To begin anew: drop what the query makes and create it again"
            ),
            Role::Letters | Role::Transactions | Role::Repartition | Role::Changelog => write!(
                f,
                "topic '{topic}', which the query keeps to itself, {was} by somebody else: records that were on their way in it are gone. To make \
                 it anew and go on without them: RESUME {query}; To begin anew: drop what the query makes and create it again"
            ),
        }
    }
}

/// The topics of a query that is about to start.
#[derive(Debug, Default)]
pub(super) struct Identified {
    topics: BTreeMap<String, Role>,
    known: KnownTopics,
    now: KnownTopics,
    /// Sources that are read from their first record, whatever is remembered of them.
    pub made_anew: BTreeSet<String>,
    /// Changelogs that are filled from the state.
    pub refill: BTreeSet<String>,
}

impl Identified {
    /// The ids of the topics that were there.
    pub fn ids(&self) -> BTreeMap<String, TopicId> {
        self.now.iter().filter_map(|(name, known)| Some((name.clone(), known.topic.id?))).collect()
    }
}

impl Runtime {
    /// Compares a query's topics with those that it has run with. What can't be used any more of its internal topics is deleted, so
    /// that it is made anew.
    ///
    /// # Errors
    /// `Swapped`; the log or the data folder can't be asked.
    pub(super) fn identify(&self, start: &StartQuery, specs: &[TaskSpec]) -> Result<Identified, StartError> {
        let (query, log) = (start.plan.query_id.as_str(), &self.parts.log);
        let topics = self.topics_of(start, specs);
        let known = known_topics(&self.parts.state, query)?;
        let names: Vec<&str> = topics.keys().map(String::as_str).collect();
        let found = log.identify(&names)?;
        let mut this = Identified { made_anew: start.made_anew.clone(), ..Identified::default() };
        let mut remake = Vec::new();
        for ((topic, role), now) in topics.iter().zip(found) {
            let known = known.get(topic).map(|known| known.topic);
            let (mut now, mut is_harmless) = (now, false);
            if matches!(role, Role::Positions | Role::Transactions) {
                let (written, is_by_heart) = self.marks.identities(known.as_ref());
                // At least once, a query may read some records again.
                (now, is_harmless) = (written, is_by_heart || start.guarantee == Guarantee::AtLeastOnce);
            }
            match decide(*role, known.as_ref(), now.as_ref(), is_harmless || start.accepts.contains(topic)) {
                Verdict::Same => {
                    // A broker that did not know its topics for a while still has them.
                    if *role == Role::Letters && known.is_some_and(|known| now.is_none_or(|now| !known.may_be(&now))) {
                        tracing::warn!(query, topic, "the topic of the dead letters was deleted by somebody else, with what was in it");
                    }
                    if known.is_some_and(|known| known.id.is_some()) && now.is_some_and(|now| Some(now.id) == known.map(|known| known.id)) {
                        this.made_anew.remove(topic);
                    }
                }
                Verdict::Anew => {
                    this.made_anew.insert(topic.clone());
                }
                Verdict::Refill => {
                    this.refill.insert(topic.clone());
                }
                Verdict::Remake => {
                    this.made_anew.insert(topic.clone());
                    remake.push((topic.clone(), now));
                }
                Verdict::Refuse => {
                    let (query, topic, role) = (query.to_owned(), topic.clone(), *role);
                    return Err(StartError::Swapped(Box::new(Swapped { query, topic, role, known: known.unwrap_or(NOTHING), now })));
                }
            }
            // That a topic by which letters went has gone is remembered: what comes in its place is read from its first record.
            let has_gone = (*role == Role::Replay && known.is_some()).then_some(NOTHING);
            if let Some(now) = now.or(has_gone) {
                this.now.insert(topic.clone(), KnownTopic { role: *role, topic: now });
            }
        }
        self.choose_refills(&mut this, query, specs, &mut remake)?;
        for (topic, now) in remake {
            tracing::warn!(query, topic, "an internal topic was deleted or made anew by somebody else; it is made again");
            this.now.remove(&topic);
            if now.is_some() {
                log.delete_topic(&topic)?;
            }
        }
        (this.topics, this.known) = (topics, known);
        Ok(this)
    }

    /// The state of a task is that of one commit in all of its stores, so all of its changelogs are filled where one is. Where no
    /// state is here, there is nothing to fill them from.
    fn choose_refills(
        &self,
        this: &mut Identified,
        query: &str,
        specs: &[TaskSpec],
        remake: &mut Vec<(String, Option<TopicIdentity>)>,
    ) -> Result<(), StartError> {
        if this.refill.is_empty() {
            return Ok(());
        }
        let positions = self.parts.state.positions(query)?;
        let mut refill = BTreeSet::new();
        for spec in specs {
            let changelogs: Vec<String> = spec.stores.iter().filter(|s| s.changelog).map(|s| self.changelog_name(query, &s.name)).collect();
            if changelogs.iter().all(|topic| !this.refill.contains(topic)) {
                continue;
            }
            let place = CommitPlace::new(spec.id, 0);
            if positions.keys().any(|known| *known.topic == *place.topic()) {
                let now = |topic: &String| this.now.get(topic).map(|known| known.topic);
                remake.extend(changelogs.iter().map(|topic| (topic.clone(), now(topic))));
                refill.extend(changelogs);
            }
        }
        this.refill = refill;
        Ok(())
    }

    /// Remembers the topics that a query now runs with. Called once what was made anew is whole.
    pub(super) fn remember(&self, query: &str, mut identified: Identified) -> Result<KnownTopics, StartError> {
        let missing: Vec<&str> =
            identified.topics.keys().map(String::as_str).filter(|topic| !identified.now.contains_key(*topic)).collect();
        if !missing.is_empty() {
            let found = self.parts.log.identify(&missing)?;
            for (topic, found) in missing.into_iter().zip(found) {
                if let (Some(role), Some(topic_now)) = (identified.topics.get(topic), found) {
                    identified.now.insert(topic.to_owned(), KnownTopic { role: *role, topic: topic_now });
                }
            }
        }
        if identified.now != identified.known {
            let mut changes: NoteChanges = Vec::new();
            for (topic, known) in &identified.now {
                changes.push((note_key(query, topic), serde_json::to_vec(known).ok()));
            }
            // Of a query that was replaced by one with other topics.
            let gone = identified.known.keys().filter(|topic| !identified.topics.contains_key(*topic));
            changes.extend(gone.map(|topic| (note_key(query, topic), None)));
            self.parts.state.put_notes(changes)?;
        }
        Ok(identified.now)
    }

    fn topics_of(&self, start: &StartQuery, specs: &[TaskSpec]) -> BTreeMap<String, Role> {
        let (query, mut topics) = (start.plan.query_id.as_str(), BTreeMap::new());
        if let Some(letters) = start.letters.as_ref().filter(|letters| !letters.kinds.is_empty()) {
            topics.insert(letters.topic.clone(), Role::Letters);
        }
        for sink in specs.iter().flat_map(|spec| &spec.sinks) {
            topics.insert(sink.topic.clone(), if sink.is_repartition { Role::Repartition } else { Role::Sink });
        }
        // What is both read and written is looked at as what is read.
        for source in specs.iter().flat_map(|spec| &spec.sources) {
            topics.insert(source.topic.clone(), if source.is_repartition { Role::Repartition } else { Role::Source });
        }
        if !self.parts.log.is_atomic() {
            topics.insert(self.replay_topic(query), Role::Replay);
            let orders = specs.iter().filter(|spec| spec.keeps_order);
            topics.extend(orders.map(|spec| (order_topic(&self.group(query), spec.id), Role::Order)));
            if specs.iter().any(|spec| spec.stores.iter().all(|store| !store.changelog)) {
                topics.insert(self.marks.topic().to_owned(), Role::Positions);
            } else if start.guarantee == Guarantee::ExactlyOnce {
                topics.insert(self.marks.topic().to_owned(), Role::Transactions);
            }
            for store in specs.iter().flat_map(|spec| &spec.stores).filter(|store| store.changelog) {
                topics.insert(self.changelog_name(query, &store.name), Role::Changelog);
            }
        }
        topics
    }

    /// The changelog topic of a query's store.
    pub(super) fn changelog_name(&self, query: &str, store: &str) -> String {
        format!("{}-{store}-changelog", self.group(query))
    }

    /// Compares the topics of all queries that run with those that they began with. A query one of whose topics is another by now
    /// ends; so does one that misses an internal topic or its sink, once that is believed. What is to be tried again at once.
    ///
    /// # Errors
    /// The log does not answer.
    pub fn check_topics(&self, now_ms: i64) -> Result<Vec<String>, LogError> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for query in self.queries.lock().values().filter(|query| !query.handle.has_ended()) {
            names.extend(query.topics.keys().cloned());
        }
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = self.parts.log.identify(&names)?;
        let found: HashMap<&str, Option<TopicIdentity>> = names.into_iter().zip(found).collect();
        let (mut to_end, mut loses_marks) = (Vec::new(), false);
        for query in self.queries.lock().values_mut().filter(|query| !query.handle.has_ended()) {
            let (mut lost, mut swapped) = (None, None);
            for (topic, known) in query.topics.iter().filter(|(_, known)| known.topic != NOTHING) {
                loses_marks |= matches!(known.role, Role::Positions | Role::Transactions)
                    && found.get(topic.as_str()).copied().flatten().is_none_or(|now| !known.topic.may_be(&now));
                match found.get(topic.as_str()) {
                    Some(Some(now)) if known.topic.may_be(now) => {}
                    Some(Some(now)) => swapped = Some((topic, known, *now)),
                    // Sources are looked at by `growth`.
                    Some(None) if known.role != Role::Source => lost = Some(topic),
                    _ => {}
                }
            }
            let reason = match (swapped, lost) {
                (Some((topic, known, now)), _) => {
                    Some(format!("topic '{topic}' was deleted and made anew (it has {now}; the query knows one with {})", known.topic))
                }
                (None, Some(topic)) if now_ms - *query.lost_since_ms.get_or_insert(now_ms) >= growth::MISSING_PATIENCE_MS => {
                    Some(format!("topic '{topic}' has gone"))
                }
                (None, Some(_)) => None,
                (None, None) => {
                    query.lost_since_ms = None;
                    None
                }
            };
            to_end.extend(reason.map(|reason| (query.handle.clone(), reason)));
        }
        if loses_marks && !to_end.is_empty() {
            self.marks.is_lost();
        }
        let end = |(handle, reason): (Arc<QueryHandle>, String)| {
            tracing::error!(query = %handle.id, reason, "query failed");
            handle.set_state(QueryState::Failed(QueryFailure::outside(reason)));
            handle.id.to_string()
        };
        Ok(to_end.into_iter().map(end).collect())
    }
}

/// Of a topic that has gone, and that is known.
const NOTHING: TopicIdentity = TopicIdentity { id: None, partitions: 0 };

fn note_prefix(query: &str) -> Vec<u8> {
    [&[NOTE], query.as_bytes(), &[0]].concat()
}

fn note_key(query: &str, topic: &str) -> Vec<u8> {
    [&note_prefix(query)[..], topic.as_bytes()].concat()
}

/// The topics that a query has run with.
pub(super) fn known_topics(state: &StateDb, query: &str) -> Result<KnownTopics, StateError> {
    let mut known = KnownTopics::new();
    state.notes(&note_prefix(query), &mut |topic, value| {
        if let (Ok(topic), Ok(value)) = (std::str::from_utf8(topic), serde_json::from_slice(value)) {
            known.insert(topic.to_owned(), value);
        }
    })?;
    Ok(known)
}

/// The topics that all queries have run with, by query.
pub fn all_known_topics(state: &StateDb) -> Result<BTreeMap<String, KnownTopics>, StateError> {
    let mut all: BTreeMap<String, KnownTopics> = BTreeMap::new();
    state.notes(&[NOTE], &mut |key, value| {
        let mut parts = key.splitn(2, |byte| *byte == 0).map(std::str::from_utf8);
        if let (Some(Ok(query)), Some(Ok(topic)), Ok(value)) = (parts.next(), parts.next(), serde_json::from_slice(value)) {
            all.entry(query.to_owned()).or_default().insert(topic.to_owned(), value);
        }
    })?;
    Ok(all)
}

/// What a start would do about a topic that a query has run with: nothing, or what is said, or (as an error) it would refuse.
pub fn examine_topic(query: &str, topic: &str, known: &KnownTopic, now: Option<TopicIdentity>) -> Result<Option<String>, String> {
    if known.role == Role::Letters && now.is_none_or(|now| !known.topic.may_be(&now)) {
        return Ok(Some(format!("topic '{topic}' of the dead letters has gone or was made anew; it is made again where it has gone")));
    }
    if known.role == Role::Transactions && now.is_none_or(|now| !known.topic.may_be(&now)) {
        return Ok(Some(format!("topic '{topic}', where transactions are written down, has gone or was made anew; it is made again")));
    }
    match decide(known.role, Some(&known.topic), now.as_ref(), false) {
        Verdict::Refuse if known.role == Role::Positions => Ok(Some(format!(
            "topic '{topic}', which holds how far queries have read, has gone or was made anew; the query reads the records of its last \
             seconds again, where its guarantee is exactly once not before RESUME {query};"
        ))),
        Verdict::Same if now.is_some() || known.role == Role::Replay => Ok(None),
        Verdict::Anew if known.role == Role::Replay => Ok(None),
        Verdict::Same | Verdict::Anew => Err(format!("topic '{topic}' does not exist; the query waits for it")),
        Verdict::Refill | Verdict::Remake => {
            Ok(Some(format!("topic '{topic}' has gone or was made anew; it is made again and filled from the state in the folder")))
        }
        Verdict::Refuse => {
            let (query, topic) = (query.to_owned(), topic.to_owned());
            Err(Swapped { query, topic, role: known.role, known: known.topic, now }.to_string())
        }
    }
}

/// Forgets the topics of a query that is gone.
pub(super) fn forget_topics(state: &StateDb, query: &str) -> Result<(), StateError> {
    state.drop_notes(&note_prefix(query))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_taken_for_itself_or_dealt_with_by_what_it_is_for() {
        let topic = |id: u128, partitions| TopicIdentity { id: Some(TopicId(id)), partitions };
        let known = topic(1, 4);
        for role in [Role::Source, Role::Sink, Role::Repartition, Role::Changelog, Role::Order, Role::Positions] {
            for accepted in [false, true] {
                assert_eq!(decide(role, None, None, accepted), Verdict::Same);
                assert_eq!(decide(role, None, Some(&known), accepted), Verdict::Same);
                assert_eq!(decide(role, Some(&known), Some(&topic(1, 6)), accepted), Verdict::Same, "it has grown");
            }
        }
        let other = topic(2, 4);
        for (role, now, accepted, expected) in [
            (Role::Source, None, false, Verdict::Same),
            (Role::Source, Some(&other), false, Verdict::Refuse),
            (Role::Source, Some(&other), true, Verdict::Anew),
            (Role::Sink, None, false, Verdict::Same),
            (Role::Sink, Some(&other), false, Verdict::Refuse),
            (Role::Sink, Some(&other), true, Verdict::Same),
            (Role::Repartition, None, false, Verdict::Refuse),
            (Role::Repartition, Some(&other), false, Verdict::Refuse),
            (Role::Repartition, None, true, Verdict::Remake),
            (Role::Repartition, Some(&other), true, Verdict::Remake),
            (Role::Transactions, None, false, Verdict::Same),
            (Role::Transactions, Some(&other), false, Verdict::Same),
            (Role::Letters, None, false, Verdict::Same),
            (Role::Letters, Some(&other), false, Verdict::Same),
            (Role::Replay, None, false, Verdict::Refuse),
            (Role::Replay, Some(&other), false, Verdict::Refuse),
            (Role::Replay, None, true, Verdict::Same),
            (Role::Replay, Some(&other), true, Verdict::Anew),
            (Role::Positions, Some(&other), false, Verdict::Refuse),
            (Role::Positions, Some(&other), true, Verdict::Same),
            (Role::Order, None, false, Verdict::Refuse),
            (Role::Order, Some(&other), true, Verdict::Remake),
            (Role::Changelog, None, false, Verdict::Refill),
            (Role::Changelog, Some(&other), false, Verdict::Refill),
        ] {
            assert_eq!(decide(role, Some(&known), now, accepted), expected, "{role:?} {now:?} {accepted}");
        }
        assert_eq!(decide(Role::Replay, Some(&NOTHING), None, false), Verdict::Same);
        assert_eq!(decide(Role::Replay, Some(&NOTHING), Some(&other), false), Verdict::Anew, "it has come again");
    }

    #[test]
    fn notes_say_what_a_topic_was_for() {
        let known = KnownTopic { role: Role::Changelog, topic: TopicIdentity { id: Some(TopicId(1)), partitions: 3 } };
        let text = serde_json::to_string(&known).unwrap();
        assert_eq!(text, r#"{"role":"changelog","id":"AAAAAAAAAAAAAAAAAAAAAQ","partitions":3}"#);
        assert_eq!(serde_json::from_str::<KnownTopic>(&text).unwrap(), known);
    }
}
