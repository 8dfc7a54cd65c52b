//! Writing values: what a schema and a column's type were compiled to (see [`super::write_plan`]), and its run over a row.

use bigdecimal::ToPrimitive;
use num_bigint::Sign;

use super::cursor::{Cursor, write_bytes, write_long};
use super::read::Reader;
use crate::formats::carried::Copying;
use crate::formats::schemas::encoder::WriteFields;
use crate::formats::unscaled::Unscaled;
use crate::formats::{Carried, EncodeError};
use crate::types::Value;

/// How a value is written.
#[derive(Debug, Clone)]
pub(super) enum Writer {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    String,
    Bytes,
    Fixed(usize),
    Enum(Box<[Box<str>]>),
    /// An unscaled number, in bytes or (`size`) so many of them.
    Decimal {
        scale: i64,
        size: Option<usize>,
    },
    /// A time, finer than milliseconds.
    Times {
        per_ms: i64,
    },
    Array(Box<Writer>),
    Map(Box<Writer>),
    /// A map as an array of records.
    Entries(Box<[EntryField]>),
    Record(Box<[FieldWriter]>),
    /// A union: the branch of null, and that of the value.
    Optional {
        null: i64,
        some: i64,
        value: Box<Writer>,
    },
    /// One branch of a union without null.
    Branch {
        index: i64,
        value: Box<Writer>,
    },
}

/// A field of a record.
#[derive(Debug, Clone)]
pub(super) enum FieldWriter {
    /// From this slot of the row or of the struct.
    /// `default` is written for a null that the schema does not allow.
    Slot { slot: usize, name: Box<str>, writer: Writer, carry: Option<Carry>, default: Option<Box<[u8]>> },
    /// The same bytes in every record: the default of a field that has no column.
    Fixed(Box<[u8]>),
}

/// What is done with a value that is carried under this number.
#[derive(Debug, Clone)]
pub(super) enum Carry {
    /// It is copied, behind the index of its branch.
    Copy { index: usize, branch: Option<u8> },
    /// The schema has another encoding for it: it is read and written.
    Again { index: usize, reader: Box<Reader> },
}

#[derive(Debug, Clone)]
pub(super) enum EntryField {
    Key(Writer),
    Value(Writer),
}

impl WriteFields for FieldWriter {
    #[inline]
    fn write_fields(fields: &[Self], slots: &[Value], carried: &Carried, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut copying = Copying::new(carried);
        for field in fields {
            if let FieldWriter::Slot { carry: Some(Carry::Copy { index, branch }), .. } = field
                && copying.value(*index, branch.as_slice(), out)
            {
                continue;
            }
            copying.finish(out);
            if let FieldWriter::Slot { name, writer, carry: Some(Carry::Again { index, reader }), .. } = field
                && let Some(bytes) = carried.get(*index)
            {
                write_again(bytes, reader, writer, out).map_err(|error| within(name, &error))?;
            } else {
                field.write(slots, out)?;
            }
        }
        copying.finish(out);
        Ok(())
    }
}

/// Reads a carried value and writes it as another schema has it.
fn write_again(bytes: &[u8], reader: &Reader, writer: &Writer, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut value = Value::Null;
    reader.read_into(&mut Cursor::new(bytes), &mut value).map_err(|error| EncodeError::new(error.to_string()))?;
    writer.write(&value, out)
}

#[cold]
fn within(name: &str, error: &EncodeError) -> EncodeError {
    EncodeError::new(format!("Error serializing field {name}: {error}"))
}

impl FieldWriter {
    /// Appends the field of a row or a struct.
    #[inline]
    fn write(&self, slots: &[Value], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            FieldWriter::Slot { slot, name, writer, default, .. } => match (slots.get(*slot).unwrap_or(&Value::Null), default) {
                (Value::Null, Some(default)) => {
                    out.extend_from_slice(default);
                    Ok(())
                }
                (value, _) => writer.write(value, out).map_err(|error| within(name, &error)),
            },
            FieldWriter::Fixed(bytes) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

impl Writer {
    /// Appends a value.
    ///
    /// # Errors
    /// A null where the schema has none, or a value that does not fit.
    pub fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match (self, value) {
            (Writer::Optional { null, .. }, Value::Null) => write_long(*null, out),
            (Writer::Optional { some, value: inner, .. }, _) => {
                write_long(*some, out);
                return inner.write(value, out);
            }
            (_, Value::Null) => return Err(EncodeError::new("the schema does not allow null here")),
            (Writer::Branch { index, value: inner }, _) => {
                write_long(*index, out);
                inner.write(value, out)?;
            }
            (Writer::Boolean, Value::Boolean(v)) => out.push(u8::from(*v)),
            (Writer::Int, Value::Int(v) | Value::Date(v) | Value::Time(v)) => write_long(i64::from(*v), out),
            (Writer::Long, Value::BigInt(v) | Value::Timestamp(v)) => write_long(*v, out),
            (Writer::Long, Value::Int(v)) => write_long(i64::from(*v), out),
            (Writer::Float, Value::Double(v)) => out.extend_from_slice(&(*v as f32).to_le_bytes()),
            (Writer::Double, Value::Double(v)) => out.extend_from_slice(&v.to_le_bytes()),
            (Writer::String, Value::String(v)) => write_bytes(v.as_bytes(), out),
            (Writer::Bytes, Value::Bytes(v)) => write_bytes(v, out),
            (Writer::Fixed(size), Value::Bytes(v)) if v.len() == *size => out.extend_from_slice(v),
            (Writer::Fixed(size), Value::Bytes(v)) => {
                return Err(EncodeError::new(format!("{} bytes can't be written as exactly {size}", v.len())));
            }
            (Writer::Enum(symbols), Value::String(v)) => match symbols.iter().position(|symbol| **symbol == **v) {
                Some(index) => write_long(index as i64, out),
                None => return Err(EncodeError::new(format!("'{v}' is none of the enum's symbols: {}", symbols.join(", ")))),
            },
            (Writer::Decimal { scale, size }, Value::Decimal(v)) => write_decimal(v, *scale, *size, out)?,
            (Writer::Times { per_ms }, Value::Timestamp(v)) => write_long(scaled(*v, *per_ms)?, out),
            (Writer::Times { per_ms }, Value::Time(v)) => write_long(scaled(i64::from(*v), *per_ms)?, out),
            (Writer::Array(item), Value::Array(items)) => {
                begin_block(items.len(), out);
                items.iter().try_for_each(|value| item.write(value, out))?;
                end_blocks(out);
            }
            (Writer::Map(of), Value::Map(entries)) => {
                begin_block(entries.len(), out);
                for (key, value) in entries.iter() {
                    let Value::String(key) = key else { return Err(EncodeError::new("a map's key is null")) };
                    write_bytes(key.as_bytes(), out);
                    of.write(value, out)?;
                }
                end_blocks(out);
            }
            (Writer::Entries(fields), Value::Map(entries)) => {
                begin_block(entries.len(), out);
                for (key, value) in entries.iter() {
                    fields.iter().try_for_each(|field| match field {
                        EntryField::Key(writer) => writer.write(key, out),
                        EntryField::Value(writer) => writer.write(value, out),
                    })?;
                }
                end_blocks(out);
            }
            (Writer::Record(fields), Value::Struct(values)) => fields.iter().try_for_each(|field| field.write(values, out))?,
            _ => return Err(EncodeError::new("a value is not of its column's type")),
        }
        Ok(())
    }
}

fn begin_block(count: usize, out: &mut Vec<u8>) {
    if count > 0 {
        write_long(count as i64, out);
    }
}

fn end_blocks(out: &mut Vec<u8>) {
    write_long(0, out);
}

fn scaled(ms: i64, per_ms: i64) -> Result<i64, EncodeError> {
    ms.checked_mul(per_ms).ok_or_else(|| EncodeError::new("a time is out of the schema's range"))
}

fn write_decimal(value: &bigdecimal::BigDecimal, scale: i64, size: Option<usize>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let (unscaled, own_scale) = value.as_bigint_and_scale();
    // Mostly of the schema's scale, and short.
    if own_scale == scale
        && let Some(unscaled) = unscaled.to_i128()
    {
        return write_unscaled(Unscaled::new(unscaled).bytes(), unscaled < 0, size, out);
    }
    let (unscaled, _) = value.with_scale(scale).into_bigint_and_exponent();
    write_unscaled(&unscaled.to_signed_bytes_be(), unscaled.sign() == Sign::Minus, size, out)
}

fn write_unscaled(bytes: &[u8], is_negative: bool, size: Option<usize>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match size {
        None => write_bytes(bytes, out),
        Some(size) if bytes.len() <= size => {
            let sign = if is_negative { 0xff } else { 0 };
            out.extend(std::iter::repeat_n(sign, size - bytes.len()));
            out.extend_from_slice(bytes);
        }
        Some(size) => return Err(EncodeError::new(format!("a decimal does not fit into {size} bytes"))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bigdecimal::BigDecimal;
    use num_bigint::BigInt;

    use super::*;

    #[test]
    fn decimals_are_written_as_short_as_they_can_be() {
        let numbers = [0i128, 1, -1, 127, 128, -128, -129, 255, 256, 32_767, 32_768, -32_768, -32_769, i128::MAX, i128::MIN];
        for unscaled in numbers {
            let mut out = Vec::new();
            write_decimal(&BigDecimal::new(unscaled.into(), 2), 2, None, &mut out).unwrap();
            assert_eq!(out[1..], BigInt::from(unscaled).to_signed_bytes_be(), "{unscaled}");
            let mut fixed = Vec::new();
            write_decimal(&BigDecimal::new(unscaled.into(), 2), 2, Some(20), &mut fixed).unwrap();
            assert_eq!((fixed.len(), BigInt::from_signed_bytes_be(&fixed)), (20, unscaled.into()));
            // Of another scale.
            let mut scaled = Vec::new();
            write_decimal(&BigDecimal::new(unscaled.into(), 2), 3, None, &mut scaled).unwrap();
            assert_eq!(BigInt::from_signed_bytes_be(&scaled[1..]), BigInt::from(unscaled) * 10);
        }
        assert!(write_decimal(&BigDecimal::new(300.into(), 0), 0, Some(1), &mut Vec::new()).is_err());
    }
}
