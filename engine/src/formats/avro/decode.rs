//! The decoder: the plan of the record's schema id, run over its bytes.

use super::compile::{Plan, Shape, Wanted, compile};
use super::cursor::Cursor;
use crate::formats::{DecodeError, Decoder, Field, Layout, LayoutSchemas, Span};
use crate::registry::{RegistryError, SchemaId};
use crate::types::Value;

/// Schemas that a decoder remembers. A topic has few; one with more has them compiled again and again.
const MAX_PLANS: usize = 256;
/// The zero byte and the id of the schema.
const HEADER_BYTES: usize = 5;

pub(super) struct AvroDecoder {
    schemas: LayoutSchemas,
    fields: Vec<Field>,
    unwrapped: bool,
    /// The plans of the ids that were met, the last one used first; or why there is none.
    plans: Vec<(i32, Result<Plan, String>)>,
}

impl AvroDecoder {
    pub fn new(layout: &Layout) -> Result<Self, String> {
        let schemas = layout.schemas.as_ref().ok_or("AVRO needs a schema registry")?;
        Ok(AvroDecoder {
            schemas: schemas.clone(),
            fields: layout.fields.clone(),
            unwrapped: super::only_column(layout).is_some(),
            plans: Vec::new(),
        })
    }

    /// Asks for a schema that was not met yet and compiles it.
    #[cold]
    fn meet(&mut self, id: i32) -> Result<(), DecodeError> {
        let plan = match self.schemas.poll(SchemaId(id)) {
            Ok(None) => return Err(DecodeError::not_yet(format!("waiting for schema {id} of the registry"))),
            Ok(Some(schema)) => super::parse::parse(&schema).and_then(|(schema, others)| {
                let wanted: Vec<Wanted<'_>> = self
                    .fields
                    .iter()
                    .map(|field| Wanted {
                        name: &field.column.name,
                        sql_type: &field.column.sql_type,
                        slot: field.slot,
                        carried: field.carried,
                    })
                    .collect();
                compile(&schema, &others, &wanted, self.unwrapped)
            }),
            // Not remembered: the registry knows best for how long.
            Err(RegistryError::UnknownId(_)) => {
                return Err(DecodeError::new(format!("Error retrieving Avro schema for id {id}: Schema {id} not found")));
            }
            Err(error) => return Err(DecodeError::new(format!("Error retrieving Avro schema for id {id}: {error}"))),
        };
        self.plans.truncate(MAX_PLANS - 1);
        self.plans.insert(0, (id, plan));
        Ok(())
    }
}

/// The id and the body of a payload.
#[inline]
fn framed(payload: &[u8]) -> Result<(i32, &[u8]), DecodeError> {
    match payload {
        [0, a, b, c, d, body @ ..] => Ok((i32::from_be_bytes([*a, *b, *c, *d]), body)),
        _ => Err(not_framed(payload)),
    }
}

#[cold]
fn not_framed(payload: &[u8]) -> DecodeError {
    DecodeError::new(match payload {
        [] => "the payload is empty",
        [0, ..] => "the payload is shorter than the id of a schema",
        _ => "Unknown magic byte!",
    })
}

impl Decoder for AvroDecoder {
    fn decode(&mut self, payload: &[u8], row: &mut [Value]) -> Result<bool, DecodeError> {
        self.decode_carrying(payload, row, &mut [])
    }

    fn decode_carrying(&mut self, payload: &[u8], row: &mut [Value], spans: &mut [Span]) -> Result<bool, DecodeError> {
        let (id, body) = framed(payload)?;
        if self.plans.first().is_none_or(|(last, _)| *last != id) {
            match self.plans.iter().position(|(known, _)| *known == id) {
                Some(index) => self.plans.swap(0, index),
                None => self.meet(id)?,
            }
        }
        let Some((_, plan)) = self.plans.first() else { return Err(DecodeError::new("no plan")) };
        let plan = plan.as_ref().map_err(|why| DecodeError::new(why.as_str()))?;
        let mut cursor = Cursor::with_named(body, &plan.named);
        let has_value = plan.shape.run(&mut cursor, row, spans).map_err(|error| *error)?;
        if cursor.remaining() > 0 {
            return Err(DecodeError::new(format!("{} bytes are left behind the value", cursor.remaining())));
        }
        for span in spans.iter_mut().filter(|span| span.end > span.start) {
            *span = Span { start: span.start + HEADER_BYTES, end: span.end + HEADER_BYTES };
        }
        Ok(has_value)
    }
}

impl Shape {
    /// Reads a payload, and says whether it is other than null.
    #[inline]
    fn run(&self, cursor: &mut Cursor<'_>, row: &mut [Value], spans: &mut [Span]) -> super::cursor::Read<bool> {
        match self {
            Shape::Row { some, steps } => {
                if let Some(some) = some
                    && !cursor.is_some(*some)?
                {
                    return Ok(false);
                }
                for step in steps {
                    step.run(cursor, row, spans)?;
                }
                Ok(true)
            }
            Shape::Branches(branches) => {
                let index = cursor.index(branches.len())?;
                match branches.get(index) {
                    Some(Some(branch)) => branch.run(cursor, row, spans).map(|()| true),
                    _ => Ok(false),
                }
            }
            Shape::Single { slot, reader } => {
                let mut value = Value::Null;
                reader.read_into(cursor, &mut value)?;
                let has_value = !value.is_null();
                if let Some(place) = slot.and_then(|slot| row.get_mut(slot)) {
                    *place = value;
                }
                Ok(has_value)
            }
        }
    }
}
