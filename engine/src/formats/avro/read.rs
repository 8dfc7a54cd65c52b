//! Reading values: what a schema and a column's type were compiled to (see [`super::compile`]), and its run over a payload.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use num_bigint::BigInt;

use super::cursor::{Cursor, Read, bad};
use super::skip::Skip;
use crate::formats::Span;
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
    /// Null, or this behind the byte `some`.
    Nullable {
        some: u8,
        value: Box<Reader>,
    },
    /// A union as a STRUCT with a field for each branch; `None`: null.
    Choice {
        branches: Box<[Option<Step>]>,
        width: usize,
    },
}

/// A field of a record.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Skip(Skip),
    Read(Target),
    /// Left where it stands, under this number, where whoever reads wants it so.
    Carry {
        index: usize,
        check: Skip,
        target: Target,
    },
}

/// A slot (of the row, or of the struct), and what is read into it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub slot: usize,
    /// The byte before a value that is not null; `None`: there is always a value, and nothing before it.
    pub some: Option<u8>,
    pub reader: Reader,
}

impl Step {
    #[inline]
    pub fn run(&self, cursor: &mut Cursor<'_>, slots: &mut [Value], spans: &mut [Span]) -> Read<()> {
        match self {
            Step::Skip(skip) => skip.run(cursor),
            Step::Read(target) => target.run(cursor, slots),
            Step::Carry { index, check, target } => {
                let Some(span) = spans.get_mut(*index) else { return target.run(cursor, slots) };
                if let Some(some) = target.some
                    && !cursor.is_some(some)?
                {
                    return Ok(());
                }
                let start = cursor.position();
                check.run(cursor)?;
                *span = Span { start, end: cursor.position() };
                Ok(())
            }
        }
    }
}

impl Target {
    #[inline]
    fn run(&self, cursor: &mut Cursor<'_>, slots: &mut [Value]) -> Read<()> {
        if let Some(some) = self.some
            && !cursor.is_some(some)?
        {
            // The last field of a name counts, so an earlier one may have been read.
            if let Some(place) = slots.get_mut(self.slot) {
                place.set_null();
            }
            return Ok(());
        }
        match slots.get_mut(self.slot) {
            Some(place) => self.reader.read_into(cursor, place),
            None => Err(bad("the row is too short")),
        }
    }
}

impl Reader {
    /// Reads a value into its place.
    #[inline]
    pub fn read_into(&self, cursor: &mut Cursor<'_>, place: &mut Value) -> Read<()> {
        *place = match self {
            Reader::String => Value::String(Text::from(cursor.text()?)),
            Reader::Long => Value::BigInt(cursor.long()?),
            Reader::Int => Value::Int(cursor.int()?),
            Reader::IntAsBigInt => Value::BigInt(cursor.int()?.into()),
            Reader::Boolean => Value::Boolean(cursor.boolean()?),
            Reader::Double => Value::Double(cursor.double()?),
            Reader::FloatAsDouble => Value::Double(cursor.float()?.into()),
            Reader::Timestamp { per_ms: 1 } => Value::Timestamp(cursor.long()?),
            _ => return self.read_rare(cursor, place),
        };
        Ok(())
    }

    fn read(&self, cursor: &mut Cursor<'_>) -> Read<Value> {
        let mut value = Value::Null;
        self.read_into(cursor, &mut value)?;
        Ok(value)
    }

    fn read_rare(&self, cursor: &mut Cursor<'_>, place: &mut Value) -> Read<()> {
        *place = match self {
            Reader::Nullable { some, value } => {
                if cursor.is_some(*some)? {
                    return value.read_into(cursor, place);
                }
                Value::Null
            }
            Reader::Bytes => Value::bytes(cursor.bytes()?),
            Reader::Fixed(size) => Value::bytes(cursor.take(*size)?),
            Reader::Timestamp { per_ms } => Value::Timestamp(cursor.long()?.div_euclid(*per_ms)),
            Reader::Date => Value::Date(cursor.int()?),
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
                decimal(bytes, *written_scale, *precision, *scale)?
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
                    run_steps(entry, cursor, &mut pair)?;
                    let [key, value] = pair;
                    entries.insert(key, value);
                    Ok(())
                })?;
                Value::Map(Arc::new(entries))
            }
            Reader::Struct { steps, width } => {
                let mut fields = vec![Value::Null; *width];
                run_steps(steps, cursor, &mut fields)?;
                Value::structure(fields)
            }
            Reader::Choice { branches, width } => {
                let index = cursor.index(branches.len())?;
                match branches.get(index) {
                    Some(Some(branch)) => {
                        let mut fields = vec![Value::Null; *width];
                        branch.run(cursor, &mut fields, &mut [])?;
                        Value::structure(fields)
                    }
                    _ => Value::Null,
                }
            }
            // The others are read above.
            _ => Value::Null,
        };
        Ok(())
    }
}

fn run_steps(steps: &[Step], cursor: &mut Cursor<'_>, slots: &mut [Value]) -> Read<()> {
    steps.iter().try_for_each(|step| step.run(cursor, slots, &mut []))
}

/// The longest unscaled number that is taken for a decimal, bytes: more than any precision needs.
const MAX_DECIMAL_BYTES: usize = 1 << 10;

fn decimal(bytes: &[u8], written_scale: i64, precision: u32, scale: u32) -> Read<Value> {
    if bytes.len() > MAX_DECIMAL_BYTES {
        return Err(bad(format!("a decimal of {} bytes is too long", bytes.len())));
    }
    let unscaled = match *bytes {
        [first, ..] if bytes.len() <= size_of::<i64>() => {
            let sign = if first >= 0x80 { -1 } else { 0 };
            BigInt::from(bytes.iter().fold(sign, |number: i64, byte| number << 8 | i64::from(*byte)))
        }
        _ => BigInt::from_signed_bytes_be(bytes),
    };
    let number = BigDecimal::new(unscaled, written_scale);
    fit_decimal(&number, precision, scale).map(Value::decimal).map_err(|error| bad(error.to_string()))
}

fn time(ms: i64) -> Read<Value> {
    match i32::try_from(ms) {
        Ok(ms) if (0..=DAY_MS).contains(&i64::from(ms)) => Ok(Value::Time(ms)),
        _ => Err(bad(format!("Time values must use number of milliseconds greater than 0 and less than {DAY_MS}"))),
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
