//! JSON_SR in Confluent's framing: a zero byte, the id of the writer's schema (four bytes, big-endian), then JSON.
//!
//! What is read is read as JSON is ([`super::json`]), whatever the schema says: member names match a column exactly or in
//! upper case, and writers may evolve. The schema is looked at where columns are inferred ([`infer`]), where a statement
//! chooses one to write with ([`write`]), and where a DECIMAL comes as base64. What is written has the schema that ksqlDB
//! would register for the columns ([`schema`]).
//!
//! A JSON Schema says more than which values there are. What it says of types is read in two steps, as Confluent's library
//! does it: which kinds of schema stand in a node ([`parts`]), then which type of Connect's data model they make
//! ([`connect`]).

mod connect;
mod decode;
mod document;
mod encode;
mod infer;
mod java_order;
mod parts;
mod schema;
#[cfg(test)]
mod tests;
mod write;

use super::json::check_type;
use super::{Decoder, Encoder, Format, Inferred, Layout, SchemaShape, SchemaSupport};
use crate::registry::{Schema, SchemaKind};
use crate::types::Column;

pub(super) static JSON_SR: JsonSchemaFormat = JsonSchemaFormat;

/// The names that Connect gives its logical types.
const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
const DATE: &str = "org.apache.kafka.connect.data.Date";
const TIME: &str = "org.apache.kafka.connect.data.Time";
const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";

pub(super) struct JsonSchemaFormat;

impl Format for JsonSchemaFormat {
    fn name(&self) -> &'static str {
        "JSON_SR"
    }

    fn schemas(&self) -> Option<&dyn SchemaSupport> {
        Some(self)
    }

    fn carries(&self) -> bool {
        true
    }

    fn check_column(&self, column: &Column, _is_key: bool) -> Result<(), String> {
        check_type(&column.sql_type)
    }

    fn decoder(&self, layout: &Layout) -> Result<Box<dyn Decoder>, String> {
        layout.fields.iter().try_for_each(|field| check_type(&field.column.sql_type))?;
        Ok(Box::new(decode::JsonSchemaDecoder::new(layout)?))
    }

    fn encoder(&self, layout: &Layout) -> Result<Box<dyn Encoder>, String> {
        layout.fields.iter().try_for_each(|field| check_type(&field.column.sql_type))?;
        Ok(Box::new(encode::encoder(layout)?))
    }
}

impl SchemaSupport for JsonSchemaFormat {
    fn kind(&self) -> Option<SchemaKind> {
        Some(SchemaKind::Json)
    }

    fn schema_of(&self, columns: &[Column], shape: &SchemaShape<'_>) -> Result<Schema, String> {
        columns.iter().try_for_each(|column| check_type(&column.sql_type))?;
        Ok(Schema::new(SchemaKind::Json, schema::of_columns(columns, shape.unwrapped)))
    }

    fn columns_of(&self, schema: &Schema, shape: &SchemaShape<'_>) -> Result<Inferred, String> {
        infer::columns_of(schema, shape.keeps_case)
    }

    /// They say the same of values, in whichever order.
    fn is_same(&self, one: &Schema, other: &Schema) -> bool {
        match (connect::of_schema(one), connect::of_schema(other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => one.text == other.text,
        }
    }
}
