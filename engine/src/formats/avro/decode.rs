//! The decoder: the plan of the record's schema id, run over its bytes.

use super::compile::{Plan, Wanted, compile};
use super::cursor::Cursor;
use crate::formats::{DecodeError, Decoder, Field, Layout, LayoutSchemas};
use crate::registry::{RegistryError, SchemaId};
use crate::types::Value;

/// Schemas that a decoder remembers. A topic has few; one with more has them compiled again and again.
const MAX_PLANS: usize = 256;

pub(super) struct AvroDecoder {
    schemas: LayoutSchemas,
    fields: Vec<Field>,
    unwrapped: bool,
    is_key: bool,
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
            is_key: layout.is_key,
            plans: Vec::new(),
        })
    }

    /// Asks for a schema that was not met yet and compiles it.
    #[cold]
    fn meet(&mut self, id: i32) -> Result<(), DecodeError> {
        let plan = match self.schemas.poll(SchemaId(id)) {
            Ok(None) => return Err(DecodeError::not_yet(format!("waiting for schema {id} of the registry"))),
            Ok(Some(schema)) => super::parse(&schema).and_then(|(schema, others)| {
                let wanted: Vec<Wanted<'_>> = self
                    .fields
                    .iter()
                    .map(|Field { column, slot, .. }| Wanted { name: &column.name, sql_type: &column.sql_type, slot: *slot })
                    .collect();
                compile(&schema, &others, &wanted, self.unwrapped)
            }),
            Err(RegistryError::UnknownId(_)) => Err(format!("Error retrieving Avro schema for id {id}: Schema {id} not found")),
            Err(error) => return Err(DecodeError::new(format!("Error retrieving Avro schema for id {id}: {error}"))),
        };
        self.plans.truncate(MAX_PLANS - 1);
        self.plans.insert(0, (id, plan));
        Ok(())
    }
}

impl Decoder for AvroDecoder {
    fn decode(&mut self, payload: &[u8], row: &mut [Value]) -> Result<bool, DecodeError> {
        let (id, body) = match payload {
            [0, a, b, c, d, body @ ..] => (i32::from_be_bytes([*a, *b, *c, *d]), body),
            [0, ..] => return Err(DecodeError::new("the payload is shorter than the id of a schema")),
            [] => return Err(DecodeError::new("the payload is empty")),
            [_, ..] => return Err(DecodeError::new("Unknown magic byte!")),
        };
        if self.plans.first().is_none_or(|(last, _)| *last != id) {
            match self.plans.iter().position(|(known, _)| *known == id) {
                Some(index) => self.plans.swap(0, index),
                None => self.meet(id)?,
            }
        }
        let Some((_, plan)) = self.plans.first() else { return Err(DecodeError::new("no plan")) };
        let plan = plan.as_ref().map_err(|why| DecodeError::new(why.as_str()))?;
        let mut cursor = Cursor::new(body);
        let has_value = match plan {
            Plan::Row { null_branch, steps } => {
                if let Some(null) = null_branch
                    && cursor.index(2)? == *null
                {
                    return Ok(false);
                }
                steps.iter().try_for_each(|step| step.run(&mut cursor, row))?;
                true
            }
            Plan::Single { slot, reader } => {
                let value = reader.read(&mut cursor)?;
                let has_value = !(self.is_key && value.is_null());
                if let Some(place) = slot.and_then(|slot| row.get_mut(slot)) {
                    *place = value;
                }
                has_value
            }
        };
        if cursor.remaining() > 0 {
            return Err(DecodeError::new(format!("{} bytes are left behind the value", cursor.remaining())));
        }
        Ok(has_value)
    }
}
