//! SHOW DEAD LETTERS.

use serde::Serialize;

use super::Common;

#[derive(Debug, Clone, Serialize)]
pub struct DeadLetters {
    pub letters: Vec<DeadLetter>,
    #[serde(flatten)]
    pub common: Common,
}

/// A record that was left out.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    pub query_id: String,
    pub kind: &'static str,
    /// Where the record stood.
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Of the record, and when the letter was written; milliseconds since the epoch.
    pub timestamp: i64,
    pub written: i64,
    /// How often it was sent through the query again before.
    pub attempt: u32,
    pub reason: String,
    /// The beginning of each: text, or `0x` and hexadecimal digits.
    pub key: Option<String>,
    pub value: Option<String>,
}
