//! ASSERT SCHEMA: waits until the registry has a schema (or has it no more), by its subject, its id or both.

use tidemill_engine::registry::{RegistryError, SchemaId, SchemaRegistry};
use tidemill_parser::ast::Interval;

use super::asserting;
use crate::app::App;
use crate::entities::{AssertSchema, Common, KsqlEntity};
use crate::error::{ApiError, ErrorCode};

/// What is asserted, at least one of the two.
pub struct Asserted<'s> {
    pub subject: Option<&'s str>,
    pub id: Option<i64>,
}

pub fn run(app: &App, asserted: &Asserted<'_>, exists: bool, timeout: Option<Interval>, text: String) -> Result<KsqlEntity, ApiError> {
    let registry = app.engine.registry();
    asserting::wait(asserting::patience(app, timeout, "ksql.assert.schema.default.timeout.ms"), || {
        let found = is_there(&**registry, asserted)
            .map_err(|error| ApiError::generic(ErrorCode::ASSERTION_FAILED, format!("Cannot check schema existence: {error}")))?;
        Ok((found != exists).then(|| {
            let subject = asserted.subject.map(|subject| format!(" subject name {subject}")).unwrap_or_default();
            let id = asserted.id.map(|id| format!(" id {id}")).unwrap_or_default();
            format!("Schema with{subject}{id} {}", if exists { "does not exist" } else { "exists" })
        }))
    })?;
    let subject = asserted.subject.map(str::to_owned);
    Ok(KsqlEntity::AssertSchema(AssertSchema { subject, id: asserted.id, exists, common: Common::new(text) }))
}

fn is_there(registry: &dyn SchemaRegistry, asserted: &Asserted<'_>) -> Result<bool, RegistryError> {
    let id = match asserted.id.map(i32::try_from) {
        None => None,
        Some(Ok(id)) => Some(SchemaId(id)),
        // No schema has such an id.
        Some(Err(_)) => return Ok(false),
    };
    match (asserted.subject, id) {
        (None, Some(id)) => match registry.by_id(id) {
            Ok(_) => Ok(true),
            Err(RegistryError::UnknownId(_)) => Ok(false),
            Err(error) => Err(error),
        },
        (Some(subject), None) => Ok(registry.latest(subject)?.is_some()),
        (Some(subject), Some(id)) => {
            let Some(latest) = registry.latest(subject)? else { return Ok(false) };
            if latest.id == id {
                return Ok(true);
            }
            for version in (1..latest.version).rev() {
                if registry.version(subject, version)?.is_some_and(|found| found.id == id) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (None, None) => Ok(false),
    }
}
