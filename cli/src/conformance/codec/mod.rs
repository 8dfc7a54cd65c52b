//! Between a case's JSON specs and the bytes of a topic, by the topic's format and, where it has one, its schema.

mod avro;
mod json_sr;
mod kafka;
mod protobuf;
mod window;

use std::sync::Arc;

use serde_json::Value as Json;
use tidemill_engine::formats::{self, SchemaShape};
use tidemill_engine::plan::{FormatSpec, WindowedKey};
use tidemill_engine::registry::{Schema, SchemaId, SchemaKind, SchemaRegistry, subject};
use tidemill_engine::types::Column;

pub use window::{with_window, without_window};

/// Before the id of a schema in a payload.
const MAGIC: u8 = 0;

/// A schema as a codec is given it.
pub struct CodecSchema<'s> {
    pub schema: &'s Schema,
    /// The record or message that is meant, where the topic names one.
    pub full_name: Option<&'s str>,
    /// Whether the payload stands behind a schema's id. (PROTOBUF says there which message it is.)
    pub is_framed: bool,
}

/// Specs to payloads and back, for a language of schemas. The id before a payload is not its business.
pub trait SchemaCodec: Sync {
    /// The payload that a spec stands for.
    ///
    /// # Errors
    /// The spec does not fit the schema.
    fn encode(&self, spec: &Json, schema: &CodecSchema<'_>) -> Result<Vec<u8>, String>;

    /// What a spec would say of the payload.
    ///
    /// # Errors
    /// The payload is not of the schema.
    fn decode(&self, payload: &[u8], schema: &CodecSchema<'_>) -> Result<Json, String>;
}

fn codec(kind: SchemaKind) -> &'static dyn SchemaCodec {
    match kind {
        SchemaKind::Avro => &avro::AvroCodec,
        SchemaKind::Json => &json_sr::JsonSchemaCodec,
        SchemaKind::Protobuf => &protobuf::ProtobufCodec,
    }
}

/// One side (key or value) of a topic: its format and columns.
#[derive(Clone)]
pub struct Side {
    pub topic: String,
    pub is_key: bool,
    pub format: FormatSpec,
    pub columns: Vec<Column>,
    /// Keys of a source: how their windows stand behind them.
    pub window: Option<WindowedKey>,
    pub registry: Arc<dyn SchemaRegistry>,
}

impl Side {
    /// The bytes that a spec stands for; null stays null.
    pub fn to_bytes(&self, spec: &Json) -> Result<Option<Vec<u8>>, String> {
        match self.format.name.as_str() {
            _ if spec.is_null() => Ok(None),
            "JSON" => Ok(Some(spec.to_string().into_bytes())),
            "DELIMITED" => Ok(Some(text_of(spec).into_bytes())),
            "KAFKA" => kafka::to_bytes(spec, self.columns.first()).map(Some),
            "NONE" => Ok(None),
            _ => match self.unregistered_schema()? {
                Some(schema) => codec(schema.kind).encode(spec, &self.with(&schema, false)).map(Some),
                None => self.to_framed(spec).map(Some),
            },
        }
    }

    /// What a spec would say of these bytes.
    pub fn to_json(&self, bytes: Option<&[u8]>) -> Result<Json, String> {
        let Some(bytes) = bytes else { return Ok(Json::Null) };
        match self.format.name.as_str() {
            "JSON" => serde_json::from_slice(bytes).map_err(|e| format!("no JSON: {e}")),
            "DELIMITED" => String::from_utf8(bytes.to_vec()).map(Json::String).map_err(|e| e.to_string()),
            "KAFKA" => kafka::to_json(bytes, &self.columns),
            "NONE" => Ok(Json::Null),
            _ => match self.unregistered_schema()? {
                Some(schema) => codec(schema.kind).decode(bytes, &self.with(&schema, false)),
                None => self.read_framed(bytes),
            },
        }
    }

    /// The schema of a format that has one and registers none: that of the columns.
    fn unregistered_schema(&self) -> Result<Option<Schema>, String> {
        let name = &self.format.name;
        let format = formats::by_name(name).ok_or_else(|| format!("format {name} is not built"))?;
        let support = format.schemas().ok_or_else(|| format!("no codec for format {name}"))?;
        if support.kind().is_some() {
            return Ok(None);
        }
        let unwrapped = self.columns.len() == 1 && (self.is_key || self.format.unwrapped);
        let shape = SchemaShape { is_key: self.is_key, unwrapped, spec: self.format.schema.as_deref(), ..SchemaShape::default() };
        support.schema_of(&self.columns, &shape).map(Some)
    }

    fn with<'s>(&'s self, schema: &'s Schema, is_framed: bool) -> CodecSchema<'s> {
        CodecSchema { schema, full_name: self.format.schema.as_ref().and_then(|spec| spec.full_name.as_deref()), is_framed }
    }

    /// A payload of the newest schema of the topic's subject, behind its id.
    fn to_framed(&self, spec: &Json) -> Result<Vec<u8>, String> {
        let subject = subject(&self.topic, self.is_key);
        let newest = self.registry.latest(&subject).map_err(|e| e.to_string())?;
        let newest = newest.ok_or_else(|| format!("no schema is registered under {subject}"))?;
        let mut bytes = vec![MAGIC];
        bytes.extend(newest.id.0.to_be_bytes());
        bytes.extend(codec(newest.schema.kind).encode(spec, &self.with(&newest.schema, true))?);
        Ok(bytes)
    }

    fn read_framed(&self, bytes: &[u8]) -> Result<Json, String> {
        let unframed = || format!("no schema id stands before {bytes:?}");
        let (&MAGIC, rest) = bytes.split_first().ok_or_else(unframed)? else { return Err(unframed()) };
        let (id, payload) = rest.split_first_chunk().ok_or_else(unframed)?;
        let schema = self.registry.by_id(SchemaId(i32::from_be_bytes(*id))).map_err(|e| e.to_string())?;
        codec(schema.kind).decode(payload, &self.with(&schema, true))
    }
}

/// A spec as plain text.
fn text_of(spec: &Json) -> String {
    match spec {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
