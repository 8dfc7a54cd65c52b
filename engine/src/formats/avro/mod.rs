//! AVRO in Confluent's framing: a zero byte, the id of the writer's schema (four bytes, big-endian), then Avro's binary
//! encoding.
//!
//! A schema is compiled once to a plan of steps that reads bytes straight into the row's slots ([`compile`]); each record is
//! read by the plan of its own id, so writers may evolve. What is written has the schema that ksqlDB would register for the
//! columns ([`schema`]), or the one that a statement names by its id.

mod compile;
mod cursor;
mod decode;
mod encode;
mod infer;
mod names;
mod read;
mod schema;
mod skip;
#[cfg(test)]
mod tests;
mod write;

use super::{Decoder, Encoder, Format, Inferred, Layout, SchemaShape, SchemaSupport};
use crate::registry::{Schema, SchemaKind};
use crate::types::{Column, SqlType};

pub(super) static AVRO: AvroFormat = AvroFormat;

/// How Connect names the record of a map's key and value, and the attribute's value that says so.
const MAP_ENTRY: &str = "MapEntry";

pub(super) struct AvroFormat;

impl Format for AvroFormat {
    fn name(&self) -> &'static str {
        "AVRO"
    }

    fn supports_key(&self) -> bool {
        true
    }

    fn supports_several_key_columns(&self) -> bool {
        true
    }

    fn supports_wrapping(&self) -> (bool, bool) {
        (true, true)
    }

    fn unwrapped_by_default(&self) -> bool {
        false
    }

    fn schemas(&self) -> Option<&dyn SchemaSupport> {
        Some(self)
    }

    fn check_column(&self, column: &Column, _is_key: bool) -> Result<(), String> {
        schema::of_columns(std::slice::from_ref(column), false, schema::DEFAULT_NAME).map(drop)
    }

    fn decoder(&self, layout: &Layout) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(decode::AvroDecoder::new(layout)?))
    }

    fn encoder(&self, layout: &Layout) -> Result<Box<dyn Encoder>, String> {
        Ok(Box::new(encode::AvroEncoder::new(layout)?))
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

    fn name_of(&self, schema: &Schema) -> Option<String> {
        let (schema, _) = parse(schema).ok()?;
        schema.name().map(|name| name.fullname(None))
    }

    fn key_name(&self, source: &str) -> Option<String> {
        Some(names::of_key(source))
    }
}

/// Parses a schema and those that it refers to.
///
/// # Errors
/// It is not well formed, or refers to too much.
fn parse(schema: &Schema) -> Result<(apache_avro::Schema, Vec<apache_avro::Schema>), String> {
    let mut texts = Vec::new();
    collect_references(schema, &mut texts, 0)?;
    let parsed = apache_avro::Schema::parse_str_with_list(&schema.text, &texts);
    parsed.map_err(|error| format!("The schema is no Avro schema: {error}"))
}

/// How many schemas one may refer to, and how deep.
const MAX_REFERENCES: usize = 100;

fn collect_references(schema: &Schema, texts: &mut Vec<String>, depth: usize) -> Result<(), String> {
    for reference in &schema.references {
        if depth >= MAX_REFERENCES || texts.len() >= MAX_REFERENCES {
            return Err(format!("The schema refers to more than {MAX_REFERENCES} others"));
        }
        collect_references(&reference.schema, texts, depth + 1)?;
        if !texts.contains(&reference.schema.text) {
            texts.push(reference.schema.text.clone());
        }
    }
    Ok(())
}

/// The only column of an unwrapped layout.
fn only_column(layout: &Layout) -> Option<&SqlType> {
    match layout.fields.as_slice() {
        [only] if layout.unwrapped => Some(&only.column.sql_type),
        _ => None,
    }
}
