//! The columns of a registered schema, as ksqlDB infers them through Kafka Connect's data model.
//!
//! Names are in upper case, unless a statement chose the schema by its id. A union of null and one type is that type, a union of several a STRUCT with a field for each;
//! enums are STRING, fixed is BYTES, float is DOUBLE, an array of Connect's map entries is a MAP. A field whose type has no
//! counterpart is left out, as ksqlDB does with a line in its log.

use apache_avro::Schema;
use apache_avro::schema::{Name, RecordSchema};

use super::MAP_ENTRY;
use super::compile::{MAX_NODES, branch_name};
use super::names::{MAX_DEPTH, Names, namespace_of};
use crate::formats::Inferred;
use crate::types::{Column, SqlType};

/// The columns of a registered schema, under the fields' names as they stand or in upper case.
///
/// # Errors
/// The schema is not well formed, refers to what is not there, is recursive, or has no type that SQL has.
pub(super) fn columns_of(schema: &crate::registry::Schema, keeps_case: bool) -> Result<Inferred, String> {
    let (schema, others) = super::parse(schema)?;
    let mut inference = Inference { names: Names::of(others.iter().chain([&schema])), open: Vec::new(), nodes: 0, keeps_case };
    match inference.sql_type(&schema, None)? {
        Some(SqlType::Struct(fields)) => {
            Ok(Inferred::Columns(fields.iter().map(|field| Column::new(&*field.name, field.sql_type.clone())).collect()))
        }
        Some(other) => Ok(Inferred::Value(other)),
        None => Err("Schema does not include any columns with types that ksqlDB supports.".to_owned()),
    }
}

struct Inference<'s> {
    names: Names<'s>,
    open: Vec<String>,
    nodes: usize,
    keeps_case: bool,
}

impl<'s> Inference<'s> {
    fn named(&self, field: &str) -> String {
        if self.keeps_case { field.to_owned() } else { field.to_uppercase() }
    }

    fn record(&mut self, name: &Name, record: &'s RecordSchema, around: Option<&str>) -> Result<SqlType, String> {
        let full = name.fullname(around);
        if self.open.contains(&full) || self.open.len() > MAX_DEPTH {
            return Err(format!("The schema is recursive: {full} contains itself. Such values have no SQL type"));
        }
        let inner = namespace_of(name, around);
        self.open.push(full);
        let mut fields: Vec<(String, SqlType)> = Vec::new();
        for field in &record.fields {
            if let Some(sql_type) = self.sql_type(&field.schema, inner.as_deref())? {
                fields.push((self.named(&field.name), sql_type));
            }
        }
        self.open.pop();
        Ok(SqlType::structure(fields))
    }

    fn sql_type(&mut self, schema: &'s Schema, around: Option<&str>) -> Result<Option<SqlType>, String> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(format!("The schema has more than {MAX_NODES} parts"));
        }
        Ok(Some(match schema {
            Schema::Null => return Ok(None),
            Schema::Boolean => SqlType::Boolean,
            Schema::Int => SqlType::Int,
            Schema::Date => SqlType::Date,
            Schema::TimeMillis | Schema::TimeMicros => SqlType::Time,
            Schema::Long => SqlType::BigInt,
            Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => SqlType::Timestamp,
            Schema::Float | Schema::Double => SqlType::Double,
            Schema::String | Schema::Enum(_) => SqlType::String,
            Schema::Uuid(apache_avro::schema::UuidSchema::String) => SqlType::String,
            Schema::Bytes | Schema::Fixed(_) | Schema::Duration(_) | Schema::BigDecimal | Schema::Uuid(_) => SqlType::Bytes,
            Schema::Decimal(of) => SqlType::Decimal {
                precision: u32::try_from(of.precision).unwrap_or(u32::MAX),
                scale: u32::try_from(of.scale).unwrap_or(u32::MAX),
            },
            Schema::Array(array) => {
                if let Schema::Record(record) = &*array.items
                    && (record.name.name() == MAP_ENTRY
                        || record.attributes.get("connect.internal.type").is_some_and(|kind| kind == MAP_ENTRY))
                    && let Some(value) = record.fields.iter().find(|field| field.name == "value")
                {
                    let inner = namespace_of(&record.name, around);
                    return Ok(self.sql_type(&value.schema, inner.as_deref())?.map(|value| SqlType::map(SqlType::String, value)));
                }
                return Ok(self.sql_type(&array.items, around)?.map(SqlType::array));
            }
            Schema::Map(map) => return Ok(self.sql_type(&map.types, around)?.map(|value| SqlType::map(SqlType::String, value))),
            Schema::Record(record) => self.record(&record.name, record, around)?,
            Schema::Union(union) => match union.variants() {
                [Schema::Null, other] | [other, Schema::Null] => return self.sql_type(other, around),
                branches => {
                    let mut fields = Vec::new();
                    for branch in branches {
                        if let Some(sql_type) = self.sql_type(branch, around)? {
                            fields.push((self.named(&branch_name(branch)), sql_type));
                        }
                    }
                    SqlType::structure(fields)
                }
            },
            Schema::Ref { name } => match self.names.find(name, around) {
                Some(found) => return self.sql_type(found, namespace_of(name, around).as_deref()),
                None => return Err(format!("The schema refers to {}, which is not there", name.fullname(around))),
            },
        }))
    }
}
