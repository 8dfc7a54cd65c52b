//! Types as written to types as known.

use tidemill_parser::ast::{DataType, Span};

use crate::types::SqlType;

use super::ExprError;

/// The type that `data_type` names. `span` is where it stands.
///
/// # Errors
/// A user type: those are resolved before expressions are compiled, so it doesn't exist.
pub fn sql_type(data_type: &DataType, span: Span) -> Result<SqlType, ExprError> {
    Ok(match data_type {
        DataType::Boolean => SqlType::Boolean,
        DataType::Int => SqlType::Int,
        DataType::BigInt => SqlType::BigInt,
        DataType::Double => SqlType::Double,
        DataType::Decimal { precision, scale } => SqlType::Decimal { precision: *precision, scale: *scale },
        DataType::String => SqlType::String,
        DataType::Bytes => SqlType::Bytes,
        DataType::Time => SqlType::Time,
        DataType::Date => SqlType::Date,
        DataType::Timestamp => SqlType::Timestamp,
        DataType::Array(item) => SqlType::array(sql_type(item, span)?),
        DataType::Map(key, value) => SqlType::map(sql_type(key, span)?, sql_type(value, span)?),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|(name, field)| Ok((name.name.clone(), sql_type(field, span)?)));
            SqlType::structure(fields.collect::<Result<Vec<_>, ExprError>>()?)
        }
        DataType::Custom(name) => return Err(ExprError::new(format!("Cannot resolve unknown type: {}", name.name), span)),
    })
}
