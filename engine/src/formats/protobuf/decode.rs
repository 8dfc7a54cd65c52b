//! The decoders: the plan of the record's schema and message, run over its bytes.

use super::compile::{Wanted, compile, compile_value};
use super::parse::parse;
use super::read::{Budget, Fields, Reader};
use super::{bare, frame};
use crate::formats::{DecodeError, Decoder, Field, Layout, LayoutSchemas, Span};
use crate::registry::{RegistryError, SchemaId};
use crate::types::Value;

/// Schemas and messages that a decoder remembers. A topic has few; one with more has them compiled again and again.
const MAX_PLANS: usize = 256;

/// What stands before payloads (id and message), and how they are read, or why they can't be.
type Plan = (Box<[u8]>, Result<Fields, String>);

/// Payloads in Confluent's framing.
pub(super) struct ProtobufDecoder {
    schemas: LayoutSchemas,
    fields: Vec<Field>,
    /// The plans of the ids and messages that were met, the last one used first; or why there is none.
    plans: Vec<Plan>,
}

impl ProtobufDecoder {
    pub fn new(layout: &Layout) -> Result<Self, String> {
        let schemas = layout.schemas.as_ref().ok_or("PROTOBUF needs a schema registry")?;
        Ok(ProtobufDecoder { schemas: schemas.clone(), fields: layout.fields.clone(), plans: Vec::new() })
    }

    /// Brings the plan of a payload to the front.
    #[cold]
    fn find(&mut self, payload: &[u8]) -> Result<(), DecodeError> {
        let framed = frame::split(payload)?;
        match self.plans.iter().position(|(prefix, _)| **prefix == *framed.prefix) {
            Some(index) => self.plans.swap(0, index),
            None => self.meet(framed.id, framed.prefix)?,
        }
        Ok(())
    }

    /// Asks for a schema that was not met yet and compiles it.
    fn meet(&mut self, SchemaId(id): SchemaId, prefix: &[u8]) -> Result<(), DecodeError> {
        let plan = match self.schemas.poll(SchemaId(id)) {
            Ok(None) => return Err(DecodeError::not_yet(format!("waiting for schema {id} of the registry"))),
            Ok(Some(schema)) => parse(&schema).and_then(|parsed| compile(&frame::message(&parsed, prefix)?, &wanted(&self.fields))),
            // Not remembered: the registry knows best for how long.
            Err(RegistryError::UnknownId(_)) => {
                return Err(DecodeError::new(format!("Error retrieving Protobuf schema for id {id}: Schema {id} not found")));
            }
            Err(error) => return Err(DecodeError::new(format!("Error retrieving Protobuf schema for id {id}: {error}"))),
        };
        self.plans.truncate(MAX_PLANS - 1);
        self.plans.insert(0, (prefix.into(), plan));
        Ok(())
    }
}

fn wanted<'f>(fields: &'f [Field]) -> Vec<Wanted<'f>> {
    let of_field = |Field { column, slot, carried }: &'f Field| Wanted {
        name: &column.name,
        sql_type: &column.sql_type,
        slot: *slot,
        carried: *carried,
    };
    fields.iter().map(of_field).collect()
}

impl Decoder for ProtobufDecoder {
    fn decode(&mut self, payload: &[u8], row: &mut [Value]) -> Result<bool, DecodeError> {
        self.decode_carrying(payload, row, &mut [])
    }

    fn decode_carrying(&mut self, payload: &[u8], row: &mut [Value], spans: &mut [Span]) -> Result<bool, DecodeError> {
        let is_last =
            |(prefix, _): &(Box<[u8]>, _)| payload.first() == Some(&0) && payload.get(1..).is_some_and(|rest| rest.starts_with(prefix));
        if !self.plans.first().is_some_and(is_last) {
            self.find(payload)?;
        }
        let Some((prefix, plan)) = self.plans.first() else { return Err(DecodeError::new("no plan")) };
        let plan = plan.as_ref().map_err(|why| DecodeError::new(why.as_str()))?;
        let header = 1 + prefix.len();
        plan.read_carrying(payload.get(header..).unwrap_or_default(), row, spans, &mut Budget::new())?;
        for span in spans.iter_mut().filter(|span| span.end > span.start) {
            *span = Span { start: span.start + header, end: span.end + header };
        }
        Ok(true)
    }
}

/// Bare messages: PROTOBUF_NOSR.
pub(super) enum BareDecoder {
    Row(Fields),
    /// The only column.
    Single {
        slot: Option<usize>,
        reader: Reader,
    },
}

impl BareDecoder {
    pub fn new(layout: &Layout) -> Result<Self, String> {
        Ok(match bare::shape(layout)? {
            bare::Shape::Row(message) => BareDecoder::Row(compile(&message, &wanted(&layout.fields))?),
            bare::Shape::Single { field, sql_type, slot } => BareDecoder::Single { slot, reader: compile_value(&field, &sql_type)? },
        })
    }
}

impl Decoder for BareDecoder {
    fn decode(&mut self, payload: &[u8], row: &mut [Value]) -> Result<bool, DecodeError> {
        self.decode_carrying(payload, row, &mut [])
    }

    fn decode_carrying(&mut self, payload: &[u8], row: &mut [Value], spans: &mut [Span]) -> Result<bool, DecodeError> {
        match self {
            BareDecoder::Row(fields) => fields.read_carrying(payload, row, spans, &mut Budget::new())?,
            BareDecoder::Single { slot, reader } => {
                let value = reader.read_body(payload, &mut Budget::new())?;
                if let Some(place) = slot.and_then(|slot| row.get_mut(slot)) {
                    *place = value;
                }
            }
        }
        Ok(true)
    }
}
