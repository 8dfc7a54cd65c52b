//! The columns of a registered schema, as ksqlDB infers them: the type that Connect's converter reads, as the SQL type that
//! ksqlDB has for it.
//!
//! Names are in upper case unless the statement chose the schema by its id. A field that has no SQL type is left out, as
//! ksqlDB does with a line in its log.

use std::collections::HashSet;

use super::connect::{Connect, Kind, of_schema};
use super::{DATE, DECIMAL, TIME, TIMESTAMP};
use crate::formats::Inferred;
use crate::registry::Schema;
use crate::types::{Column, SqlType};

/// Digits of a DECIMAL whose schema does not say how many.
const DEFAULT_PRECISION: u32 = 64;

/// The columns of a registered schema.
///
/// # Errors
/// The schema is not well formed, refers to what is not there, is recursive, or has no type that SQL has.
pub(super) fn columns_of(schema: &Schema, keeps_case: bool) -> Result<Inferred, String> {
    let naming = Naming { keeps_case };
    match naming.sql_type(&of_schema(schema)?) {
        Ok(SqlType::Struct(fields)) if fields.is_empty() => {
            Err("Schema does not include any columns with types that ksqlDB supports.".to_owned())
        }
        Ok(SqlType::Struct(fields)) => {
            Ok(Inferred::Columns(fields.iter().map(|field| Column::new(&*field.name, field.sql_type.clone())).collect()))
        }
        Ok(other) => Ok(Inferred::Value(other)),
        Err(Refusal::Unsupported(why)) => Err(format!("Unsupported type at root of schema: {why}")),
        Err(Refusal::Schema(why)) => Err(why),
    }
}

enum Refusal {
    /// There is no SQL type for it: the field around is left out.
    Unsupported(String),
    /// The schema can't be used at all.
    Schema(String),
}

struct Naming {
    keeps_case: bool,
}

impl Naming {
    fn sql_type(&self, connect: &Connect) -> Result<SqlType, Refusal> {
        let name = connect.name.as_deref();
        Ok(match &connect.kind {
            Kind::Boolean => SqlType::Boolean,
            Kind::Int32 if name == Some(TIME) => SqlType::Time,
            Kind::Int32 if name == Some(DATE) => SqlType::Date,
            Kind::Int8 | Kind::Int16 | Kind::Int32 => SqlType::Int,
            Kind::Int64 if name == Some(TIMESTAMP) => SqlType::Timestamp,
            Kind::Int64 => SqlType::BigInt,
            Kind::Float32 | Kind::Float64 => SqlType::Double,
            Kind::Text => SqlType::String,
            Kind::Bytes if name == Some(DECIMAL) => decimal(connect)?,
            Kind::Bytes => SqlType::Bytes,
            Kind::Array(item) => SqlType::array(self.sql_type(item)?),
            Kind::Map { key, value, .. } => {
                match &key.kind {
                    Kind::Boolean | Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::Text => {}
                    other => return Err(Refusal::Unsupported(format!("Unsupported type for map key: {}", other.name().to_lowercase()))),
                }
                SqlType::map(SqlType::String, self.sql_type(value)?)
            }
            Kind::Struct(fields) => {
                let mut kept: Vec<(String, SqlType)> = Vec::new();
                let mut names = HashSet::new();
                for (name, field) in fields {
                    if name.is_empty() {
                        return Err(Refusal::Schema(
                            "A property of the schema has an empty name, which no column can have. Declare the columns that you need \
                             instead of taking them from the schema."
                                .to_owned(),
                        ));
                    }
                    let sql_type = match self.sql_type(field) {
                        Ok(sql_type) => sql_type,
                        Err(Refusal::Unsupported(_)) => continue,
                        Err(refused) => return Err(refused),
                    };
                    let name = if self.keeps_case { name.clone() } else { name.to_uppercase() };
                    if !names.insert(name.clone()) {
                        return Err(Refusal::Schema(format!("Cannot create field because of field name duplication {name}")));
                    }
                    kept.push((name, sql_type));
                }
                SqlType::structure(kept)
            }
        })
    }
}

fn decimal(connect: &Connect) -> Result<SqlType, Refusal> {
    let scale = connect.scale.ok_or_else(|| Refusal::Schema("Invalid Decimal schema: scale parameter not found.".to_owned()))?;
    let precision = connect.precision.unwrap_or(DEFAULT_PRECISION);
    if precision == 0 || scale > precision {
        return Err(Refusal::Schema(format!("DECIMAL({precision}, {scale}) is no type: its scale is beyond its precision")));
    }
    Ok(SqlType::Decimal { precision, scale })
}
