//! The decoder: the plan of the record's schema id, run over its bytes.

use super::compile::{Plan, Shape, compile};
use super::cursor::{Cursor, Read};
use crate::formats::schemas::columns::{only_column, wanted};
use crate::formats::schemas::plans::{Planned, Plans};
use crate::formats::{DecodeError, Decoder, Field, Layout, Span};
use crate::registry::Schema;
use crate::types::Value;

/// What of a payload is read.
pub(super) struct Columns {
    fields: Vec<Field>,
    unwrapped: bool,
}

impl Planned for Columns {
    type Plan = Plan;
    const LANGUAGE: &'static str = "Avro";

    fn compile(&self, schema: &Schema, _more: &[u8]) -> Result<Plan, String> {
        let (schema, others) = super::parse::parse(schema)?;
        compile(&schema, &others, &wanted(&self.fields), self.unwrapped)
    }
}

pub(super) struct AvroDecoder {
    plans: Plans<Columns>,
}

impl AvroDecoder {
    pub fn new(layout: &Layout) -> Result<Self, String> {
        let schemas = layout.schemas.as_ref().ok_or("AVRO needs a schema registry")?;
        let columns = Columns { fields: layout.fields.clone(), unwrapped: only_column(layout).is_some() };
        Ok(AvroDecoder { plans: Plans::new(columns, schemas) })
    }
}

impl Decoder for AvroDecoder {
    fn decode(&mut self, payload: &[u8], row: &mut [Value]) -> Result<bool, DecodeError> {
        self.decode_carrying(payload, row, &mut [])
    }

    fn decode_carrying(&mut self, payload: &[u8], row: &mut [Value], spans: &mut [Span]) -> Result<bool, DecodeError> {
        let (plan, begins) = self.plans.of(payload)?;
        let mut cursor = Cursor::behind(begins, payload.get(begins..).unwrap_or_default(), &plan.named);
        let has_value = plan.shape.run(&mut cursor, row, spans).map_err(|error| *error)?;
        if cursor.remaining() > 0 {
            return Err(DecodeError::new(format!("{} bytes are left behind the value", cursor.remaining())));
        }
        Ok(has_value)
    }
}

impl Shape {
    /// Reads a payload, and says whether it is other than null.
    #[inline]
    fn run(&self, cursor: &mut Cursor<'_>, row: &mut [Value], spans: &mut [Span]) -> Read<bool> {
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
