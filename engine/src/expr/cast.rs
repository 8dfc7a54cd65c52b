//! `CAST(expr AS type)`: which pairs of types there are, and what becomes of values.

use std::sync::Arc;

use bigdecimal::BigDecimal;

use crate::functions::EvalError;
use crate::types::text::{DAY_MS, parse_date, parse_decimal, parse_double, parse_time, parse_timestamp};
use crate::types::{MapValue, SqlType, Value, text as spelling};

use super::operand::{AnyOperand, Operand, Scalar};
use super::{Compiled, Eval, Evaluator, column, decimal, swallowed, text};

/// A conversion of values of one type into another. Null never comes in.
type Convert = Box<dyn Fn(&Value) -> Result<Value, EvalError> + Send + Sync>;

/// Casts an expression. Where the cast, or what is cast, fails, the result is null right there, and the failure goes to
/// the processing log: `CAST('x' AS INT) IS NULL` is true, as in ksqlDB.
///
/// # Errors
/// There is no such cast; the text says so.
pub(super) fn cast(operand: Compiled, to: &SqlType) -> Result<Compiled, String> {
    Ok(forgiving(strict(operand, to)?))
}

/// An expression that is null where it fails.
fn forgiving(compiled: Compiled) -> Compiled {
    if !compiled.may_fail() {
        return compiled;
    }
    fn typed<T: Scalar>(sql_type: Option<SqlType>, eval: Eval<T>) -> Compiled {
        Compiled::computed(sql_type, T::evaluator(Box::new(move |env| Ok(swallowed::or_none(eval(env))))))
    }
    let sql_type = compiled.sql_type;
    match compiled.evaluator {
        Evaluator::Boolean(eval) => typed(sql_type, eval),
        Evaluator::Int(eval) => typed(sql_type, eval),
        Evaluator::BigInt(eval) => typed(sql_type, eval),
        Evaluator::Double(eval) => typed(sql_type, eval),
        Evaluator::Decimal(eval) => typed(sql_type, eval),
        Evaluator::String(eval) => typed(sql_type, eval),
        Evaluator::Value(eval) => Compiled::computed(sql_type, Evaluator::Value(Box::new(move |env| Ok(swallowed::or_null(eval(env)))))),
    }
}

/// Casts an expression; what fails, fails the expression around it.
///
/// # Errors
/// There is no such cast; the text says so.
pub(super) fn strict(operand: Compiled, to: &SqlType) -> Result<Compiled, String> {
    let Some(from) = operand.sql_type.clone() else {
        return Ok(column::constant(Some(to.clone()), Value::Null));
    };
    if from == *to {
        return Ok(operand);
    }
    if let Some(widened) = widened(&from, to) {
        return Ok(widened(operand));
    }
    let convert = conversion(&from, to).ok_or_else(|| format!("Cast of {from} to {to} is not supported"))?;
    let operand = AnyOperand::new(operand);
    Ok(Compiled::from_values(to.clone(), move |env| {
        operand.with(env, |value| if value.is_null() { Ok(Value::Null) } else { convert(value) })?
    }))
}

/// Casts between numbers that need no [`Value`] on the way.
fn widened(from: &SqlType, to: &SqlType) -> Option<fn(Compiled) -> Compiled> {
    Some(match (from, to) {
        (SqlType::Int, SqlType::BigInt) => |c| Compiled::typed(SqlType::BigInt, Operand::<i64>::new(c).into_eval()),
        (SqlType::Int | SqlType::BigInt | SqlType::Decimal { .. }, SqlType::Double) => {
            |c| Compiled::typed(SqlType::Double, Operand::<f64>::new(c).into_eval())
        }
        (SqlType::BigInt, SqlType::Int) => |c| {
            let operand = Operand::<i64>::new(c);
            let eval: Eval<i32> = Box::new(move |env| Ok(operand.get(env)?.map(|v| v as i32)));
            Compiled::typed(SqlType::Int, eval)
        },
        (SqlType::Double, SqlType::Int) => |c| {
            let operand = Operand::<f64>::new(c);
            let eval: Eval<i32> = Box::new(move |env| Ok(operand.get(env)?.map(|v| v as i32)));
            Compiled::typed(SqlType::Int, eval)
        },
        (SqlType::Double, SqlType::BigInt) => |c| {
            let operand = Operand::<f64>::new(c);
            let eval: Eval<i64> = Box::new(move |env| Ok(operand.get(env)?.map(|v| v as i64)));
            Compiled::typed(SqlType::BigInt, eval)
        },
        _ => return None,
    })
}

/// The conversion of a pair of types, if there is one.
pub(super) fn conversion(from: &SqlType, to: &SqlType) -> Option<Convert> {
    if from == to {
        return Some(Box::new(|value| Ok(value.clone())));
    }
    match (from, to) {
        (SqlType::Bytes, SqlType::String) => None,
        (_, SqlType::String) => {
            let from = from.clone();
            Some(Box::new(move |value| Ok(Value::String(spelling::to_text(|out| text::write_value(value, &from, out))))))
        }
        (SqlType::String, _) => of_text(to),
        (_, SqlType::Int) if from.is_numeric() => Some(Box::new(|value| match value {
            Value::Double(v) => Ok(Value::Int(*v as i32)),
            other => whole(other).map(|v| Value::Int(v as i32)),
        })),
        (_, SqlType::BigInt) if from.is_numeric() => Some(Box::new(|value| whole(value).map(Value::BigInt))),
        (_, SqlType::Double) if from.is_numeric() => Some(Box::new(|value| match value {
            Value::Int(v) => Ok(Value::Double(f64::from(*v))),
            Value::BigInt(v) => Ok(Value::Double(*v as f64)),
            Value::Double(v) => Ok(Value::Double(*v)),
            Value::Decimal(v) => Ok(Value::Double(decimal::to_f64(v))),
            other => Err(unexpected(other)),
        })),
        (_, SqlType::Decimal { precision, scale }) if from.is_numeric() => {
            let (precision, scale) = (*precision, *scale);
            Some(Box::new(move |value| {
                let exact: Arc<BigDecimal> = match value {
                    Value::Int(v) => Arc::new(BigDecimal::from(*v)),
                    Value::BigInt(v) => Arc::new(BigDecimal::from(*v)),
                    Value::Double(v) => decimal::from_f64(*v)?,
                    Value::Decimal(v) => Arc::clone(v),
                    other => return Err(unexpected(other)),
                };
                decimal::fit(&exact, precision, scale).map(Value::decimal)
            }))
        }
        (SqlType::Timestamp, SqlType::Date) => Some(Box::new(|value| match value {
            Value::Timestamp(ms) => i32::try_from(ms.div_euclid(DAY_MS)).map(Value::Date).map_err(|_| EvalError::new("Date out of range")),
            other => Err(unexpected(other)),
        })),
        (SqlType::Timestamp, SqlType::Time) => Some(Box::new(|value| match value {
            Value::Timestamp(ms) => Ok(Value::Time(i32::try_from(ms.rem_euclid(DAY_MS)).unwrap_or(0))),
            other => Err(unexpected(other)),
        })),
        (SqlType::Date, SqlType::Timestamp) => Some(Box::new(|value| match value {
            Value::Date(days) => Ok(Value::Timestamp(i64::from(*days) * DAY_MS)),
            other => Err(unexpected(other)),
        })),
        _ => of_structures(from, to),
    }
}

/// Arrays and maps item by item, structs field by field: fields go by name, those that are missing become null. An item that
/// can't be converted fails the whole.
fn of_structures(from: &SqlType, to: &SqlType) -> Option<Convert> {
    match (from, to) {
        (SqlType::Array(from), SqlType::Array(to)) => {
            let item = nullable(conversion(from, to)?);
            Some(Box::new(move |value| match value {
                Value::Array(items) => Ok(Value::array(items.iter().map(&item).collect::<Result<_, _>>()?)),
                other => Err(unexpected(other)),
            }))
        }
        (SqlType::Map(from_key, from), SqlType::Map(to_key, to)) => {
            let (key, item) = (nullable(conversion(from_key, to_key)?), nullable(conversion(from, to)?));
            Some(Box::new(move |value| match value {
                Value::Map(entries) => {
                    let entries = entries.iter().map(|(k, v)| Ok((key(k)?, item(v)?)));
                    Ok(Value::Map(Arc::new(entries.collect::<Result<MapValue, EvalError>>()?)))
                }
                other => Err(unexpected(other)),
            }))
        }
        (SqlType::Struct(from), SqlType::Struct(to)) => {
            let mut fields: Vec<Option<(usize, Convert)>> = Vec::with_capacity(to.len());
            for field in to.iter() {
                fields.push(match from.iter().position(|f| f.name == field.name) {
                    Some(index) => Some((index, nullable(conversion(&from.get(index)?.sql_type, &field.sql_type)?))),
                    None => None,
                });
            }
            Some(Box::new(move |value| match value {
                Value::Struct(values) => {
                    let convert = |field: &Option<(usize, Convert)>| match field {
                        Some((index, convert)) => convert(values.get(*index).unwrap_or(&Value::Null)),
                        None => Ok(Value::Null),
                    };
                    Ok(Value::structure(fields.iter().map(convert).collect::<Result<_, _>>()?))
                }
                other => Err(unexpected(other)),
            }))
        }
        _ => None,
    }
}

fn nullable(convert: Convert) -> Convert {
    Box::new(move |value| if value.is_null() { Ok(Value::Null) } else { convert(value) })
}

/// Text read as another type.
fn of_text(to: &SqlType) -> Option<Convert> {
    fn reading(what: &'static str, read: impl Fn(&str) -> Option<Value> + Send + Sync + 'static) -> Option<Convert> {
        Some(Box::new(move |value| match value {
            Value::String(text) => read(text).ok_or_else(|| EvalError::new(format!("'{text}' is no {what}"))),
            other => Err(unexpected(other)),
        }))
    }
    match to {
        SqlType::Boolean => reading("BOOLEAN", |text| Some(Value::Boolean(text::parse_boolean(text)))),
        SqlType::Int => reading("INTEGER", |text| trimmed(text).parse().ok().map(Value::Int)),
        SqlType::BigInt => reading("BIGINT", |text| trimmed(text).parse().ok().map(Value::BigInt)),
        SqlType::Double => reading("DOUBLE", |text| parse_double(text).filter(|v| v.is_finite()).map(Value::Double)),
        SqlType::Decimal { precision, scale } => {
            let (precision, scale) = (*precision, *scale);
            Some(Box::new(move |value| match value {
                Value::String(text) => {
                    let exact = parse_decimal(trimmed(text)).ok_or_else(|| EvalError::new(format!("'{text}' is no DECIMAL")))?;
                    decimal::fit(&exact, precision, scale).map(Value::decimal)
                }
                other => Err(unexpected(other)),
            }))
        }
        SqlType::Bytes => reading("BYTES in base64", |text| text::parse_bytes(text).map(Value::Bytes)),
        SqlType::Time => reading("TIME (HH:mm:ss.SSS)", |text| parse_time(text).map(Value::Time)),
        SqlType::Date => reading("DATE (yyyy-MM-dd)", |text| parse_date(text).map(Value::Date)),
        SqlType::Timestamp => reading("TIMESTAMP (yyyy-MM-dd'T'HH:mm:ss.SSS)", |text| parse_timestamp(text).map(Value::Timestamp)),
        SqlType::String | SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => None,
    }
}

/// Without the blanks around it, as Java's `String.trim` takes them away.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// The whole part of a number; too large a DOUBLE is the largest BIGINT.
fn whole(value: &Value) -> Result<i64, EvalError> {
    match value {
        Value::Int(v) => Ok(i64::from(*v)),
        Value::BigInt(v) => Ok(*v),
        Value::Double(v) => Ok(*v as i64),
        Value::Decimal(v) => Ok(decimal::to_i64_wrapping(v)),
        other => Err(unexpected(other)),
    }
}

fn unexpected(value: &Value) -> EvalError {
    EvalError::new(format!("a value of another type than its column's: {value:?}"))
}
