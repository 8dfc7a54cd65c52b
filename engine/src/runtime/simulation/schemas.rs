//! Records that bear schemas, and a registry that is late with them.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value as Json;

use crate::registry::slow::SlowRegistry;
use crate::registry::{Schema, SchemaId, SchemaKind};

/// Schemas that records may bear: the same fields, under several names.
pub(super) const COUNT: i32 = 4;
const FIELDS: [(&str, &str); 4] = [("N", "int"), ("V", "int"), ("G", "string"), ("B", "int")];

/// A registry of these schemas that so often does not know them yet.
pub(super) fn registry(seed: u64, late: f64) -> Arc<SlowRegistry> {
    let mut random = StdRng::seed_from_u64(seed ^ 0x5c4e);
    let registry = SlowRegistry::new(move |_| random.random_bool(late));
    for id in 1..=COUNT {
        let fields = FIELDS.map(|(name, of)| format!(r#"{{"name":"{name}","type":["null","{of}"],"default":null}}"#)).join(",");
        let text = format!(r#"{{"type":"record","name":"R{id}","fields":[{fields}]}}"#);
        registry
            .content
            .register_as("s-value", Schema::new(SchemaKind::Avro, text), SchemaId(id))
            .unwrap_or_else(|error| panic!("{error}"));
    }
    registry
}

/// A value as AVRO by one of the schemas.
pub(super) fn payload(value: &Json, id: i32) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(id.to_be_bytes());
    for (name, _) in FIELDS {
        match value.get(name) {
            Some(Json::String(text)) => {
                long(1, &mut bytes);
                long(i64::try_from(text.len()).unwrap_or(0), &mut bytes);
                bytes.extend(text.as_bytes());
            }
            Some(number) => {
                long(1, &mut bytes);
                long(number.as_i64().unwrap_or_default(), &mut bytes);
            }
            None => long(0, &mut bytes),
        }
    }
    bytes
}

/// A number in AVRO: zigzag, seven bits a byte.
fn long(number: i64, out: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    loop {
        let byte = (rest & 0x7f).to_le_bytes()[0];
        rest >>= 7;
        if rest == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}
