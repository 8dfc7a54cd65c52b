//! What must hold of sources and topics after a case's statements.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde_json::Value as Json;
use tidemill_engine::catalog::{Catalog, Source, SourceKind};
use tidemill_engine::log::Log;
use tidemill_engine::operators;
use tidemill_engine::plan::names::Names;
use tidemill_engine::plan::{FormatSpec, QueryPlan, Step, StepKind, TopicFormat, WindowedKey};
use tidemill_engine::registry::{SchemaKind, SchemaRegistry, subject};
use tidemill_engine::types::SqlType;
use tidemill_parser::ast::ColumnRole;

/// Partitions of a topic for which a case says nothing: where it was recorded, and here.
const THEIR_PARTITIONS: u64 = 4;
const OUR_PARTITIONS: u32 = 1;

/// A topic as a case can ask for it.
pub struct Topic {
    name: String,
    /// `None`: a changelog, which has as many as its task.
    partitions: Option<u32>,
    /// What is written in it, where that is known.
    format: Option<TopicFormat>,
}

/// The topics of the log, and the changelogs that the queries would have on Kafka.
pub fn topics(
    log: &dyn Log,
    sources: &BTreeMap<String, Arc<Source>>,
    plans: &[Arc<QueryPlan>],
    service_id: &str,
) -> Result<Vec<Topic>, String> {
    let mut formats: BTreeMap<String, TopicFormat> = sources.iter().map(|(topic, source)| (topic.clone(), source.format.clone())).collect();
    let mut found = Vec::new();
    for plan in plans {
        let names = Names::persistent(service_id, &plan.query_id);
        collect_formats(&plan.root, &names, &mut formats);
        for spec in operators::split(plan).map_err(|e| e.to_string())? {
            for store in spec.stores.iter().filter(|s| s.changelog) {
                let name = names.changelog(&store.name);
                found.push(Topic { format: formats.get(&name).cloned(), partitions: None, name });
            }
        }
    }
    for topic in log.list_topics().map_err(|e| e.to_string())? {
        found.push(Topic { format: formats.get(&topic.name).cloned(), partitions: Some(topic.partitions), name: topic.name });
    }
    Ok(found)
}

/// Formats of the topics between steps, and of the changelogs of tables.
fn collect_formats(step: &Step, names: &Names, formats: &mut BTreeMap<String, TopicFormat>) {
    if let Some(repartition) = step.repartition() {
        formats.insert(repartition.format.topic.clone(), repartition.format.clone());
    }
    if let StepKind::TableSource(source) = &step.kind
        && let Some(store) = &source.store
    {
        formats.insert(names.changelog(store), source.format.clone());
    }
    for input in step.inputs() {
        collect_formats(input, names, formats);
    }
}

/// Checks `post.sources` and `post.topics`.
pub fn check(
    post: &Json,
    catalog: &Catalog,
    topics: &[Topic],
    is_known: impl Fn(&str) -> bool,
    registry: &dyn SchemaRegistry,
) -> Result<(), String> {
    for expected in post["sources"].as_array().into_iter().flatten() {
        let name = expected["name"].as_str().unwrap_or_default();
        let source = catalog
            .source(name)
            .or_else(|| catalog.source(&name.to_uppercase()))
            .ok_or_else(|| format!("post: source {name} does not exist"))?;
        check_source(expected, source, catalog).map_err(|e| format!("post: source {name}: {e}"))?;
    }
    if let Some(pattern) = post["topics"]["blacklist"].as_str() {
        let pattern = Regex::new(&format!("^(?:{pattern})$")).map_err(|e| e.to_string())?;
        if let Some(topic) = topics.iter().find(|t| pattern.is_match(&t.name)) {
            return Err(format!("post: there must be no topic {}", topic.name));
        }
    }
    for expected in post["topics"]["topics"].as_array().into_iter().flatten() {
        let name = expected["name"].as_str().unwrap_or_default();
        let topic = topics.iter().find(|t| t.name == name).ok_or_else(|| format!("post: topic {name} does not exist"))?;
        if let Some(partitions) = expected["partitions"].as_u64()
            && let Some(actual) = topic.partitions
            && partitions != u64::from(actual)
            && (partitions, actual) != (THEIR_PARTITIONS, OUR_PARTITIONS)
        {
            return Err(format!("post: topic {name}: {partitions} partitions expected, got {actual}"));
        }
        if let Some(format) = &topic.format {
            check_format(expected, format).map_err(|e| format!("post: topic {name}: {e}"))?;
        }
        // Of topics between steps the user sees no schema.
        if is_known(name) {
            check_schemas(expected, name, registry).map_err(|e| format!("post: topic {name}: {e}"))?;
        }
    }
    Ok(())
}

/// Checks the newest schemas that are registered for a topic.
fn check_schemas(expected: &Json, topic: &str, registry: &dyn SchemaRegistry) -> Result<(), String> {
    for (is_key, field) in [(true, "keySchema"), (false, "valueSchema")] {
        let expected = &expected[field];
        if expected.is_null() {
            continue;
        }
        let newest = registry.latest(&subject(topic, is_key)).map_err(|e| e.to_string())?.ok_or_else(|| format!("{field}: none"))?;
        let text = &newest.schema.text;
        let agree = match newest.schema.kind {
            SchemaKind::Protobuf => expected.as_str().is_some_and(|expected| expected.split_whitespace().eq(text.split_whitespace())),
            SchemaKind::Avro | SchemaKind::Json => serde_json::from_str::<Json>(text).is_ok_and(|actual| actual == *expected),
        };
        if !agree {
            return Err(format!("{field}: expected {expected}, got {text}"));
        }
    }
    Ok(())
}

fn check_format(expected: &Json, actual: &TopicFormat) -> Result<(), String> {
    for (side, actual) in [("keyFormat", &actual.key), ("valueFormat", &actual.value)] {
        if let Some(name) = expected[side]["format"].as_str() {
            same(side, name, &actual.name)?;
        }
        check_properties(&expected[side]["properties"], actual).map_err(|e| format!("{side}: {e}"))?;
    }
    let (kind, size) = match actual.windowed_key {
        None => ("NONE", None),
        Some(WindowedKey::Session) => ("SESSION", None),
        // Which of the two is not written in a topic.
        Some(WindowedKey::Time { size_ms }) => ("TUMBLING or HOPPING", Some(size_ms)),
    };
    let window = &expected["keyFormat"]["windowInfo"];
    let expected_kind = window["type"].as_str().unwrap_or("NONE");
    if !kind.split(" or ").any(|k| k.eq_ignore_ascii_case(expected_kind)) {
        return Err(format!("windowType: expected {expected_kind}, got {kind}"));
    }
    match (window["size"].as_i64(), size) {
        (Some(expected), Some(actual)) if expected != actual => Err(format!("windowSize: expected {expected}, got {actual}")),
        _ => Ok(()),
    }
}

/// Checks how schemas are named, and how PROTOBUF writes nulls.
fn check_properties(expected: &Json, actual: &FormatSpec) -> Result<(), String> {
    let spec = actual.schema.as_deref();
    if let Some(name) = expected["fullSchemaName"].as_str() {
        same("fullSchemaName", name, spec.and_then(|s| s.full_name.as_deref()).unwrap_or_default())?;
    }
    if let Some(nulls) = expected["nullableRepresentation"].as_str() {
        same("nullableRepresentation", nulls, &spec.and_then(|s| s.nulls).map(|n| format!("{n:?}")).unwrap_or_default())?;
    }
    Ok(())
}

fn check_source(expected: &Json, source: &Source, catalog: &Catalog) -> Result<(), String> {
    if let Some(kind) = expected["type"].as_str() {
        let actual = if source.kind == SourceKind::Stream { "stream" } else { "table" };
        same("type", kind, actual)?;
    }
    if let Some(schema) = expected["schema"].as_str() {
        let expected = columns_of(schema, catalog)?;
        let key = source.schema.key.iter().map(|c| (c.name.clone(), c.sql_type.clone(), true));
        let value = source.schema.value.iter().map(|c| (c.name.clone(), c.sql_type.clone(), false));
        let actual: Vec<_> = key.chain(value).collect();
        if expected != actual {
            return Err(format!("schema: expected «{schema}», got «{}»", source.schema));
        }
    }
    for (side, format) in [("keyFormat", &source.format.key), ("valueFormat", &source.format.value)] {
        let expected = &expected[side];
        let name = expected["format"].as_str().or_else(|| expected.as_str());
        if let Some(name) = name {
            same(side, name, &format.name)?;
        }
        if let ("keyFormat", Some(size)) = (side, expected["windowSize"].as_i64()) {
            let actual = match source.format.windowed_key {
                Some(WindowedKey::Time { size_ms }) => Some(size_ms),
                _ => None,
            };
            if actual != Some(size) {
                return Err(format!("windowSize: expected {size}, got {actual:?}"));
            }
        }
        if let Some(window) = expected["windowType"].as_str() {
            same("windowType", window, source.window.map_or("none", |w| w.name()))?;
        }
    }
    for (side, actual) in [("keyFeatures", source.key_features()), ("valueFeatures", source.value_features())] {
        if let Some(features) = expected[side].as_array() {
            let expected: Vec<&str> = features.iter().filter_map(Json::as_str).collect();
            if expected != actual {
                return Err(format!("{side}: expected {expected:?}, got {actual:?}"));
            }
        }
    }
    if let Some(is_source) = expected["isSource"].as_bool()
        && is_source != source.read_only
    {
        return Err(format!("isSource: expected {is_source}"));
    }
    Ok(())
}

fn same(what: &str, expected: &str, actual: &str) -> Result<(), String> {
    if expected.eq_ignore_ascii_case(actual) { Ok(()) } else { Err(format!("{what}: expected {expected}, got {actual}")) }
}

fn columns_of(schema: &str, catalog: &Catalog) -> Result<Vec<(String, SqlType, bool)>, String> {
    let columns = tidemill_parser::parse_columns(schema).map_err(|e| e.to_string())?;
    columns
        .into_iter()
        .map(|c| {
            let is_key = matches!(c.role, ColumnRole::Key | ColumnRole::PrimaryKey);
            Ok((c.name.name, catalog.resolve_type(&c.data_type).map_err(|e| e.to_string())?, is_key))
        })
        .collect()
}
