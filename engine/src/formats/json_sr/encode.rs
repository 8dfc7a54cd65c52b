//! The encoder: the prefix with the id of the registered schema, then JSON.

use super::connect::{Kind, of_schema};
use super::write::{Member, Slot, chosen_members, quoted};
use crate::formats::{Carried, EncodeError, Encoder, Layout};
use crate::types::Value;

pub(super) struct JsonSchemaEncoder {
    prefix: [u8; super::PREFIX_BYTES],
    shape: Shape,
}

enum Shape {
    /// An object; the members' indexes are slots of the row.
    Row(Box<[Member]>),
    Single {
        slot: usize,
        value: Slot,
    },
}

impl JsonSchemaEncoder {
    pub fn new(layout: &Layout) -> Result<Self, String> {
        let schemas = layout.schemas.as_ref().ok_or("JSON_SR needs a schema registry")?;
        let (id, schema) = schemas.write_schema()?;
        let slots: Vec<usize> =
            layout.fields.iter().map(|field| field.slot).collect::<Option<_>>().ok_or("a column to write has no slot")?;
        // A schema of ours needs no reading.
        let chosen = if schemas.spec.chosen.is_some() { Some(of_schema(schema)?) } else { None };
        let shape = match (super::only_column(layout), slots.as_slice(), chosen) {
            (Some(sql_type), [slot], None) => Shape::Single { slot: *slot, value: Slot::own(sql_type) },
            (Some(sql_type), [slot], Some(chosen)) => Shape::Single { slot: *slot, value: Slot::chosen(sql_type, &chosen)? },
            (_, _, None) => {
                let members = layout.fields.iter().zip(&slots).map(|(field, slot)| Member {
                    name: quoted(&field.column.name),
                    index: Some(*slot),
                    slot: Slot::own(&field.column.sql_type),
                    carried: field.carried,
                });
                Shape::Row(members.collect())
            }
            (_, _, Some(chosen)) => {
                let Kind::Struct(members) = &chosen.kind else {
                    return Err(format!("the schema with id {id} is of a single value ({}), not of a row", chosen.kind.name()));
                };
                let given = layout.fields.iter().zip(&slots);
                let given: Vec<_> =
                    given.map(|(field, slot)| (&*field.column.name, &field.column.sql_type, *slot, field.carried)).collect();
                Shape::Row(chosen_members(members, &given)?)
            }
        };
        let [a, b, c, d] = id.0.to_be_bytes();
        Ok(JsonSchemaEncoder { prefix: [0, a, b, c, d], shape })
    }
}

impl Encoder for JsonSchemaEncoder {
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        self.encode_carrying(row, &Carried::default(), out)
    }

    fn encode_carrying(&mut self, row: &[Value], carried: &Carried, out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        match &self.shape {
            Shape::Single { slot, value } => {
                let single = row.get(*slot).unwrap_or(&Value::Null);
                if single.is_null() {
                    return Ok(false);
                }
                out.extend_from_slice(&self.prefix);
                value.write(single, out)?;
            }
            Shape::Row(members) => {
                out.extend_from_slice(&self.prefix);
                out.push(b'{');
                let mut position = 0;
                for member in members {
                    if let Some(bytes) = member.carried.and_then(|index| carried.get(index)) {
                        member.begin(&mut position, out);
                        out.extend_from_slice(bytes);
                    } else {
                        let value = member.index.map(|slot| row.get(slot).unwrap_or(&Value::Null));
                        member.write(value, &mut position, out)?;
                    }
                }
                out.push(b'}');
            }
        }
        Ok(true)
    }
}
