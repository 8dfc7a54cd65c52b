//! The encoders: the frame is the same before every payload.

use super::compile_write::{compile, compile_value};
use super::parse::{message, parse};
use super::write::{FieldWriter, Writer};
use super::{bare, frame, message_name};
use crate::formats::schemas::columns::sources;
use crate::formats::schemas::encoder::{PrefixedEncoder, WriteValue, Written};
use crate::formats::{EncodeError, Layout};
use crate::types::Value;

/// A message behind a frame, or bare.
pub(super) type ProtobufEncoder = PrefixedEncoder<FieldWriter, Writer>;

/// # Errors
/// No schema is registered, or one that the columns can't be written by.
pub(super) fn framed(layout: &Layout) -> Result<ProtobufEncoder, String> {
    let schemas = layout.schemas.as_ref().ok_or("PROTOBUF needs a schema registry")?;
    let (id, schema) = schemas.write_schema()?;
    let parsed = parse(schema)?;
    let chosen = message_name(schemas.spec.full_name.as_deref()).and_then(|name| message(&parsed, Some(name)));
    let message = chosen.or_else(|| message(&parsed, None)).ok_or("The schema has no message")?;
    let written = Written::Row(compile(&message, &sources(&layout.fields)?)?);
    Ok(PrefixedEncoder::new(frame::prefix(id, &message), written))
}

/// # Errors
/// The columns can't be held.
pub(super) fn bare(layout: &Layout) -> Result<ProtobufEncoder, String> {
    let written = match bare::shape(layout)? {
        bare::Shape::Row(message) => Written::Row(compile(&message, &sources(&layout.fields)?)?),
        bare::Shape::Single { field, sql_type, slot } => {
            Written::Single { slot: slot.ok_or("a column to write has no slot")?, writer: compile_value(&field, &sql_type)? }
        }
    };
    Ok(PrefixedEncoder::new([], written))
}

impl WriteValue for Writer {
    #[inline]
    fn write_value(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.write_body(value, out)
    }
}
