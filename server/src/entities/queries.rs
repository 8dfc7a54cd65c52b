//! Queries: SHOW QUERIES, EXPLAIN.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Common, Field};

/// A line of SHOW QUERIES.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningQuery {
    pub query_string: String,
    pub sinks: Vec<String>,
    pub sink_kafka_topics: Vec<String>,
    pub id: String,
    /// Servers by the state that the query has there (`RUNNING`, `PAUSED`, `ERROR`).
    pub status_count: BTreeMap<&'static str, u32>,
    /// `PERSISTENT` or `PUSH`.
    pub query_type: &'static str,
    pub state: Option<&'static str>,
    /// Why it failed; ksqlDB tells that in EXPLAIN only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_errors: Vec<QueryErrorEntity>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryList {
    pub queries: Vec<RunningQuery>,
    #[serde(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryDescriptionEntity {
    pub query_description: QueryDescription,
    #[serde(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryDescriptions {
    pub query_descriptions: Vec<QueryDescription>,
    #[serde(flatten)]
    pub common: Common,
}

/// A query in full.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryDescription {
    pub id: String,
    pub statement_text: String,
    pub window_type: Option<&'static str>,
    pub fields: Vec<Field>,
    pub sources: Vec<String>,
    pub sinks: Vec<String>,
    pub topology: String,
    pub execution_plan: String,
    pub overridden_properties: BTreeMap<String, String>,
    /// State by `host:port`.
    pub ksql_host_query_status: BTreeMap<String, &'static str>,
    pub query_type: &'static str,
    pub query_errors: Vec<QueryErrorEntity>,
    pub tasks_metadata: Vec<TaskMetadata>,
    pub consumer_group_id: String,
    pub state: Option<&'static str>,
    /// What it did since it was started; of SHOW QUERIES EXTENDED only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<QueryMetrics>,
}

/// The numbers of a query that `/metrics` has as well.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryMetrics {
    pub records_read: u64,
    pub bytes_read: u64,
    pub records_written: u64,
    pub bytes_written: u64,
    /// Failures as the processing log has them, and records that were left out; by kind, where there are any.
    pub errors: BTreeMap<&'static str, u64>,
    pub left_out: BTreeMap<&'static str, u64>,
    pub dead_letters: u64,
    pub commits: u64,
    /// All commits together, milliseconds.
    pub commit_ms: u64,
    /// About what its stores take on the disk.
    pub state_disk_bytes: u64,
    /// Records of changelogs: read, and to be read; while its state is being restored.
    pub restored: Option<(u64, u64)>,
}

/// What ended a query.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryErrorEntity {
    pub timestamp: i64,
    pub error_message: String,
    /// `USER`, `SYSTEM` or `UNKNOWN`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskMetadata {
    pub task_id: String,
    pub topic_offsets: Vec<OffsetsOfTopic>,
    pub time_current_idling_started: Option<i64>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OffsetsOfTopic {
    pub topic_partition_entity: TopicPartitionEntity,
    pub end_offset: i64,
    pub committed_offset: i64,
}

#[derive(Debug, Clone, Serialize)]
pub struct TopicPartitionEntity {
    pub topic: String,
    pub partition: i32,
}
