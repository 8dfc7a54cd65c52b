//! Reading messages: what a descriptor and the wanted columns were compiled to (see [`super::compile`]), and its run over a
//! payload.
//!
//! Fields come in any order. Of a single value the last one counts, repeated ones add up whether they are packed or not, and
//! a message that stands several times is the sum of its parts, as the wire format demands: such a rare field is gathered from
//! the whole message around it and read once more.

use std::sync::Arc;

use super::cursor::{Cursor, Read, Wire, unzigzag32, unzigzag64};
use super::special::{Temporal, decimal, float_text};
use crate::formats::{DecodeError, Span};
use crate::types::text::{DAY_MS, to_text, write_double, write_i64};
use crate::types::{MapValue, Text, Value};

/// How many values a payload may unfold to: a message of no bytes may be a struct of a thousand zeros.
const MAX_VALUES: usize = 1 << 22;

/// What reading may still make.
pub(super) struct Budget(usize);

impl Budget {
    pub fn new() -> Self {
        Budget(MAX_VALUES)
    }

    #[inline]
    fn spend(&mut self, values: usize) -> Read<()> {
        self.0 =
            self.0.checked_sub(values).ok_or_else(|| DecodeError::new(format!("the payload unfolds to more than {MAX_VALUES} values")))?;
        Ok(())
    }
}

/// The fields of a message that somebody reads.
#[derive(Debug)]
pub(super) struct Fields {
    /// In the order of their numbers.
    steps: Box<[Step]>,
    /// For each small number: the step's index and one, or zero.
    lookup: Box<[u8]>,
    /// What absent fields are, where that is not null.
    defaults: Box<[(usize, Value)]>,
}

/// Numbers that are found in the table.
const MAX_LOOKUP: u32 = 256;

#[derive(Debug)]
pub(super) struct Step {
    pub number: u32,
    /// How one value is laid out.
    pub wire: Wire,
    pub place: Place,
    pub reader: Reader,
}

/// Where a field's value goes.
#[derive(Debug)]
pub(super) enum Place {
    /// A single value.
    Slot(usize),
    /// A single text or BYTES, left where it stands under this number where whoever reads wants it so.
    Carried { slot: usize, index: usize },
    /// Added to an ARRAY.
    List(usize),
    /// Added to a MAP; the reader is that of a struct of key and value.
    Entries(usize),
    /// A oneof's field: into the STRUCT of that width in `slot`, and all other choices become null. `index`: `None` where
    /// nobody wants this choice.
    Choice { slot: usize, index: Option<usize>, width: usize },
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
            Source::Sint64 => unzigzag64(cursor.varint()?),
            Source::Fixed32 => i64::from(u32::from_le_bytes(cursor.fixed32()?)),
            Source::Sfixed32 => i64::from(i32::from_le_bytes(cursor.fixed32()?)),
            Source::Fixed64 => i64::from_le_bytes(cursor.fixed64()?),
        })
    }
}

impl Target {
    pub fn value(self, number: i64) -> Read<Value> {
        let small = || i32::try_from(number).map_err(|_| DecodeError::new(format!("{number} is longer than 32 bits")));
        Ok(match self {
            Target::Int => Value::Int(small()?),
            Target::BigInt => Value::BigInt(number),
            Target::Text => Value::String(to_text(|out| write_i64(number, out))),
            Target::Date => Value::Date(small()?),
            Target::Timestamp => Value::Timestamp(number),
            Target::Time if (0..=DAY_MS).contains(&number) => Value::Time(small()?),
            Target::Time => {
                let why = format!("Time values must use number of milliseconds greater than 0 and less than {DAY_MS}.");
                return Err(DecodeError::new(why));
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

    fn is_message(&self) -> bool {
        matches!(self, Reader::Decimal { .. } | Reader::Temporal { .. } | Reader::Wrapper { .. } | Reader::Struct { .. })
    }

    /// Reads one value where it stands.
    #[inline]
    fn read(&self, cursor: &mut Cursor<'_>, budget: &mut Budget) -> Read<Value> {
        Ok(match self {
            Reader::String => Value::String(Text::from(cursor.text()?)),
            Reader::BigInt => Value::BigInt(cursor.varint()? as i64),
            Reader::Int => Value::Int(cursor.varint()? as i32),
            Reader::Double => Value::Double(f64::from_le_bytes(cursor.fixed64()?)),
            Reader::Boolean => Value::Boolean(cursor.varint()? != 0),
            Reader::Bytes => Value::bytes(cursor.sized()?),
            Reader::Number { source, target } => target.value(source.read(cursor)?)?,
            _ => return self.read_rare(cursor, budget),
        })
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

impl Fields {
    /// `defaults`: what absent fields are, where that is not null.
    pub fn new(mut steps: Vec<Step>, defaults: Vec<(usize, Value)>) -> Self {
        steps.sort_by_key(|step| step.number);
        let mut lookup: Vec<u8> = Vec::new();
        for (step, place) in steps.iter().zip(1u8..) {
            if let Ok(number) = usize::try_from(step.number)
                && step.number < MAX_LOOKUP
            {
                lookup.resize(number + 1, 0);
                if let Some(entry) = lookup.last_mut() {
                    *entry = place;
                }
            }
        }
        Fields { steps: steps.into(), lookup: lookup.into(), defaults: defaults.into() }
    }

    #[inline]
    fn find(&self, number: u32) -> Option<&Step> {
        match self.lookup.get(number as usize) {
            Some(0) if self.steps.len() < usize::from(u8::MAX) => None,
            Some(place) if *place > 0 => self.steps.get(usize::from(*place) - 1),
            _ => self.search(number),
        }
    }

    fn search(&self, number: u32) -> Option<&Step> {
        let index = self.steps.binary_search_by_key(&number, |step| step.number).ok()?;
        self.steps.get(index)
    }

    /// Reads a message into slots that are null.
    ///
    /// # Errors
    /// The bytes are no message, or a value does not fit its column.
    pub fn read(&self, body: &[u8], slots: &mut [Value], budget: &mut Budget) -> Read<()> {
        self.read_carrying(body, slots, &mut [], budget)
    }

    /// As [`Self::read`]; `spans` say where carried values stand in `body`.
    ///
    /// # Errors
    /// As there.
    pub fn read_carrying(&self, body: &[u8], slots: &mut [Value], spans: &mut [Span], budget: &mut Budget) -> Read<()> {
        let mut cursor = Cursor::new(body);
        // Messages that stand several times, and what they are all together. Hardly ever any.
        let mut gathered: Vec<(u32, Value)> = Vec::new();
        while !cursor.is_at_end() {
            let (number, wire) = cursor.tag()?;
            let Some(step) = self.find(number) else {
                cursor.skip(number, wire)?;
                continue;
            };
            if wire != step.wire {
                match step.place {
                    Place::List(slot) if wire == Wire::Sized => step.reader.packed(cursor.sized()?, place(slots, slot)?, budget)?,
                    // As another version of the schema has it: not this field.
                    _ => cursor.skip(number, wire)?,
                }
                continue;
            }
            match &step.place {
                Place::Slot(slot) => {
                    let place = place(slots, *slot)?;
                    if place.is_null() || !step.reader.is_message() {
                        *place = step.reader.read(&mut cursor, budget)?;
                    } else {
                        cursor.skip(number, wire)?;
                        if gathered.iter().all(|(known, _)| *known != number) {
                            *place = step.reader.read_body(&self.gather(body, step)?, budget)?;
                            gathered.push((number, Value::Null));
                        }
                    }
                }
                Place::Carried { slot, index } => {
                    let place = place(slots, *slot)?;
                    let Some(span) = spans.get_mut(*index) else {
                        *place = step.reader.read(&mut cursor, budget)?;
                        continue;
                    };
                    let length = if matches!(step.reader, Reader::String) { cursor.text()?.len() } else { cursor.sized()?.len() };
                    let end = body.len() - cursor.rest().len();
                    *span = Span { start: end - length, end };
                    if length == 0 {
                        *place = step.reader.zero();
                    }
                }
                Place::List(slot) => {
                    let item = step.reader.read(&mut cursor, budget)?;
                    push(place(slots, *slot)?, item, budget)?;
                }
                Place::Entries(slot) => {
                    let Reader::Struct { fields, .. } = &step.reader else { return Err(DecodeError::new("a map has no entries")) };
                    let mut entry = [Value::Null, Value::Null];
                    fields.read(cursor.sized()?, &mut entry, budget)?;
                    insert(place(slots, *slot)?, entry, budget)?;
                }
                Place::Choice { slot, index, width } => {
                    let choices = choices(place(slots, *slot)?, *width, budget)?;
                    let is_again = index.and_then(|index| choices.get(index)).is_some_and(|value| !value.is_null());
                    if !is_again {
                        choices.iter_mut().for_each(Value::set_null);
                    }
                    let Some(choice) = index.and_then(|index| choices.get_mut(index)) else {
                        cursor.skip(number, wire)?;
                        continue;
                    };
                    if let Some((_, whole)) = gathered.iter().find(|(known, _)| *known == number) {
                        cursor.skip(number, wire)?;
                        *choice = whole.clone();
                    } else if is_again && step.reader.is_message() {
                        cursor.skip(number, wire)?;
                        *choice = step.reader.read_body(&self.gather(body, step)?, budget)?;
                        gathered.push((number, choice.clone()));
                    } else {
                        *choice = step.reader.read(&mut cursor, budget)?;
                    }
                }
            }
        }
        for (slot, default) in &self.defaults {
            let place = place(slots, *slot)?;
            if place.is_null() {
                *place = default.clone();
            }
        }
        Ok(())
    }

    /// All that a message's field says in `body`, one after another, which is the same as their sum. Of a oneof's field: what
    /// stands behind the last other choice.
    #[cold]
    fn gather(&self, body: &[u8], of: &Step) -> Read<Vec<u8>> {
        let mut whole = Vec::new();
        let mut cursor = Cursor::new(body);
        while !cursor.is_at_end() {
            let (number, wire) = cursor.tag()?;
            if number == of.number && wire == Wire::Sized {
                whole.extend_from_slice(cursor.sized()?);
                continue;
            }
            cursor.skip(number, wire)?;
            if self.find(number).is_some_and(|step| step.wire == wire && step.place.is_choice_of(&of.place)) {
                whole.clear();
            }
        }
        Ok(whole)
    }
}

impl Place {
    /// Whether both are of the same oneof.
    fn is_choice_of(&self, other: &Place) -> bool {
        matches!((self, other), (Place::Choice { slot, .. }, Place::Choice { slot: other, .. }) if slot == other)
    }
}

impl Reader {
    /// Adds the items of a packed field.
    fn packed(&self, content: &[u8], list: &mut Value, budget: &mut Budget) -> Read<()> {
        let mut cursor = Cursor::new(content);
        while !cursor.is_at_end() {
            let item = self.read(&mut cursor, budget)?;
            push(list, item, budget)?;
        }
        Ok(())
    }
}

/// A slot of the row or of a struct. That there is none can't be: plans are made for their rows.
#[inline]
fn place(slots: &mut [Value], slot: usize) -> Read<&mut Value> {
    slots.get_mut(slot).ok_or_else(|| DecodeError::new("a row has fewer slots than its plan"))
}

#[inline]
fn push(list: &mut Value, item: Value, budget: &mut Budget) -> Read<()> {
    budget.spend(1)?;
    // An enum's unknown number counts as absent.
    if item.is_null() {
        return Ok(());
    }
    match list {
        Value::Array(items) => Arc::make_mut(items).push(item),
        _ => *list = Value::array(vec![item]),
    }
    Ok(())
}

/// Adds an entry to a map. Of equal keys the last one counts.
fn insert(map: &mut Value, [key, value]: [Value; 2], budget: &mut Budget) -> Read<()> {
    budget.spend(2)?;
    if !matches!(map, Value::Map(_)) {
        *map = Value::Map(Arc::default());
    }
    if let Value::Map(entries) = map {
        let entries: &mut MapValue = Arc::make_mut(entries);
        entries.insert(key, value);
    }
    Ok(())
}

/// The choices of a oneof, all null where none was met yet.
fn choices<'v>(union: &'v mut Value, width: usize, budget: &mut Budget) -> Read<&'v mut [Value]> {
    if !matches!(union, Value::Struct(_)) {
        budget.spend(width)?;
        *union = Value::Struct((0..width).map(|_| Value::Null).collect());
    }
    match union {
        Value::Struct(choices) => Arc::get_mut(choices).ok_or_else(|| DecodeError::new("a oneof is shared")),
        _ => Err(DecodeError::new("a oneof is no struct")),
    }
}
