//! Values to JSON under a schema: the one that ksqlDB gives columns, or one that a statement chose by its id.

use super::connect::{Connect, Kind};
use crate::formats::schemas::columns::Source;
use crate::formats::{EncodeError, write_json, write_json_string};
use crate::types::{SqlType, Value};

/// Writes values of one type. What a column's schema is was decided when this was made.
pub(super) enum Writer {
    /// As plain JSON has it.
    Plain(SqlType),
    /// A MAP as an array of its entries.
    Entries(Box<Slot>),
    /// A MAP as an object.
    Object(Box<Slot>),
    Array(Box<Slot>),
    Struct(Box<[Member]>),
}

/// A writer and what becomes of a null there.
pub(super) struct Slot {
    pub writer: Writer,
    pub null: Null,
}

/// What is written in place of a null.
pub(super) enum Null {
    Written,
    /// The default that the schema names, as JSON.
    Default(Box<str>),
    /// The schema takes none: the name of its type.
    Refused(&'static str),
}

/// A member of an object.
pub(super) struct Member {
    /// Its name and a colon.
    pub name: Box<[u8]>,
    /// The field of the STRUCT, or the slot of the row. `None`: the schema has it and nobody gives it; `slot` says what is
    /// written.
    pub index: Option<usize>,
    pub slot: Slot,
    pub carried: Option<usize>,
}

impl Slot {
    /// For a type as ksqlDB registers it.
    pub fn own(sql_type: &SqlType) -> Self {
        let writer = match sql_type {
            _ if !has_map(sql_type) => Writer::Plain(sql_type.clone()),
            SqlType::Map(_, value) => Writer::Entries(Box::new(Slot::own(value))),
            SqlType::Array(item) => Writer::Array(Box::new(Slot::own(item))),
            SqlType::Struct(fields) => Writer::Struct(
                fields
                    .iter()
                    .enumerate()
                    .map(|(index, field)| Member {
                        name: quoted(&field.name),
                        index: Some(index),
                        slot: Slot::own(&field.sql_type),
                        carried: None,
                    })
                    .collect(),
            ),
            other => Writer::Plain(other.clone()),
        };
        Slot { writer, null: Null::Written }
    }

    /// For a type that is written under a schema of somebody else's.
    ///
    /// # Errors
    /// The schema holds no such values: a sentence for the user.
    pub fn chosen(sql_type: &SqlType, connect: &Connect) -> Result<Self, String> {
        let writer = match (sql_type, &connect.kind) {
            (SqlType::Map(_, value), Kind::Map { value: connect, as_entries, .. }) => {
                let value = Box::new(Slot::chosen(value, connect)?);
                if *as_entries { Writer::Entries(value) } else { Writer::Object(value) }
            }
            (SqlType::Array(item), Kind::Array(connect)) => Writer::Array(Box::new(Slot::chosen(item, connect)?)),
            (SqlType::Struct(fields), Kind::Struct(members)) => {
                let given = fields.iter().zip(0..);
                let given = given.map(|(field, slot)| Source { name: &field.name, sql_type: &field.sql_type, slot, carried: None });
                Writer::Struct(chosen_members(members, &given.collect::<Vec<_>>())?)
            }
            (SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_), kind)
            | (_, kind @ (Kind::Array(_) | Kind::Map { .. } | Kind::Struct(_))) => {
                return Err(format!("a value of type {sql_type} can't be written as the schema's {}", kind.name()));
            }
            _ => Writer::Plain(sql_type.clone()),
        };
        Ok(Slot { writer, null: null_of(connect) })
    }

    pub fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if value.is_null() {
            return self.write_null(out);
        }
        match (&self.writer, value) {
            (Writer::Plain(sql_type), value) => write_json(value, sql_type, out),
            (Writer::Array(item), Value::Array(items)) => {
                out.push(b'[');
                for (position, value) in items.iter().enumerate() {
                    separate(position, out);
                    item.write(value, out)?;
                }
                out.push(b']');
                Ok(())
            }
            (Writer::Entries(slot), Value::Map(entries)) => {
                out.push(b'[');
                for (position, (key, value)) in entries.iter().enumerate() {
                    separate(position, out);
                    out.extend_from_slice(b"{\"key\":");
                    write_json(key, &SqlType::String, out)?;
                    out.extend_from_slice(b",\"value\":");
                    slot.write(value, out)?;
                    out.push(b'}');
                }
                out.push(b']');
                Ok(())
            }
            (Writer::Object(slot), Value::Map(entries)) => {
                out.push(b'{');
                for (position, (key, value)) in entries.iter().enumerate() {
                    let Value::String(key) = key else { return Err(EncodeError::new("a map's null key can't be written as a name")) };
                    separate(position, out);
                    write_json_string(key, out);
                    out.push(b':');
                    slot.write(value, out)?;
                }
                out.push(b'}');
                Ok(())
            }
            (Writer::Struct(members), Value::Struct(fields)) => {
                out.push(b'{');
                let mut position = 0;
                for member in members {
                    let value = member.index.map(|index| fields.get(index).unwrap_or(&Value::Null));
                    member.write(value, &mut position, out)?;
                }
                out.push(b'}');
                Ok(())
            }
            _ => Err(EncodeError::new("a value is not of its column's type")),
        }
    }

    fn write_null(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match &self.null {
            Null::Written => out.extend_from_slice(b"null"),
            Null::Default(json) => out.extend_from_slice(json.as_bytes()),
            Null::Refused(name) => {
                return Err(EncodeError::new(format!("Invalid value: null used for required field, schema type: {name}")));
            }
        }
        Ok(())
    }
}

impl Member {
    /// Writes the member behind `position` others; `None`: nobody gives it a value.
    pub fn write(&self, value: Option<&Value>, position: &mut usize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if value.is_none() && matches!(self.slot.null, Null::Refused(_)) {
            // Left out, as Connect's converter does it.
            return Ok(());
        }
        self.begin(position, out);
        self.slot.write(value.unwrap_or(&Value::Null), out).map_err(|error| match self.slot.null {
            Null::Refused(_) if value.is_some_and(Value::is_null) => {
                EncodeError::new(format!("{error} (field {})", String::from_utf8_lossy(&self.name).trim_end_matches(':')))
            }
            _ => error,
        })
    }

    /// Writes what stands before the value.
    pub fn begin(&self, position: &mut usize, out: &mut Vec<u8>) {
        separate(*position, out);
        *position += 1;
        out.extend_from_slice(&self.name);
    }
}

/// The members of a schema, each with the value that has its name.
///
/// # Errors
/// A value has no member, or is of another type.
pub(super) fn chosen_members(members: &[(String, Connect)], given: &[Source<'_>]) -> Result<Box<[Member]>, String> {
    let takes = |member: &str, name: &str| member == name || member.to_uppercase() == name;
    if let Some(missed) = given.iter().find(|source| !members.iter().any(|(member, _)| takes(member, source.name))) {
        return Err(format!("Schema from Schema Registry misses field with name: {}", missed.name));
    }
    let member = |(name, connect): &(String, Connect)| {
        let exact = given.iter().find(|source| source.name == name);
        Ok(match exact.or_else(|| given.iter().find(|source| takes(name, source.name))) {
            Some(Source { sql_type, slot, carried, .. }) => {
                Member { name: quoted(name), index: Some(*slot), slot: Slot::chosen(sql_type, connect)?, carried: *carried }
            }
            None => Member {
                name: quoted(name),
                index: None,
                slot: Slot { writer: Writer::Plain(SqlType::String), null: null_of(connect) },
                carried: None,
            },
        })
    };
    members.iter().map(member).collect()
}

fn null_of(connect: &Connect) -> Null {
    match &connect.default {
        Some(default) => Null::Default(default.to_string().into()),
        None if connect.is_optional => Null::Written,
        None => Null::Refused(connect.kind.name()),
    }
}

fn has_map(sql_type: &SqlType) -> bool {
    match sql_type {
        SqlType::Map(..) => true,
        SqlType::Array(item) => has_map(item),
        SqlType::Struct(fields) => fields.iter().any(|field| has_map(&field.sql_type)),
        _ => false,
    }
}

pub(super) fn quoted(name: &str) -> Box<[u8]> {
    let mut text = Vec::new();
    write_json_string(name, &mut text);
    text.push(b':');
    text.into()
}

fn separate(position: usize, out: &mut Vec<u8>) {
    if position > 0 {
        out.push(b',');
    }
}
