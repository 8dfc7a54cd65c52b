//! Answers about connectors.

use serde::Serialize;

use super::{Common, SourceDescription};
use crate::connect::{ConnectorInfo, ConnectorState, PluginInfo};

/// A connector that was made.
#[derive(Debug, Clone, Serialize)]
pub struct CreatedConnector {
    pub info: ConnectorInfo,
    #[serde(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedConnector {
    pub connector_name: String,
    #[serde(flatten)]
    pub common: Common,
}

/// A line of SHOW CONNECTORS. Where a connector could not be described, its name is all there is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedConnector {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ConnectorList {
    pub connectors: Vec<ListedConnector>,
    #[serde(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedPlugin {
    pub class_name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl From<PluginInfo> for ListedPlugin {
    fn from(plugin: PluginInfo) -> Self {
        ListedPlugin { class_name: plugin.class, kind: plugin.kind, version: plugin.version }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorPlugins {
    pub connectors_plugins: Vec<ListedPlugin>,
    #[serde(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorDescription {
    pub connector_class: String,
    pub status: ConnectorState,
    /// Streams and tables over the topics.
    pub sources: Vec<SourceDescription>,
    /// That it has read or written.
    pub topics: Vec<String>,
    #[serde(flatten)]
    pub common: Common,
}
