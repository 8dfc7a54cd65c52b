//! What a format whose payloads have schemas can do with them, and what all such formats share: the id before a payload
//! ([`frame`]), a plan for each schema that is met ([`plans`]), a row or a single value behind a prefix ([`encoder`]).

pub(super) mod columns;
pub(super) mod encoder;
pub(super) mod frame;
pub(super) mod plans;

use std::sync::Arc;

use serde_json::Value as Json;

use super::LayoutSchemas;
use crate::plan::SchemaSpec;
use crate::registry::{RegistryError, Schema, SchemaId, SchemaKind};
use crate::types::{Column, SqlType};

/// How a schema is laid over columns.
#[derive(Debug, Clone, Default)]
pub struct SchemaShape<'a> {
    pub is_key: bool,
    /// A single column stands without a record around it.
    pub unwrapped: bool,
    /// Names of columns are those of the fields as they stand, instead of in upper case: the statement chose the schema by its
    /// id.
    pub keeps_case: bool,
    pub spec: Option<&'a SchemaSpec>,
}

impl SchemaShape<'_> {
    /// The name of the record or message, where one is set.
    pub fn full_name(&self) -> Option<&str> {
        self.spec.and_then(|spec| spec.full_name.as_deref())
    }
}

/// What a schema says of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inferred {
    /// A record: its fields are columns.
    Columns(Vec<Column>),
    /// A single value.
    Value(SqlType),
}

/// A payload (without the id before it) as text, for PRINT; or why it is not of the schema. What can be done once for a schema
/// is done by then.
pub type Printer = Arc<dyn Fn(&[u8]) -> Result<String, String> + Send + Sync>;

/// Schemas of a format: from columns and to columns.
pub trait SchemaSupport: Send + Sync {
    /// The language of its schemas; `None`: they are never registered (PROTOBUF_NOSR).
    fn kind(&self) -> Option<SchemaKind>;

    /// The schema that ksqlDB registers for columns.
    ///
    /// # Errors
    /// Columns that the format can't hold: a sentence for the user.
    fn schema_of(&self, columns: &[Column], shape: &SchemaShape<'_>) -> Result<Schema, String>;

    /// The columns that a registered schema declares, as ksqlDB infers them.
    ///
    /// # Errors
    /// The schema is not well formed, refers to what is not there, or has what no SQL type holds: a sentence for the user.
    fn columns_of(&self, schema: &Schema, shape: &SchemaShape<'_>) -> Result<Inferred, String>;

    /// How payloads of a schema are shown.
    ///
    /// # Errors
    /// The schema is not well formed, or refers to what is not there.
    fn printer(&self, _schema: &Schema) -> Result<Printer, String> {
        Ok(Arc::new(|payload| Ok(super::detect::show_bytes(payload))))
    }

    /// The name of the record or message that a schema declares, where it declares just one.
    fn name_of(&self, _schema: &Schema) -> Option<String> {
        None
    }

    /// The names of all records or messages that a statement may choose among; empty where there is no choice.
    fn choices(&self, _schema: &Schema) -> Vec<String> {
        Vec::new()
    }

    /// The name of the record of a source's keys, where nothing is said: one that no other source's keys have.
    fn key_name(&self, _source: &str) -> Option<String> {
        None
    }

    /// Whether `…_SCHEMA_FULL_NAME` may be set.
    fn takes_full_name(&self) -> bool {
        self.kind().is_some()
    }

    /// Whether a sink takes the full name of its source over.
    fn inherits_full_name(&self) -> bool {
        false
    }

    /// Whether `…_PROTOBUF_NULLABLE_REPRESENTATION` may be set.
    fn takes_nulls(&self) -> bool {
        false
    }

    /// Whether two schemas are the same for whoever compares the bytes of records: what Connect remarks in them does not count.
    fn is_same(&self, one: &Schema, other: &Schema) -> bool {
        match (serde_json::from_str(&one.text), serde_json::from_str(&other.text)) {
            (Ok(one), Ok(other)) => without_remarks(one) == without_remarks(other),
            // No JSON: blanks don't count.
            _ => one.text.split_whitespace().eq(other.text.split_whitespace()),
        }
    }

    /// Whether INSERT VALUES writes by the newest schema of the topic where that has all columns, instead of by theirs.
    fn inserts_newest(&self) -> bool {
        false
    }
}

/// A schema in JSON without the attributes of Connect; `{"type": "int"}` is `"int"`.
fn without_remarks(schema: Json) -> Json {
    match schema {
        Json::Object(attributes) => {
            let kept = attributes.into_iter().filter(|(name, _)| !name.starts_with("connect."));
            let mut kept: serde_json::Map<String, Json> = kept.map(|(name, value)| (name, without_remarks(value))).collect();
            match kept.get("type") {
                Some(Json::String(_)) if kept.len() == 1 => kept.remove("type").unwrap_or_default(),
                _ => Json::Object(kept),
            }
        }
        Json::Array(items) => items.into_iter().map(without_remarks).collect(),
        other => other,
    }
}

/// The id by which records of a topic between two steps name their schema. Such topics are the query's own: their schemas are
/// in its plan, and no registry knows them. Registries count from 1 up; another schema most likely has another id.
pub(super) fn internal_id(schema: &Schema) -> SchemaId {
    let hash = schema.text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    // The highest bit makes it negative.
    SchemaId(i32::from_be_bytes((hash | 0x8000_0000).to_be_bytes()))
}

impl LayoutSchemas {
    /// The schema of an id that a record bears: from the plan, where it says what is written there, else from the registry.
    /// Never waits: `None` means that the answer is on its way.
    ///
    /// # Errors
    /// No schema has this id.
    pub(super) fn poll(&self, id: SchemaId) -> Result<Option<Arc<Schema>>, RegistryError> {
        match &self.spec.writes {
            Some(writes) if writes.id == id => Ok(Some(Arc::new(writes.schema.clone()))),
            _ => self.registry.poll_by_id(id),
        }
    }

    /// The id and the schema to write with.
    ///
    /// # Errors
    /// None was registered for what is to be written.
    pub(super) fn write_schema(&self) -> Result<(SchemaId, &Schema), String> {
        self.spec.writes.as_ref().map(|writes| (writes.id, &writes.schema)).ok_or_else(|| "no schema is registered for it".to_owned())
    }
}
