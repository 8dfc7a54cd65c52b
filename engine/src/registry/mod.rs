//! Schemas of formats that don't describe themselves (AVRO, PROTOBUF, JSON_SR): who keeps them, under which subjects and ids.
//!
//! [`SchemaRegistry`] is what the engine asks. Who answers is chosen at the start: [`MemoryRegistry`] keeps schemas in the
//! process; [`own`] keeps them in a topic, for this server and for all who ask it. Formats ask when a query starts (to register
//! what it writes) and when a record bears an id that they have not met yet, never by the record.

pub mod compatibility;
mod foreknown;
pub mod language;
mod memory;
mod none;
pub mod own;
#[cfg(test)]
pub mod slow;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use foreknown::Foreknown;
pub use memory::MemoryRegistry;
pub use none::NoRegistry;

/// The id by which records name their schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SchemaId(pub i32);

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The language that a schema is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SchemaKind {
    Avro,
    Json,
    Protobuf,
}

impl SchemaKind {
    /// As registries spell it: `AVRO`, `JSON`, `PROTOBUF`.
    pub fn name(self) -> &'static str {
        match self {
            SchemaKind::Avro => "AVRO",
            SchemaKind::Json => "JSON",
            SchemaKind::Protobuf => "PROTOBUF",
        }
    }
}

/// Another schema that one refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// The name by which the text refers to it.
    pub name: String,
    pub subject: String,
    pub version: i32,
    /// The schema itself, with those that it refers to in turn.
    pub schema: Arc<Schema>,
}

/// A schema as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Schema {
    pub kind: SchemaKind,
    pub text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
}

impl Schema {
    /// A schema that refers to no other.
    pub fn new(kind: SchemaKind, text: impl Into<String>) -> Self {
        Schema { kind, text: text.into(), references: Vec::new() }
    }
}

/// A version of a subject.
#[derive(Debug, Clone)]
pub struct Registered {
    pub id: SchemaId,
    /// From 1.
    pub version: i32,
    pub schema: Arc<Schema>,
}

/// Why a registry did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No schema has this id.
    #[error("Schema {0} not found")]
    UnknownId(SchemaId),
    /// The schema can't be taken: it is not well formed, or not compatible with earlier ones.
    #[error("{0}")]
    Refused(String),
    /// The registry did not answer; the same call may succeed later.
    #[error("{0}")]
    Away(String),
    /// There is no registry to ask.
    #[error("There is no Schema Registry: set ksql.schema.registry.url, or leave Tidemill's own one on")]
    NotConfigured,
}

/// Keeps schemas under subjects. All calls but [`SchemaRegistry::poll_by_id`] may take as long as a request takes: they are
/// for statements, never for workers.
pub trait SchemaRegistry: Send + Sync {
    /// The id of the schema under the subject; registers it where it is not there yet.
    ///
    /// # Errors
    /// The registry refuses the schema, or is away.
    fn register(&self, subject: &str, schema: &Schema) -> Result<SchemaId, RegistryError>;

    /// The schema of an id, with all that it refers to.
    ///
    /// # Errors
    /// There is none, or the registry is away.
    fn by_id(&self, id: SchemaId) -> Result<Arc<Schema>, RegistryError>;

    /// As [`SchemaRegistry::by_id`], but never waits: `None` means that the answer is on its way (asked for in the background,
    /// again and again while the registry is away).
    ///
    /// # Errors
    /// No schema has this id.
    fn poll_by_id(&self, id: SchemaId) -> Result<Option<Arc<Schema>>, RegistryError>;

    /// The newest version of a subject; `None` where there is no such subject.
    ///
    /// # Errors
    /// The registry is away.
    fn latest(&self, subject: &str) -> Result<Option<Registered>, RegistryError>;

    /// Deletes a subject with all its versions, as Confluent's registry does softly: ids stay known. Nothing happens where there
    /// is no such subject.
    ///
    /// # Errors
    /// The registry refuses it, or is away.
    fn delete(&self, subject: &str) -> Result<(), RegistryError>;

    /// A version of a subject.
    ///
    /// # Errors
    /// The registry is away.
    fn version(&self, subject: &str, version: i32) -> Result<Option<Registered>, RegistryError>;

    /// Why the registry does not answer at the moment; `None`: nothing is known to be wrong.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// The subject of a topic's keys or values, as Confluent's topic name strategy has it.
pub fn subject(topic: &str, is_key: bool) -> String {
    format!("{topic}-{}", if is_key { "key" } else { "value" })
}
