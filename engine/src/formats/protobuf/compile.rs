//! Compiles a message and the columns that are wanted to a plan: read this field into that slot, pass over all others.
//!
//! Which types a column takes follows ksqlDB, which reads PROTOBUF through Kafka Connect's data model: INT from 32-bit
//! numbers, BIGINT from all but unsigned ones that it would cut, DOUBLE from float and double, STRING from string, enum,
//! numbers and booleans, DECIMAL, DATE, TIME and TIMESTAMP from their messages and from plain numbers, and each from its
//! wrapper. A column is a field of its very name, or of one that is the column's in upper case; one that the message does not
//! have is null.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor};

use super::connect::{self, Member, Special, declared, item_type_name, members, pair, repeats, special, type_name};
use super::cursor::Wire;
use super::fields::{Fields, Place, Step};
use super::parse::name_of;
use super::read::{Reader, Source, Symbols, Target};
use super::special::Temporal;
use crate::formats::schemas::columns::Wanted;
use crate::types::{SqlType, Text, Value};

/// Compiles a message for columns.
///
/// # Errors
/// What of the message can't be read as which column.
pub(super) fn compile(message: &MessageDescriptor, wanted: &[Wanted<'_>]) -> Result<Fields, String> {
    fields(message, wanted, "")
}

/// Compiles a field for one value, whatever its name.
///
/// # Errors
/// As for [`compile`].
pub(super) fn compile_value(field: &FieldDescriptor, sql_type: &SqlType) -> Result<Reader, String> {
    item(field, sql_type, "")
}

fn fields(message: &MessageDescriptor, wanted: &[Wanted<'_>], path: &str) -> Result<Fields, String> {
    let members = members(message);
    // Where several fields are the same column's, the last one is read.
    let mut sources: Vec<Option<&Member>> = wanted.iter().map(|_| None).collect();
    for member in &members {
        let name = member.name();
        let exact = wanted.iter().position(|column| column.name == name);
        let column = exact.or_else(|| {
            let upper = name.to_uppercase();
            wanted.iter().position(|column| column.name == upper)
        });
        if let Some(source) = column.and_then(|column| sources.get_mut(column)) {
            *source = Some(member);
        }
    }
    let mut steps = Vec::new();
    let mut defaults = Vec::new();
    for (column, source) in wanted.iter().zip(sources) {
        let path = format!("{path}->{}", column.name);
        match source {
            None => {}
            Some(Member::Union(oneof)) => union(message, oneof, column, &path, &mut steps)?,
            Some(Member::Field(field)) => {
                let (place, reader, default) = place(field, column.sql_type, column.slot.unwrap_or(0), &path)?;
                if let Some(slot) = column.slot {
                    if !default.is_null() {
                        defaults.push((slot, default));
                    }
                    let place = match (place, column.carried) {
                        (Place::Slot(slot), Some(index)) if reader.carries() => Place::Carried { slot, index },
                        (place, _) => place,
                    };
                    steps.push(Step::new(field.number(), reader.wire(), place, reader));
                }
            }
        }
    }
    Ok(Fields::new(steps, defaults))
}

/// Where a field goes, how it is read, and what it is where it is absent.
fn place(field: &FieldDescriptor, target: &SqlType, slot: usize, path: &str) -> Result<(Place, Reader, Value), String> {
    if !repeats(field) {
        let reader = item(field, target, path)?;
        let default = if connect::is_optional(field) { Value::Null } else { reader.zero() };
        return Ok((Place::Slot(slot), reader, default));
    }
    match target {
        SqlType::Map(key, value) => {
            let Kind::Message(entry) = field.kind() else { return Err(mismatch(field, target, path)) };
            let Some((key_field, value_field)) = pair(&entry) else { return Err(mismatch(field, target, path)) };
            let mut steps = Vec::new();
            let mut defaults = Vec::new();
            for (slot, field, target, name) in [(0, key_field, key, "MAP_KEY"), (1, value_field, value, "MAP_VAL")] {
                let (place, reader, default) = place(&field, target, slot, &format!("{path}->{name}"))?;
                // An entry's value is never absent: Connect asks for it without looking whether it is there.
                defaults.push((slot, if default.is_null() { reader.zero() } else { default }));
                steps.push(Step::new(field.number(), reader.wire(), place, reader));
            }
            let reader = Reader::Struct { fields: Box::new(Fields::new(steps, defaults)), width: 2 };
            Ok((Place::Entries(slot), reader, Value::Map(Default::default())))
        }
        SqlType::Array(of) if connect::map_entry(field).is_none() => {
            Ok((Place::List(slot), item(field, of, &format!("{path}->ARRAY"))?, Value::array(Vec::new())))
        }
        _ => Err(mismatch(field, target, path)),
    }
}

/// The steps of a oneof whose STRUCT is wanted.
fn union(
    message: &MessageDescriptor,
    oneof: &OneofDescriptor,
    column: &Wanted<'_>,
    path: &str,
    steps: &mut Vec<Step>,
) -> Result<(), String> {
    let SqlType::Struct(wanted) = column.sql_type else {
        return Err(format!("Cannot deserialize type struct as type {} for path: {path}", connect_name(column.sql_type)));
    };
    for field in declared(message).iter().filter(|field| field.containing_oneof().as_ref() == Some(oneof)) {
        let name = name_of(field);
        let upper = name.to_uppercase();
        let index =
            wanted.iter().position(|choice| *choice.name == *name).or_else(|| wanted.iter().position(|choice| *choice.name == *upper));
        let reader = match index.and_then(|index| wanted.get(index)) {
            Some(choice) => item(field, &choice.sql_type, &format!("{path}->{}", choice.name))?,
            None => Reader::Bytes,
        };
        if let Some(slot) = column.slot {
            let place = Place::Choice { slot, index, width: wanted.len() };
            steps.push(Step::new(field.number(), wire_of(field), place, reader));
        }
    }
    Ok(())
}

fn wire_of(field: &FieldDescriptor) -> Wire {
    use prost_reflect::prost::encoding::WireType;
    match field.kind().wire_type() {
        _ if field.is_group() => Wire::StartGroup,
        WireType::Varint => Wire::Varint,
        WireType::SixtyFourBit => Wire::Fixed64,
        WireType::ThirtyTwoBit => Wire::Fixed32,
        WireType::LengthDelimited => Wire::Sized,
        WireType::StartGroup => Wire::StartGroup,
        WireType::EndGroup => Wire::EndGroup,
    }
}

/// How one value of a field is read as a type.
fn item(field: &FieldDescriptor, target: &SqlType, path: &str) -> Result<Reader, String> {
    if field.is_group() {
        return Err(format!("The field {} is a group, which has no SQL type", field.name()));
    }
    let kind = field.kind();
    let wrong = || Err(mismatch(field, target, path));
    let whole = |source: Source, is_long: bool| match target {
        SqlType::Int if !is_long => Some(Reader::Number { source, target: Target::Int }),
        SqlType::BigInt => Some(Reader::Number { source, target: Target::BigInt }),
        SqlType::String => Some(Reader::Number { source, target: Target::Text }),
        SqlType::Timestamp => Some(Reader::Number { source, target: Target::Timestamp }),
        SqlType::Date if !is_long => Some(Reader::Number { source, target: Target::Date }),
        SqlType::Time if !is_long => Some(Reader::Number { source, target: Target::Time }),
        _ => None,
    };
    let read = match (&kind, target) {
        (Kind::Int32, SqlType::Int) => Some(Reader::Int),
        (Kind::Int64 | Kind::Uint64, SqlType::BigInt) => Some(Reader::BigInt),
        (Kind::Int32, _) => whole(Source::Int32, false),
        (Kind::Sint32, _) => whole(Source::Sint32, false),
        (Kind::Sfixed32, _) => whole(Source::Sfixed32, false),
        (Kind::Int64 | Kind::Uint64, _) => whole(Source::Int64, true),
        (Kind::Uint32, _) => whole(Source::Uint32, true),
        (Kind::Sint64, _) => whole(Source::Sint64, true),
        (Kind::Fixed32, _) => whole(Source::Fixed32, true),
        (Kind::Fixed64 | Kind::Sfixed64, _) => whole(Source::Fixed64, true),
        (Kind::Float, SqlType::Double) => Some(Reader::FloatAsDouble),
        (Kind::Float, SqlType::String) => Some(Reader::FloatAsText),
        (Kind::Double, SqlType::Double) => Some(Reader::Double),
        (Kind::Double, SqlType::String) => Some(Reader::DoubleAsText),
        (Kind::Bool, SqlType::Boolean) => Some(Reader::Boolean),
        (Kind::Bool, SqlType::String) => Some(Reader::BooleanAsText),
        (Kind::String, SqlType::String) => Some(Reader::String),
        (Kind::Bytes, SqlType::Bytes) => Some(Reader::Bytes),
        (Kind::Enum(of), SqlType::String) => {
            let mut known: Vec<(i32, Text)> = of.values().map(|value| (value.number(), Text::from(value.name()))).collect();
            // Of aliases the first one is the number's name.
            known.sort_by_key(|(number, _)| *number);
            known.dedup_by_key(|(number, _)| *number);
            let is_open = of.parent_file().syntax() != prost_reflect::Syntax::Proto2;
            let unknown = is_open.then(|| format!("UNKNOWN_ENUM_VALUE_{}_", of.name()).into());
            Some(Reader::Enum(Symbols { known: known.into(), unknown }))
        }
        (Kind::Message(message), _) => return of_message(message, field, target, path),
        _ => None,
    };
    read.map_or_else(wrong, Ok)
}

fn of_message(message: &MessageDescriptor, field: &FieldDescriptor, target: &SqlType, path: &str) -> Result<Reader, String> {
    let number = |is_long: bool| match target {
        SqlType::Int if !is_long => Some(Target::Int),
        SqlType::BigInt => Some(Target::BigInt),
        SqlType::String => Some(Target::Text),
        SqlType::Date if !is_long => Some(Target::Date),
        SqlType::Time if !is_long => Some(Target::Time),
        SqlType::Timestamp => Some(Target::Timestamp),
        _ => None,
    };
    let temporal = |source: Temporal| {
        let target = number(source == Temporal::Timestamp)?;
        Some(Reader::Temporal { source, target })
    };
    let read = match (special(message), target) {
        (Some(Special::Decimal), SqlType::Decimal { precision, scale }) => Some(Reader::Decimal { precision: *precision, scale: *scale }),
        (Some(Special::Date), _) => temporal(Temporal::Date),
        (Some(Special::Time), _) => temporal(Temporal::Time),
        (Some(Special::Timestamp), _) => temporal(Temporal::Timestamp),
        (Some(Special::Wrapper(value)), _) => {
            let inner = item(&value, target, path)?;
            Some(Reader::Wrapper { zero: inner.zero(), inner: Box::new(inner) })
        }
        (None, SqlType::Struct(wanted)) => {
            let wanted: Vec<Wanted<'_>> = (0..)
                .zip(wanted.iter())
                .map(|(slot, field)| Wanted { name: &field.name, sql_type: &field.sql_type, slot: Some(slot), carried: None })
                .collect();
            Some(Reader::Struct { fields: Box::new(fields(message, &wanted, path)?), width: wanted.len() })
        }
        _ => None,
    };
    read.ok_or_else(|| mismatch(field, target, path))
}

fn mismatch(field: &FieldDescriptor, target: &SqlType, path: &str) -> String {
    // Within an array it is the items that do not fit.
    let is_item = path.ends_with("->ARRAY");
    let written = if is_item { item_type_name(&field.kind()) } else { type_name(field) };
    format!("Cannot deserialize type {written} as type {} for path: {path}", connect_name(target))
}

/// A column's type as Connect's messages name it.
fn connect_name(sql_type: &SqlType) -> &'static str {
    match sql_type {
        SqlType::Boolean => "boolean",
        SqlType::Int | SqlType::Date | SqlType::Time => "int32",
        SqlType::BigInt | SqlType::Timestamp => "int64",
        SqlType::Double => "float64",
        SqlType::Decimal { .. } | SqlType::Bytes => "bytes",
        SqlType::String => "string",
        SqlType::Array(_) => "array",
        SqlType::Map(..) => "map",
        SqlType::Struct(_) => "struct",
    }
}
