//! ASSERT TOPIC and ASSERT SCHEMA within a test: nothing is waited for, since nothing goes on between statements.

use tidemill_engine::log::Log;
use tidemill_engine::registry::{SchemaId, SchemaRegistry};
use tidemill_parser::ast::Properties;

use crate::conformance::world::World;

pub fn assert_topic(world: &World, name: &str, exists: bool, properties: &Properties) -> Result<(), String> {
    let found = world.log.describe_topic(name).map_err(|e| e.to_string())?;
    let info = match (exists, found) {
        (true, None) => return Err(format!("Topic {name} does not exist")),
        (false, Some(_)) => return Err(format!("Topic {name} exists")),
        (false, None) => return Ok(()),
        (true, Some(info)) => info,
    };
    for property in &properties.entries {
        let (config, actual) = match property.name.name.as_str() {
            "PARTITIONS" => ("partitions", info.partitions),
            "REPLICAS" => ("replicas", u32::from(info.replicas)),
            other => return Err(format!("Cannot assert unknown topic property: {other}. Known ones are PARTITIONS and REPLICAS")),
        };
        let expected = property.value.to_string();
        if expected != actual.to_string() {
            return Err(format!("Mismatched configuration for topic {name}: For config {config}, expected {expected} got {actual}"));
        }
    }
    Ok(())
}

pub fn assert_schema(world: &World, subject: Option<&str>, id: Option<i64>, exists: bool) -> Result<(), String> {
    let registry = &world.registry;
    let id = id.map(|id| i32::try_from(id).map(SchemaId).map_err(|_| format!("{id} is no id of a schema"))).transpose()?;
    let found = match (subject, id) {
        (None, None) => return Err("Cannot provide neither SUBJECT nor ID: say which schema is meant".to_owned()),
        (Some(subject), id) => {
            let versions = registry.latest(subject).map_err(|e| e.to_string())?.map_or(0, |latest| latest.version);
            let has = |version| {
                registry.version(subject, version).is_ok_and(|found| found.is_some_and(|found| id.is_none_or(|id| found.id == id)))
            };
            (1..=versions).any(has)
        }
        (None, Some(id)) => registry.by_id(id).is_ok(),
    };
    if found == exists {
        return Ok(());
    }
    let subject = subject.map(|subject| format!(" subject name {subject}")).unwrap_or_default();
    let id = id.map(|id| format!(" id {}", id.0)).unwrap_or_default();
    Err(format!("Schema with{subject}{id} {}", if exists { "does not exist" } else { "exists" }))
}
