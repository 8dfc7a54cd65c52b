//! What a statement is analysed against: a snapshot of the catalog, the session's properties, the topics that exist.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::registry::SchemaRegistry;

/// What analysis asks about a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicInfo {
    pub partitions: u32,
    pub replicas: u16,
    /// `None`: unknown or without limit.
    pub retention_ms: Option<i64>,
}

/// The world around a statement.
pub struct AnalysisContext<'a> {
    pub catalog: &'a Catalog,
    /// The session's properties over the server's, by full name (`ksql.…`).
    pub properties: &'a BTreeMap<String, String>,
    pub service_id: &'a str,
    /// The topic of that name, if it exists.
    pub topic: &'a dyn Fn(&str) -> Option<TopicInfo>,
    /// Who keeps the schemas of formats that have them.
    pub registry: &'a dyn SchemaRegistry,
}

/// Properties that analysis reads.
pub(crate) mod property {
    pub const DEFAULT_KEY_FORMAT: &str = "ksql.persistence.default.format.key";
    pub const DEFAULT_VALUE_FORMAT: &str = "ksql.persistence.default.format.value";
    pub const WRAP_SINGLE_VALUES: &str = "ksql.persistence.wrap.single.values";
    pub const OUTPUT_TOPIC_PREFIX: &str = "ksql.output.topic.name.prefix";
    pub const TABLE_SCAN: &str = "ksql.query.pull.table.scan.enabled";
    pub const RANGE_SCAN: &str = "ksql.query.pull.range.scan.enabled";
    pub const STREAM_PULL: &str = "ksql.query.pull.stream.enabled";
    pub const PULL_ENABLED: &str = "ksql.pull.queries.enable";
    pub const INSERT_VALUES: &str = "ksql.insert.into.values.enabled";
    pub const NEW_PLANNER: &str = "ksql.new.query.planner.enabled";
    pub const HEADERS: &str = "ksql.headers.columns.enabled";
}

impl AnalysisContext<'_> {
    /// A property's value; empty ones count as unset.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// A property that is `true` or `false`, in any case.
    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        match self.property(name) {
            Some(value) if value.eq_ignore_ascii_case("true") => true,
            Some(value) if value.eq_ignore_ascii_case("false") => false,
            _ => default,
        }
    }

    /// The properties that a plan keeps: those that bear on what its operators do. Never a password.
    pub(crate) fn plan_properties(&self) -> BTreeMap<String, String> {
        let kept =
            |name: &str| KEPT_PREFIXES.iter().any(|p| name.starts_with(p)) || KEPT.contains(&name.trim_start_matches("ksql.streams."));
        self.properties.iter().filter(|(name, _)| kept(name)).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

/// Beginnings of the names of properties that plans keep.
const KEPT_PREFIXES: &[&str] = &["ksql.functions.", "ksql.timestamp."];
/// Other properties that plans keep, with or without `ksql.streams.` before them.
const KEPT: &[&str] = &["auto.offset.reset", "cache.max.bytes.buffering", "statestore.cache.max.bytes", "max.task.idle.ms"];
