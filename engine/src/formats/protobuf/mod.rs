//! PROTOBUF in Confluent's framing, and PROTOBUF_NOSR, which is bare messages.
//!
//! A message is compiled once to a plan that reads the wire format straight into the row's slots ([`compile`], [`fields`], [`read`]); each
//! record is read by the plan of its own schema and message, so writers may evolve. What is written has the schema that ksqlDB
//! would register for the columns ([`schema`]), or the one that a statement names by its id ([`compile_write`], [`write`]).
//!
//! Nulls: a field that can't be told from its zero is the zero where it is absent, as in ksqlDB; `optional` fields, wrappers and
//! messages are null.

mod bare;
mod compile;
mod compile_write;
mod connect;
mod cursor;
mod decode;
#[cfg(test)]
mod differential;
mod encode;
mod fields;
mod frame;
mod infer;
pub(crate) mod known;
pub(crate) mod parse;
mod read;
mod schema;
mod show;
mod special;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use super::{Decoder, Encoder, Format, Inferred, Layout, Printer, SchemaShape, SchemaSupport};
use crate::plan::FormatSpec;
use crate::registry::{Schema, SchemaKind};
use crate::types::{Column, SqlType, Value};

pub(super) static PROTOBUF: ProtobufFormat = ProtobufFormat { is_framed: true };
pub(super) static PROTOBUF_NOSR: ProtobufFormat = ProtobufFormat { is_framed: false };

/// Both formats of Protocol Buffers messages.
pub(super) struct ProtobufFormat {
    /// Whether payloads name their schema.
    is_framed: bool,
}

impl Format for ProtobufFormat {
    fn name(&self) -> &'static str {
        if self.is_framed { "PROTOBUF" } else { "PROTOBUF_NOSR" }
    }

    fn supports_wrapping(&self) -> (bool, bool) {
        (true, !self.is_framed)
    }

    fn carries(&self) -> bool {
        true
    }

    fn unwraps_single_key(&self) -> bool {
        !self.is_framed
    }

    fn in_place_of_null(&self, spec: &FormatSpec, sql_type: &SqlType) -> Option<Value> {
        Some(match sql_type {
            SqlType::Array(_) => Value::array(Vec::new()),
            SqlType::Map(..) => Value::Map(Arc::default()),
            _ if spec.schema.as_ref().is_some_and(|schema| schema.nulls.is_some()) => return None,
            SqlType::Boolean => Value::Boolean(false),
            SqlType::Int => Value::Int(0),
            SqlType::BigInt => Value::BigInt(0),
            SqlType::Double => Value::Double(0.0),
            SqlType::String => Value::string(""),
            SqlType::Bytes => Value::bytes([]),
            // Messages are null where they are absent.
            _ => return None,
        })
    }

    fn schemas(&self) -> Option<&dyn SchemaSupport> {
        Some(self)
    }

    fn check_column(&self, column: &Column, is_key: bool) -> Result<(), String> {
        self.check_columns(std::slice::from_ref(column), is_key)
    }

    fn check_columns(&self, columns: &[Column], is_key: bool) -> Result<(), String> {
        match columns {
            [only] if is_key && self.unwraps_single_key() => bare::check_single(&only.sql_type)?,
            _ => {}
        }
        of_columns(columns, None, None).map(drop)
    }

    fn decoder(&self, layout: &Layout) -> Result<Box<dyn Decoder>, String> {
        Ok(if self.is_framed { Box::new(decode::ProtobufDecoder::new(layout)?) } else { Box::new(decode::BareDecoder::new(layout)?) })
    }

    fn encoder(&self, layout: &Layout) -> Result<Box<dyn Encoder>, String> {
        Ok(Box::new(if self.is_framed { encode::framed(layout)? } else { encode::bare(layout)? }))
    }
}

impl SchemaSupport for ProtobufFormat {
    fn kind(&self) -> Option<SchemaKind> {
        self.is_framed.then_some(SchemaKind::Protobuf)
    }

    fn schema_of(&self, columns: &[Column], shape: &SchemaShape<'_>) -> Result<Schema, String> {
        let text = of_columns(columns, shape.full_name(), shape.spec.and_then(|spec| spec.nulls))?;
        Ok(Schema::new(SchemaKind::Protobuf, text))
    }

    fn columns_of(&self, schema: &Schema, shape: &SchemaShape<'_>) -> Result<Inferred, String> {
        infer::columns_of(schema, shape)
    }

    fn printer(&self, schema: &Schema) -> Result<Printer, String> {
        show::printer(schema)
    }

    fn name_of(&self, schema: &Schema) -> Option<String> {
        match self.choices(schema).as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        }
    }

    fn choices(&self, schema: &Schema) -> Vec<String> {
        let parsed = parse::parse(schema);
        parsed.map(|parsed| parsed.file.messages().map(|message| message.full_name().to_owned()).collect()).unwrap_or_default()
    }

    fn inherits_full_name(&self) -> bool {
        self.is_framed
    }

    fn takes_nulls(&self) -> bool {
        true
    }

    fn inserts_newest(&self) -> bool {
        true
    }

    fn is_same(&self, one: &Schema, other: &Schema) -> bool {
        match (parse::parse(one), parse::parse(other)) {
            (Ok(one), Ok(other)) => one.file.file_descriptor_proto() == other.file.file_descriptor_proto(),
            _ => one.text == other.text,
        }
    }
}

/// The descriptors of a schema, with all that it imports: for those who look at PROTOBUF from outside.
///
/// # Errors
/// It is not well formed, or imports what is not there.
pub fn descriptors(schema: &Schema) -> Result<prost_reflect::FileDescriptor, String> {
    parse::parse(schema).map(|parsed| parsed.file)
}

fn of_columns(columns: &[Column], full_name: Option<&str>, nulls: Option<crate::plan::NullRepresentation>) -> Result<String, String> {
    schema::of_columns(columns.iter().map(|column| (&*column.name, &column.sql_type)), full_name, nulls)
}

/// The message that a user names; one that begins like ksqlDB's own names is none.
fn message_name(full_name: Option<&str>) -> Option<&str> {
    full_name.map(str::trim).filter(|name| !name.is_empty() && !name.starts_with(schema::DEFAULT_NAME))
}
