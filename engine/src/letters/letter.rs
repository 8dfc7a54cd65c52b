//! What a letter says of its record, in headers behind the record's own.
//!
//! The values are text, so that any tool can read them. The first of our headers is [`QUERY`]; whatever stands before the last
//! one of that name was the record's.

use std::sync::Arc;

use super::LetterKind;
use crate::row::Header;

pub(super) const QUERY: &str = "tidemill.letter.query";
pub(super) const TASK: &str = "tidemill.letter.task";
pub(super) const TOPIC: &str = "tidemill.letter.topic";
pub(super) const PARTITION: &str = "tidemill.letter.partition";
pub(super) const OFFSET: &str = "tidemill.letter.offset";
pub(super) const TIMESTAMP: &str = "tidemill.letter.timestamp";
pub(super) const KIND: &str = "tidemill.letter.kind";
pub(super) const PART: &str = "tidemill.letter.part";
pub(super) const REASON: &str = "tidemill.letter.reason";
pub(super) const ATTEMPT: &str = "tidemill.letter.attempt";
/// Its bytes were too many for the topic, and are left out.
pub(super) const OMITTED: &str = "tidemill.letter.omitted";

/// A reason is cut behind so many bytes.
pub const MAX_REASON_BYTES: usize = 4_096;

/// Where a record stood.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    /// Of the record, milliseconds since the epoch.
    pub timestamp: i64,
}

/// What is said of a record that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    pub query: Arc<str>,
    /// The sub-topology of the query.
    pub task: usize,
    pub place: Place,
    pub kind: LetterKind,
    /// `key` or `value`, where it is known which could not be read or written.
    pub part: Option<String>,
    pub reason: String,
    /// How often the record was tried again before.
    pub attempt: u32,
    /// How many bytes of key and value were left out, being too many for the topic.
    pub omitted: Option<usize>,
}

impl Letter {
    /// Appends the headers to those of the record.
    pub fn append_to(&self, headers: &mut Vec<Header>) {
        let mut add = |key: &str, value: &str| headers.push(Header { key: key.to_owned(), value: Some(value.as_bytes().to_vec()) });
        add(QUERY, &self.query);
        add(TASK, &self.task.to_string());
        add(TOPIC, &self.place.topic);
        add(PARTITION, &self.place.partition.to_string());
        add(OFFSET, &self.place.offset.to_string());
        add(TIMESTAMP, &self.place.timestamp.to_string());
        add(KIND, self.kind.name());
        if let Some(part) = &self.part {
            add(PART, part);
        }
        add(REASON, cut(&self.reason));
        add(ATTEMPT, &self.attempt.to_string());
        if let Some(bytes) = self.omitted {
            add(OMITTED, &bytes.to_string());
        }
    }

    /// Parts headers into the record's own and what is said of it; `None`: that is no letter, or one with holes.
    pub fn read(headers: &[Header]) -> Option<(&[Header], Letter)> {
        let start = headers.iter().rposition(|header| header.key == QUERY)?;
        let (own, ours) = headers.split_at(start);
        let text = |key: &str| ours.iter().find(|h| h.key == key).and_then(|h| std::str::from_utf8(h.value.as_deref()?).ok());
        let place = Place {
            topic: text(TOPIC)?.into(),
            partition: text(PARTITION)?.parse().ok()?,
            offset: text(OFFSET)?.parse().ok()?,
            timestamp: text(TIMESTAMP)?.parse().ok()?,
        };
        let letter = Letter {
            query: text(QUERY)?.into(),
            task: text(TASK)?.parse().ok()?,
            place,
            kind: LetterKind::named(text(KIND)?)?,
            part: text(PART).map(str::to_owned),
            reason: text(REASON)?.to_owned(),
            attempt: text(ATTEMPT)?.parse().ok()?,
            omitted: text(OMITTED).and_then(|bytes| bytes.parse().ok()),
        };
        Some((own, letter))
    }
}

/// The beginning of a text that is not too long.
fn cut(text: &str) -> &str {
    if text.len() <= MAX_REASON_BYTES {
        return text;
    }
    let end = (0..=MAX_REASON_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            query: "CSAS_A_1".into(),
            task: 1,
            place: Place { topic: "t".into(), partition: 3, offset: 77, timestamp: -5 },
            kind: LetterKind::Late,
            part: None,
            reason: "it came too late".into(),
            attempt: 2,
            omitted: None,
        }
    }

    #[test]
    fn a_letter_is_read_as_it_was_written() {
        let own = Header { key: "own".into(), value: None };
        for letter in [letter(), Letter { part: Some("key".into()), omitted: Some(9), ..letter() }] {
            let mut headers = vec![own.clone()];
            letter.append_to(&mut headers);
            assert_eq!(Letter::read(&headers), Some((&headers[..1], letter.clone())));
            // A letter about a letter: the later one holds.
            let outer = Letter { attempt: 3, ..letter };
            let inner = headers.len();
            outer.append_to(&mut headers);
            assert_eq!(Letter::read(&headers), Some((&headers[..inner], outer)));
        }
    }

    #[test]
    fn what_is_no_letter_is_none() {
        let mut headers = Vec::new();
        assert_eq!(Letter::read(&headers), None);
        letter().append_to(&mut headers);
        for left_out in 0..headers.len() {
            let mut some = headers.clone();
            some.remove(left_out);
            assert_eq!(Letter::read(&some), None, "without {}", headers[left_out].key);
            some = headers.clone();
            some[left_out].value = Some(vec![0xFF]);
            assert_eq!(Letter::read(&some), None, "with bytes for {}", headers[left_out].key);
        }
    }

    #[test]
    fn long_reasons_are_cut_between_characters() {
        let mut headers = Vec::new();
        Letter { reason: "ü".repeat(MAX_REASON_BYTES), ..letter() }.append_to(&mut headers);
        let (_, read) = Letter::read(&headers).unwrap();
        assert!(read.reason.len() <= MAX_REASON_BYTES && read.reason.chars().all(|c| c == 'ü'));
    }
}
