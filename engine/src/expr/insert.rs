//! Values of expressions without columns: INSERT INTO … VALUES and the keys that pull queries ask for.

use std::sync::Arc;

use tidemill_parser::ast::Expr;

use crate::row::RowMeta;
use crate::types::text::{parse_date, parse_time, parse_timestamp};
use crate::types::{Column, MapValue, SqlType, Text, Value, text as spelling};

use super::compile::compile;
use super::{Compiled, Env, ExprError, Scope, cast, decimal, swallowed, text};

/// How the message about a column in VALUES begins.
const NO_COLUMNS: &str = "Only literals and expressions of them are supported for INSERT INTO. Got the column: ";

/// The value of an expression without columns as `sql_type`. Numbers become one another where nothing is lost, texts become
/// times, dates, timestamps and bytes.
///
/// # Errors
/// It has columns, fails, or yields what doesn't become that type.
pub fn eval_const(expr: &Expr, sql_type: &SqlType) -> Result<Value, ExprError> {
    let (compiled, value) = evaluate(expr)?;
    converted(&value, compiled.sql_type.as_ref(), sql_type).ok_or_else(|| {
        let found = super::compiled::type_name(compiled.sql_type.as_ref());
        ExprError::new(format!("{expr} ({found}) can not be converted to {sql_type}."), expr.span)
    })
}

/// The value that INSERT INTO … VALUES writes into a column.
///
/// # Errors
/// As of [`eval_const`], in ksqlDB's words.
pub fn insert_value(expr: &Expr, column: &Column) -> Result<Value, ExprError> {
    let (compiled, value) = evaluate(expr)?;
    let from = compiled.sql_type.as_ref();
    converted(&value, from, &column.sql_type).ok_or_else(|| {
        let shown = from.map_or_else(|| Text::from("null"), |from| spelling::to_text(|out| text::write_value(&value, from, out)));
        let found = super::compiled::type_name(from);
        let message = format!("Expected type {} for field `{}` but got {found}({shown})", column.sql_type, column.name);
        ExprError::new(message, expr.span)
    })
}

fn evaluate(expr: &Expr) -> Result<(Compiled, Value), ExprError> {
    let compiled = compile(expr, &Scope::literals(NO_COLUMNS))?;
    let (value, failures) = swallowed::watched(|| compiled.eval_value(&Env::new(&[], &RowMeta::default())));
    // Nobody would see in the log why a null was inserted.
    let value = match failures.into_iter().next() {
        Some(failure) => Err(failure),
        None => value,
    };
    let value = value.map_err(|error| ExprError::new(format!("{expr} can't be evaluated: {error}"), expr.span))?;
    Ok((compiled, value))
}

/// A value as another type; `None` where it doesn't become that by itself. Structs go by their fields' names: missing ones
/// are null, further ones are left out.
fn converted(value: &Value, from: Option<&SqlType>, to: &SqlType) -> Option<Value> {
    let Some(from) = from else {
        return Some(Value::Null);
    };
    if value.is_null() || from == to {
        return (value.is_null() && becomes(from, to) || from == to).then(|| value.clone());
    }
    match (value, to) {
        (Value::Int(_) | Value::BigInt(_) | Value::Double(_) | Value::Decimal(_), _) if to.is_numeric() => number(value, from, to),
        (Value::String(text), SqlType::Time) => parse_time(text).map(Value::Time),
        (Value::String(text), SqlType::Date) => parse_date(text).map(Value::Date),
        (Value::String(text), SqlType::Timestamp) => parse_timestamp(text).map(Value::Timestamp),
        (Value::String(text), SqlType::Bytes) => text::parse_bytes(text).map(Value::Bytes),
        (Value::Array(items), SqlType::Array(to)) => {
            let SqlType::Array(from) = from else { return None };
            Some(Value::array(items.iter().map(|item| converted(item, Some(from), to)).collect::<Option<_>>()?))
        }
        (Value::Map(entries), SqlType::Map(to_key, to)) => {
            let SqlType::Map(from_key, from) = from else { return None };
            let entries = entries.iter().map(|(k, v)| Some((converted(k, Some(from_key), to_key)?, converted(v, Some(from), to)?)));
            Some(Value::Map(Arc::new(entries.collect::<Option<MapValue>>()?)))
        }
        (Value::Struct(values), SqlType::Struct(fields)) => {
            let SqlType::Struct(given) = from else { return None };
            let field = |to: &crate::types::StructField| match given.iter().position(|g| g.name == to.name) {
                Some(index) => converted(values.get(index)?, given.get(index).map(|g| &g.sql_type), &to.sql_type),
                None => Some(Value::Null),
            };
            Some(Value::structure(fields.iter().map(field).collect::<Option<_>>()?))
        }
        _ => None,
    }
}

/// Whether a null of one type is one of the other.
fn becomes(from: &SqlType, to: &SqlType) -> bool {
    from == to || from.is_numeric() && to.is_numeric() || from == &SqlType::String && (to.is_temporal() || *to == SqlType::Bytes) || {
        matches!(
            (from, to),
            (SqlType::Array(_), SqlType::Array(_)) | (SqlType::Map(..), SqlType::Map(..)) | (SqlType::Struct(_), SqlType::Struct(_))
        )
    }
}

/// A number as a wider one; a DECIMAL as one that has room for all of its digits. A DOUBLE becomes nothing else.
fn number(value: &Value, from: &SqlType, to: &SqlType) -> Option<Value> {
    match to {
        SqlType::Decimal { precision, scale } => match value {
            Value::Decimal(_) if matches!(from, SqlType::Decimal { scale: digits, .. } if digits > scale) => None,
            Value::Decimal(v) => decimal::fit(v, *precision, *scale).ok().map(Value::decimal),
            Value::Double(_) => None,
            _ => cast::conversion(from, to)?(value).ok(),
        },
        _ if super::coerce::widens(from, to) => cast::conversion(from, to)?(value).ok(),
        _ => None,
    }
}
