//! From types as written to types: user types are looked up, parameters are checked.

use tidemill_parser::ast::{DataType, Span};

use super::Catalog;
use crate::types::SqlType;

/// Digits of a DECIMAL at most.
const MAX_DECIMAL_PRECISION: u32 = 10_000;

/// Why a type as written is none, and where it stands (only user types know their place).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TypeError {
    pub message: String,
    pub span: Option<Span>,
}

impl TypeError {
    fn new(message: impl Into<String>) -> Self {
        TypeError { message: message.into(), span: None }
    }
}

impl Catalog {
    /// The type that `written` means.
    ///
    /// # Errors
    /// A user type that is not there, a DECIMAL with impossible digits, a STRUCT with a field twice.
    pub fn resolve_type(&self, written: &DataType) -> Result<SqlType, TypeError> {
        Ok(match written {
            DataType::Boolean => SqlType::Boolean,
            DataType::Int => SqlType::Int,
            DataType::BigInt => SqlType::BigInt,
            DataType::Double => SqlType::Double,
            DataType::Decimal { precision, scale } => decimal(*precision, *scale)?,
            DataType::String => SqlType::String,
            DataType::Bytes => SqlType::Bytes,
            DataType::Time => SqlType::Time,
            DataType::Date => SqlType::Date,
            DataType::Timestamp => SqlType::Timestamp,
            DataType::Array(item) => SqlType::array(self.resolve_type(item)?),
            DataType::Map(key, value) => SqlType::map(self.resolve_type(key)?, self.resolve_type(value)?),
            DataType::Struct(fields) => {
                let mut resolved: Vec<(String, SqlType)> = Vec::with_capacity(fields.len());
                for (name, data_type) in fields {
                    let sql_type = self.resolve_type(data_type)?;
                    if let Some((_, first)) = resolved.iter().find(|(n, _)| *n == name.name) {
                        let name = &name.name;
                        return Err(TypeError::new(format!(
                            "Duplicate field names found in STRUCT: '`{name}` {first}' and '`{name}` {sql_type}'"
                        )));
                    }
                    resolved.push((name.name.clone(), sql_type));
                }
                SqlType::structure(resolved)
            }
            DataType::Custom(name) => match self.user_type(&name.name) {
                Some(sql_type) => sql_type.clone(),
                None => {
                    let mut message = format!("Cannot resolve unknown type: {}", name.name);
                    let known = self.user_types().map(|(n, _)| n).chain(BUILT_IN);
                    if let Some(near) = tidemill_parser::did_you_mean(&name.name, known) {
                        message.push_str(&format!(". Did you mean {near}?"));
                    }
                    return Err(TypeError { message, span: Some(name.span) });
                }
            },
        })
    }
}

/// Names of built-in types, for "did you mean".
const BUILT_IN: [&str; 14] = [
    "BOOLEAN",
    "INT",
    "INTEGER",
    "BIGINT",
    "DOUBLE",
    "DECIMAL",
    "STRING",
    "VARCHAR",
    "BYTES",
    "TIME",
    "DATE",
    "TIMESTAMP",
    "ARRAY",
    "STRUCT",
];

fn decimal(precision: u32, scale: u32) -> Result<SqlType, TypeError> {
    if precision < 1 {
        return Err(TypeError::new(format!("DECIMAL precision must be >= 1: DECIMAL({precision},{scale})")));
    }
    if precision < scale {
        return Err(TypeError::new(format!("DECIMAL precision must be >= scale: DECIMAL({precision},{scale})")));
    }
    if precision > MAX_DECIMAL_PRECISION {
        return Err(TypeError::new(format!("DECIMAL precision must be <= {MAX_DECIMAL_PRECISION}: DECIMAL({precision},{scale})")));
    }
    Ok(SqlType::Decimal { precision, scale })
}
