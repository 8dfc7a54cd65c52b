//! The columns of a registered schema, as ksqlDB infers them through Kafka Connect's data model.
//!
//! Names are in upper case, unless the statement chose the schema by its id. A union of null and one type is that type, a union of several a STRUCT with a field for each;
//! enums are STRING, fixed is BYTES, float is DOUBLE, an array of Connect's map entries is a MAP. Of the times, Connect knows
//! date, time-millis and timestamp-millis; the others are what they are written as: BIGINT. A field whose type has no
//! counterpart is left out, as ksqlDB does with a line in its log.

use apache_avro::Schema;
use apache_avro::schema::{Name, RecordSchema};

use super::compile::MAX_NODES;
use super::names::{MAX_DEPTH, Names, namespace_of};
use super::types::{branch_name, is_long, is_map_entry, nullable};
use crate::formats::Inferred;
use crate::types::{Column, SqlType};

/// The columns of a registered schema.
///
/// # Errors
/// The schema is not well formed, refers to what is not there, is recursive, or has no type that SQL has.
pub(super) fn columns_of(schema: &crate::registry::Schema, keeps_case: bool) -> Result<Inferred, String> {
    let (schema, others) = super::parse::parse(schema)?;
    let mut inference = Inference { names: Names::of(others.iter().chain([&schema])), keeps_case, open: Vec::new(), nodes: 0 };
    match inference.sql_type(&schema, None)? {
        Some(SqlType::Struct(fields)) if !fields.is_empty() => {
            Ok(Inferred::Columns(fields.iter().map(|field| Column::new(&*field.name, field.sql_type.clone())).collect()))
        }
        Some(other) if !matches!(other, SqlType::Struct(_)) => Ok(Inferred::Value(other)),
        _ => Err("Schema does not include any columns with types that ksqlDB supports.".to_owned()),
    }
}

struct Inference<'s> {
    names: Names<'s>,
    /// Names stay as they are, instead of in upper case.
    keeps_case: bool,
    open: Vec<String>,
    nodes: usize,
}

impl<'s> Inference<'s> {
    fn name(&self, name: &str) -> String {
        if self.keeps_case { name.to_owned() } else { name.to_uppercase() }
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
                fields.push((self.name(&field.name), sql_type));
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
            Schema::Null => return Err("Standalone null schemas are not supported by this converter".to_owned()),
            Schema::Boolean => SqlType::Boolean,
            Schema::Int => SqlType::Int,
            Schema::Date => SqlType::Date,
            Schema::TimeMillis => SqlType::Time,
            Schema::TimestampMillis => SqlType::Timestamp,
            schema if is_long(schema) => SqlType::BigInt,
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
                    && is_map_entry(record, around)
                {
                    return self.map(record, around);
                }
                return Ok(self.sql_type(&array.items, around)?.map(SqlType::array));
            }
            Schema::Map(map) => return Ok(self.sql_type(&map.types, around)?.map(|value| SqlType::map(SqlType::String, value))),
            Schema::Record(record) => self.record(&record.name, record, around)?,
            Schema::Union(union) => match nullable(union) {
                Some((_, other)) => return self.sql_type(other, around),
                None => {
                    let mut fields = Vec::new();
                    for branch in union.variants().iter().filter(|branch| !matches!(branch, Schema::Null)) {
                        if let Some(sql_type) = self.sql_type(branch, around)? {
                            fields.push((self.name(&branch_name(branch)), sql_type));
                        }
                    }
                    SqlType::structure(fields)
                }
            },
            Schema::Ref { name } => match self.names.find(name, around) {
                Some(found) => return self.sql_type(found, namespace_of(name, around).as_deref()),
                None => return Err(format!("The schema refers to {}, which is not there", name.fullname(around))),
            },
            _ => return Ok(None),
        }))
    }

    /// The MAP that Connect writes as an array of entries; its keys, whatever they are, become STRING.
    fn map(&mut self, entry: &'s RecordSchema, around: Option<&str>) -> Result<Option<SqlType>, String> {
        let inner = namespace_of(&entry.name, around);
        let [Some(key), Some(value)] = ["key", "value"].map(|name| entry.fields.iter().find(|field| field.name == name)) else {
            return Err("Found map encoded as array of key-value pairs, but array elements do not match the expected format.".to_owned());
        };
        let key = self.sql_type(&key.schema, inner.as_deref())?;
        let value = self.sql_type(&value.schema, inner.as_deref())?;
        Ok(match (key, value) {
            (Some(SqlType::String | SqlType::Int | SqlType::BigInt | SqlType::Boolean), Some(value)) => {
                Some(SqlType::map(SqlType::String, value))
            }
            _ => None,
        })
    }
}
