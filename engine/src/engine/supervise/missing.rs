//! Which topics of a failed query have gone. Pure: looks in, topics out.
//!
//! One answer is not believed: a broker that starts says of its topics that it does not know them. What is taken as gone is
//! read from its first record once it comes back, into the state that is there, so a mistake would count everything twice.

use std::collections::{BTreeMap, BTreeSet};

/// For how long a topic must be missing until that is believed, milliseconds.
const PATIENCE_MS: i64 = 10_000;
/// How often to look while a topic is missing and that is not believed yet, milliseconds.
const LOOK_MS: i64 = 3_000;
/// After this long without a look nothing is known of the time in between, milliseconds.
const MAX_GAP_MS: i64 = 30_000;

#[derive(Debug, Default)]
pub struct Missing {
    /// Since when, milliseconds since the epoch.
    since: BTreeMap<String, i64>,
    looked_ms: Option<i64>,
    gone: BTreeSet<String>,
    /// Not there in one look at least.
    seen: BTreeSet<String>,
}

impl Missing {
    /// Somebody looked: these are not there, and all others are.
    pub fn look(&mut self, missing: impl IntoIterator<Item = String>, now_ms: i64) {
        let age_ms = self.looked_ms.map_or(0, |looked| now_ms.saturating_sub(looked));
        let before = std::mem::take(&mut self.since);
        for topic in missing {
            self.seen.insert(topic.clone());
            let known = before.get(&topic).filter(|_| (0..=MAX_GAP_MS).contains(&age_ms));
            let since = known.copied().unwrap_or(now_ms);
            if now_ms.saturating_sub(since) >= PATIENCE_MS {
                self.gone.insert(topic.clone());
            }
            self.since.insert(topic, since);
        }
        self.looked_ms = Some(now_ms);
    }

    /// Whether another look is to be taken because something is missing.
    pub fn is_due(&self, now_ms: i64) -> bool {
        let is_suspected = self.since.keys().any(|topic| !self.gone.contains(topic));
        is_suspected && self.looked_ms.is_none_or(|looked| !(0..LOOK_MS).contains(&now_ms.saturating_sub(looked)))
    }

    /// Others have made sure of it.
    pub fn believe(&mut self, topics: impl IntoIterator<Item = String>) {
        for topic in topics {
            self.seen.insert(topic.clone());
            self.gone.insert(topic);
        }
    }

    /// These were not there, at one moment at least.
    pub fn see(&mut self, topics: impl IntoIterator<Item = String>) {
        self.seen.extend(topics);
    }

    /// Topics that were not there in one look at least: where another topic has the name now, by its id, this is why.
    pub fn seen(&self) -> &BTreeSet<String> {
        &self.seen
    }

    /// Topics that were really not there at any time: when they come back, they are others of the same name.
    pub fn gone(&self) -> &BTreeSet<String> {
        &self.gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its time, in seconds, and the topics that are missing.
    type Look<'a> = (i64, &'a [&'a str]);

    /// What is believed after these.
    fn gone(looks: &[Look<'_>]) -> Vec<String> {
        let mut missing = Missing::default();
        for (seconds, topics) in looks {
            missing.look(topics.iter().map(|topic| (*topic).to_owned()), seconds * 1_000);
        }
        missing.gone().iter().cloned().collect()
    }

    #[test]
    fn a_topic_has_gone_when_it_was_missing_in_looks_far_apart() {
        let (none, a): (&[&str], &[&str]) = (&[], &["a"]);
        let both: &[&str] = &["a", "b"];
        let cases: [(&[Look<'_>], &[&str]); 10] = [
            (&[(0, a)], none),
            (&[(0, a), (9, a)], none),
            (&[(0, a), (10, a)], a),
            (&[(0, a), (3, a), (6, a), (10, a)], a),
            // A broker that started knows it again.
            (&[(0, a), (5, none), (10, a)], none),
            (&[(0, a), (5, none), (10, a), (20, a)], a),
            // Only what was missing all the time.
            (&[(0, a), (10, both)], a),
            // Another start of a broker, much later.
            (&[(0, a), (31, a)], none),
            // A clock that was set back.
            (&[(60, a), (0, a), (9, a)], none),
            // Gone stays gone when another of its name is there.
            (&[(0, a), (10, a), (11, none)], a),
        ];
        for (looks, expected) in cases {
            assert_eq!(gone(looks), expected, "{looks:?}");
        }
    }

    #[test]
    fn looks_are_taken_while_something_is_missing_and_not_believed() {
        let mut missing = Missing::default();
        assert!(!missing.is_due(0), "the first is somebody else's matter");
        missing.look(["a".to_owned()], 0);
        assert!(!missing.is_due(2_999));
        assert!(missing.is_due(3_000));
        missing.look(["a".to_owned()], 10_000);
        assert!(!missing.is_due(60_000), "believed");
        missing.look([], 60_000);
        assert!(!missing.is_due(90_000), "there");
    }
}
