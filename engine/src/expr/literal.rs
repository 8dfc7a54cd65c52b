//! Literals and their types.

use tidemill_parser::ast::{Expr, ExprKind};

use crate::types::text::parse_decimal;
use crate::types::{SqlType, Text, Value, text};

use super::{Compiled, ExprError, column, decimal};

/// A literal as a constant.
pub(super) fn compile(expr: &Expr) -> Result<Compiled, ExprError> {
    let (sql_type, value) = match &expr.kind {
        ExprKind::Null => (None, Value::Null),
        ExprKind::Boolean(value) => (Some(SqlType::Boolean), Value::Boolean(*value)),
        ExprKind::Integer(value) => (Some(SqlType::Int), Value::Int(*value)),
        ExprKind::BigInt(value) => (Some(SqlType::BigInt), Value::BigInt(*value)),
        ExprKind::Double(value) => (Some(SqlType::Double), Value::Double(*value)),
        ExprKind::String(value) => (Some(SqlType::String), Value::string(value.as_str())),
        ExprKind::Decimal(digits) => {
            let value = parse_decimal(digits).ok_or_else(|| ExprError::new(format!("Invalid numeric literal: {digits}"), expr.span))?;
            (Some(decimal::literal_type(&value)), Value::decimal(value))
        }
        _ => return Err(ExprError::new(format!("Expected a literal, got: {expr}"), expr.span)),
    };
    Ok(column::constant(sql_type, value))
}

/// A literal, signed or not, as the text that it becomes where a STRING is asked for.
pub(super) fn as_text(expr: &Expr) -> Option<Text> {
    let negated = |inner: &Expr| as_text(inner).map(|digits| Text::from(format!("-{digits}")));
    match &expr.kind {
        ExprKind::Boolean(value) => Some(Text::from(if *value { "true" } else { "false" })),
        ExprKind::Integer(value) => Some(text::to_text(|out| text::write_i32(*value, out))),
        ExprKind::BigInt(value) => Some(text::to_text(|out| text::write_i64(*value, out))),
        ExprKind::Decimal(digits) => Some(Text::from(digits.as_str())),
        ExprKind::Double(value) => Some(text::to_text(|out| text::write_double(*value, out))),
        ExprKind::Negate(inner) if is_unsigned_number(inner) => negated(inner),
        _ => None,
    }
}

fn is_unsigned_number(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Integer(value) => *value >= 0,
        ExprKind::BigInt(value) => *value >= 0,
        ExprKind::Double(value) => *value >= 0.0,
        ExprKind::Decimal(digits) => !digits.starts_with('-'),
        _ => false,
    }
}
