//! The encoder: the prefix with the id of the registered schema, then JSON.

use super::connect::{Kind, of_schema};
use super::write::{Member, Slot, chosen_members, quoted};
use crate::formats::schemas::columns::{only_column, sources};
use crate::formats::schemas::encoder::{PrefixedEncoder, WriteFields, WriteValue, Written};
use crate::formats::schemas::frame::header;
use crate::formats::{Carried, EncodeError, Layout};
use crate::types::Value;

/// An object, whose members' indexes are slots of the row, or a single value.
pub(super) type JsonSchemaEncoder = PrefixedEncoder<Member, Slot>;

/// # Errors
/// No schema is registered, or one that the columns can't be written by.
pub(super) fn encoder(layout: &Layout) -> Result<JsonSchemaEncoder, String> {
    let schemas = layout.schemas.as_ref().ok_or("JSON_SR needs a schema registry")?;
    let (id, schema) = schemas.write_schema()?;
    let sources = sources(&layout.fields)?;
    // A schema of ours needs no reading.
    let chosen = if schemas.spec.chosen.is_some() { Some(of_schema(schema)?) } else { None };
    let written = match (only_column(layout), sources.as_slice(), chosen) {
        (Some(sql_type), [only], None) => Written::Single { slot: only.slot, writer: Slot::own(sql_type) },
        (Some(sql_type), [only], Some(chosen)) => Written::Single { slot: only.slot, writer: Slot::chosen(sql_type, &chosen)? },
        (_, _, None) => {
            let members = sources.iter().map(|column| Member {
                name: quoted(column.name),
                index: Some(column.slot),
                slot: Slot::own(column.sql_type),
                carried: column.carried,
            });
            Written::Row(members.collect())
        }
        (_, _, Some(chosen)) => {
            let Kind::Struct(members) = &chosen.kind else {
                return Err(format!("the schema with id {id} is of a single value ({}), not of a row", chosen.kind.name()));
            };
            Written::Row(chosen_members(members, &sources)?)
        }
    };
    Ok(PrefixedEncoder::new(header(id), written))
}

impl WriteFields for Member {
    fn write_fields(fields: &[Self], row: &[Value], carried: &Carried, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.push(b'{');
        let mut position = 0;
        for member in fields {
            if let Some(bytes) = member.carried.and_then(|index| carried.get(index)) {
                member.begin(&mut position, out);
                out.extend_from_slice(bytes);
            } else {
                let value = member.index.map(|slot| row.get(slot).unwrap_or(&Value::Null));
                member.write(value, &mut position, out)?;
            }
        }
        out.push(b'}');
        Ok(())
    }
}

impl WriteValue for Slot {
    fn write_value(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.write(value, out)
    }
}
