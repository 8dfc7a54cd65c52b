//! Schemas of what is about to be written: found or registered once, when a statement is carried out, and kept in the plan.
//! Nothing is looked up when a query starts or for a record.

use super::{SchemaShape, by_name};
use crate::catalog::Source;
use crate::plan::{FormatSpec, QueryPlan, Step, StepKind, TopicFormat, WriteSchema};
use crate::registry::{RegistryError, SchemaRegistry, subject};
use crate::types::{Column, Schema};

/// Registers the schemas of all topics that a plan writes.
///
/// # Errors
/// The registry refuses a schema, or is away.
pub fn register_plan(plan: &mut QueryPlan, registry: &dyn SchemaRegistry) -> Result<(), RegistryError> {
    register_step(&mut plan.root, registry)
}

fn register_step(step: &mut Step, registry: &dyn SchemaRegistry) -> Result<(), RegistryError> {
    for input in step.inputs_mut() {
        register_step(input, registry)?;
    }
    // What a repartition topic holds are the rows that its step puts out.
    let schema = step.schema.clone();
    match &mut step.kind {
        StepKind::Sink { format, .. } => register_topic(format, &schema, registry),
        _ => match step.repartition_mut() {
            Some(repartition) => register_topic(&mut repartition.format, &schema, registry),
            None => Ok(()),
        },
    }
}

/// Registers the schemas of a declared source where its topic has none yet.
///
/// # Errors
/// The registry refuses a schema, or is away.
pub fn register_source(source: &Source, registry: &dyn SchemaRegistry) -> Result<(), RegistryError> {
    let schema = source.record_schema();
    let format = &source.format;
    for (spec, columns, is_key) in [(&format.key, &schema.key, true), (&format.value, &schema.value, false)] {
        let has_kind = by_name(&spec.name).and_then(|format| format.schemas()).is_some_and(|support| support.kind().is_some());
        if has_kind && !columns.is_empty() && registry.latest(&subject(&format.topic, is_key))?.is_none() {
            register(&mut spec.clone(), &format.topic, columns, is_key, registry)?;
        }
    }
    Ok(())
}

/// Registers the schemas of a topic's keys and values.
///
/// # Errors
/// The registry refuses a schema, or is away.
pub fn register_topic(format: &mut TopicFormat, schema: &Schema, registry: &dyn SchemaRegistry) -> Result<(), RegistryError> {
    let topic = format.topic.clone();
    if !schema.key.is_empty() {
        register(&mut format.key, &topic, &schema.key, true, registry)?;
    }
    register(&mut format.value, &topic, &schema.value, false, registry)
}

fn register(
    spec: &mut FormatSpec,
    topic: &str,
    columns: &[Column],
    is_key: bool,
    registry: &dyn SchemaRegistry,
) -> Result<(), RegistryError> {
    let Some(support) = by_name(&spec.name).and_then(|format| format.schemas()) else { return Ok(()) };
    let mut own = spec.schema.take().unwrap_or_default();
    if own.writes.is_none() {
        let unwrapped = columns.len() == 1 && (is_key || spec.unwrapped);
        own.writes = match own.chosen {
            Some(id) => Some(WriteSchema { id, schema: (*registry.by_id(id)?).clone() }),
            None => {
                let shape = SchemaShape { is_key, unwrapped, spec: Some(&own), ..SchemaShape::default() };
                let schema = support.schema_of(columns, &shape).map_err(RegistryError::Refused)?;
                let id = match support.kind() {
                    Some(_) => registry.register(&subject(topic, is_key), &schema)?,
                    None => crate::registry::SchemaId(0),
                };
                Some(WriteSchema { id, schema })
            }
        };
    }
    spec.schema = Some(own);
    Ok(())
}
