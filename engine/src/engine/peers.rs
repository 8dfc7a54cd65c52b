//! What servers that share a service ask each other: the rows of a pull query in partitions that another server has.
//!
//! An answer comes in pages, each whole or not at all: whoever asks has a page in memory before any of it goes on, and asks for the next
//! one where it ends. Who is asked answers only where it has all of the partitions; where it has lost one meanwhile, it says so, and
//! the page is asked for where that has gone.

use std::sync::Arc;
use std::time::Duration;

use super::{EngineError, SessionProperties};
use crate::log::PartitionId;
use crate::types::Value;

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
