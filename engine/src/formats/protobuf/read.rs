//! Reading values: what a field's type and a column's were compiled to (see [`super::compile`]). Messages are read by
//! [`super::fields`].

use std::sync::Arc;

use super::cursor::{Cursor, Read, Wire, bad, not_utf8, unzigzag32};
use super::fields::Fields;
use super::special::{Temporal, decimal, float_text};
use crate::formats::carried::is_text;
use crate::formats::varint::unzigzag;
use crate::types::text::{DAY_MS, to_text, write_double, write_i64};
use crate::types::{Text, Value};

/// How many values a payload may unfold to: a message of no bytes may be a struct of a thousand zeros.
const MAX_VALUES: usize = 1 << 22;

/// What reading may still make.
pub(super) struct Budget(usize);

impl Budget {
    pub fn new() -> Self {
        Budget(MAX_VALUES)
    }

    #[inline]
    pub fn spend(&mut self, values: usize) -> Read<()> {
        self.0 = self.0.checked_sub(values).ok_or_else(|| bad(format!("the payload unfolds to more than {MAX_VALUES} values")))?;
        Ok(())
    }
}

/// How a value is written, and what it becomes.
#[derive(Debug)]
pub(super) enum Reader {
    Int,
    BigInt,
    String,
    Double,
    Boolean,
    Bytes,
    FloatAsDouble,
    /// Other whole numbers, and all that become something else.
    Number {
        source: Source,
        target: Target,
    },
    BooleanAsText,
    FloatAsText,
    DoubleAsText,
    /// Symbols by their numbers, in that order.
    Enum(Symbols),
    Decimal {
        precision: u32,
        scale: u32,
    },
    /// A message that stands for a time.
    Temporal {
        source: Temporal,
        target: Target,
    },
    /// A message whose only field it is; `zero` where that is absent.
    Wrapper {
        inner: Box<Reader>,
        zero: Value,
    },
    /// A message as STRUCT of so many fields.
    Struct {
        fields: Box<Fields>,
        width: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Int32,
    Int64,
    Uint32,
    Sint32,
    Sint64,
    Fixed32,
    Sfixed32,
    Fixed64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Int,
    BigInt,
    Text,
    Date,
    Time,
    Timestamp,
}

/// The symbols of an enum.
#[derive(Debug)]
pub(super) struct Symbols {
    pub known: Box<[(i32, Text)]>,
    /// Proto3: how a number without a symbol is named, without the number. `None`: such a field counts as absent.
    pub unknown: Option<Box<str>>,
}

impl Source {
    fn wire(self) -> Wire {
        match self {
            Source::Int32 | Source::Int64 | Source::Uint32 | Source::Sint32 | Source::Sint64 => Wire::Varint,
            Source::Fixed32 | Source::Sfixed32 => Wire::Fixed32,
            Source::Fixed64 => Wire::Fixed64,
        }
    }

    #[inline]
    fn read(self, cursor: &mut Cursor<'_>) -> Read<i64> {
        Ok(match self {
            Source::Int32 => i64::from(cursor.varint()? as i32),
            Source::Int64 => cursor.varint()? as i64,
            Source::Uint32 => i64::from(cursor.varint()? as u32),
            Source::Sint32 => i64::from(unzigzag32(cursor.varint()? as u32)),
            Source::Sint64 => unzigzag(cursor.varint()?),
            Source::Fixed32 => i64::from(u32::from_le_bytes(cursor.fixed32()?)),
            Source::Sfixed32 => i64::from(i32::from_le_bytes(cursor.fixed32()?)),
            Source::Fixed64 => i64::from_le_bytes(cursor.fixed64()?),
        })
    }
}

impl Target {
    pub fn value(self, number: i64) -> Read<Value> {
        let small = || i32::try_from(number).map_err(|_| bad(format!("{number} is longer than 32 bits")));
        Ok(match self {
            Target::Int => Value::Int(small()?),
            Target::BigInt => Value::BigInt(number),
            Target::Text => Value::String(to_text(|out| write_i64(number, out))),
            Target::Date => Value::Date(small()?),
            Target::Timestamp => Value::Timestamp(number),
            Target::Time if (0..=DAY_MS).contains(&number) => Value::Time(small()?),
            Target::Time => {
                let why = format!("Time values must use number of milliseconds greater than 0 and less than {DAY_MS}.");
                return Err(bad(why));
            }
        })
    }
}

impl Symbols {
    fn value(&self, number: i32) -> Value {
        match self.known.binary_search_by_key(&number, |(known, _)| *known) {
            Ok(index) => self.known.get(index).map_or(Value::Null, |(_, symbol)| Value::String(symbol.clone())),
            Err(_) => match &self.unknown {
                Some(name) => Value::string(format!("{name}{number}")),
                None => Value::Null,
            },
        }
    }
}

impl Reader {
    /// How one value is laid out.
    pub fn wire(&self) -> Wire {
        match self {
            Reader::Int | Reader::BigInt | Reader::Boolean | Reader::BooleanAsText | Reader::Enum(_) => Wire::Varint,
            Reader::Double | Reader::DoubleAsText => Wire::Fixed64,
            Reader::FloatAsDouble | Reader::FloatAsText => Wire::Fixed32,
            Reader::Number { source, .. } => source.wire(),
            Reader::String | Reader::Bytes | Reader::Decimal { .. } | Reader::Temporal { .. } => Wire::Sized,
            Reader::Wrapper { .. } | Reader::Struct { .. } => Wire::Sized,
        }
    }

    pub fn is_message(&self) -> bool {
        matches!(self, Reader::Decimal { .. } | Reader::Temporal { .. } | Reader::Wrapper { .. } | Reader::Struct { .. })
    }

    /// Whether a value is never null once it is there, and read where it stands.
    pub fn is_plain(&self) -> bool {
        use Reader::{BigInt, Boolean, Bytes, Double, Int, Number, String};
        matches!(self, Int | BigInt | String | Double | Boolean | Bytes | Number { .. })
    }

    /// Whether values may be left where they stand: those that every schema of ours has in the same bytes.
    pub fn carries(&self) -> bool {
        self.is_plain() && !matches!(self, Reader::Number { .. })
    }

    /// Passes over a value that [may be left](Self::carries) where it stands, and says whether it would be written just so. A zero,
    /// which another schema may leave out, and what takes more bytes than it needs would not.
    #[inline]
    pub fn pass(&self, cursor: &mut Cursor<'_>) -> Read<bool> {
        match self {
            Reader::String => {
                let (bytes, is_short) = cursor.short_sized()?;
                if !is_text(bytes) {
                    return Err(not_utf8());
                }
                Ok(is_short && !bytes.is_empty())
            }
            Reader::BigInt => cursor.short_varint().map(|(value, is_short)| is_short && value != 0),
            Reader::Int => cursor.short_varint().map(|(value, is_short)| is_short && value != 0 && i64::from(value as i32) as u64 == value),
            Reader::Double => cursor.fixed64().map(|bytes| bytes != [0; 8]),
            Reader::Boolean => cursor.short_varint().map(|(value, is_short)| is_short && value == 1),
            Reader::Bytes => cursor.short_sized().map(|(bytes, is_short)| is_short && !bytes.is_empty()),
            _ => Ok(false),
        }
    }

    /// Reads one value where it stands into its place.
    #[inline]
    pub fn read_into(&self, cursor: &mut Cursor<'_>, place: &mut Value, budget: &mut Budget) -> Read<()> {
        *place = match self {
            Reader::String => Value::String(Text::from(cursor.text()?)),
            Reader::BigInt => Value::BigInt(cursor.varint()? as i64),
            Reader::Int => Value::Int(cursor.varint()? as i32),
            Reader::Double => Value::Double(f64::from_le_bytes(cursor.fixed64()?)),
            Reader::Boolean => Value::Boolean(cursor.varint()? != 0),
            Reader::Bytes => Value::bytes(cursor.sized()?),
            Reader::Number { source, target } => target.value(source.read(cursor)?)?,
            _ => self.read_rare(cursor, budget)?,
        };
        Ok(())
    }

    pub fn read(&self, cursor: &mut Cursor<'_>, budget: &mut Budget) -> Read<Value> {
        let mut value = Value::Null;
        self.read_into(cursor, &mut value, budget)?;
        Ok(value)
    }

    fn read_rare(&self, cursor: &mut Cursor<'_>, budget: &mut Budget) -> Read<Value> {
        Ok(match self {
            Reader::FloatAsDouble => Value::Double(f64::from(f32::from_le_bytes(cursor.fixed32()?))),
            Reader::BooleanAsText => Value::string(if cursor.varint()? != 0 { "true" } else { "false" }),
            Reader::FloatAsText => float_text(f32::from_le_bytes(cursor.fixed32()?)),
            Reader::DoubleAsText => {
                let number = f64::from_le_bytes(cursor.fixed64()?);
                Value::String(to_text(|out| write_double(number, out)))
            }
            Reader::Enum(symbols) => symbols.value(cursor.varint()? as i32),
            _ => return self.read_body(cursor.sized()?, budget),
        })
    }

    /// Reads a message from its content.
    pub fn read_body(&self, body: &[u8], budget: &mut Budget) -> Read<Value> {
        match self {
            Reader::Struct { fields, width } => {
                budget.spend(*width)?;
                let mut values: Arc<[Value]> = (0..*width).map(|_| Value::Null).collect();
                if let Some(slots) = Arc::get_mut(&mut values) {
                    fields.read(body, slots, budget)?;
                }
                Ok(Value::Struct(values))
            }
            Reader::Wrapper { inner, zero } => {
                let mut value = None;
                let mut cursor = Cursor::new(body);
                while !cursor.is_at_end() {
                    match cursor.tag()? {
                        (1, wire) if wire == inner.wire() => value = Some(inner.read(&mut cursor, budget)?),
                        (number, wire) => cursor.skip(number, wire)?,
                    }
                }
                Ok(value.unwrap_or_else(|| zero.clone()))
            }
            Reader::Temporal { source, target } => target.value(source.read(body)?),
            Reader::Decimal { precision, scale } => decimal(body, *precision, *scale),
            _ => self.read(&mut Cursor::new(body), budget),
        }
    }

    /// What a field is that is absent and has no null: what zero bytes say.
    pub fn zero(&self) -> Value {
        let zero = if self.is_message() {
            self.read_body(&[], &mut Budget::new())
        } else {
            self.read(&mut Cursor::new(&[0; 8]), &mut Budget::new())
        };
        // A date without year, month and day is none.
        zero.unwrap_or(Value::Null)
    }
}
