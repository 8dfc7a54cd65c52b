//! What must hold of sources and topics after a case's statements.

use regex::Regex;
use serde_json::Value as Json;
use tidemill_engine::catalog::{Catalog, Source, SourceKind};
use tidemill_engine::log::Log;
use tidemill_engine::types::SqlType;
use tidemill_parser::ast::ColumnRole;

/// Checks `post.sources` and `post.topics`.
pub fn check(post: &Json, catalog: &Catalog, log: &dyn Log) -> Result<(), String> {
    for expected in post["sources"].as_array().into_iter().flatten() {
        let name = expected["name"].as_str().unwrap_or_default();
        let source = catalog
            .source(name)
            .or_else(|| catalog.source(&name.to_uppercase()))
            .ok_or_else(|| format!("post: source {name} does not exist"))?;
        check_source(expected, source, catalog).map_err(|e| format!("post: source {name}: {e}"))?;
    }
    let topics = log.list_topics().map_err(|e| e.to_string())?;
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
            && partitions != u64::from(topic.partitions)
        {
            return Err(format!("post: topic {name}: {partitions} partitions expected, got {}", topic.partitions));
        }
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
