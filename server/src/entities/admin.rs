//! Topics, properties, variables, types, assertions.

use serde::Serialize;

use super::{Common, SchemaInfo};

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Topic {
    pub name: String,
    /// Copies of each partition.
    pub replica_info: Vec<u16>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtendedTopic {
    #[serde(flatten)]
    pub topic: Topic,
    pub consumer_count: u32,
    pub consumer_group_count: u32,
}

#[derive(Debug, Clone, Serialize)]
pub struct Topics<T> {
    pub topics: Vec<T>,
    #[serde(flatten)]
    pub common: Common,
}

/// A line of SHOW PROPERTIES.
#[derive(Debug, Clone, Serialize)]
pub struct ListedProperty {
    pub name: String,
    pub scope: &'static str,
    pub value: Option<String>,
    /// Whether a session may change it.
    pub editable: bool,
    /// `SERVER` or `QUERY`.
    pub level: &'static str,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Properties {
    pub properties: Vec<ListedProperty>,
    /// Names that this session changed.
    pub overwritten_properties: Vec<String>,
    /// Names that stand at their defaults.
    pub default_properties: Vec<String>,
    #[serde(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Serialize)]
pub struct Variable {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Variables {
    pub variables: Vec<Variable>,
    #[serde(flatten)]
    pub common: Common,
}

/// User types by name.
#[derive(Debug, Clone, Serialize)]
pub struct TypeList {
    pub types: indexmap::IndexMap<String, SchemaInfo>,
    #[serde(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Serialize)]
pub struct AssertSchema {
    pub subject: Option<String>,
    pub id: Option<i64>,
    pub exists: bool,
    #[serde(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssertTopic {
    pub topic_name: String,
    pub exists: bool,
    #[serde(flatten)]
    pub common: Common,
}
