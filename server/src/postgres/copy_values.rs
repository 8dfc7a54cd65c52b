//! A field of COPY … FROM as a value of its column: what a client reads of such a value is read back.

use tidemill_engine::engine::json_value;
use tidemill_engine::types::text::{fit_decimal, parse_date, parse_decimal, parse_double, parse_time, parse_timestamp};
use tidemill_engine::types::{SqlType, Value};

use super::error::{PgError, WRONG_BYTES, WRONG_NUMBER, WRONG_TEXT};
use super::params::array_items;
use super::types::{JSON, oid};

/// Characters of a value that an error shows.
const SHOWN: usize = 100;

/// # Errors
/// It is no value of that type.
pub fn value_of(text: &str, sql_type: &SqlType) -> Result<Value, PgError> {
    let trimmed = text.trim();
    let wrong = |name: &str| PgError::new(WRONG_TEXT, format!("invalid input syntax for type {name}: \"{}\"", shown(text)));
    let out_of_range = |name: &str| PgError::new(WRONG_NUMBER, format!("value \"{}\" is out of range for type {name}", shown(text)));
    // Digits that are too many are a number of another type.
    let whole = |name: &str| {
        let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) { out_of_range(name) } else { wrong(name) }
    };
    Ok(match sql_type {
        SqlType::Boolean => match trimmed.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Value::Boolean(true),
            "f" | "false" | "n" | "no" | "off" | "0" => Value::Boolean(false),
            _ => return Err(wrong("boolean")),
        },
        SqlType::Int => Value::Int(trimmed.parse().map_err(|_| whole("integer"))?),
        SqlType::BigInt => Value::BigInt(trimmed.parse().map_err(|_| whole("bigint"))?),
        SqlType::Double => Value::Double(match trimmed.to_ascii_lowercase().as_str() {
            "infinity" | "inf" | "+infinity" => f64::INFINITY,
            "-infinity" | "-inf" => f64::NEG_INFINITY,
            "nan" => f64::NAN,
            _ => parse_double(trimmed).filter(|number| number.is_finite()).ok_or_else(|| wrong("double precision"))?,
        }),
        SqlType::Decimal { precision, scale } => {
            let decimal = parse_decimal(trimmed).ok_or_else(|| wrong("numeric"))?;
            Value::decimal(fit_decimal(&decimal, *precision, *scale).map_err(|message| PgError::new(WRONG_NUMBER, message))?)
        }
        SqlType::String if text.contains('\0') => return Err(PgError::new(WRONG_BYTES, "a text can't hold the character 0")),
        SqlType::String => Value::string(text),
        SqlType::Bytes => Value::bytes(bytes(trimmed).ok_or_else(|| wrong("bytea"))?),
        SqlType::Date => Value::Date(parse_date(trimmed).ok_or_else(|| wrong("date"))?),
        SqlType::Time => Value::Time(parse_time(trimmed).ok_or_else(|| wrong("time"))?),
        SqlType::Timestamp => Value::Timestamp(parse_timestamp(&trimmed.replacen(' ', "T", 1)).ok_or_else(|| wrong("timestamp"))?),
        SqlType::Array(item) if oid(sql_type) != JSON && trimmed.starts_with('{') => {
            let items = array_items(trimmed).ok_or_else(|| wrong("array"))?;
            let values = items.iter().map(|one| one.as_deref().map_or(Ok(Value::Null), |text| value_of(text, item)));
            Value::array(values.collect::<Result<_, _>>()?)
        }
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => {
            let json = serde_json::from_str(text).map_err(|_| wrong("json"))?;
            json_value(&json, sql_type).ok_or_else(|| PgError::new(WRONG_TEXT, format!("\"{}\" is no {sql_type}", shown(text))))?
        }
    })
}

/// The beginning of a text.
pub fn shown(text: &str) -> String {
    let mut chars = text.chars();
    let beginning: String = chars.by_ref().take(SHOWN).collect();
    if chars.next().is_some() { beginning + "..." } else { beginning }
}

/// Bytes by their hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?;
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2 && !pair.starts_with('+'))?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::types::text_of;

    #[test]
    fn what_is_shown_is_read_back() {
        for (sql_type, text) in [
            (SqlType::Boolean, "t"),
            (SqlType::Int, "-5"),
            (SqlType::BigInt, "99999999999"),
            (SqlType::Double, "NaN"),
            (SqlType::Double, "-Infinity"),
            (SqlType::Double, "1.5"),
            (SqlType::Decimal { precision: 5, scale: 2 }, "12.50"),
            (SqlType::String, " a\\b "),
            (SqlType::Bytes, "\\x00ff"),
            (SqlType::Date, "2001-02-03"),
            (SqlType::Time, "06:30:00"),
            (SqlType::Timestamp, "2020-01-01 00:00:00"),
            (SqlType::array(SqlType::Int), "{1,NULL,-3}"),
            (SqlType::array(SqlType::String), "{\"a b\",NULL,\"NULL\",\"\"}"),
            (SqlType::Map(SqlType::String.into(), SqlType::Int.into()), "{\"k\":7}"),
            (SqlType::array(SqlType::array(SqlType::Int)), "[[1],[]]"),
        ] {
            let value = value_of(text, &sql_type).unwrap_or_else(|error| panic!("{text}: {}", error.message));
            assert_eq!(text_of(&value, &sql_type), text, "{sql_type}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (sql_type, text, code) in [
            (SqlType::Int, "abc", WRONG_TEXT),
            (SqlType::Int, "1.5", WRONG_TEXT),
            (SqlType::Int, "99999999999", WRONG_NUMBER),
            (SqlType::Boolean, "maybe", WRONG_TEXT),
            (SqlType::Decimal { precision: 3, scale: 1 }, "1234.5", WRONG_NUMBER),
            (SqlType::Bytes, "\\x0", WRONG_TEXT),
            (SqlType::Bytes, "\\x+1", WRONG_TEXT),
            (SqlType::Date, "yesterday", WRONG_TEXT),
            (SqlType::array(SqlType::Int), "{1", WRONG_TEXT),
            (SqlType::array(SqlType::Int), "{x}", WRONG_TEXT),
            (SqlType::Map(SqlType::String.into(), SqlType::Int.into()), "{\"k\":\"x\"}", WRONG_TEXT),
        ] {
            assert_eq!(value_of(text, &sql_type).expect_err(text).code, code, "{text} as {sql_type}");
        }
    }
}
