//! What a plan remembers of a format whose payloads have schemas (AVRO, PROTOBUF, JSON_SR).

use serde::{Deserialize, Serialize};

use crate::registry::{Schema, SchemaId};

/// How the schemas of a topic's keys or values are named, chosen and written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaSpec {
    /// The name of the record or message (`VALUE_SCHEMA_FULL_NAME`), or the one that the statement's kind gives; `None`: the
    /// format's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// PROTOBUF only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nulls: Option<NullRepresentation>,
    /// The schema that the statement chose (`VALUE_SCHEMA_ID`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<SchemaId>,
    /// What records are written with; set when the statement is carried out, so that nobody has to be asked when a query
    /// starts. `None`: nothing is written there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes: Option<WriteSchema>,
}

/// The schema of written records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteSchema {
    pub id: SchemaId,
    pub schema: Schema,
}

/// How PROTOBUF tells a null from a zero (`VALUE_PROTOBUF_NULLABLE_REPRESENTATION`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum NullRepresentation {
    /// `optional` fields.
    Optional,
    /// Fields of `google.protobuf.…Value`.
    Wrapper,
}
