//! ASSERT STREAM and ASSERT TABLE: a source against a declaration. What a WITH clause leaves out has its default, as in a
//! CREATE; columns and a whole WITH clause that are left out are not compared.

use std::fmt::Display;

use tidemill_engine::analyze::{self, AnalysisContext, TopicInfo};
use tidemill_engine::catalog::{Catalog, Source, SourceKind};
use tidemill_parser::ast::{ColumnDef, ColumnRole, CreateSource, Expr, ExprKind, Ident, Property};
use tidemill_parser::parse_data_type;

use crate::conformance::world::World;

/// Names of properties that name the schema of values.
const FULL_NAMES: [&str; 2] = ["VALUE_SCHEMA_FULL_NAME", "VALUE_AVRO_SCHEMA_FULL_NAME"];

pub fn compare(world: &World, declared: &CreateSource, actual: &Source) -> Result<(), String> {
    let kind = SourceKind::from(declared.kind);
    let (has_columns, has_properties) = (!declared.columns.is_empty(), !declared.properties.entries.is_empty());
    let mut declared = declared.clone();
    complete(&mut declared, actual)?;
    if kind != actual.kind {
        let name = |kind| if kind == SourceKind::Table { "KTABLE" } else { "KSTREAM" };
        return same("type", actual, name(kind), name(actual.kind));
    }
    let expected = analyse(world, &declared)?;
    if has_columns {
        same("schema", actual, &expected.schema, &actual.schema)?;
    }
    if !has_properties {
        return Ok(());
    }
    same("kafka topic", actual, &expected.format.topic, &actual.format.topic)?;
    same("key format", actual, &expected.format.key.name, &actual.format.key.name)?;
    same("value format", actual, &expected.format.value.name, &actual.format.value.name)?;
    let delimiter = |source: &Source| format!("{:?}", (source.format.key.delimiter, source.format.value.delimiter));
    same("delimiter", actual, delimiter(&expected), delimiter(actual))?;
    if FULL_NAMES.iter().any(|name| declared.properties.get(name).is_some()) {
        let full_name = |source: &Source| format!("{:?}", source.format.value.schema.as_ref().and_then(|schema| schema.full_name.clone()));
        same("schema name", actual, full_name(&expected), full_name(actual))?;
    }
    let features = |source: &Source| source.value_features().join(", ");
    same("serde options", actual, features(&expected), features(actual))?;
    let column = |source: &Source| source.timestamp.as_ref().map_or("none".to_owned(), |timestamp| timestamp.column.clone());
    same("timestamp column", actual, column(&expected), column(actual))?;
    let pattern = |source: &Source| source.timestamp.as_ref().and_then(|timestamp| timestamp.format.clone()).unwrap_or("none".to_owned());
    same("timestamp format", actual, pattern(&expected), pattern(actual))?;
    same("window", actual, format!("{:?}", expected.format.windowed_key), format!("{:?}", actual.format.windowed_key)).or_else(
        |difference| {
            // A declaration that says nothing of windows is none of what a query's result has.
            if expected.is_windowed() { Err(difference) } else { Ok(()) }
        },
    )
}

fn same<T: PartialEq + Display>(what: &str, source: &Source, expected: T, actual: T) -> Result<(), String> {
    if expected == actual {
        return Ok(());
    }
    Err(format!("Expected {what} does not match actual for source {}.\n\tExpected: {expected}\n\tActual: {actual}", source.name))
}

/// Fills in what the assertion does not ask about.
fn complete(declared: &mut CreateSource, actual: &Source) -> Result<(), String> {
    if declared.columns.is_empty() {
        for (index, column) in actual.schema.columns().enumerate() {
            let is_key = index < actual.schema.key.len();
            let role = match actual.headers.iter().find(|header| header.column == column.name) {
                Some(header) => header.key.clone().map_or(ColumnRole::Headers, ColumnRole::Header),
                None if !is_key => ColumnRole::Value,
                None if actual.kind == SourceKind::Table => ColumnRole::PrimaryKey,
                None => ColumnRole::Key,
            };
            let data_type = parse_data_type(&column.sql_type.to_string()).map_err(|e| e.to_string())?;
            declared.columns.push(ColumnDef { name: Ident::new(column.name.clone()), data_type, role });
        }
    }
    let mut default = |names: &[&str], value: &str| {
        if names.iter().all(|name| declared.properties.get(name).is_none()) {
            let value = Expr::new(ExprKind::String(value.to_owned()));
            declared.properties.entries.extend(names.first().map(|name| Property { name: Ident::new(*name), value }));
        }
    };
    default(&["KAFKA_TOPIC"], &actual.format.topic);
    default(&["VALUE_FORMAT", "FORMAT"], &actual.format.value.name);
    Ok(())
}

/// The source that the declaration would make in a world without sources.
fn analyse(world: &World, declared: &CreateSource) -> Result<Source, String> {
    let mut catalog = Catalog::default();
    for (name, sql_type) in world.catalog.user_types() {
        catalog = catalog.with_type(name, sql_type.clone()).map_err(|e| e.to_string())?;
    }
    world.with_context(|context| {
        let topic = |name: &str| (context.topic)(name).or(Some(TopicInfo { partitions: 1, replicas: 1, retention_ms: None }));
        let context = AnalysisContext { catalog: &catalog, topic: &topic, ..*context };
        analyze::create_source(declared, &context).map(|declared| declared.source).map_err(|e| e.to_string())
    })
}
