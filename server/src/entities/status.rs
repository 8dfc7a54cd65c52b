//! Answers of statements that change something.

use serde::Serialize;

use super::Common;

/// What became of a statement.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandStatus {
    /// `SUCCESS`, `ERROR`, …
    pub status: &'static str,
    pub message: String,
    pub query_id: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CurrentStatus {
    /// ``stream/`S`/create``.
    pub command_id: String,
    pub command_status: CommandStatus,
    pub command_sequence_number: i64,
    #[serde(flatten)]
    pub common: Common,
}

/// A statement that changed nothing, with the reason.
#[derive(Debug, Clone, Serialize)]
pub struct WarningEntity {
    pub message: String,
    #[serde(flatten)]
    pub common: Common,
}

/// A push query that was ended by TERMINATE.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TerminateQuery {
    pub query_id: String,
    pub was_terminated: bool,
    #[serde(flatten)]
    pub common: Common,
}
