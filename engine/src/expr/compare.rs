//! `= <> < <= > >=` and `IS [NOT] DISTINCT FROM`.
//!
//! A comparison with null is false, whatever the operator; only IS [NOT] DISTINCT FROM takes null for a value. NaN is
//! neither equal nor unequal to itself. Numbers compare with numbers, times with their ISO-8601 text, DATE with
//! TIMESTAMP; ARRAY, MAP and STRUCT are only equal or not.

use std::cmp::Ordering;
use std::sync::Arc;

use bigdecimal::BigDecimal;
use tidemill_parser::ast::{BinaryOp, Expr, ExprKind, Span};

use crate::functions::EvalError;
use crate::functions::java::java_cmp;
use crate::types::text::{DAY_MS, parse_date, parse_time, parse_timestamp};
use crate::types::{SqlType, Text, Value};

use super::compile::compile as compile_expr;
use super::compiled::type_name;
use super::operand::{AnyOperand, Operand, Scalar};
use super::{Compiled, Eval, ExprError, Scope, column, decimal};

/// A comparison of two expressions.
pub(super) fn compile(op: BinaryOp, left: &Expr, right: &Expr, scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    let l = timestamp_literal(left, right, scope).unwrap_or_else(|| compile_expr(left, scope))?;
    let r = timestamp_literal(right, left, scope).unwrap_or_else(|| compile_expr(right, scope))?;
    let constant = l.is_constant() && r.is_constant();
    let (Some(left_type), Some(right_type)) = (&l.sql_type, &r.sql_type) else {
        let span = if l.sql_type.is_none() { left.span } else { right.span };
        let shown = |compiled: &Compiled| compiled.sql_type.as_ref().map_or("NULL".to_owned(), |t| type_name(Some(t)).to_string());
        let message = format!("Comparison with NULL not supported: {} {} {}. Use IS NULL or IS NOT NULL", shown(&l), op, shown(&r));
        return Err(ExprError::new(message, span));
    };
    let Some(kind) = kind(left_type, right_type, op) else {
        let message = format!(
            "Cannot compare {left} ({}) to {right} ({}) with {}.\nStatement: {}",
            type_name(Some(left_type)),
            type_name(Some(right_type)),
            operator_name(op),
            Expr::new(ExprKind::Binary { op, left: Box::new(left.clone()), right: Box::new(right.clone()) })
        );
        return Err(ExprError::new(message, Span { start: left.span.start, end: right.span.end }));
    };
    let eval = match kind {
        Kind::Boolean => plain::<bool>(op, l, r),
        Kind::Int => plain::<i32>(op, l, r),
        Kind::BigInt => plain::<i64>(op, l, r),
        Kind::Double => plain::<f64>(op, l, r),
        Kind::Decimal => decimals(op, l, r),
        Kind::DecimalAndDouble => decimal_and_double(op, l, r),
        Kind::Text => ordered::<Text>(op, l, r, |a, b| text_order(a, b)),
        Kind::Timestamps => in_units(op, l, r, to_timestamp),
        Kind::Dates => in_units(op, l, r, to_date),
        Kind::Times => in_units(op, l, r, to_time),
        Kind::Bytes => bytes(op, l, r),
        Kind::Structures => structures(op, l, r),
    };
    Ok(Compiled::typed(SqlType::Boolean, eval).folded(constant))
}

/// A string literal that ROWTIME, WINDOWSTART or WINDOWEND is compared with, as milliseconds since the epoch.
fn timestamp_literal(literal: &Expr, other: &Expr, scope: &Scope<'_>) -> Option<Result<Compiled, ExprError>> {
    let (ExprKind::String(text), ExprKind::Column(reference)) = (&literal.kind, &other.kind) else {
        return None;
    };
    if !scope.is_timestamp_pseudo_column(&reference.name.name) {
        return None;
    }
    Some(match parse_timestamp(text) {
        Some(ms) => Ok(column::constant(Some(SqlType::BigInt), Value::BigInt(ms))),
        None => Err(ExprError::new(format!("Failed to parse timestamp '{text}'. {TIMESTAMP_FORM}"), literal.span)),
    })
}

const TIMESTAMP_FORM: &str =
    "Required format is: \"yyyy-MM-dd'T'HH:mm:ss.SSS\", with an optional time zone and as much left out from the end as wanted";
const DATE_FORM: &str = "Required format is: \"yyyy-MM-dd\"";
const TIME_FORM: &str = "Required format is: \"HH:mm:ss.SSS\", with seconds and their fraction optional";

/// As what two operands are compared.
enum Kind {
    Boolean,
    Int,
    BigInt,
    Double,
    Decimal,
    DecimalAndDouble,
    Text,
    Timestamps,
    Dates,
    Times,
    Bytes,
    Structures,
}

fn kind(left: &SqlType, right: &SqlType, op: BinaryOp) -> Option<Kind> {
    use SqlType::*;
    let ordering = matches!(op, BinaryOp::Less | BinaryOp::LessOrEqual | BinaryOp::Greater | BinaryOp::GreaterOrEqual);
    match (left, right) {
        (Boolean, Boolean) if !ordering => Some(Kind::Boolean),
        (Int, Int) => Some(Kind::Int),
        (Int | BigInt, Int | BigInt) => Some(Kind::BigInt),
        (Double, Decimal { .. }) | (Decimal { .. }, Double) => Some(Kind::DecimalAndDouble),
        (Double, Int | BigInt | Double) | (Int | BigInt, Double) => Some(Kind::Double),
        (Decimal { .. }, Int | BigInt | Decimal { .. }) | (Int | BigInt, Decimal { .. }) => Some(Kind::Decimal),
        (String, String) => Some(Kind::Text),
        (Timestamp, Timestamp | Date | String) | (Date | String, Timestamp) => Some(Kind::Timestamps),
        (Date, Date | String) | (String, Date) => Some(Kind::Dates),
        (Time, Time | String) | (String, Time) => Some(Kind::Times),
        (Bytes, Bytes) => Some(Kind::Bytes),
        (Array(_), Array(_)) | (Map(..), Map(..)) | (Struct(_), Struct(_)) if !ordering => Some(Kind::Structures),
        _ => None,
    }
}

/// The operator as ksqlDB's messages name it.
fn operator_name(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Equal => "EQUAL",
        BinaryOp::NotEqual => "NOT_EQUAL",
        BinaryOp::Less => "LESS_THAN",
        BinaryOp::LessOrEqual => "LESS_THAN_OR_EQUAL",
        BinaryOp::Greater => "GREATER_THAN",
        BinaryOp::GreaterOrEqual => "GREATER_THAN_OR_EQUAL",
        BinaryOp::IsDistinctFrom => "IS_DISTINCT_FROM",
        BinaryOp::IsNotDistinctFrom => "IS_NOT_DISTINCT_FROM",
        _ => "an operator that doesn't compare",
    }
}

/// What an operator says of two values, given how they are ordered (`None` where NaN is one of them).
fn holds(op: BinaryOp, order: Option<Ordering>) -> bool {
    let Some(order) = order else {
        return false;
    };
    match op {
        BinaryOp::Equal | BinaryOp::IsNotDistinctFrom => order.is_eq(),
        BinaryOp::Less => order.is_lt(),
        BinaryOp::LessOrEqual => order.is_le(),
        BinaryOp::Greater => order.is_gt(),
        BinaryOp::GreaterOrEqual => order.is_ge(),
        _ => order.is_ne(),
    }
}

/// What an operator says where an operand is null: nothing is true of null but (in)distinctness.
fn null_holds(op: BinaryOp, left_null: bool, right_null: bool) -> bool {
    match op {
        BinaryOp::IsDistinctFrom => left_null != right_null,
        BinaryOp::IsNotDistinctFrom => left_null == right_null,
        _ => false,
    }
}

fn takes_null(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::IsDistinctFrom | BinaryOp::IsNotDistinctFrom)
}

/// Booleans and numbers of one Rust type: one closure for each operator.
fn plain<T: Scalar + PartialOrd + Copy>(op: BinaryOp, left: Compiled, right: Compiled) -> Eval<bool> {
    let (left, right) = (Operand::<T>::new(left), Operand::<T>::new(right));
    match op {
        BinaryOp::Equal => both(left, right, |a, b| a == b),
        BinaryOp::NotEqual => both(left, right, |a: T, b| a.partial_cmp(&b).is_some_and(Ordering::is_ne)),
        BinaryOp::Less => both(left, right, |a, b| a < b),
        BinaryOp::LessOrEqual => both(left, right, |a, b| a <= b),
        BinaryOp::Greater => both(left, right, |a, b| a > b),
        BinaryOp::GreaterOrEqual => both(left, right, |a, b| a >= b),
        _ => Box::new(move |env| {
            Ok(Some(match (left.get(env)?, right.get(env)?) {
                (Some(a), Some(b)) => holds(op, a.partial_cmp(&b)),
                (a, b) => null_holds(op, a.is_none(), b.is_none()),
            }))
        }),
    }
}

/// A test of two values; false where one is null. The commonest case, a column with a constant, has a closure of its own.
fn both<T: Scalar + Copy>(left: Operand<T>, right: Operand<T>, test: impl Fn(T, T) -> bool + Send + Sync + 'static) -> Eval<bool> {
    match (left, right) {
        (Operand::Slot(slot), Operand::Constant(Some(b))) => {
            Box::new(move |env| Ok(Some(env.values.get(slot).and_then(T::load).is_some_and(|a| test(a, b)))))
        }
        (left, right) => Box::new(move |env| {
            let Some(a) = left.get(env)? else {
                return Ok(Some(false));
            };
            Ok(Some(right.get(env)?.is_some_and(|b| test(a, b))))
        }),
    }
}

/// Values that are better not copied, by their order.
fn ordered<T: Scalar>(
    op: BinaryOp,
    left: Compiled,
    right: Compiled,
    order: impl Fn(&T, &T) -> Ordering + Send + Sync + 'static,
) -> Eval<bool> {
    let (left, right) = (Operand::<T>::new(left), Operand::<T>::new(right));
    Box::new(move |env| {
        let a = left.get_ref(env)?;
        if a.is_none() && !takes_null(op) {
            return Ok(Some(false));
        }
        let b = right.get_ref(env)?;
        Ok(Some(match (&a, &b) {
            (Some(a), Some(b)) => holds(op, Some(order(a, b))),
            _ => null_holds(op, a.is_none(), b.is_none()),
        }))
    })
}

fn decimals(op: BinaryOp, left: Compiled, right: Compiled) -> Eval<bool> {
    ordered::<Arc<BigDecimal>>(op, left, right, |a, b| a.cmp(b))
}

/// A DOUBLE with a DECIMAL: as decimals, the DOUBLE taken as it prints. A NaN or an infinity fails.
fn decimal_and_double(op: BinaryOp, left: Compiled, right: Compiled) -> Eval<bool> {
    // Where the DECIMAL is a constant that some DOUBLE prints as, doubles do: their order is that of their spellings.
    let as_double = |c: &Compiled| match c.constant() {
        Some(Value::Decimal(value)) => decimal::same_f64(value),
        _ => None,
    };
    let finite =
        |value: f64| if value.is_finite() { Ok(value) } else { Err(EvalError::new("NaN and infinities don't compare with DECIMAL")) };
    match (as_double(&left), as_double(&right)) {
        (Some(a), None) => {
            let right = Operand::<f64>::new(right);
            return Box::new(move |env| {
                Ok(Some(match right.get(env)? {
                    Some(b) => holds(op, a.partial_cmp(&finite(b)?)),
                    None => null_holds(op, false, true),
                }))
            });
        }
        (None, Some(b)) => {
            let left = Operand::<f64>::new(left);
            return Box::new(move |env| {
                Ok(Some(match left.get(env)? {
                    Some(a) => holds(op, finite(a)?.partial_cmp(&b)),
                    None => null_holds(op, true, false),
                }))
            });
        }
        _ => {}
    }
    let spelled = |c: Compiled| -> Compiled {
        if c.sql_type != Some(SqlType::Double) {
            return c;
        }
        let operand = Operand::<f64>::new(c);
        let eval: Eval<Arc<BigDecimal>> = Box::new(move |env| operand.get(env)?.map(decimal::from_f64).transpose());
        Compiled::computed(None, super::Evaluator::Decimal(eval))
    };
    decimals(op, spelled(left), spelled(right))
}

/// Java's order of strings, that of their UTF-16 units: characters beyond U+FFFF come before U+E000.
pub(super) fn text_order(a: &str, b: &str) -> Ordering {
    let place = |byte: u8| if byte >= 0xF0 { (0xED, 1) } else { (byte, 0) };
    match a.bytes().zip(b.bytes()).find(|(x, y)| x != y) {
        Some((x, y)) => place(x).cmp(&place(y)),
        None => a.len().cmp(&b.len()),
    }
}

/// Times, dates and timestamps and their texts, each in one unit.
fn in_units(op: BinaryOp, left: Compiled, right: Compiled, unit: fn(&Value) -> Result<Option<i64>, EvalError>) -> Eval<bool> {
    let operand = |c: Compiled| -> Eval<i64> {
        match c.constant().map(unit) {
            Some(Ok(value)) => Box::new(move |_| Ok(value)),
            _ => {
                let operand = AnyOperand::new(c);
                Box::new(move |env| operand.with(env, unit)?)
            }
        }
    };
    let (left, right) = (operand(left), operand(right));
    Box::new(move |env| {
        let a = left(env)?;
        if a.is_none() && !takes_null(op) {
            return Ok(Some(false));
        }
        Ok(Some(match (a, right(env)?) {
            (Some(a), Some(b)) => holds(op, Some(a.cmp(&b))),
            (a, b) => null_holds(op, a.is_none(), b.is_none()),
        }))
    })
}

fn to_timestamp(value: &Value) -> Result<Option<i64>, EvalError> {
    match value {
        Value::Timestamp(ms) => Ok(Some(*ms)),
        Value::Date(days) => Ok(Some(i64::from(*days) * DAY_MS)),
        Value::String(text) => parsed(text, parse_timestamp(text), "timestamp", TIMESTAMP_FORM),
        _ => Ok(None),
    }
}

fn to_date(value: &Value) -> Result<Option<i64>, EvalError> {
    match value {
        Value::Date(days) => Ok(Some(i64::from(*days))),
        Value::String(text) => parsed(text, parse_date(text).map(i64::from), "date", DATE_FORM),
        _ => Ok(None),
    }
}

fn to_time(value: &Value) -> Result<Option<i64>, EvalError> {
    match value {
        Value::Time(ms) => Ok(Some(i64::from(*ms))),
        Value::String(text) => parsed(text, parse_time(text).map(i64::from), "time", TIME_FORM),
        _ => Ok(None),
    }
}

fn parsed(text: &str, value: Option<i64>, what: &str, form: &str) -> Result<Option<i64>, EvalError> {
    value.map(Some).ok_or_else(|| EvalError::new(format!("Failed to parse {what} '{text}'. {form}")))
}

fn bytes(op: BinaryOp, left: Compiled, right: Compiled) -> Eval<bool> {
    // As Java's ByteBuffer: byte by byte, signed.
    by_value(op, left, right, |a, b| Some(java_cmp(a, b)))
}

/// ARRAY, MAP and STRUCT: only whether they are equal matters.
fn structures(op: BinaryOp, left: Compiled, right: Compiled) -> Eval<bool> {
    by_value(op, left, right, |a, b| Some(if a == b { Ordering::Equal } else { Ordering::Less }))
}

fn by_value(op: BinaryOp, left: Compiled, right: Compiled, order: fn(&Value, &Value) -> Option<Ordering>) -> Eval<bool> {
    let (left, right) = (AnyOperand::new(left), AnyOperand::new(right));
    Box::new(move |env| {
        left.with(env, |a| {
            if a.is_null() && !takes_null(op) {
                return Ok(Some(false));
            }
            right.with(env, |b| {
                Some(if a.is_null() || b.is_null() { null_holds(op, a.is_null(), b.is_null()) } else { holds(op, order(a, b)) })
            })
        })?
    })
}
