//! The encoder: the schema is registered once, its id is the prefix of every payload.

use super::write::{FieldWriter, Writer};
use super::write_plan::{compile_row, compile_value};
use crate::formats::schemas::columns::{only_column, sources};
use crate::formats::schemas::encoder::{PrefixedEncoder, WriteValue, Written};
use crate::formats::schemas::frame::header;
use crate::formats::{EncodeError, Layout};
use crate::types::Value;

pub(super) type AvroEncoder = PrefixedEncoder<FieldWriter, Writer>;

/// # Errors
/// No schema is registered, or one that the columns can't be written by.
pub(super) fn encoder(layout: &Layout) -> Result<AvroEncoder, String> {
    let schemas = layout.schemas.as_ref().ok_or("AVRO needs a schema registry")?;
    let (id, schema) = schemas.write_schema()?;
    let (schema, others) = super::parse::parse(schema)?;
    let sources = sources(&layout.fields)?;
    let written = match (only_column(layout), sources.as_slice()) {
        (Some(sql_type), [only]) => Written::Single { slot: only.slot, writer: compile_value(&schema, &others, sql_type)? },
        _ => Written::Row(compile_row(&schema, &others, &sources)?),
    };
    Ok(PrefixedEncoder::new(header(id), written))
}

impl WriteValue for Writer {
    #[inline]
    fn write_value(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.write(value, out)
    }
}
