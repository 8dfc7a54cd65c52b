//! The encoders: the frame is the same before every payload.

use super::compile_write::{Column, compile, compile_value};
use super::parse::{message, parse};
use super::write::{FieldWriter, Writer, write_row};
use super::{bare, frame, message_name};
use crate::formats::{Carried, EncodeError, Encoder, Layout};
use crate::types::Value;

/// A message behind a frame, or bare.
pub(super) struct ProtobufEncoder {
    prefix: Box<[u8]>,
    shape: Shape,
}

enum Shape {
    Row(Box<[FieldWriter]>),
    Single { slot: usize, writer: Writer },
}

impl ProtobufEncoder {
    pub fn framed(layout: &Layout) -> Result<Self, String> {
        let schemas = layout.schemas.as_ref().ok_or("PROTOBUF needs a schema registry")?;
        let (id, schema) = schemas.write_schema()?;
        let parsed = parse(schema)?;
        let chosen = message_name(schemas.spec.full_name.as_deref()).and_then(|name| message(&parsed, Some(name)));
        let message = chosen.or_else(|| message(&parsed, None)).ok_or("The schema has no message")?;
        let shape = Shape::Row(compile(&message, &columns(layout)?)?);
        Ok(ProtobufEncoder { prefix: frame::prefix(id, &message).into(), shape })
    }

    pub fn bare(layout: &Layout) -> Result<Self, String> {
        let shape = match bare::shape(layout)? {
            bare::Shape::Row(message) => Shape::Row(compile(&message, &columns(layout)?)?),
            bare::Shape::Single { field, sql_type, slot } => {
                Shape::Single { slot: slot.ok_or("a column to write has no slot")?, writer: compile_value(&field, &sql_type)? }
            }
        };
        Ok(ProtobufEncoder { prefix: Box::default(), shape })
    }
}

fn columns(layout: &Layout) -> Result<Vec<Column<'_>>, String> {
    let columns: Option<Vec<Column<'_>>> =
        layout.fields.iter().map(|field| Some((&*field.column.name, &field.column.sql_type, field.slot?, field.carried))).collect();
    columns.ok_or_else(|| "a column to write has no slot".to_owned())
}

impl Encoder for ProtobufEncoder {
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        self.encode_carrying(row, &Carried::default(), out)
    }

    fn encode_carrying(&mut self, row: &[Value], carried: &Carried, out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        match &self.shape {
            Shape::Row(fields) => {
                out.extend_from_slice(&self.prefix);
                write_row(fields, row, carried, out)?;
            }
            Shape::Single { slot, writer } => {
                let value = row.get(*slot).unwrap_or(&Value::Null);
                if value.is_null() {
                    return Ok(false);
                }
                out.extend_from_slice(&self.prefix);
                writer.write_body(value, out)?;
            }
        }
        Ok(true)
    }
}
