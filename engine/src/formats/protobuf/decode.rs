//! The decoders: the plan of the record's schema and message, run over its bytes.

use super::compile::{compile, compile_value};
use super::fields::{Body, Fields};
use super::parse::parse;
use super::read::{Budget, Reader};
use super::{bare, frame};
use crate::formats::schemas::columns::wanted;
use crate::formats::schemas::plans::{Planned, Plans};
use crate::formats::{DecodeError, Decoder, Field, Layout, Span};
use crate::registry::Schema;
use crate::types::Value;

/// What of a payload is read.
pub(super) struct Columns(Vec<Field>);

impl Planned for Columns {
    type Plan = Fields;
    const LANGUAGE: &'static str = "Protobuf";

    fn more_bytes(&self, behind: &[u8]) -> Result<usize, DecodeError> {
        frame::indexes_bytes(behind).map_err(|error| *error)
    }

    fn compile(&self, schema: &Schema, more: &[u8]) -> Result<Fields, String> {
        compile(&frame::message(&parse(schema)?, more)?, &wanted(&self.0))
    }
}

/// Payloads in Confluent's framing.
pub(super) struct ProtobufDecoder {
    plans: Plans<Columns>,
}

impl ProtobufDecoder {
    pub fn new(layout: &Layout) -> Result<Self, String> {
        let schemas = layout.schemas.as_ref().ok_or("PROTOBUF needs a schema registry")?;
        Ok(ProtobufDecoder { plans: Plans::new(Columns(layout.fields.clone()), schemas) })
    }
}

impl Decoder for ProtobufDecoder {
    fn decode(&mut self, payload: &[u8], row: &mut [Value]) -> Result<bool, DecodeError> {
        self.decode_carrying(payload, row, &mut [])
    }

    fn decode_carrying(&mut self, payload: &[u8], row: &mut [Value], spans: &mut [Span]) -> Result<bool, DecodeError> {
        let (plan, begins) = self.plans.of(payload)?;
        let body = Body { bytes: payload.get(begins..).unwrap_or_default(), before: begins };
        plan.read_carrying(body, row, spans, &mut Budget::new()).map_err(|error| *error)?;
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
            BareDecoder::Row(fields) => {
                let body = Body { bytes: payload, before: 0 };
                fields.read_carrying(body, row, spans, &mut Budget::new()).map_err(|error| *error)?;
            }
            BareDecoder::Single { slot, reader } => {
                let value = reader.read_body(payload, &mut Budget::new()).map_err(|error| *error)?;
                if let Some(place) = slot.and_then(|slot| row.get_mut(slot)) {
                    *place = value;
                }
            }
        }
        Ok(true)
    }
}
