//! What to do about the command topic as it is found: facts in, decision out.

use super::copy::Header;
use crate::log::TopicIdentity;

/// The topic as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub topic: TopicIdentity,
    /// Its first record, and behind its last.
    pub first: i64,
    pub end: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// Nobody knows of a command: the topic is made.
    Begin,
    /// The copy is read on from the topic, from this offset.
    ReadOn(i64),
    /// The topic has gone, or has lost its end: so many of the copy's last commands, or all of them, are written to it.
    Restore { lacking: usize },
    /// Another topic of the same name that has records: it may be one that is being restored.
    Compare,
}

/// What is wrong with the command log. Nothing is added to it then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// Records before this one are gone.
    Truncated {
        first: i64,
    },
    Unreadable {
        offset: i64,
        reason: String,
    },
    /// A command of this version, which is later than what is known here.
    Later {
        offset: i64,
        version: u32,
    },
    /// The topic holds what this server does not know, and not what it knows.
    Foreign,
}

/// Decides. `known`: what the data folder has copied.
pub(super) fn decide(known: Option<Header>, found: Option<Found>) -> (Course, Option<Problem>) {
    match (known, found) {
        (None, None) => (Course::Begin, None),
        (None, Some(found)) => (Course::ReadOn(found.first), truncation(found)),
        (Some(_), None) => (Course::Restore { lacking: usize::MAX }, None),
        (Some(known), Some(found)) if known.topic.may_be(&found.topic) => {
            if found.end < known.next {
                // A broker that lost what was not copied to others yet. Offsets are those of before.
                let lacking = usize::try_from(known.next - found.end).unwrap_or(usize::MAX);
                return (Course::Restore { lacking }, None);
            }
            (Course::ReadOn(known.next.max(found.first)), truncation(found))
        }
        (Some(_), Some(found)) if found.end == 0 => (Course::Restore { lacking: usize::MAX }, None),
        (Some(_), Some(_)) => (Course::Compare, None),
    }
}

fn truncation(found: Found) -> Option<Problem> {
    (found.first > 0).then_some(Problem::Truncated { first: found.first })
}

impl Problem {
    /// For users: what is wrong, what that means, and the way out.
    pub fn message(&self, topic: &str) -> String {
        let (what, out) = match self {
            Problem::Truncated { first } => (
                format!("the records of the command topic {topic} before offset {first} are gone: by its retention, or deleted"),
                "Queries run by what this server's data folder knows. To mend it, delete the topic: it is then written anew from there"
                    .to_owned(),
            ),
            Problem::Unreadable { offset, reason } => (
                format!("the record at offset {offset} of the command topic {topic} can't be read ({reason}): it is damaged, or another program wrote it"),
                "What was said before it holds, and nothing behind it. To go on without both, delete the topic: it is then written anew from \
                 this server's data folder"
                    .to_owned(),
            ),
            Problem::Later { offset, version } => (
                format!(
                    "the record at offset {offset} of the command topic {topic} was written by a later version (commands of version \
                     {version}, this one reads up to {})",
                    crate::engine::command::COMMAND_VERSION
                ),
                "What was said before it holds, and nothing behind it. Start the later version".to_owned(),
            ),
            Problem::Foreign => (
                format!("the command topic {topic} was deleted and made anew, and others wrote to it"),
                "Queries run by what this server's data folder knows. To keep that, delete the topic: it is then written anew from there. To go \
                 by what the topic says, start with an empty data folder"
                    .to_owned(),
            ),
        };
        format!("{what}. Statements that change something are refused meanwhile. {out}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::TopicId;

    fn topic(id: u128) -> TopicIdentity {
        TopicIdentity { id: Some(TopicId(id)), partitions: 1 }
    }

    #[test]
    fn the_topic_is_read_restored_or_told_of() {
        let known = |id, next, count| Some(Header { topic: topic(id), next, count });
        let found = |id, first, end| Some(Found { topic: topic(id), first, end });
        let truncated = |first| Some(Problem::Truncated { first });
        for (known, found, course, problem) in [
            (None, None, Course::Begin, None),
            (None, found(1, 0, 9), Course::ReadOn(0), None),
            (None, found(1, 4, 9), Course::ReadOn(4), truncated(4)),
            (known(1, 9, 9), found(1, 0, 9), Course::ReadOn(9), None),
            (known(1, 5, 5), found(1, 0, 9), Course::ReadOn(5), None),
            (known(1, 9, 9), found(1, 3, 9), Course::ReadOn(9), truncated(3)),
            (known(1, 2, 2), found(1, 3, 9), Course::ReadOn(3), truncated(3)),
            // The end was lost.
            (known(1, 9, 9), found(1, 0, 7), Course::Restore { lacking: 2 }, None),
            (known(1, 9, 9), None, Course::Restore { lacking: usize::MAX }, None),
            (known(1, 9, 9), found(2, 0, 0), Course::Restore { lacking: usize::MAX }, None),
            (known(1, 9, 9), found(2, 0, 9), Course::Compare, None),
        ] {
            assert_eq!(decide(known, found), (course, problem), "{known:?} {found:?}");
        }
    }
}
