//! The encoder: the schema is registered once, its id is the prefix of every payload.

use super::write::{FieldWriter, Writer, write_fields};
use super::write_plan::{Source, compile_row, compile_value};
use crate::formats::{Carried, EncodeError, Encoder, Field, Layout};
use crate::types::Value;

pub(super) struct AvroEncoder {
    prefix: [u8; 5],
    shape: Shape,
}

enum Shape {
    Row(Box<[FieldWriter]>),
    Single { slot: usize, writer: Writer },
}

impl AvroEncoder {
    pub fn new(layout: &Layout) -> Result<Self, String> {
        let schemas = layout.schemas.as_ref().ok_or("AVRO needs a schema registry")?;
        let (id, schema) = schemas.write_schema()?;
        let (schema, others) = super::parse::parse(schema)?;
        let sources = layout.fields.iter().map(|Field { column, slot, carried }| {
            slot.map(|slot| Source { name: &column.name, sql_type: &column.sql_type, slot, carried: *carried })
        });
        let sources: Option<Vec<Source<'_>>> = sources.collect();
        let sources = sources.ok_or("a column to write has no slot")?;
        let [a, b, c, d] = id.0.to_be_bytes();
        Ok(AvroEncoder {
            prefix: [0, a, b, c, d],
            shape: match (super::only_column(layout), sources.as_slice()) {
                (Some(sql_type), [only]) => Shape::Single { slot: only.slot, writer: compile_value(&schema, &others, sql_type)? },
                _ => Shape::Row(compile_row(&schema, &others, &sources)?),
            },
        })
    }
}

impl Encoder for AvroEncoder {
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        self.encode_carrying(row, &Carried::default(), out)
    }

    fn encode_carrying(&mut self, row: &[Value], carried: &Carried, out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        match &self.shape {
            Shape::Row(fields) => {
                out.extend_from_slice(&self.prefix);
                write_fields(fields, row, carried, out)?;
            }
            Shape::Single { slot, writer } => {
                let value = row.get(*slot).unwrap_or(&Value::Null);
                if value.is_null() {
                    return Ok(false);
                }
                out.extend_from_slice(&self.prefix);
                writer.write(value, out)?;
            }
        }
        Ok(true)
    }
}
