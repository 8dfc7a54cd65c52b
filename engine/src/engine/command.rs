//! Commands: what the command log holds. Each is what a statement came to after it was checked, so that replaying needs
//! no checks and gives the same result in a later version.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::Source;
use crate::plan::QueryPlan;
use crate::types::SqlType;

/// Version of the commands' shape. A server refuses commands of a later one.
pub const COMMAND_VERSION: u32 = 1;

/// A record of the command topic.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Command {
    pub version: u32,
    /// The statement as it was carried out, defaults filled in.
    pub statement: String,
    /// Session properties that it was given with.
    pub properties: BTreeMap<String, String>,
    /// The statement in its author's words, where those are not kept as `statement`; what wrote the command before this was
    /// kept gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
    /// Which command of the log it was checked to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
    pub action: Action,
}

/// The place in the log that a command was written for. Each is checked against what the commands before it have made, so one before
/// whose place others stand, because another server was quicker, is void: nobody carries it out, and who wrote it checks it anew. What
/// earlier versions wrote has no turn, and is never void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// How many commands are before it; void ones don't count.
    pub number: u64,
    /// Tells the commands of one server from those of others that are written alike.
    pub by: u64,
}

/// How many commands there were, counted while they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub usize);

impl Count {
    /// Counts the next command; false: it is void. A turn further on tells of commands that the topic has lost: nobody writes for a
    /// place of which he has not read what is before it.
    pub fn takes(&mut self, turn: Option<Turn>) -> bool {
        let number = turn.map_or(self.0, |turn| usize::try_from(turn.number).unwrap_or(usize::MAX));
        let counts = number >= self.0;
        if counts {
            self.0 = number.saturating_add(1);
        }
        counts
    }
}

/// What a command does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Action {
    /// Adds or replaces a stream or table that reads a topic; with the query that keeps a read-only table in a store.
    PutSource(Box<Source>, Option<Arc<QueryPlan>>),
    /// Starts a query; `sink` is the stream or table that it makes (`None` for INSERT INTO, which writes an existing one).
    StartQuery {
        plan: Arc<QueryPlan>,
        sink: Option<Box<Source>>,
        replaces: Option<String>,
    },
    /// Drops a stream or table, and the query that made it.
    DropSource {
        name: String,
    },
    /// Ends queries for good.
    Terminate {
        queries: Vec<String>,
    },
    Pause {
        queries: Vec<String>,
    },
    Resume {
        queries: Vec<String>,
    },
    PutType {
        name: String,
        sql_type: SqlType,
    },
    DropType {
        name: String,
    },
    /// Nothing (`IF NOT EXISTS` of something that exists); kept so that numbers stay what clients were told.
    Nothing,
}

/// What a statement that changed something answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutcome {
    /// The statement as it was carried out, defaults filled in.
    pub statement_text: String,
    /// `stream/`S1`/create`.
    pub command_id: String,
    pub message: String,
    pub query_id: Option<String>,
    /// Its place in the command log; `None`: there was nothing to do, and `message` says why.
    pub sequence_number: Option<i64>,
    pub warnings: Vec<String>,
}

/// The number that clients are told for the n-th command: ksqlDB writes commands in transactions, whose markers take an
/// offset each, so its numbers are even.
pub fn sequence_number(nth: usize) -> i64 {
    i64::try_from(nth).map_or(i64::MAX, |n| n.saturating_mul(2))
}

/// The number in the id of a query made by the n-th command: one below its sequence number.
pub fn query_number(nth: usize) -> i64 {
    (sequence_number(nth) - 1).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_counts_unless_others_stand_in_its_place() {
        let at = |number| Some(Turn { number, by: 7 });
        let mut count = Count(0);
        let taken: Vec<bool> = [None, None, at(2), at(2), at(3), at(0)].into_iter().map(|turn| count.takes(turn)).collect();
        assert_eq!((taken, count), (vec![true, true, true, false, true, false], Count(4)));
        // Six were lost before it; what is written twice still counts once.
        assert!(count.takes(at(10)) && !count.takes(at(10)) && count.takes(at(11)) && count.takes(None));
        assert_eq!(count, Count(13));
    }
}
