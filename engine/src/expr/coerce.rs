//! Widening that needs no CAST: INTEGER to BIGINT to DECIMAL to DOUBLE, also inside ARRAY, MAP and STRUCT.

use tidemill_parser::ast::Span;

use crate::types::{SqlType, Value};

use super::{Compiled, ExprError, cast, column, decimal};

/// Whether values of one type become another by themselves.
pub(super) fn widens(from: &SqlType, to: &SqlType) -> bool {
    if from == to {
        return true;
    }
    match (from, to) {
        (SqlType::Array(from), SqlType::Array(to)) => widens(from, to),
        (SqlType::Map(from_key, from), SqlType::Map(to_key, to)) => widens(from_key, to_key) && widens(from, to),
        (SqlType::Struct(from), SqlType::Struct(to)) => {
            from.iter().all(|f| to.iter().any(|t| t.name == f.name && widens(&f.sql_type, &t.sql_type)))
        }
        _ => match (rank(from), rank(to)) {
            (Some(from), Some(to)) => from <= to,
            _ => false,
        },
    }
}

/// Place in the order of widening.
pub(super) fn rank(sql_type: &SqlType) -> Option<u8> {
    match sql_type {
        SqlType::Int => Some(0),
        SqlType::BigInt => Some(1),
        SqlType::Decimal { .. } => Some(2),
        SqlType::Double => Some(3),
        _ => None,
    }
}

/// A type that both widen to; `None` where there is none.
pub(super) fn common(a: &SqlType, b: &SqlType) -> Option<SqlType> {
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (SqlType::Array(a), SqlType::Array(b)) => common(a, b).map(SqlType::array),
        (SqlType::Map(a_key, a), SqlType::Map(b_key, b)) => Some(SqlType::map(common(a_key, b_key)?, common(a, b)?)),
        (SqlType::Struct(a), SqlType::Struct(b)) => {
            let mut fields = Vec::with_capacity(a.len());
            for field in a.iter() {
                let other = b.iter().find(|f| f.name == field.name);
                let sql_type = other.map_or(Some(field.sql_type.clone()), |other| common(&field.sql_type, &other.sql_type))?;
                fields.push((field.name.to_string(), sql_type));
            }
            let own = |name: &str| a.iter().any(|f| &*f.name == name);
            fields.extend(b.iter().filter(|f| !own(&f.name)).map(|f| (f.name.to_string(), f.sql_type.clone())));
            Some(SqlType::structure(fields))
        }
        _ => match (rank(a)?, rank(b)?) {
            (3, _) | (_, 3) => Some(SqlType::Double),
            (2, _) | (_, 2) => Some(decimal::wider(decimal::digits_of(a)?, decimal::digits_of(b)?)),
            _ => Some(SqlType::BigInt),
        },
    }
}

/// The expression as a wider type.
///
/// # Errors
/// Its type doesn't widen to `to`.
pub fn coerce_to(compiled: Compiled, to: &SqlType) -> Result<Compiled, ExprError> {
    let Some(from) = &compiled.sql_type else {
        return Ok(column::constant(Some(to.clone()), Value::Null));
    };
    if !widens(from, to) {
        let message = format!("{from} does not become {to} by itself. Use CAST(… AS {to}).");
        return Err(ExprError::code(message, Span::default()));
    }
    let constant = compiled.is_constant();
    let cast = cast::strict(compiled, to).map_err(|message| ExprError::code(message, Span::default()))?;
    Ok(cast.folded(constant))
}
