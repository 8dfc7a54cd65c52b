//! The topics of a case: those that it declares, with their schemas, and what their bytes mean.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use tidemill_engine::analyze::{self, AnalysisContext, TopicInfo};
use tidemill_engine::catalog::Source;
use tidemill_engine::log::{Log, TopicSpec};
use tidemill_engine::plan::FormatSpec;
use tidemill_engine::registry::{Reference, Schema, SchemaId, SchemaKind, SchemaRegistry, subject};
use tidemill_parser::ast::Statement;

use super::World;
use crate::conformance::case::Case;
use crate::conformance::codec::Side;

/// How deep schemas of a case may refer to others.
const MAX_DEPTH: usize = 10;

impl World {
    /// Registers the schemas of sources that a case's statements declare with their columns: whoever wrote the records did so,
    /// before any statement. Topics that the case declares itself come after them, which shows in the ids.
    pub(super) fn register_declared_sources(&self, case: &Case) {
        let script = case.statements.join("\n");
        for statement in tidemill_parser::split_script(&script).into_iter().filter_map(|raw| raw.parse().ok()) {
            let Statement::CreateSource(create) = statement.statement else { continue };
            let is_made = create.properties.get("PARTITIONS").is_some();
            let found = TopicInfo { partitions: self.default_partitions, replicas: 1, retention_ms: None };
            let implied = |_: &str| (!is_made).then_some(found);
            let declared = self.with_context(|context| analyze::create_source(&create, &AnalysisContext { topic: &implied, ..*context }));
            // What is wrong with it is found when it is run.
            let Ok(declared) = declared else { continue };
            if case.topics.iter().all(|topic| topic["name"] != declared.source.format.topic.as_str()) {
                let _ = tidemill_engine::formats::register_source(&declared.source, &*self.registry);
            }
        }
    }

    /// Makes a topic that a case declares, and registers its schemas. `asked`: partitions that statements ask for.
    pub(super) fn declare_topic(&self, topic: &Json, asked: &BTreeMap<String, u32>) -> Result<(), String> {
        let name = topic["name"].as_str().unwrap_or_default();
        let declared = topic["partitions"].as_u64().and_then(|p| u32::try_from(p).ok());
        let partitions = declared.or(asked.get(name).copied()).unwrap_or(self.default_partitions);
        let replicas = topic["replicas"].as_u64().and_then(|r| u16::try_from(r).ok()).unwrap_or(1);
        self.ensure_topic(name, partitions, replicas)?;
        for (is_key, side) in [(true, "key"), (false, "value")] {
            let schema = &topic[&format!("{side}Schema")];
            // Cases of old name their only schema so.
            let schema = if schema.is_null() && !is_key { &topic["schema"] } else { schema };
            if schema.is_null() {
                continue;
            }
            let references = &topic[&format!("{side}SchemaReferences")];
            let schema = declared_schema(schema, topic[&format!("{side}Format")].as_str(), references, &*self.registry, 0)?;
            let subject = subject(name, is_key);
            let id = topic[&format!("{side}SchemaId")].as_i64().and_then(|id| i32::try_from(id).ok());
            let registered = match id {
                Some(id) => self.registry.register_as(&subject, schema, SchemaId(id)),
                None => self.registry.register(&subject, &schema).map(drop),
            };
            registered.map_err(|e| format!("{subject}: {e}"))?;
        }
        Ok(())
    }

    pub(super) fn ensure_topic(&self, name: &str, partitions: u32, replicas: u16) -> Result<(), String> {
        if self.log.describe_topic(name).map_err(|e| e.to_string())?.is_some() {
            return Ok(());
        }
        let spec = TopicSpec { name: name.to_owned(), partitions, replicas, config: Default::default() };
        self.log.create_topic(&spec).map_err(|e| e.to_string())
    }

    /// Formats and columns of a topic's keys and values: of the source over it, else as the case declares.
    pub(super) fn sides(&self, topic: &str) -> Result<(Side, Side), String> {
        let declared = self.declared.iter().find(|t| t["name"] == topic);
        Ok(sides_of(topic, self.by_topic.get(topic).map(|source| &**source), declared, &(self.registry.clone() as Arc<dyn SchemaRegistry>)))
    }
}

/// As [`World::sides`], of a source over a topic, or of what is declared of it.
pub(in crate::conformance) fn sides_of(
    topic: &str,
    source: Option<&Source>,
    declared: Option<&Json>,
    registry: &Arc<dyn SchemaRegistry>,
) -> (Side, Side) {
    let side =
        |is_key, format, columns, window| Side { topic: topic.to_owned(), is_key, format, columns, window, registry: registry.clone() };
    if let Some(source) = source {
        let schema = source.record_schema();
        let format = &source.format;
        return (side(true, format.key.clone(), schema.key, format.windowed_key), side(false, format.value.clone(), schema.value, None));
    }
    let format = |field: &str, default: &str| FormatSpec {
        name: declared.and_then(|t| t[field].as_str()).map_or_else(|| default.to_owned(), str::to_uppercase),
        unwrapped: false,
        delimiter: None,
        schema: None,
    };
    (side(true, format("keyFormat", "KAFKA"), Vec::new(), None), side(false, format("valueFormat", "JSON"), Vec::new(), None))
}

/// A schema as a case writes it: PROTOBUF as a text, else as JSON.
pub(in crate::conformance) fn declared_schema(
    schema: &Json,
    format: Option<&str>,
    references: &Json,
    registry: &dyn SchemaRegistry,
    depth: usize,
) -> Result<Schema, String> {
    if depth > MAX_DEPTH {
        return Err(format!("schemas refer to others more than {MAX_DEPTH} deep"));
    }
    let kind = match format.map(str::to_uppercase).as_deref() {
        Some("PROTOBUF") => SchemaKind::Protobuf,
        Some("JSON" | "JSON_SR") => SchemaKind::Json,
        _ => SchemaKind::Avro,
    };
    let text = match (kind, schema) {
        (SchemaKind::Protobuf, Json::String(text)) => text.clone(),
        (_, schema) => schema.to_string(),
    };
    let mut referred = Vec::new();
    for reference in references.as_array().into_iter().flatten() {
        let name = reference["name"].as_str().ok_or("a reference without its name")?;
        let nested = &reference["references"];
        let schema = declared_schema(&reference["schema"], reference["format"].as_str().or(format), nested, registry, depth + 1)?;
        registry.register(name, &schema).map_err(|e| e.to_string())?;
        referred.push(Reference { name: name.to_owned(), subject: name.to_owned(), version: 1, schema: Arc::new(schema) });
    }
    Ok(Schema { kind, text, references: referred })
}
