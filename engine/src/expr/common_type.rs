//! The one type of a list of expressions: items of a constructor, or an operand with its IN list.
//!
//! The first item that isn't null decides; numbers widen to the widest of them. Literals follow: strings become numbers,
//! booleans and times, and numbers and booleans strings. Constructors among the items follow item by item.

use tidemill_parser::ast::{Expr, ExprKind};

use crate::types::text::{parse_date, parse_decimal, parse_time, parse_timestamp};
use crate::types::{SqlType, Value};

use super::coerce::{coerce_to, common, rank, widens};
use super::compile::compile;
use super::{Compiled, ExprError, Phase, Scope, cast, column, construct, decimal, literal, text};

/// Compiles a list. The type is `None` where all items are null.
pub(super) fn compile_list<'e>(
    items: impl IntoIterator<Item = &'e Expr>,
    scope: &Scope<'_>,
    phase: Phase,
) -> Result<(Option<SqlType>, Vec<Compiled>), ExprError> {
    let items = items.into_iter().map(|expr| Ok((expr, compile(expr, scope)?))).collect::<Result<Vec<_>, ExprError>>()?;
    let Some(target) = common_type(&items) else {
        return Ok((None, items.into_iter().map(|(_, compiled)| compiled).collect()));
    };
    let convert = |(expr, compiled)| convert(expr, compiled, &target, scope, phase);
    let items = items.into_iter().map(convert).collect::<Result<Vec<_>, ExprError>>()?;
    Ok((Some(target), items))
}

fn common_type(items: &[(&Expr, Compiled)]) -> Option<SqlType> {
    let mut known = items.iter().filter_map(|(expr, compiled)| compiled.sql_type.as_ref().map(|t| (*expr, t)));
    let (_, first) = known.next()?;
    let mut target = first.clone();
    for (expr, sql_type) in known {
        let number = match &expr.kind {
            ExprKind::String(digits) if rank(&target).is_some() => number_type(digits),
            _ => None,
        };
        if let Some(wider) = common(&target, number.as_ref().unwrap_or(sql_type)) {
            target = wider;
        }
    }
    Some(target)
}

/// The type of a number that a string spells: as ksqlDB has it, never DOUBLE, and the outermost INTEGERs and BIGINTs count
/// for the next wider type.
fn number_type(spelled: &str) -> Option<SqlType> {
    let digits = spelled.trim();
    let is_whole = !digits.contains(['.', 'e', 'E']);
    match digits.parse::<i64>() {
        Ok(value) if is_whole && i64::from(i32::MIN) < value && value < i64::from(i32::MAX) => Some(SqlType::Int),
        Ok(value) if is_whole && i64::MIN < value && value < i64::MAX => Some(SqlType::BigInt),
        _ => parse_decimal(digits).map(|value| decimal::literal_type(&value)),
    }
}

/// One item as the common type.
fn convert(expr: &Expr, compiled: Compiled, to: &SqlType, scope: &Scope<'_>, phase: Phase) -> Result<Compiled, ExprError> {
    let Some(from) = compiled.sql_type.clone() else {
        return Ok(column::constant(Some(to.clone()), Value::Null));
    };
    if from == *to {
        return Ok(compiled);
    }
    let of_item = |item: &Expr, to: &SqlType| compile(item, scope).and_then(|compiled| convert(item, compiled, to, scope, phase));
    // What is wrong inside of a constructor is wrong with the whole, but for a text that doesn't spell a number.
    let mismatch = || ExprError {
        message: format!("operator does not exist: {to} = {from} ({expr})\nHint: You might need to add explicit type casts."),
        span: expr.span,
        phase,
    };
    let outer = |error: ExprError| if error.message.starts_with("operator does not exist") { mismatch() } else { error };
    match (&expr.kind, to) {
        (ExprKind::String(spelled), _) if *to != SqlType::String => {
            let value = literal_value(spelled, to).ok_or_else(|| match to {
                SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) | SqlType::Bytes => mismatch(),
                _ => ExprError { message: format!("invalid input syntax for type {to}: \"{spelled}\"."), span: expr.span, phase },
            })?;
            Ok(column::constant(Some(to.clone()), value))
        }
        (_, SqlType::String) => {
            literal::as_text(expr).map(|spelled| column::constant(Some(SqlType::String), Value::String(spelled))).ok_or_else(mismatch)
        }
        (ExprKind::Array(items), SqlType::Array(item_type)) => {
            let items = items.iter().map(|item| of_item(item, item_type)).collect::<Result<Vec<_>, _>>().map_err(outer)?;
            Ok(construct::array_of(to, items))
        }
        (ExprKind::Map(entries), SqlType::Map(key_type, value_type)) => {
            let entries = entries.iter().map(|(key, value)| Ok((of_item(key, key_type)?, of_item(value, value_type)?)));
            Ok(construct::map_of(to, entries.collect::<Result<Vec<_>, _>>().map_err(outer)?))
        }
        (ExprKind::Struct(given), SqlType::Struct(fields)) if given.iter().all(|(name, _)| fields.iter().any(|f| *f.name == name.name)) => {
            let values = fields.iter().map(|field| match given.iter().find(|(name, _)| name.name == *field.name) {
                Some((_, value)) => of_item(value, &field.sql_type),
                None => Ok(column::constant(Some(field.sql_type.clone()), Value::Null)),
            });
            Ok(construct::struct_of(to, values.collect::<Result<Vec<_>, _>>().map_err(outer)?))
        }
        _ if widens(&from, to) => coerce_to(compiled, to).map_err(|_| mismatch()),
        _ => Err(mismatch()),
    }
}

/// What a string literal is as another type.
pub(super) fn literal_value(spelled: &str, to: &SqlType) -> Option<Value> {
    match to {
        SqlType::Boolean => text::parse_boolean_exact(spelled).map(Value::Boolean),
        SqlType::Int | SqlType::BigInt | SqlType::Double | SqlType::Decimal { .. } => {
            // Numbers are read whole; only a DECIMAL's scale is rounded to.
            cast::conversion(&SqlType::String, to)?(&Value::string(spelled)).ok()
        }
        SqlType::Time => parse_time(spelled).map(Value::Time),
        SqlType::Date => parse_date(spelled).map(Value::Date),
        SqlType::Timestamp => parse_timestamp(spelled).map(Value::Timestamp),
        _ => None,
    }
}
