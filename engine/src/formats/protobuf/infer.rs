//! The columns of a registered schema, as ksqlDB infers them through Kafka Connect's data model.
//!
//! Names are in upper case, unless the statement chose the schema by its id. Unsigned 32-bit numbers are BIGINT, enums STRING,
//! wrappers what they wrap, a oneof is a STRUCT named `NAME_0` with a field for each choice, a map has STRING keys whatever
//! the schema says.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::connect::{Member, Special, decimal_parameters, declared, item_type_name, map_entry, members, repeats, special};
use super::parse::{Parsed, message, name_of, parse};
use crate::formats::{Inferred, SchemaShape};
use crate::registry::Schema;
use crate::types::{Column, SqlType};

/// Nodes that inferred columns may have: a schema of few lines can name a message a thousand times over.
const MAX_NODES: usize = 20_000;

/// The columns of a registered schema.
///
/// # Errors
/// The schema is not well formed, has no such message, is recursive, or has no type that SQL has.
pub(super) fn columns_of(schema: &Schema, shape: &SchemaShape<'_>) -> Result<Inferred, String> {
    let parsed = parse(schema)?;
    let name = super::message_name(shape.full_name());
    let root = message(&parsed, name).ok_or_else(|| match name {
        Some(name) => format!("The schema has no message {name}"),
        None => "The schema has no message".to_owned(),
    })?;
    let mut inference = Inference { parsed: &parsed, keeps_case: shape.keeps_case, open: Vec::new(), nodes: 0 };
    if let Some(Special::Wrapper(value)) = special(&root) {
        return Ok(Inferred::Value(inference.item(&value)?));
    }
    let fields = inference.fields(&root)?;
    if fields.is_empty() {
        return Err("Schema does not include any columns with types that ksqlDB supports.".to_owned());
    }
    Ok(Inferred::Columns(fields.into_iter().map(|(name, sql_type)| Column::new(name, sql_type)).collect()))
}

struct Inference<'p> {
    parsed: &'p Parsed,
    keeps_case: bool,
    /// The messages around, outermost first.
    open: Vec<MessageDescriptor>,
    nodes: usize,
}

impl Inference<'_> {
    fn named(&self, name: &str) -> String {
        if self.keeps_case { name.to_owned() } else { name.to_uppercase() }
    }

    fn fields(&mut self, message: &MessageDescriptor) -> Result<Vec<(String, SqlType)>, String> {
        if self.open.contains(message) {
            return Err(format!("The schema is recursive: {0} contains itself. Such values have no SQL type", message.full_name()));
        }
        self.open.push(message.clone());
        let mut fields: Vec<(String, SqlType)> = Vec::new();
        for member in members(message) {
            let sql_type = match &member {
                Member::Field(field) => self.sql_type(field)?,
                Member::Union(oneof) => {
                    let mut choices = Vec::new();
                    for field in declared(message).iter().filter(|field| field.containing_oneof().as_ref() == Some(oneof)) {
                        choices.push((self.named(name_of(field)), self.sql_type(field)?));
                    }
                    SqlType::structure(choices)
                }
            };
            let name = self.named(&member.name());
            // Of names that differ in case only the last one counts.
            match fields.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = sql_type,
                None => fields.push((name, sql_type)),
            }
        }
        self.open.pop();
        Ok(fields)
    }

    fn sql_type(&mut self, field: &FieldDescriptor) -> Result<SqlType, String> {
        if let Some((key, value)) = map_entry(field) {
            return match item_type_name(&key.kind()) {
                "int32" | "int64" | "boolean" | "string" => Ok(SqlType::map(SqlType::String, self.sql_type(&value)?)),
                other => Err(format!("Unsupported type for map key: {other}")),
            };
        }
        let item = self.item(field)?;
        Ok(if repeats(field) { SqlType::array(item) } else { item })
    }

    fn item(&mut self, field: &FieldDescriptor) -> Result<SqlType, String> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(format!("The schema has more than {MAX_NODES} parts"));
        }
        Ok(match field.kind() {
            Kind::Double | Kind::Float => SqlType::Double,
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => SqlType::Int,
            Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed32 | Kind::Fixed64 | Kind::Sfixed64 => SqlType::BigInt,
            Kind::Bool => SqlType::Boolean,
            Kind::String | Kind::Enum(_) => SqlType::String,
            Kind::Bytes => SqlType::Bytes,
            Kind::Message(_) if field.is_group() => {
                return Err(format!("The field {} is a group. Such values have no SQL type", field.name()));
            }
            Kind::Message(message) => match special(&message) {
                Some(Special::Decimal) => {
                    let (precision, scale) = decimal_parameters(field, self.parsed);
                    SqlType::Decimal { precision, scale }
                }
                Some(Special::Date) => SqlType::Date,
                Some(Special::Time) => SqlType::Time,
                Some(Special::Timestamp) => SqlType::Timestamp,
                Some(Special::Wrapper(value)) => self.item(&value)?,
                None => SqlType::structure(self.fields(&message)?),
            },
        })
    }
}
