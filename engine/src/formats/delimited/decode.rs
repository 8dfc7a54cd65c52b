//! The decoder: a line into the slots of a row. Values that nobody reads are only counted.

use std::borrow::Cow;

use super::DEFAULT_DELIMITER;
use super::split::Values;
use crate::formats::{DecodeError, Decoder, Layout};
use crate::types::text::{DAY_MS, parse_base64, parse_decimal, parse_double, read_decimal};
use crate::types::{SqlType, Text, Value};

pub(super) struct DelimitedDecoder {
    columns: Vec<(String, SqlType, Option<usize>)>,
    delimiter: String,
}

impl DelimitedDecoder {
    pub(super) fn new(layout: &Layout) -> Self {
        let columns = layout.fields.iter().map(|field| (field.column.name.clone(), field.column.sql_type.clone(), field.slot));
        DelimitedDecoder { columns: columns.collect(), delimiter: layout.delimiter.unwrap_or(DEFAULT_DELIMITER).to_string() }
    }

    #[cold]
    fn count_mismatch(&self, payload: &[u8]) -> DecodeError {
        let mut values = Values::new(payload, self.delimiter.as_bytes());
        let mut count = 0;
        while let Ok(Some(_)) = values.next() {
            count += 1;
        }
        if count == 0 {
            return DecodeError::new("No fields in record");
        }
        DecodeError::new(format!("Column count mismatch on deserialization. expected: {}, got: {count}", self.columns.len()))
    }
}

impl Decoder for DelimitedDecoder {
    fn decode(&mut self, payload: &[u8], row: &mut [Value]) -> Result<bool, DecodeError> {
        let mut values = Values::new(payload, self.delimiter.as_bytes());
        for (name, sql_type, slot) in &self.columns {
            let Some(text) = values.next()? else { return Err(self.count_mismatch(payload)) };
            let Some(place) = slot.and_then(|slot| row.get_mut(slot)) else { continue };
            *place = if text.is_empty() {
                Value::Null
            } else {
                parse(&text, sql_type)
                    .map_err(|reason| DecodeError::new(format!("Error deserializing delimited: column {name}: {reason}")))?
            };
        }
        if values.next()?.is_some() {
            return Err(self.count_mismatch(payload));
        }
        Ok(true)
    }
}

/// A value from its text, which is not empty. Blanks around numbers are not forgiven (but for DOUBLE, as in Java).
fn parse(bytes: &[u8], sql_type: &SqlType) -> Result<Value, String> {
    // As in Java, bytes that are not UTF-8 become replacement characters.
    let text: Cow<'_, str> = match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    };
    let value = match sql_type {
        SqlType::String => Some(Value::String(Text::from(&*text))),
        SqlType::Boolean => Some(Value::Boolean(text.eq_ignore_ascii_case("true"))),
        SqlType::Int => text.parse().ok().map(Value::Int),
        SqlType::BigInt => text.parse().ok().map(Value::BigInt),
        SqlType::Double => parse_double(&text).map(Value::Double),
        SqlType::Decimal { precision, scale } => match parse_decimal(&text) {
            Some(number) => Some(Value::decimal(read_decimal(&number, *precision, *scale)?)),
            None => None,
        },
        SqlType::Timestamp => text.parse().ok().map(Value::Timestamp),
        SqlType::Date => text.parse().ok().map(Value::Date),
        SqlType::Time => match text.parse::<i32>() {
            Ok(ms) if (0..=DAY_MS).contains(&i64::from(ms)) => Some(Value::Time(ms)),
            _ => None,
        },
        SqlType::Bytes => parse_base64(bytes).map(Value::bytes),
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => None,
    };
    value.ok_or_else(|| format!("'{text}' is not of type {}", sql_type.base_name()))
}

#[cfg(test)]
mod tests {
    use super::super::DELIMITED;
    use super::*;
    use crate::formats::{Field, Format};
    use crate::types::Column;

    fn decode(line: &str, types: &[SqlType], delimiter: Option<char>) -> Result<Vec<Value>, String> {
        let fields = types.iter().enumerate().map(|(i, t)| Field::new(Column::new(format!("C{i}"), t.clone()), Some(i)));
        let layout = Layout { fields: fields.collect(), unwrapped: false, is_key: false, delimiter, schemas: None };
        let mut row = vec![Value::Int(-1); types.len()];
        let decoded = DELIMITED.decoder(&layout).unwrap().decode(line.as_bytes(), &mut row);
        decoded.map(|_| row).map_err(|e| e.to_string())
    }

    #[test]
    fn every_scalar_type() {
        use SqlType::*;
        let money = Decimal { precision: 6, scale: 4 };
        let decimal = |text: &str| Value::decimal(parse_decimal(text).unwrap());
        for (text, sql_type, value) in [
            ("true", Boolean, Value::Boolean(true)),
            ("\"TRUE\"", Boolean, Value::Boolean(true)),
            ("yes", Boolean, Value::Boolean(false)),
            ("\"22\"", Int, Value::Int(22)),
            ("-9223372036854775808", BigInt, Value::BigInt(i64::MIN)),
            ("654.321", Double, Value::Double(654.321)),
            ("\"12.0\"", money, decimal("12.0000")),
            ("a b", String, Value::string("a b")),
            ("\"\"", String, Value::Null),
            ("10", Time, Value::Time(10)),
            ("-1", Date, Value::Date(-1)),
            ("1709164800123", Timestamp, Value::Timestamp(1_709_164_800_123)),
            ("dmFyaWF0aW9ucw==", Bytes, Value::bytes(&b"variations"[..])),
        ] {
            assert_eq!(decode(text, std::slice::from_ref(&sql_type), None), Ok(vec![value]), "{text} as {sql_type}");
        }
        for (text, sql_type) in [
            ("x", Int),
            (" 1", Int),
            ("1 ", BigInt),
            ("1.5", BigInt),
            ("99999999999", Int),
            ("86400001", Time),
            ("-1", Time),
            ("1 ", Decimal { precision: 4, scale: 2 }),
            ("?", Bytes),
            ("1e2000", Decimal { precision: 4, scale: 2 }),
        ] {
            assert!(decode(text, &[sql_type], None).is_err(), "{text}");
        }
    }

    #[test]
    fn the_count_of_values_must_be_right() {
        let types = [SqlType::Int, SqlType::String];
        assert_eq!(decode(",", &types, None), Ok(vec![Value::Null, Value::Null]));
        assert_eq!(decode("1 x", &types, Some(' ')), Ok(vec![Value::Int(1), Value::string("x")]));
        assert!(decode("1", &types, None).unwrap_err().contains("Column count mismatch on deserialization. expected: 2, got: 1"));
        assert!(decode("1,x,y", &types, None).unwrap_err().contains("expected: 2, got: 3"));
        assert!(decode("", &types, None).unwrap_err().contains("No fields in record"));
    }
}
