//! Specs of AVRO.

use serde_json::Value as Json;

use super::{CodecSchema, SchemaCodec};

pub(super) struct AvroCodec;

impl SchemaCodec for AvroCodec {
    fn encode(&self, _spec: &Json, _schema: &CodecSchema<'_>) -> Result<Vec<u8>, String> {
        Err("no codec for AVRO yet".to_owned())
    }

    fn decode(&self, _payload: &[u8], _schema: &CodecSchema<'_>) -> Result<Json, String> {
        Err("no codec for AVRO yet".to_owned())
    }
}
