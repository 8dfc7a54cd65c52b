//! Reading messages: the fields that somebody wants, and their run over a payload.
//!
//! Fields come in any order. Of a single value the last one counts, repeated ones add up whether they are packed or not, and
//! a message that stands several times is the sum of its parts, as the wire format demands: such a rare field is gathered from
//! the whole message around it and read once more.

use std::sync::Arc;

use super::cursor::{Cursor, Read, Wire, bad};
use super::read::{Budget, Reader};
use crate::formats::Span;
use crate::types::{MapValue, Value};

/// The fields of a message that somebody reads.
#[derive(Debug)]
pub(super) struct Fields {
    /// In the order of their numbers.
    steps: Box<[Step]>,
    /// For each tag of one byte: the step's index and one, [`UNREAD`], or zero where more has to be looked at.
    by_tag: [u8; 0x80],
    /// For each small number: the step's index and one, or zero.
    by_number: Box<[u8]>,
    /// What absent fields are, where that is not null.
    defaults: Box<[Absent]>,
    /// The bits of all defaults; `None`: not all of them have one.
    all_defaults: Option<u64>,
}

/// The tag of a field that nobody reads.
const UNREAD: u8 = u8::MAX;
/// Numbers that are found in the table.
const MAX_BY_NUMBER: u32 = 256;

#[derive(Debug)]
pub(super) struct Step {
    pub number: u32,
    /// How one value is laid out.
    pub wire: Wire,
    pub place: Place,
    pub reader: Reader,
    /// The bit of its default, which need not be looked at where a value was read; zero: it has none.
    bit: u64,
}

impl Step {
    pub fn new(number: u32, wire: Wire, place: Place, reader: Reader) -> Self {
        Step { number, wire, place, reader, bit: 0 }
    }
}

/// What a field is that is absent.
#[derive(Debug)]
struct Absent {
    slot: usize,
    value: Value,
    bit: u64,
}

/// Where a field's value goes.
#[derive(Debug)]
pub(super) enum Place {
    /// A single value.
    Slot(usize),
    /// A single value, left where it stands under this number where whoever reads wants it so.
    Carried { slot: usize, index: usize },
    /// Added to an ARRAY.
    List(usize),
    /// Added to a MAP; the reader is that of a struct of key and value.
    Entries(usize),
    /// A oneof's field: into the STRUCT of that width in `slot`, and all other choices become null. `index`: `None` where
    /// nobody wants this choice.
    Choice { slot: usize, index: Option<usize>, width: usize },
}

/// A payload, and how many bytes of what comes before it count in spans.
#[derive(Clone, Copy)]
pub(super) struct Body<'a> {
    pub bytes: &'a [u8],
    pub before: usize,
}

impl Fields {
    /// `defaults`: what absent fields are, where that is not null.
    pub fn new(mut steps: Vec<Step>, defaults: Vec<(usize, Value)>) -> Self {
        steps.sort_by_key(|step| step.number);
        let mut by_number: Vec<u8> = Vec::new();
        for (step, place) in steps.iter().zip(1..UNREAD) {
            if let Ok(number) = usize::try_from(step.number)
                && step.number < MAX_BY_NUMBER
            {
                by_number.resize(number + 1, 0);
                if let Some(entry) = by_number.last_mut() {
                    *entry = place;
                }
            }
        }
        let mut all_defaults = Some(0);
        let defaults = defaults.into_iter().zip(0u32..).map(|((slot, value), index)| {
            let of_slot = |step: &&mut Step| {
                step.reader.is_plain() && matches!(step.place, Place::Slot(its) | Place::Carried { slot: its, .. } if its == slot)
            };
            let bit = match (1u64.checked_shl(index), steps.iter_mut().find(of_slot)) {
                (Some(bit), Some(step)) => {
                    step.bit = bit;
                    bit
                }
                _ => 0,
            };
            all_defaults = all_defaults.filter(|_| bit != 0).map(|all| all | bit);
            Absent { slot, value, bit }
        });
        let defaults = defaults.collect();
        let mut fields = Fields { steps: steps.into(), by_tag: [0; 0x80], by_number: by_number.into(), defaults, all_defaults };
        for (tag, entry) in (0u8..).zip(&mut fields.by_tag) {
            let Ok((number, wire)) = Cursor::new(&[tag]).tag() else { continue };
            let found = fields.steps.iter().zip(1..UNREAD).find(|(step, _)| step.number == number);
            *entry = match found {
                Some((step, place)) if step.wire == wire => place,
                None if fields.steps.len() < usize::from(UNREAD) && !matches!(wire, Wire::StartGroup | Wire::EndGroup) => UNREAD,
                _ => 0,
            };
        }
        fields
    }

    #[inline]
    fn find(&self, number: u32) -> Option<&Step> {
        match self.by_number.get(number as usize) {
            Some(0) if self.steps.len() < usize::from(UNREAD) => None,
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
        self.read_carrying(Body { bytes: body, before: 0 }, slots, &mut [], budget)
    }

    /// As [`Self::read`]; `spans` say where carried values stand.
    ///
    /// # Errors
    /// As there.
    pub fn read_carrying(&self, body: Body<'_>, slots: &mut [Value], spans: &mut [Span], budget: &mut Budget) -> Read<()> {
        let mut cursor = Cursor::new(body.bytes);
        // The defaults that need not be looked at.
        let mut seen = 0;
        // Messages that stand several times, and what they are all together. Hardly ever any.
        let mut gathered: Vec<(u32, Value)> = Vec::new();
        while let Some(tag) = cursor.rest().first() {
            // Most fields have a small number, are laid out as the schema says, and hold a plain value or are not read.
            let entry = self.by_tag.get(usize::from(*tag)).copied().unwrap_or_default();
            if entry == UNREAD {
                cursor.pass(1);
                match tag & 7 {
                    0 => cursor.varint().map(drop)?,
                    1 => cursor.fixed64().map(drop)?,
                    2 => cursor.sized().map(drop)?,
                    _ => cursor.fixed32().map(drop)?,
                }
                continue;
            }
            if let Some(step) = self.steps.get(usize::from(entry).wrapping_sub(1))
                && step.reader.is_plain()
            {
                match step.place {
                    Place::Slot(slot) => {
                        cursor.pass(1);
                        step.reader.read_into(&mut cursor, place(slots, slot)?, budget)?;
                        seen |= step.bit;
                        continue;
                    }
                    Place::Carried { slot, index } => {
                        cursor.pass(1);
                        carry(step, &mut cursor, body, spans.get_mut(index), place(slots, slot)?, budget)?;
                        seen |= step.bit;
                        continue;
                    }
                    _ => {}
                }
            }
            let (number, wire) = cursor.tag()?;
            match self.find(number) {
                Some(step) => self.read_step(step, wire, &mut cursor, body, slots, spans, budget, &mut gathered)?,
                None => cursor.skip(number, wire)?,
            }
        }
        if self.all_defaults != Some(seen) {
            self.fill(seen, slots)?;
        }
        Ok(())
    }

    /// Fills what was absent.
    fn fill(&self, seen: u64, slots: &mut [Value]) -> Read<()> {
        for Absent { slot, value, .. } in self.defaults.iter().filter(|absent| absent.bit & seen == 0) {
            let place = place(slots, *slot)?;
            if place.is_null() {
                place.clone_from(value);
            }
        }
        Ok(())
    }

    /// Reads a field behind its tag, whatever it is.
    #[expect(clippy::too_many_arguments)] // What the loop above has at hand.
    fn read_step(
        &self,
        step: &Step,
        wire: Wire,
        cursor: &mut Cursor<'_>,
        body: Body<'_>,
        slots: &mut [Value],
        spans: &mut [Span],
        budget: &mut Budget,
        gathered: &mut Vec<(u32, Value)>,
    ) -> Read<()> {
        let number = step.number;
        if wire != step.wire {
            return match step.place {
                Place::List(slot) if wire == Wire::Sized => packed(&step.reader, cursor.sized()?, place(slots, slot)?, budget),
                // As another version of the schema has it: not this field.
                _ => cursor.skip(number, wire),
            };
        }
        match &step.place {
            Place::Slot(slot) => {
                let place = place(slots, *slot)?;
                if place.is_null() || !step.reader.is_message() {
                    return step.reader.read_into(cursor, place, budget);
                }
                cursor.skip(number, wire)?;
                if gathered.iter().all(|(known, _)| *known != number) {
                    *place = step.reader.read_body(&self.gather(body.bytes, step)?, budget)?;
                    gathered.push((number, Value::Null));
                }
            }
            Place::Carried { slot, index } => carry(step, cursor, body, spans.get_mut(*index), place(slots, *slot)?, budget)?,
            Place::List(slot) => {
                let item = step.reader.read(cursor, budget)?;
                push(place(slots, *slot)?, item, budget)?;
            }
            Place::Entries(slot) => {
                let Reader::Struct { fields, .. } = &step.reader else { return Err(bad("a map has no entries")) };
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
                let Some(choice) = index.and_then(|index| choices.get_mut(index)) else { return cursor.skip(number, wire) };
                if let Some((_, whole)) = gathered.iter().find(|(known, _)| *known == number) {
                    cursor.skip(number, wire)?;
                    choice.clone_from(whole);
                } else if is_again && step.reader.is_message() {
                    cursor.skip(number, wire)?;
                    *choice = step.reader.read_body(&self.gather(body.bytes, step)?, budget)?;
                    gathered.push((number, choice.clone()));
                } else {
                    step.reader.read_into(cursor, choice, budget)?;
                }
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

/// Leaves a value where it stands, or reads it where nobody asked for that or it would be written differently.
#[inline]
fn carry(
    step: &Step,
    cursor: &mut Cursor<'_>,
    body: Body<'_>,
    span: Option<&mut Span>,
    place: &mut Value,
    budget: &mut Budget,
) -> Read<()> {
    let Some(span) = span else { return step.reader.read_into(cursor, place, budget) };
    let begin = *cursor;
    let end = body.before + body.bytes.len();
    if step.reader.pass(cursor)? {
        *span = Span { start: end - begin.rest().len(), end: end - cursor.rest().len() };
        return Ok(());
    }
    // An earlier value of the field may be carried.
    *span = Span::default();
    *cursor = begin;
    step.reader.read_into(cursor, place, budget)
}

/// Adds the items of a packed field.
fn packed(reader: &Reader, content: &[u8], list: &mut Value, budget: &mut Budget) -> Read<()> {
    let mut cursor = Cursor::new(content);
    while !cursor.is_at_end() {
        let item = reader.read(&mut cursor, budget)?;
        push(list, item, budget)?;
    }
    Ok(())
}

/// A slot of the row or of a struct. That there is none can't be: plans are made for their rows.
#[inline]
fn place(slots: &mut [Value], slot: usize) -> Read<&mut Value> {
    slots.get_mut(slot).ok_or_else(|| bad("a row has fewer slots than its plan"))
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
        Value::Struct(choices) => Arc::get_mut(choices).ok_or_else(|| bad("a oneof is shared")),
        _ => Err(bad("a oneof is no struct")),
    }
}
