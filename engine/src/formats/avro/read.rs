//! Reading values: what a schema and a column's type were compiled to (see [`super::compile`]), and its run over a payload.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use num_bigint::BigInt;

use super::cursor::{Cursor, Read};
use super::skip::Skip;
use crate::formats::DecodeError;
use crate::types::text::{DAY_MS, fit_decimal, to_text, write_double, write_i64};
use crate::types::{MapValue, Text, Value};

/// How a value is written, and what it becomes.
#[derive(Debug, Clone)]
pub(super) enum Reader {
    Null,
    Boolean,
    Int,
    /// An int as BIGINT.
    IntAsBigInt,
    Long,
    /// A float as DOUBLE.
    FloatAsDouble,
    Double,
    String,
    Bytes,
    /// So many bytes, as BYTES.
    Fixed(usize),
    /// A symbol's name, as STRING.
    Enum(Box<[Text]>),
    /// An unscaled number in bytes (`size`: so many) as a DECIMAL.
    Decimal {
        size: Option<usize>,
        written_scale: i64,
        precision: u32,
        scale: u32,
    },
    Date,
    Time {
        per_ms: i64,
    },
    Timestamp {
        per_ms: i64,
    },
    /// A boolean or a number as STRING.
    AsText(Box<Reader>),
    Array(Box<Reader>),
    Map(Box<Reader>),
    /// An array of records of a key and a value, as MAP.
    Entries {
        entry: Box<[Step]>,
    },
    /// A record as STRUCT of so many fields.
    Struct {
        steps: Box<[Step]>,
        width: usize,
    },
    /// A union with null and one type, or of types that the column can hold alike.
    Union(Box<[Reader]>),
    /// A union as a STRUCT with a field for each branch.
    Choice {
        branches: Box<[Step]>,
        width: usize,
    },
}

/// A field of a record.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Skip(Skip),
    /// Read into this slot (of the row, or of the struct).
    Read(usize, Reader),
}

impl Step {
    #[inline]
    pub fn run(&self, cursor: &mut Cursor<'_>, slots: &mut [Value]) -> Read<()> {
        match self {
            Step::Skip(skip) => skip.run(cursor),
            Step::Read(slot, reader) => {
                let value = reader.read(cursor)?;
                if let Some(place) = slots.get_mut(*slot) {
                    *place = value;
                }
                Ok(())
            }
        }
    }
}

impl Reader {
    #[inline]
    pub fn read(&self, cursor: &mut Cursor<'_>) -> Read<Value> {
        Ok(match self {
            Reader::Union(branches) => {
                let index = cursor.index(branches.len())?;
                match branches.get(index) {
                    Some(branch) => branch.read(cursor)?,
                    None => Value::Null,
                }
            }
            Reader::Null => Value::Null,
            Reader::String => Value::String(Text::from(cursor.text()?)),
            Reader::Long => Value::BigInt(cursor.long()?),
            Reader::Int => Value::Int(cursor.int()?),
            Reader::IntAsBigInt => Value::BigInt(cursor.int()?.into()),
            Reader::Boolean => Value::Boolean(cursor.boolean()?),
            Reader::Double => Value::Double(cursor.double()?),
            Reader::FloatAsDouble => Value::Double(cursor.float()?.into()),
            Reader::Bytes => Value::bytes(cursor.bytes()?),
            Reader::Fixed(size) => Value::bytes(cursor.take(*size)?),
            Reader::Timestamp { per_ms } => Value::Timestamp(cursor.long()?.div_euclid(*per_ms)),
            Reader::Date => Value::Date(cursor.int()?),
            _ => return self.read_rare(cursor),
        })
    }

    fn read_rare(&self, cursor: &mut Cursor<'_>) -> Read<Value> {
        Ok(match self {
            Reader::Time { per_ms } => time(cursor.long()?.div_euclid(*per_ms))?,
            Reader::Enum(symbols) => {
                let index = cursor.index(symbols.len())?;
                symbols.get(index).cloned().map_or(Value::Null, Value::String)
            }
            Reader::Decimal { size, written_scale, precision, scale } => {
                let bytes = match size {
                    Some(size) => cursor.take(*size)?,
                    None => cursor.bytes()?,
                };
                let number = BigDecimal::new(BigInt::from_signed_bytes_be(bytes), *written_scale);
                Value::decimal(fit_decimal(&number, *precision, *scale).map_err(DecodeError::new)?)
            }
            Reader::AsText(inner) => as_text(&inner.read(cursor)?),
            Reader::Array(item) => {
                let mut items = Vec::new();
                cursor.blocks(|cursor| {
                    items.push(item.read(cursor)?);
                    Ok(())
                })?;
                Value::array(items)
            }
            Reader::Map(value) => {
                let mut entries = MapValue::default();
                cursor.blocks(|cursor| {
                    let key = Value::String(Text::from(cursor.text()?));
                    entries.insert(key, value.read(cursor)?);
                    Ok(())
                })?;
                Value::Map(Arc::new(entries))
            }
            Reader::Entries { entry } => {
                let mut entries = MapValue::default();
                cursor.blocks(|cursor| {
                    let mut pair = [Value::Null, Value::Null];
                    entry.iter().try_for_each(|step| step.run(cursor, &mut pair))?;
                    let [key, value] = pair;
                    entries.insert(key, value);
                    Ok(())
                })?;
                Value::Map(Arc::new(entries))
            }
            Reader::Struct { steps, width } => {
                let mut fields = vec![Value::Null; *width];
                steps.iter().try_for_each(|step| step.run(cursor, &mut fields))?;
                Value::structure(fields)
            }
            Reader::Choice { branches, width } => {
                let mut fields = vec![Value::Null; *width];
                let index = cursor.index(branches.len())?;
                if let Some(branch) = branches.get(index) {
                    branch.run(cursor, &mut fields)?;
                }
                Value::structure(fields)
            }
            // The others are read above.
            _ => Value::Null,
        })
    }
}

fn time(ms: i64) -> Read<Value> {
    match i32::try_from(ms) {
        Ok(ms) if (0..=DAY_MS).contains(&i64::from(ms)) => Ok(Value::Time(ms)),
        _ => Err(DecodeError::new(format!("Time values must use number of milliseconds greater than 0 and less than {DAY_MS}."))),
    }
}

/// The text of a boolean or a number, as Java writes it.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Boolean(v) => Value::string(if *v { "true" } else { "false" }),
        Value::Int(v) | Value::Date(v) | Value::Time(v) => Value::String(to_text(|out| write_i64(i64::from(*v), out))),
        Value::BigInt(v) | Value::Timestamp(v) => Value::String(to_text(|out| write_i64(*v, out))),
        Value::Double(v) => Value::String(to_text(|out| write_double(*v, out))),
        other => other.clone(),
    }
}
