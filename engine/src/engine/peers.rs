//! What servers that share a service ask each other: the rows of a pull query in partitions that another server has.
//!
//! An answer comes in pages, each whole or not at all: whoever asks has a page in memory before any of it goes on, and asks for the next
//! one where it ends. Who is asked answers only where it has all of the partitions, as their owner or, where that is said to be enough, as
//! a standby; where it has lost one meanwhile, it says so, and the page is asked for where that has gone.

use std::sync::Arc;
use std::time::Duration;

use super::{EngineError, SessionProperties};
use crate::log::PartitionId;
use crate::types::Value;

/// How long servers may take for one page …
pub const ASK_PATIENCE: Duration = Duration::from_secs(3);
/// … and how long a page is asked for again and again.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Between two rounds; each further pause is twice as long, up to the longest.
pub const FIRST_PAUSE: Duration = Duration::from_millis(50);
pub const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// A part of a pull query.
#[derive(Debug, Clone)]
pub struct Question {
    /// As it was asked, with variables put in.
    pub statement: Arc<str>,
    pub properties: Arc<SessionProperties>,
    /// The query that keeps the table.
    pub query_id: Arc<str>,
    /// The columns of the answer, as a text; with other columns the server has not heard of a statement yet, or has of a later one.
    pub columns: Arc<str>,
    /// How many those are.
    pub width: usize,
    /// How many partitions the table has …
    pub partition_count: usize,
    /// … and from which of them rows are wanted.
    pub partitions: Vec<PartitionId>,
    pub from: Position,
    /// Rows that are wanted at most.
    pub limit: Option<u64>,
    /// A standby may answer as well that is so many offsets of its changelogs behind at most; `None`: the owner alone.
    pub max_lag: Option<u64>,
}

/// Where an answer goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// Which of the things that the statement has to read, in the order of the whole answer.
    pub part: u32,
    /// The first key of it that was not read yet; `None`: it was not begun.
    pub key: Option<Vec<u8>>,
}

/// Rows that were read together.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    /// In the order of the answer, each with its part.
    pub rows: Vec<(u32, Vec<Value>)>,
    /// `None`: these were the last.
    pub next: Option<Position>,
}

/// Why a server gave no page.
#[derive(Debug, Clone)]
pub enum NotAnswered {
    /// It does not have the partitions now, or is not reached: to be asked again, it or whoever has them then.
    NotNow(String),
    /// The same comes of it wherever and whenever it is asked.
    Failed(EngineError),
}

/// The way to other servers.
pub trait Peers: Send + Sync {
    /// Asks servers at their addresses (URLs), all at once, and waits for so long at most. An answer for each, in the order of the
    /// questions.
    fn ask(&self, questions: &[(&str, Question)], patience: Duration) -> Vec<Result<Page, NotAnswered>>;
}

/// `partition 1`, `partitions 1, 2`.
pub fn named(partitions: &[PartitionId]) -> String {
    let numbers: Vec<String> = partitions.iter().map(ToString::to_string).collect();
    format!("partition{} {}", if numbers.len() == 1 { "" } else { "s" }, numbers.join(", "))
}

/// What is said where a page does not come for so long that nobody waits for it any more.
pub fn given_up(table: &str, trouble: &str) -> EngineError {
    EngineError::external(format!("The table {table} can't be queried at the moment: {trouble}. Try again later."))
}

/// What has kept partitions from being asked for that no server has by now.
pub fn nobodys(partitions: &[PartitionId]) -> String {
    format!("{} on the way from one server to another, or of one that is gone and not missed yet", named(partitions))
}
