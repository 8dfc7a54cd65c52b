//! The encoder: a row as a line without its end. DOUBLE as Java prints it, DECIMAL plain with its scale, times as numbers,
//! BYTES as base64, null as nothing.

use super::DEFAULT_DELIMITER;
use crate::formats::{EncodeError, Encoder, Layout};
use crate::types::Value;
use crate::types::text::{write_base64, write_decimal, write_double, write_i32, write_i64};

pub(super) struct DelimitedEncoder {
    slots: Vec<usize>,
    delimiter: String,
    is_key: bool,
    /// The value that is being written, before it is known whether it needs quotes.
    value: Vec<u8>,
}

impl DelimitedEncoder {
    pub(super) fn new(layout: &Layout) -> Result<Self, String> {
        let slots: Option<Vec<usize>> = layout.fields.iter().map(|field| field.slot).collect();
        Ok(DelimitedEncoder {
            slots: slots.ok_or("a column to write has no slot")?,
            delimiter: layout.delimiter.unwrap_or(DEFAULT_DELIMITER).to_string(),
            is_key: layout.is_key,
            value: Vec::new(),
        })
    }
}

impl Encoder for DelimitedEncoder {
    /// A single null column makes an empty line in a value, and a null key.
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        if let ([slot], true) = (self.slots.as_slice(), self.is_key)
            && row.get(*slot).is_none_or(Value::is_null)
        {
            return Ok(false);
        }
        for (i, slot) in self.slots.iter().enumerate() {
            if i > 0 {
                out.extend_from_slice(self.delimiter.as_bytes());
            }
            self.value.clear();
            match row.get(*slot).unwrap_or(&Value::Null) {
                Value::Null => continue,
                Value::Boolean(v) => self.value.extend_from_slice(if *v { b"true" } else { b"false" }),
                Value::Int(v) | Value::Time(v) | Value::Date(v) => write_i32(*v, &mut self.value),
                Value::BigInt(v) | Value::Timestamp(v) => write_i64(*v, &mut self.value),
                Value::Double(v) => write_double(*v, &mut self.value),
                Value::Decimal(v) => write_decimal(v, &mut self.value),
                Value::Bytes(v) => write_base64(v, &mut self.value),
                Value::String(v) => {
                    write_value(v.as_bytes(), i == 0, self.delimiter.as_bytes(), out);
                    continue;
                }
                Value::Array(_) | Value::Map(_) | Value::Struct(_) => {
                    return Err(EncodeError::new("the DELIMITED format can't write an array, map or struct"));
                }
            }
            write_value(&self.value, i == 0, self.delimiter.as_bytes(), out);
        }
        Ok(true)
    }
}

/// Appends a value, in quotes where Commons CSV 1.4 writes them.
fn write_value(value: &[u8], is_first: bool, delimiter: &[u8], out: &mut Vec<u8>) {
    if !needs_quotes(value, is_first, delimiter) {
        return out.extend_from_slice(value);
    }
    out.push(b'"');
    for part in value.split_inclusive(|b| *b == b'"') {
        out.extend_from_slice(part);
        if part.ends_with(b"\"") {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

/// A line's first value is quoted unless it begins with a letter or digit (so `-1` is quoted there), also where it is
/// empty; any value that begins with `#` or less, ends with a blank or less, or holds a quote, a delimiter or a line end.
fn needs_quotes(value: &[u8], is_first: bool, delimiter: &[u8]) -> bool {
    let (Some(first), Some(last)) = (value.first(), value.last()) else { return is_first };
    (is_first && !first.is_ascii_alphanumeric())
        || *first <= b'#'
        || *last <= b' '
        || value.iter().any(|b| matches!(b, b'"' | b'\r' | b'\n'))
        || memchr::memmem::find(value, delimiter).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::DELIMITED;
    use super::*;
    use crate::formats::{Field, Format};
    use crate::types::text::parse_decimal;
    use crate::types::{Column, SqlType};

    fn encode(values: &[Value], delimiter: Option<char>, is_key: bool) -> Option<String> {
        let fields = (0..values.len()).map(|i| Field::new(Column::new("C", SqlType::String), Some(i)));
        let layout = Layout { fields: fields.collect(), unwrapped: false, is_key, delimiter, schemas: None };
        let mut out = Vec::new();
        let is_some = DELIMITED.encoder(&layout).unwrap().encode(values, &mut out).unwrap();
        is_some.then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn lines_as_ksqldb_writes_them() {
        let text = |t: &str| Value::string(t);
        let cases: Vec<(Vec<Value>, &str)> = vec![
            (vec![Value::Int(0), text("zero"), Value::Boolean(true)], "0,zero,true"),
            (vec![Value::Timestamp(-1), Value::Date(-1), Value::Time(1)], "\"-1\",-1,1"),
            (vec![Value::Null], ""),
            (vec![text("")], "\"\""),
            (vec![Value::Null, Value::Null, Value::Int(100)], ",,100"),
            (vec![text("!"), text("IQ=="), text("!")], "\"!\",IQ==,\"!\""),
            (vec![text("3"), text("q,r")], "3,\"q,r\""),
            (vec![text("a"), text(" x"), text("x "), text("#"), text("$")], "a,\" x\",\"x \",\"#\",$"),
            (vec![text("\"q\" r")], "\"\"\"q\"\" r\""),
            (vec![text("some constant"), text("")], "some constant,"),
            (vec![Value::Double(10.0), Value::Double(1e21)], "10.0,1.0E21"),
            (vec![Value::decimal(parse_decimal("10.0000").unwrap()), Value::bytes(&b"!"[..])], "10.0000,IQ=="),
            (vec![text("é")], "\"é\""),
        ];
        for (values, line) in cases {
            assert_eq!(encode(&values, None, false).as_deref(), Some(line));
        }
        assert_eq!(encode(&[Value::Int(2), text("a|b"), text("c,d")], Some('|'), false).as_deref(), Some("2|\"a|b\"|c,d"));
        assert_eq!(encode(&[Value::Int(4), Value::Null], Some(' '), false).as_deref(), Some("4 "));
    }

    #[test]
    fn keys_of_one_null_column_are_null() {
        assert_eq!(encode(&[Value::Null], None, true), None);
        assert_eq!(encode(&[Value::Null, Value::Null], None, true).as_deref(), Some(","));
    }
}
