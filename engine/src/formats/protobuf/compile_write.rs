//! Compiles a message and the columns that are written to a plan. Fields are matched by name; one without a column is absent.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::connect::{self, Member, Special, declared, item_type_name, members, pair, repeats, special};
use super::cursor::write_varint;
use super::parse::name_of;
use super::read::Reader;
use super::write::{Carry, FieldWriter, Shape, SlotWriter, Writer};
use crate::formats::schemas::columns::Source;
use crate::types::SqlType;

/// How deep messages may stand in one another.
const MAX_DEPTH: usize = 100;

/// Compiles a message for columns.
///
/// # Errors
/// A column without a field, or one that can't be written as its field.
pub(super) fn compile(message: &MessageDescriptor, columns: &[Source<'_>]) -> Result<Box<[FieldWriter]>, String> {
    fields(message, columns, 0)
}

/// Compiles a field for one value, whatever its name.
///
/// # Errors
/// As for [`compile`].
pub(super) fn compile_value(field: &FieldDescriptor, sql_type: &SqlType) -> Result<Writer, String> {
    item(field, sql_type, 0)
}

fn fields(message: &MessageDescriptor, columns: &[Source<'_>], depth: usize) -> Result<Box<[FieldWriter]>, String> {
    if depth > MAX_DEPTH {
        return Err("The schema is nested too deep".to_owned());
    }
    let members = members(message);
    let mut writers: Vec<(u32, FieldWriter)> = Vec::new();
    for Source { name, sql_type, slot, carried } in columns {
        let exact = members.iter().find(|member| member.name() == *name);
        let found = exact.or_else(|| members.iter().find(|member| member.name().to_uppercase() == *name));
        writers.push(match found {
            Some(Member::Field(field)) => {
                let mut writer = slot_writer(field, sql_type, *slot, depth)?;
                writer.carried = carried.and_then(|index| carry(index, sql_type, &writer.writer));
                (field.number(), FieldWriter::Field(writer))
            }
            Some(Member::Union(oneof)) => {
                let SqlType::Struct(wanted) = sql_type else {
                    return Err(format!("Cannot write column {name} of type {sql_type} to a oneof"));
                };
                let in_oneof: Vec<FieldDescriptor> =
                    declared(message).into_iter().filter(|field| field.containing_oneof().as_ref() == Some(oneof)).collect();
                let mut choices = Vec::new();
                for (index, choice) in wanted.iter().enumerate() {
                    let field = in_oneof.iter().find(|field| name_of(field) == &*choice.name);
                    let field = field.or_else(|| in_oneof.iter().find(|field| name_of(field).to_uppercase() == *choice.name));
                    let field = field.ok_or_else(|| missing(&choice.name))?;
                    choices.push(slot_writer(field, &choice.sql_type, index, depth)?);
                }
                let first = in_oneof.iter().map(FieldDescriptor::number).min().unwrap_or_default();
                (first, FieldWriter::Choice { slot: *slot, choices: choices.into() })
            }
            None => return Err(missing(name)),
        });
    }
    writers.sort_by_key(|(number, _)| *number);
    Ok(writers.into_iter().map(|(_, writer)| writer).collect())
}

fn missing(name: &str) -> String {
    format!("Schema from Schema Registry misses column with name: {name}")
}

fn slot_writer(field: &FieldDescriptor, sql_type: &SqlType, slot: usize, depth: usize) -> Result<SlotWriter, String> {
    let (shape, writer) = match sql_type {
        SqlType::Map(key, value) if repeats(field) => {
            let Kind::Message(entry) = field.kind() else { return Err(mismatch(field, sql_type)) };
            let Some((key_field, value_field)) = pair(&entry) else { return Err(mismatch(field, sql_type)) };
            let key = match key_field.kind() {
                Kind::String | Kind::Message(_) => slot_writer(&key_field, key, 0, depth + 1)?,
                other => {
                    let whole = if matches!(other, Kind::Bool) { SqlType::Boolean } else { SqlType::BigInt };
                    // A 32-bit key takes its number from a BIGINT that fits.
                    let inner = item(&key_field, &whole, depth + 1).or_else(|_| item(&key_field, &SqlType::Int, depth + 1))?;
                    let tag = tag(&key_field, inner.wire_bits());
                    SlotWriter { slot: 0, tag, shape: Shape::Present, writer: Writer::Spelled(Box::new(inner)), carried: None }
                }
            };
            let value = slot_writer(&value_field, value, 1, depth + 1)?;
            (Shape::Entries, Writer::Entry(Box::new(key), Box::new(value)))
        }
        SqlType::Array(of) if repeats(field) => {
            let writer = item(field, of, depth)?;
            (if connect::is_packed(field) { Shape::Packed } else { Shape::Repeated }, writer)
        }
        _ if repeats(field) => return Err(mismatch(field, sql_type)),
        _ => {
            let shape = if connect::is_optional(field) || field.is_required() { Shape::Present } else { Shape::Implicit };
            (shape, item(field, sql_type, depth)?)
        }
    };
    let tag = tag(field, if shape == Shape::Packed { 2 } else { writer.wire_bits() });
    Ok(SlotWriter { slot, tag, shape, writer, carried: None })
}

fn tag(field: &FieldDescriptor, wire_bits: u32) -> Box<[u8]> {
    let mut tag = Vec::new();
    write_varint(u64::from(field.number() << 3 | wire_bits), &mut tag);
    tag.into()
}

/// What is done with a value that may be carried; `None`: no value of its type is.
fn carry(index: usize, sql_type: &SqlType, writer: &Writer) -> Option<Carry> {
    let (reader, is_same) = match sql_type {
        // Numbers of 32 bits are written as if they had 64.
        SqlType::Int => (Reader::Int, matches!(writer, Writer::Int32 | Writer::Int64 | Writer::Uint64)),
        SqlType::BigInt => (Reader::BigInt, matches!(writer, Writer::Int64 | Writer::Uint64)),
        SqlType::Double => (Reader::Double, matches!(writer, Writer::Double)),
        SqlType::Boolean => (Reader::Boolean, matches!(writer, Writer::Bool)),
        SqlType::String => (Reader::String, matches!(writer, Writer::String)),
        SqlType::Bytes => (Reader::Bytes, matches!(writer, Writer::Bytes)),
        _ => return None,
    };
    Some(if is_same { Carry::Copy(index) } else { Carry::Again(index, reader) })
}

fn item(field: &FieldDescriptor, sql_type: &SqlType, depth: usize) -> Result<Writer, String> {
    if field.is_group() || depth > MAX_DEPTH {
        return Err(mismatch(field, sql_type));
    }
    let kind = field.kind();
    Ok(match (&kind, sql_type) {
        (Kind::Bool, SqlType::Boolean) => Writer::Bool,
        (Kind::Int32, SqlType::Int) => Writer::Int32,
        (Kind::Sint32, SqlType::Int) => Writer::Sint32,
        (Kind::Sfixed32, SqlType::Int) => Writer::Sfixed32,
        (Kind::Int64, SqlType::BigInt | SqlType::Int) => Writer::Int64,
        (Kind::Uint64, SqlType::BigInt | SqlType::Int) => Writer::Uint64,
        (Kind::Sint64, SqlType::BigInt | SqlType::Int) => Writer::Sint64,
        (Kind::Fixed64, SqlType::BigInt | SqlType::Int) => Writer::Fixed64,
        (Kind::Sfixed64, SqlType::BigInt | SqlType::Int) => Writer::Sfixed64,
        (Kind::Uint32, SqlType::BigInt | SqlType::Int) => Writer::Uint32,
        (Kind::Fixed32, SqlType::BigInt | SqlType::Int) => Writer::Fixed32,
        (Kind::Float, SqlType::Double) => Writer::Float,
        (Kind::Double, SqlType::Double) => Writer::Double,
        (Kind::String, SqlType::String) => Writer::String,
        (Kind::Bytes, SqlType::Bytes) => Writer::Bytes,
        (Kind::Enum(of), SqlType::String) => Writer::Enum(of.values().map(|value| (value.name().into(), value.number())).collect()),
        (Kind::Message(message), _) => match (special(message), sql_type) {
            (Some(Special::Decimal), SqlType::Decimal { .. }) => Writer::Decimal,
            (Some(Special::Date), SqlType::Date) => Writer::Date,
            (Some(Special::Time), SqlType::Time) => Writer::Time,
            (Some(Special::Timestamp), SqlType::Timestamp) => Writer::Timestamp,
            (Some(Special::Wrapper(value)), _) => Writer::Wrapper(Box::new(item(&value, sql_type, depth + 1)?)),
            (None, SqlType::Struct(of)) => {
                let columns = of.iter().zip(0..);
                let columns = columns.map(|(field, slot)| Source { name: &field.name, sql_type: &field.sql_type, slot, carried: None });
                let columns: Vec<Source<'_>> = columns.collect();
                Writer::Message(fields(message, &columns, depth + 1)?)
            }
            _ => return Err(mismatch(field, sql_type)),
        },
        _ => return Err(mismatch(field, sql_type)),
    })
}

fn mismatch(field: &FieldDescriptor, sql_type: &SqlType) -> String {
    let of = if repeats(field) { "repeated " } else { "" };
    format!("Cannot write type {sql_type} to the field {} of type {of}{}", name_of(field), item_type_name(&field.kind()))
}
