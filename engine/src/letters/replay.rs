//! What stands in the topic by which letters go through a query again, and what was sent there before.
//!
//! A letter goes there once: each copy says in a header which letter it is, and after some copies a *floor* says up to where, in each
//! partition of the letters' topic, all have gone. Who reads the topic to its end knows therefore exactly what is left, whenever the
//! one before was interrupted: everything below the floor, and the few letters above it that have arrived, are not sent again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::Letter;
use crate::log::{RecordRef, TopicIdentity};
use crate::row::Header;

/// Which letter a copy is: the letters' topic, its partition and offset.
const COPY_OF: &str = "tidemill.replay.of";
/// Which sub-topology reads it; [`ANY`]: each that reads the record's topic.
const TO: &str = "tidemill.replay.to";
const ANY: &str = "*";
/// Stands between a topic's name and its id: no name has it.
const ID: char = '@';
/// In a record of its own, whose value it is: see the module.
const FLOOR: &str = "tidemill.replay.floor";

/// Letters of which it is remembered that they were met, to find those that were written twice: after a crash, at least once, at most
/// a commit interval's letters come again.
pub(crate) const REMEMBERED: usize = 65_536;

/// A place in the letters' topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct At {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
}

/// The headers of a copy, behind those of the letter.
pub(crate) fn copy_headers(at: &At, to: Option<usize>) -> impl Iterator<Item = Header> {
    let of = format!("{}:{}:{}", at.partition, at.offset, at.topic);
    let header = |key: &str, value: String| Header { key: key.to_owned(), value: Some(value.into_bytes()) };
    [header(COPY_OF, of), header(TO, to.map_or_else(|| ANY.to_owned(), |task| task.to_string()))].into_iter()
}

/// A topic of letters, told from another of the same name where topics have ids.
pub(crate) fn labelled(topic: &str, identity: Option<TopicIdentity>) -> String {
    match identity.and_then(|identity| identity.id) {
        Some(id) => format!("{topic}{ID}{id}"),
        None => topic.to_owned(),
    }
}

/// Whether a label is that of a topic, by its own. One without an id may be any of its name.
fn is_of(label: &str, topic: &str) -> bool {
    label == topic || topic.split_once(ID).is_some_and(|(name, _)| name == label)
}

fn text<'a>(headers: &'a [Header], key: &str) -> Option<&'a str> {
    let header = headers.iter().rev().find(|header| header.key == key)?;
    std::str::from_utf8(header.value.as_deref()?).ok()
}

/// Which sub-topology is to read a copy; `None`: each that can.
pub(crate) fn replay_to(headers: &[Header]) -> Option<usize> {
    text(headers, TO)?.parse().ok()
}

/// What has gone to a query's topic of letters, of one other query's letters or its own.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// By partition of the letters' topic, behind the last letter that, with all before it, has gone.
    floors: HashMap<i32, i64>,
    /// Above that.
    single: HashSet<(i32, i64)>,
}

impl Sent {
    /// Takes in what a record of the query's topic says of letters in `topic` ([`labelled`]) about `query`.
    pub fn read(&mut self, record: RecordRef<'_>, headers: &[Header], topic: &str, query: &str) {
        if text(headers, FLOOR) == Some(query) {
            let value = record.value.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
            let mut lines = value.lines();
            if lines.next().is_none_or(|label| !is_of(label, topic)) {
                return;
            }
            let floors = lines
                .filter_map(|line| line.split_once(':'))
                .filter_map(|(p, offset)| Some((p.parse::<i32>().ok()?, offset.parse::<i64>().ok()?)));
            floors.for_each(|(partition, floor)| self.raise(partition, floor));
            let floors = &self.floors;
            self.single.retain(|(partition, offset)| floors.get(partition).is_none_or(|floor| offset >= floor));
            return;
        }
        let is_its = Letter::read(headers).is_some_and(|(_, letter)| &*letter.query == query);
        let Some(of) = text(headers, COPY_OF).filter(|_| is_its) else { return };
        let mut parts = of.splitn(3, ':');
        if let (Some(partition), Some(offset), Some(of)) = (parts.next(), parts.next(), parts.next())
            && is_of(of, topic)
            && let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse())
        {
            self.single.insert((partition, offset));
        }
    }

    pub fn contains(&self, partition: i32, offset: i64) -> bool {
        offset < self.floor(partition) || self.single.contains(&(partition, offset))
    }

    pub fn floor(&self, partition: i32) -> i64 {
        self.floors.get(&partition).copied().unwrap_or_default()
    }

    /// Everything below an offset has gone.
    pub fn raise(&mut self, partition: i32, offset: i64) {
        let floor = self.floors.entry(partition).or_default();
        *floor = offset.max(*floor);
    }

    /// A record that says so: its value, and its headers.
    pub fn floor_record(&self, topic: &str, query: &str) -> (Vec<u8>, Vec<Header>) {
        let mut value = topic.to_owned();
        for (partition, offset) in &self.floors {
            value.push_str(&format!("\n{partition}:{offset}"));
        }
        (value.into_bytes(), vec![Header { key: FLOOR.to_owned(), value: Some(query.as_bytes().to_vec()) }])
    }
}

/// Finds letters that were written twice.
#[derive(Debug, Default)]
pub(crate) struct Met {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Met {
    /// Whether a letter was not met lately.
    pub fn is_new(&mut self, letter: &Letter, record: RecordRef<'_>) -> bool {
        let mut hasher = DefaultHasher::new();
        (&letter.query, letter.task, &letter.place, letter.attempt, record.key, record.value).hash(&mut hasher);
        let id = hasher.finish();
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letters::{LetterKind, Place};
    use crate::log::{Offset, TopicId};

    fn record(value: Option<&[u8]>) -> RecordRef<'_> {
        RecordRef { offset: Offset(0), timestamp: 0, key: None, value }
    }

    fn letter(query: &str, offset: i64) -> Letter {
        let place = Place { topic: "t".into(), partition: 0, offset, timestamp: 1 };
        let (kind, part, reason) = (LetterKind::Failed, None, String::new());
        Letter { query: query.into(), task: 0, place, kind, part, reason, attempt: 0, omitted: None }
    }

    #[test]
    fn what_has_gone_is_known_from_the_topic_alone() {
        let mut sent = Sent::default();
        let copy = |sent: &mut Sent, query: &str, topic: &str, offset| {
            let mut headers = Vec::new();
            letter(query, offset).append_to(&mut headers);
            headers.extend(copy_headers(&At { topic: topic.into(), partition: 1, offset }, Some(2)));
            assert_eq!((replay_to(&headers), Letter::read(&headers).map(|(_, letter)| letter.place.offset)), (Some(2), Some(offset)));
            sent.read(record(None), &headers, "dead", "q");
        };
        copy(&mut sent, "q", "dead", 7);
        copy(&mut sent, "other", "dead", 8);
        copy(&mut sent, "q", "elsewhere", 9);
        assert_eq!([6, 7, 8, 9].map(|offset| sent.contains(1, offset)), [false, true, false, false]);
        let mut next = Sent::default();
        next.raise(1, 7);
        let (value, headers) = next.floor_record("dead", "q");
        sent.read(record(Some(&value)), &headers, "dead", "q");
        assert_eq!([6, 7, 8].map(|offset| sent.contains(1, offset)), [true, true, false]);
        assert!(!sent.contains(0, 6), "another partition");
        for (topic, query) in [("elsewhere", "q"), ("dead", "other")] {
            let mut apart = Sent::default();
            apart.read(record(Some(&value)), &headers, topic, query);
            assert_eq!(apart.floor(1), 0);
        }
    }

    #[test]
    fn what_had_gone_of_another_topic_of_the_name_says_nothing() {
        let label = |id| labelled("dead", Some(TopicIdentity { id: Some(TopicId(id)), partitions: 1 }));
        let (mut sent, of) = (Sent::default(), |label: &str| {
            let mut before = Sent::default();
            before.raise(0, 9);
            before.floor_record(label, "q")
        });
        for (written, expected) in [(label(1), 0), ("deadly".to_owned(), 0), (label(2), 9)] {
            let (value, headers) = of(&written);
            sent.read(record(Some(&value)), &headers, &label(2), "q");
            assert_eq!(sent.floor(0), expected, "{written}");
        }
        let (value, headers) = of("dead");
        let mut without = Sent::default();
        without.read(record(Some(&value)), &headers, &label(2), "q");
        assert_eq!(without.floor(0), 9, "written where topics had no ids");
    }

    #[test]
    fn a_letter_that_was_written_twice_is_met_once() {
        let mut met = Met::default();
        assert!(met.is_new(&letter("q", 1), record(None)) && met.is_new(&letter("q", 2), record(None)));
        assert!(!met.is_new(&letter("q", 1), record(None)));
        assert!(met.is_new(&Letter { attempt: 1, ..letter("q", 1) }, record(None)), "it failed again");
    }
}
