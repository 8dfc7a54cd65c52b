//! What makes a topic this one and not another of the same name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A topic's own id, given when it is made and never again. Kafka's is a UUID; elsewhere it is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub u128);

/// A topic, apart from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicIdentity {
    /// `None` where the log gives topics no ids (Kafka before 2.8).
    pub id: Option<TopicId>,
    pub partitions: u32,
}

/// Digits of Kafka's text form of a UUID.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// How many of them there are, of six bits each; the last has two.
const LENGTH: usize = 22;

/// As Kafka's tools show it: base 64 for the web, without padding.
impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last digit's lower four bits are zero: 22 digits have 132 bits.
        let digit = |index: usize| match (LENGTH - 1 - index) * 6 {
            0 => (self.0 << 4) & 0x3f,
            shift => (self.0 >> (shift - 4)) & 0x3f,
        };
        (0..LENGTH).try_for_each(|index| {
            let digit = usize::try_from(digit(index)).unwrap_or(0);
            write!(f, "{}", char::from(DIGITS.get(digit).copied().unwrap_or(b'A')))
        })
    }
}

impl FromStr for TopicId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("'{text}' is no topic id: it has {LENGTH} of the characters A-Z, a-z, 0-9, '-' and '_'");
        if text.len() != LENGTH {
            return Err(bad());
        }
        let mut id = 0_u128;
        for (index, byte) in text.bytes().enumerate() {
            let digit = DIGITS.iter().position(|digit| *digit == byte).and_then(|digit| u128::try_from(digit).ok()).ok_or_else(bad)?;
            id = if index + 1 < LENGTH { id << 6 | digit } else { id << 2 | digit >> 4 };
        }
        Ok(TopicId(id))
    }
}

impl Serialize for TopicId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TopicId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for TopicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partitions = if self.partitions == 1 { "partition" } else { "partitions" };
        match self.id {
            Some(id) => write!(f, "id {id}, {} {partitions}", self.partitions),
            None => write!(f, "{} {partitions}", self.partitions),
        }
    }
}

impl TopicIdentity {
    /// Whether `other` may be this topic, later on: topics only grow. Without ids that is all that can be said.
    pub fn may_be(&self, other: &TopicIdentity) -> bool {
        let has_same_id = match (self.id, other.id) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        has_same_id && other.partitions >= self.partitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_as_kafka_writes_them() {
        for (id, text) in [
            (0, "AAAAAAAAAAAAAAAAAAAAAA"),
            (1, "AAAAAAAAAAAAAAAAAAAAAQ"),
            (u128::MAX, "_____________________w"),
            // As Java's Base64 writes these sixteen bytes.
            (0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f, "AAECAwQFBgcICQoLDA0ODw"),
        ] {
            assert_eq!(TopicId(id).to_string(), text);
            assert_eq!(text.parse(), Ok(TopicId(id)));
        }
        for bad in ["", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA?", "AAAAAAAAAAAAAAAAAAAAAAA"] {
            assert!(bad.parse::<TopicId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_topic_stays_itself_when_it_grows() {
        let topic = |id: Option<u128>, partitions| TopicIdentity { id: id.map(TopicId), partitions };
        assert!(topic(Some(1), 2).may_be(&topic(Some(1), 2)));
        assert!(topic(Some(1), 2).may_be(&topic(Some(1), 4)));
        assert!(!topic(Some(1), 2).may_be(&topic(Some(2), 2)));
        assert!(!topic(Some(1), 2).may_be(&topic(None, 1)));
        assert!(topic(None, 2).may_be(&topic(Some(1), 2)));
    }
}
