//! AVRO in Confluent's framing: a zero byte, the id of the writer's schema (four bytes, big-endian), then Avro's binary
//! encoding.
//!
//! A schema is compiled once to a plan of steps that reads bytes straight into the row's slots ([`compile`]); each record is
//! read by the plan of its own id, so writers may evolve. What is written has the schema that ksqlDB would register for the
//! columns ([`schema`]), or the one that a statement names by its id.

mod canonical;
mod compile;
mod cursor;
mod decode;
mod default;
#[cfg(test)]
mod differential;
mod encode;
mod infer;
mod names;
mod parse;
mod read;
mod schema;
mod show;
mod skip;
#[cfg(test)]
mod tests;
mod types;
mod write;
mod write_plan;

use super::{Decoder, Encoder, Format, Inferred, Layout, Printer, SchemaShape, SchemaSupport};
use crate::registry::{Schema, SchemaKind};
use crate::types::Column;

pub(super) static AVRO: AvroFormat = AvroFormat;

pub(super) struct AvroFormat;

impl Format for AvroFormat {
    fn name(&self) -> &'static str {
        "AVRO"
    }

    fn schemas(&self) -> Option<&dyn SchemaSupport> {
        Some(self)
    }

    fn carries(&self) -> bool {
        true
    }

    fn check_column(&self, column: &Column, _is_key: bool) -> Result<(), String> {
        schema::of_columns(std::slice::from_ref(column), false, schema::DEFAULT_NAME).map(drop)
    }

    fn decoder(&self, layout: &Layout) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(decode::AvroDecoder::new(layout)?))
    }

    fn encoder(&self, layout: &Layout) -> Result<Box<dyn Encoder>, String> {
        Ok(Box::new(encode::encoder(layout)?))
    }
}

impl SchemaSupport for AvroFormat {
    fn kind(&self) -> Option<SchemaKind> {
        Some(SchemaKind::Avro)
    }

    fn schema_of(&self, columns: &[Column], shape: &SchemaShape<'_>) -> Result<Schema, String> {
        let text = schema::of_columns(columns, shape.unwrapped, shape.full_name().unwrap_or(schema::DEFAULT_NAME))?.to_string();
        Ok(Schema::new(SchemaKind::Avro, text))
    }

    fn columns_of(&self, schema: &Schema, shape: &SchemaShape<'_>) -> Result<Inferred, String> {
        infer::columns_of(schema, shape.keeps_case)
    }

    fn printer(&self, schema: &Schema) -> Result<Printer, String> {
        show::printer(schema)
    }

    fn name_of(&self, schema: &Schema) -> Option<String> {
        let (schema, _) = parse::parse(schema).ok()?;
        schema.name().map(|name| name.fullname(None))
    }

    fn key_name(&self, source: &str) -> Option<String> {
        Some(names::of_key(source))
    }
}
