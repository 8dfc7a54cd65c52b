//! What queries over whole tables and topics read: the rows of a table as they were at one moment, and a topic's records from
//! one offset to another. The package `query` stands on this; nothing here knows of Arrow or DataFusion.

mod moment;
mod table;
mod topic;

use crate::engine::EngineError;

pub use crate::operators::derive::TableEntry;
pub use crate::operators::materialized::Shown;
pub use moment::{Moment, TableSnapshot, take};
pub use table::{Cursor, LiveTable, Place};
pub use topic::{LiveTopic, PartitionBounds, PartitionRead};

/// Whoever asks has seen it a moment ago.
fn is_gone(name: &str) -> EngineError {
    EngineError::user(format!("{name} does not exist any more: it was dropped meanwhile."))
}
