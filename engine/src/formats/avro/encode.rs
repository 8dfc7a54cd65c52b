//! The encoder: the schema is registered once, its id is the prefix of every payload.

use super::write::{FieldWriter, Writer, compile_row, compile_value, write_fields};
use crate::formats::{EncodeError, Encoder, Layout};
use crate::types::{Column, SqlType, Value};

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
        let (schema, others) = super::parse(schema)?;
        let columns = layout.fields.iter().map(|field| field.slot.map(|slot| (&field.column, slot)));
        let columns: Vec<(&Column, usize)> = columns.collect::<Option<_>>().ok_or("a column to write has no slot")?;
        let [a, b, c, d] = id.0.to_be_bytes();
        Ok(AvroEncoder {
            prefix: [0, a, b, c, d],
            shape: match (super::only_column(layout), columns.as_slice()) {
                (Some(sql_type), [(_, slot)]) => single(&schema, &others, sql_type, *slot)?,
                _ => Shape::Row(compile_row(&schema, &others, &columns)?),
            },
        })
    }
}

fn single(schema: &apache_avro::Schema, others: &[apache_avro::Schema], sql_type: &SqlType, slot: usize) -> Result<Shape, String> {
    Ok(Shape::Single { slot, writer: compile_value(schema, others, sql_type)? })
}

impl Encoder for AvroEncoder {
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        match &self.shape {
            Shape::Row(fields) => {
                out.extend_from_slice(&self.prefix);
                write_fields(fields, row, out)?;
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
