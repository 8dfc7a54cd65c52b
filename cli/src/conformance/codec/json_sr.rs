//! Specs of JSON_SR: the payload is the spec itself, as JSON.

use serde_json::Value as Json;

use super::{CodecSchema, SchemaCodec};

pub(super) struct JsonSchemaCodec;

impl SchemaCodec for JsonSchemaCodec {
    fn encode(&self, spec: &Json, _schema: &CodecSchema<'_>) -> Result<Vec<u8>, String> {
        Ok(spec.to_string().into_bytes())
    }

    fn decode(&self, payload: &[u8], _schema: &CodecSchema<'_>) -> Result<Json, String> {
        serde_json::from_slice(payload).map_err(|error| format!("no JSON: {error}"))
    }
}
