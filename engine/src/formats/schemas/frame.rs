//! Confluent's framing: a zero byte and the id of the schema, four bytes, big-endian, before the payload.

use crate::formats::DecodeError;
use crate::registry::SchemaId;

/// The zero byte and the id.
pub const HEADER_BYTES: usize = 5;

/// The id of a payload's schema.
///
/// # Errors
/// It has none.
pub fn id_of(payload: &[u8]) -> Result<SchemaId, DecodeError> {
    match payload {
        [0, a, b, c, d, ..] => Ok(SchemaId(i32::from_be_bytes([*a, *b, *c, *d]))),
        [0, ..] => Err(DecodeError::new("the payload is shorter than the id of a schema")),
        [] => Err(DecodeError::new("the payload is empty")),
        [_, ..] => Err(DecodeError::new("Unknown magic byte!")),
    }
}

/// What stands before payloads of a schema.
pub fn header(SchemaId(id): SchemaId) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = id.to_be_bytes();
    [0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stand_before_payloads() {
        for id in [0, 1, 300, -1, i32::MAX, i32::MIN] {
            assert_eq!(id_of(&header(SchemaId(id))).unwrap(), SchemaId(id));
        }
        for (payload, why) in [(&b""[..], "empty"), (&[0, 0, 0, 1], "shorter"), (b"{\"A\":1}", "magic byte")] {
            assert!(id_of(payload).unwrap_err().to_string().contains(why));
        }
    }
}
