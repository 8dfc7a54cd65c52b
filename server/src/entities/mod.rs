//! What `/ksql` answers: one entity for each statement that has something to say, `@type` first.

mod admin;
mod connectors;
mod functions;
mod letters;
mod listing;
mod queries;
mod schema;
mod servers;
mod sources;
mod status;

use serde::Serialize;

pub use admin::{AssertSchema, AssertTopic, ExtendedTopic, ListedProperty, Properties, Topic, Topics, TypeList, Variable, Variables};
pub use connectors::{ConnectorDescription, ConnectorList, ConnectorPlugins, CreatedConnector, DroppedConnector, ListedConnector};
pub use functions::{Argument, DescribeFunction, FunctionName, FunctionNames, Signature};
pub use letters::{DeadLetter, DeadLetters};
pub use listing::{Listing, Said, said};
pub use queries::{
    OffsetsOfTopic, QueryDescription, QueryDescriptionEntity, QueryDescriptions, QueryErrorEntity, QueryList, QueryMetrics, RunningQuery,
    TaskMetadata, TopicPartitionEntity,
};
pub use schema::{Field, FieldKind, SchemaInfo};
pub use servers::{ServerEntity, ServerList};
pub use sources::{
    ListedSource, PartitionOffsets, QueryOffsets, SourceDescription, SourceDescriptionEntity, SourceDescriptions, SourceList, Statistic,
    TopicOffsets,
};
pub use status::{CommandStatus, CurrentStatus, TerminateQuery, WarningEntity};

/// A remark beside an answer.
#[derive(Debug, Clone, Serialize)]
pub struct Warning {
    pub message: String,
}

/// The text of the statement and remarks on it; every entity ends with them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Common {
    pub statement_text: String,
    pub warnings: Vec<Warning>,
}

impl Common {
    pub fn new(statement_text: impl Into<String>) -> Self {
        Common { statement_text: statement_text.into(), warnings: Vec::new() }
    }

    /// With remarks.
    pub fn with_warnings(statement_text: impl Into<String>, warnings: impl IntoIterator<Item = String>) -> Self {
        let warnings = warnings.into_iter().map(|message| Warning { message }).collect();
        Common { statement_text: statement_text.into(), warnings }
    }
}

/// An answer.
#[derive(Debug, Serialize)]
#[serde(tag = "@type", rename_all = "camelCase")]
pub enum KsqlEntity {
    CurrentStatus(CurrentStatus),
    #[serde(rename = "terminate_query")]
    TerminateQuery(TerminateQuery),
    #[serde(rename = "warning_entity")]
    Warning(WarningEntity),
    Streams(SourceList<true>),
    Tables(SourceList<false>),
    SourceDescription(SourceDescriptionEntity),
    #[serde(rename = "source_descriptions")]
    SourceDescriptions(SourceDescriptions),
    #[serde(rename = "kafka_topics")]
    Topics(Topics<Topic>),
    #[serde(rename = "kafka_topics_extended")]
    ExtendedTopics(Topics<ExtendedTopic>),
    Queries(QueryList),
    QueryDescription(QueryDescriptionEntity),
    #[serde(rename = "query_descriptions")]
    QueryDescriptions(QueryDescriptions),
    #[serde(rename = "function_names")]
    FunctionNames(FunctionNames),
    #[serde(rename = "describe_function")]
    DescribeFunction(DescribeFunction),
    Properties(Properties),
    #[serde(rename = "type_list")]
    TypeList(TypeList),
    Variables(Variables),
    #[serde(rename = "assert_topic")]
    AssertTopic(AssertTopic),
    #[serde(rename = "assert_schema")]
    AssertSchema(AssertSchema),
    #[serde(rename = "connector_info")]
    CreatedConnector(CreatedConnector),
    #[serde(rename = "drop_connector")]
    DroppedConnector(DroppedConnector),
    #[serde(rename = "connector_list")]
    Connectors(ConnectorList),
    #[serde(rename = "connector_plugins_list")]
    ConnectorPlugins(ConnectorPlugins),
    #[serde(rename = "dead_letters")]
    DeadLetters(DeadLetters),
    #[serde(rename = "servers")]
    Servers(ServerList),
    #[serde(rename = "connector_description")]
    ConnectorDescription(ConnectorDescription),
}
