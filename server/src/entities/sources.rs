//! Streams and tables: SHOW and DESCRIBE.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Common, Field, RunningQuery};

/// A line of SHOW STREAMS and SHOW TABLES.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedSource {
    /// `STREAM` or `TABLE`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub name: String,
    pub topic: String,
    pub key_format: String,
    pub value_format: String,
    pub is_windowed: bool,
}

/// Streams (`true`) or tables: the same list under another name.
#[derive(Debug, Clone)]
pub struct SourceList<const STREAMS: bool> {
    pub sources: Vec<ListedSource>,
    pub common: Common,
}

impl<const STREAMS: bool> Serialize for SourceList<STREAMS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("statementText", &self.common.statement_text)?;
        map.serialize_entry(if STREAMS { "streams" } else { "tables" }, &self.sources)?;
        map.serialize_entry("warnings", &self.common.warnings)?;
        map.end()
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceDescriptionEntity {
    pub source_description: SourceDescription,
    #[serde(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceDescriptions {
    pub source_descriptions: Vec<SourceDescription>,
    #[serde(flatten)]
    pub common: Common,
}

/// A stream or table in full.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceDescription {
    pub name: String,
    pub window_type: Option<&'static str>,
    pub read_queries: Vec<RunningQuery>,
    pub write_queries: Vec<RunningQuery>,
    pub fields: Vec<Field>,
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The column of WITH (TIMESTAMP = …).
    pub timestamp: String,
    /// Counters as a text; only where `extended`.
    pub statistics: String,
    pub error_stats: String,
    pub extended: bool,
    pub key_format: String,
    pub value_format: String,
    pub topic: String,
    pub partitions: u32,
    pub replication: u32,
    pub statement: String,
    pub query_offset_summaries: Vec<QueryOffsets>,
    /// Streams and tables that were made from this one.
    pub source_constraints: Vec<String>,
    pub cluster_statistics: Vec<Statistic>,
    pub cluster_error_stats: Vec<Statistic>,
}

/// One counter of one server.
#[derive(Debug, Clone, Serialize)]
pub struct Statistic {
    pub name: &'static str,
    /// `host:port`.
    pub host: String,
    pub value: f64,
    /// Milliseconds since the epoch, of the last record.
    pub timestamp: i64,
}

/// How far a query has read its topics.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryOffsets {
    pub group_id: String,
    pub topic_summaries: Vec<TopicOffsets>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicOffsets {
    pub kafka_topic: String,
    pub offsets: Vec<PartitionOffsets>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionOffsets {
    pub partition: i32,
    pub log_start_offset: i64,
    pub log_end_offset: i64,
    pub consumer_offset: i64,
}
