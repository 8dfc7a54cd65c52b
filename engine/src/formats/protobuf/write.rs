//! Writing messages: what a descriptor and the columns were compiled to (see [`super::compile_write`]), and its run over a row.
//!
//! As Google's writers have it: fields in the order of their numbers, repeated numbers packed, and neither nulls nor zeros that
//! nobody could tell from them.

use bigdecimal::ToPrimitive;

use super::cursor::{Cursor, write_sized, write_varint, write_within, zigzag32};
use super::read::{Budget, Reader};
use super::special::NANOS_PER_MS;
use crate::formats::carried::Copying;
use crate::formats::schemas::encoder::WriteFields;
use crate::formats::unscaled::Unscaled;
use crate::formats::varint::zigzag;
use crate::formats::{Carried, EncodeError};
use crate::types::Value;
use crate::types::text::civil_from_days;

/// Milliseconds.
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

pub(super) type Write = Result<(), EncodeError>;

/// A field, or all of a oneof's.
#[derive(Debug)]
pub(super) enum FieldWriter {
    Field(SlotWriter),
    /// The first choice of the STRUCT in `slot` that is not null.
    Choice {
        slot: usize,
        choices: Box<[SlotWriter]>,
    },
}

#[derive(Debug)]
pub(super) struct SlotWriter {
    /// Of the row, or of the struct.
    pub slot: usize,
    /// As it is written.
    pub tag: Box<[u8]>,
    pub shape: Shape,
    pub writer: Writer,
    /// Where its value may be carried.
    pub carried: Option<Carry>,
}

/// What is done with a value that is carried under this number.
#[derive(Debug)]
pub(super) enum Carry {
    /// It is copied behind the tag.
    Copy(usize),
    /// The schema has another type here: it is read and written.
    Again(usize, Reader),
}

/// How many values a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One that is told from an absent one.
    Present,
    /// One that is left out where it is zero.
    Implicit,
    Repeated,
    Packed,
    /// The writer takes a key and a value.
    Entries,
}

/// How one value is written.
#[derive(Debug)]
pub(super) enum Writer {
    Bool,
    /// INT or BIGINT; all that are no 64 bits check their range.
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Sfixed32,
    Fixed64,
    Sfixed64,
    Float,
    Double,
    String,
    Bytes,
    /// Symbols and their numbers.
    Enum(Box<[(Box<str>, i32)]>),
    Decimal,
    Date,
    Time,
    Timestamp,
    /// A message whose only field it is.
    Wrapper(Box<Writer>),
    Message(Box<[FieldWriter]>),
    /// A text that spells what the inner one writes: the key of a map whose keys are no texts in the schema.
    Spelled(Box<Writer>),
    /// A map's entry.
    Entry(Box<SlotWriter>, Box<SlotWriter>),
}

impl WriteFields for FieldWriter {
    #[inline]
    fn write_fields(fields: &[Self], slots: &[Value], carried: &Carried, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut copying = Copying::new(carried);
        for field in fields {
            if let FieldWriter::Field(SlotWriter { tag, carried: Some(Carry::Copy(index)), .. }) = field
                && copying.value(*index, tag, out)
            {
                continue;
            }
            copying.finish(out);
            if let FieldWriter::Field(field) = field
                && let Some(Carry::Again(index, reader)) = &field.carried
                && let Some(bytes) = carried.get(*index)
            {
                let value =
                    reader.read(&mut Cursor::new(bytes), &mut Budget::new()).map_err(|error| EncodeError::new(error.to_string()))?;
                field.write(&value, out)?;
            } else {
                field.write(slots, out)?;
            }
        }
        copying.finish(out);
        Ok(())
    }
}

impl FieldWriter {
    /// Writes the field of a row or of a struct.
    #[inline]
    fn write(&self, slots: &[Value], out: &mut Vec<u8>) -> Write {
        match self {
            FieldWriter::Field(field) => field.write(slots.get(field.slot).unwrap_or(&Value::Null), out),
            FieldWriter::Choice { slot, choices } => {
                let Some(Value::Struct(values)) = slots.get(*slot) else { return Ok(()) };
                let set = choices.iter().find_map(|choice| Some((choice, values.get(choice.slot).filter(|value| !value.is_null())?)));
                set.map_or(Ok(()), |(choice, value)| choice.write(value, out))
            }
        }
    }
}

impl SlotWriter {
    #[inline]
    fn begin(&self, out: &mut Vec<u8>) {
        match *self.tag {
            [byte] => out.push(byte),
            ref bytes => out.extend_from_slice(bytes),
        }
    }

    /// Writes a value behind its tag, or nothing.
    pub fn write(&self, value: &Value, out: &mut Vec<u8>) -> Write {
        if value.is_null() {
            return Ok(());
        }
        match self.shape {
            Shape::Implicit if is_zero(value, &self.writer) => Ok(()),
            Shape::Present | Shape::Implicit => {
                self.begin(out);
                self.writer.write(value, out)
            }
            Shape::Repeated => items(value)?.iter().try_for_each(|item| {
                self.begin(out);
                self.writer.write(item, out)
            }),
            Shape::Packed => {
                let items = items(value)?;
                if items.is_empty() {
                    return Ok(());
                }
                self.begin(out);
                write_within(out, |out| items.iter().try_for_each(|item| self.writer.write(item, out)))
            }
            Shape::Entries => {
                let (Value::Map(entries), Writer::Entry(key, value)) = (value, &self.writer) else { return Err(wrong_type()) };
                entries.iter().try_for_each(|(entry_key, entry_value)| {
                    self.begin(out);
                    write_within(out, |out| {
                        key.write(entry_key, out)?;
                        value.write(entry_value, out)
                    })
                })
            }
        }
    }
}

fn items(value: &Value) -> Result<&[Value], EncodeError> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(wrong_type()),
    }
}

/// Whether a value is what its field is where it is absent.
fn is_zero(value: &Value, writer: &Writer) -> bool {
    match value {
        Value::Boolean(value) => !value,
        Value::Int(value) => *value == 0,
        Value::BigInt(value) => *value == 0,
        Value::Double(value) if matches!(writer, Writer::Float) => (*value as f32).to_bits() == 0,
        Value::Double(value) => value.to_bits() == 0,
        Value::String(text) => match writer {
            Writer::Enum(symbols) => symbols.iter().any(|(symbol, number)| *number == 0 && **symbol == **text),
            _ => text.is_empty(),
        },
        Value::Bytes(bytes) => bytes.is_empty(),
        _ => false,
    }
}

#[cold]
fn wrong_type() -> EncodeError {
    EncodeError::new("a value is not of its column's type")
}

#[cold]
fn out_of_range(value: &Value, kind: &str) -> EncodeError {
    EncodeError::new(match value {
        Value::Int(n) => format!("{n} is out of the range of {kind}"),
        Value::BigInt(n) => format!("{n} is out of the range of {kind}"),
        _ => format!("a value is out of the range of {kind}"),
    })
}

/// What a text spells, for a writer of booleans or whole numbers.
fn spelled(text: &str, writer: &Writer) -> Result<Value, EncodeError> {
    let value = match writer {
        Writer::Bool => text.parse().ok().map(Value::Boolean),
        _ => text.parse().ok().map(Value::BigInt),
    };
    value.ok_or_else(|| EncodeError::new("a map's key is not of the type that the schema's keys have"))
}

/// The whole number of a value.
#[inline]
fn whole(value: &Value) -> Result<i64, EncodeError> {
    match value {
        Value::Int(n) => Ok(i64::from(*n)),
        Value::BigInt(n) => Ok(*n),
        Value::Null => Err(null_item()),
        _ => Err(wrong_type()),
    }
}

#[cold]
fn null_item() -> EncodeError {
    EncodeError::new("PROTOBUF can't hold a null within an array")
}

impl Writer {
    /// Writes a value without its tag.
    pub fn write(&self, value: &Value, out: &mut Vec<u8>) -> Write {
        let small = |kind: &'static str| i32::try_from(whole(value)?).map_err(|_| out_of_range(value, kind));
        let unsigned = |kind: &'static str| u32::try_from(whole(value)?).map_err(|_| out_of_range(value, kind));
        match (self, value) {
            (Writer::String, Value::String(text)) => write_sized(text.as_bytes(), out),
            // Negative numbers take ten bytes, those of 32 bits too.
            (Writer::Int64 | Writer::Uint64, _) => write_varint(whole(value)? as u64, out),
            (Writer::Int32, _) => write_varint(i64::from(small("int32")?) as u64, out),
            (Writer::Double, Value::Double(number)) => out.extend_from_slice(&number.to_le_bytes()),
            (Writer::Bool, Value::Boolean(value)) => out.push(u8::from(*value)),
            (Writer::Uint32, _) => write_varint(u64::from(unsigned("uint32")?), out),
            (Writer::Sint32, _) => write_varint(u64::from(zigzag32(small("sint32")?)), out),
            (Writer::Sint64, _) => write_varint(zigzag(whole(value)?), out),
            (Writer::Fixed32, _) => out.extend_from_slice(&unsigned("fixed32")?.to_le_bytes()),
            (Writer::Sfixed32, _) => out.extend_from_slice(&small("sfixed32")?.to_le_bytes()),
            (Writer::Fixed64 | Writer::Sfixed64, _) => out.extend_from_slice(&whole(value)?.to_le_bytes()),
            (Writer::Float, Value::Double(number)) => out.extend_from_slice(&(*number as f32).to_le_bytes()),
            (Writer::Bytes, Value::Bytes(bytes)) => write_sized(bytes, out),
            (Writer::Enum(symbols), Value::String(text)) => {
                let found = symbols.iter().find(|(symbol, _)| **symbol == **text);
                let (_, number) = found.ok_or_else(|| EncodeError::new("a text is no symbol of the schema's enum"))?;
                write_varint(i64::from(*number) as u64, out);
            }
            (Writer::Spelled(inner), Value::String(text)) => inner.write(&spelled(text, inner)?, out)?,
            (_, Value::Null) => return Err(null_item()),
            _ => return write_within(out, |out| self.write_body(value, out)),
        }
        Ok(())
    }

    /// Writes the content of a message.
    pub fn write_body(&self, value: &Value, out: &mut Vec<u8>) -> Write {
        match (self, value) {
            (Writer::Message(fields), Value::Struct(values)) => fields.iter().try_for_each(|field| field.write(values, out))?,
            (Writer::Wrapper(inner), _) => {
                if !is_zero(value, inner) {
                    write_varint(u64::from(1 << 3 | inner.wire_bits()), out);
                    inner.write(value, out)?;
                }
            }
            (Writer::Decimal, Value::Decimal(number)) => {
                let (unscaled, scale) = number.as_bigint_and_scale();
                write_varint(1 << 3 | 2, out);
                let digits = match unscaled.to_i128() {
                    Some(small) => {
                        write_sized(Unscaled::new(small).bytes(), out);
                        u64::from(small.unsigned_abs().checked_ilog10().unwrap_or_default()) + 1
                    }
                    None => {
                        write_sized(&unscaled.to_signed_bytes_be(), out);
                        number.digits()
                    }
                };
                integer(2, i64::try_from(digits).unwrap_or(i64::MAX), out);
                integer(3, scale, out);
            }
            (Writer::Date, Value::Date(days)) => {
                let (year, month, day) = civil_from_days(i64::from(*days));
                integer(1, year, out);
                integer(2, i64::from(month), out);
                integer(3, i64::from(day), out);
            }
            (Writer::Time, Value::Time(ms)) => {
                let ms = i64::from(*ms);
                integer(1, ms / HOUR, out);
                integer(2, ms % HOUR / MINUTE, out);
                integer(3, ms % MINUTE / SECOND, out);
                integer(4, ms % SECOND * NANOS_PER_MS, out);
            }
            (Writer::Timestamp, Value::Timestamp(ms)) => {
                integer(1, ms.div_euclid(SECOND), out);
                integer(2, ms.rem_euclid(SECOND) * NANOS_PER_MS, out);
            }
            _ => return Err(wrong_type()),
        }
        Ok(())
    }

    /// How one value is laid out.
    pub fn wire_bits(&self) -> u32 {
        use Writer::*;
        match self {
            Bool | Int32 | Int64 | Uint32 | Uint64 | Sint32 | Sint64 | Enum(_) => 0,
            Fixed64 | Sfixed64 | Double => 1,
            Fixed32 | Sfixed32 | Float => 5,
            Spelled(inner) => inner.wire_bits(),
            String | Bytes | Decimal | Date | Time | Timestamp | Wrapper(_) | Message(_) | Entry(..) => 2,
        }
    }
}

/// A varint that is left out where it is zero.
fn integer(number: u64, value: i64, out: &mut Vec<u8>) {
    if value != 0 {
        write_varint(number << 3, out);
        write_varint(value as u64, out);
    }
}
