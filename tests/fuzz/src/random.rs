//! Schemas and rows of any kind.

use arbitrary::{Result, Unstructured};
use tidemill_engine::types::{Column, MapValue, SqlType, Value};

/// How deep types nest.
const MAX_DEPTH: u32 = 3;

/// Columns of any type.
pub fn columns(u: &mut Unstructured<'_>) -> Result<Vec<Column>> {
    (0..u.int_in_range(1..=5)?).map(|index| Ok(Column::new(name(u, index)?, sql_type(u, 0)?))).collect()
}

/// A name of its own for each index.
fn name(u: &mut Unstructured<'_>, index: usize) -> Result<String> {
    let shape = *u.choose(&["A", "B_C", "a", "Ä", "x y", "_", "0"])?;
    Ok(if u.ratio(9, 10)? { format!("C{index}") } else { format!("{shape}{index}") })
}

fn sql_type(u: &mut Unstructured<'_>, depth: u32) -> Result<SqlType> {
    let kinds = if depth < MAX_DEPTH { 13 } else { 10 };
    Ok(match u.int_in_range(0..=kinds - 1)? {
        0 => SqlType::Boolean,
        1 => SqlType::Int,
        2 => SqlType::BigInt,
        3 => SqlType::Double,
        4 => {
            let precision = u.int_in_range(1..=30)?;
            SqlType::Decimal { precision, scale: u.int_in_range(0..=precision)? }
        }
        5 => SqlType::String,
        6 => SqlType::Bytes,
        7 => SqlType::Time,
        8 => SqlType::Date,
        9 => SqlType::Timestamp,
        10 => SqlType::array(sql_type(u, depth + 1)?),
        11 => {
            let key = if u.ratio(9, 10)? { SqlType::String } else { sql_type(u, MAX_DEPTH)? };
            SqlType::map(key, sql_type(u, depth + 1)?)
        }
        _ => {
            let fields = (0..u.int_in_range(1..=3)?).map(|index| Ok((name(u, index)?, sql_type(u, depth + 1)?)));
            SqlType::structure(fields.collect::<Result<Vec<_>>>()?)
        }
    })
}

/// A value of a type, or null.
pub fn value(u: &mut Unstructured<'_>, of: &SqlType) -> Result<Value> {
    if u.ratio(1, 8)? {
        return Ok(Value::Null);
    }
    Ok(match of {
        SqlType::Boolean => Value::Boolean(u.arbitrary()?),
        SqlType::Int => Value::Int(u.arbitrary()?),
        SqlType::BigInt => Value::BigInt(u.arbitrary()?),
        SqlType::Double => Value::Double(u.arbitrary()?),
        SqlType::Decimal { precision, scale } => {
            let digits = (*precision).min(18);
            let unscaled = u.arbitrary::<i64>()? % 10_i64.pow(digits);
            Value::decimal(bigdecimal::BigDecimal::new(unscaled.into(), i64::from(*scale)))
        }
        SqlType::String => Value::string(text(u)?),
        SqlType::Bytes => {
            let length = u.int_in_range(0..=8)?;
            Value::bytes(u.bytes(length.min(u.len()))?)
        }
        SqlType::Time => Value::Time(u.int_in_range(0..=86_399_999)?),
        SqlType::Date => Value::Date(u.int_in_range(-100_000..=100_000)?),
        SqlType::Timestamp => Value::Timestamp(u.int_in_range(-1_000_000_000_000..=10_000_000_000_000)?),
        SqlType::Array(item) => Value::array((0..u.int_in_range(0..=3)?).map(|_| value(u, item)).collect::<Result<Vec<_>>>()?),
        SqlType::Map(key, item) => {
            let mut map = MapValue::default();
            for _ in 0..u.int_in_range(0..=3)? {
                let key = value(u, key)?;
                if !key.is_null() {
                    map.insert(key, value(u, item)?);
                }
            }
            Value::Map(map.into())
        }
        SqlType::Struct(fields) => Value::structure(fields.iter().map(|field| value(u, &field.sql_type)).collect::<Result<Vec<_>>>()?),
    })
}

fn text(u: &mut Unstructured<'_>) -> Result<String> {
    const PARTS: &[&str] = &["a", "text", "é", "😀", "\"", "\\", ",", "\n", "\u{0}", "{\"a\":1}", "null", "1", "-0.5", " ", "'"];
    (0..u.int_in_range(0..=4)?).map(|_| u.choose(PARTS).copied()).collect()
}
