//! KAFKA: one column as Kafka's own serializers write it. INT (4 bytes), BIGINT and DOUBLE (8 bytes), all big-endian,
//! STRING (UTF-8) and BYTES (as they are). Nothing is coerced.

use super::{DecodeError, Decoder, EncodeError, Encoder, Format, Layout, describe_columns};
use crate::types::{Column, SqlType, Text, Value};

pub(super) static KAFKA: KafkaFormat = KafkaFormat;

pub(super) struct KafkaFormat;

/// The types that Kafka has serializers for.
#[derive(Debug, Clone, Copy)]
enum Primitive {
    Int,
    BigInt,
    Double,
    String,
    Bytes,
}

impl Primitive {
    fn of(sql_type: &SqlType) -> Option<Self> {
        match sql_type {
            SqlType::Int => Some(Primitive::Int),
            SqlType::BigInt => Some(Primitive::BigInt),
            SqlType::Double => Some(Primitive::Double),
            SqlType::String => Some(Primitive::String),
            SqlType::Bytes => Some(Primitive::Bytes),
            _ => None,
        }
    }
}

impl KafkaFormat {
    /// The only column of a layout.
    fn single(&self, layout: &Layout) -> Result<(Primitive, Option<usize>), String> {
        let columns: Vec<Column> = layout.fields.iter().map(|f| f.column.clone()).collect();
        self.check_columns(&columns, layout.is_key)?;
        match layout.fields.as_slice() {
            [field] => Ok((Primitive::of(&field.column.sql_type).ok_or_else(|| unsupported(&field.column))?, field.slot)),
            _ => Err(too_many(&columns, layout.is_key)),
        }
    }
}

impl Format for KafkaFormat {
    fn name(&self) -> &'static str {
        "KAFKA"
    }

    fn supports_several_key_columns(&self) -> bool {
        false
    }

    fn supports_wrapping(&self) -> (bool, bool) {
        (false, true)
    }

    fn unwrapped_by_default(&self) -> bool {
        true
    }

    fn check_column(&self, column: &Column, _is_key: bool) -> Result<(), String> {
        match Primitive::of(&column.sql_type) {
            Some(_) => Ok(()),
            None => Err(unsupported(column)),
        }
    }

    fn check_columns(&self, columns: &[Column], is_key: bool) -> Result<(), String> {
        if columns.len() > 1 {
            return Err(too_many(columns, is_key));
        }
        columns.iter().try_for_each(|column| self.check_column(column, is_key))
    }

    fn decoder(&self, layout: &Layout) -> Result<Box<dyn Decoder>, String> {
        let (primitive, slot) = self.single(layout)?;
        Ok(Box::new(KafkaDecoder { primitive, slot }))
    }

    fn encoder(&self, layout: &Layout) -> Result<Box<dyn Encoder>, String> {
        let (primitive, slot) = self.single(layout)?;
        Ok(Box::new(KafkaEncoder { primitive, slot: slot.ok_or("a column to write has no slot")? }))
    }
}

fn unsupported(column: &Column) -> String {
    format!("The 'KAFKA' format does not support type '{}'", column.sql_type.base_name())
}

fn too_many(columns: &[Column], is_key: bool) -> String {
    format!("The 'KAFKA' format only supports a single field. Got: {}", describe_columns(columns, is_key))
}

struct KafkaDecoder {
    primitive: Primitive,
    slot: Option<usize>,
}

impl Decoder for KafkaDecoder {
    fn decode(&mut self, payload: &[u8], row: &mut [Value]) -> Result<bool, DecodeError> {
        let wrong_size = |deserializer: &str, size: usize| {
            DecodeError::new(format!("Size of data received by {deserializer} is not {size} (it is {} bytes)", payload.len()))
        };
        let value = match self.primitive {
            Primitive::Int => Value::Int(i32::from_be_bytes(payload.try_into().map_err(|_| wrong_size("IntegerDeserializer", 4))?)),
            Primitive::BigInt => Value::BigInt(i64::from_be_bytes(payload.try_into().map_err(|_| wrong_size("LongDeserializer", 8))?)),
            Primitive::Double => Value::Double(f64::from_be_bytes(payload.try_into().map_err(|_| wrong_size("DoubleDeserializer", 8))?)),
            Primitive::String | Primitive::Bytes if self.slot.is_none() => return Ok(true),
            // As in Java, bytes that are not UTF-8 become replacement characters.
            Primitive::String => Value::String(match std::str::from_utf8(payload) {
                Ok(text) => Text::from(text),
                Err(_) => Text::from(&*String::from_utf8_lossy(payload)),
            }),
            Primitive::Bytes => Value::bytes(payload),
        };
        if let Some(place) = self.slot.and_then(|slot| row.get_mut(slot)) {
            *place = value;
        }
        Ok(true)
    }
}

struct KafkaEncoder {
    primitive: Primitive,
    slot: usize,
}

impl Encoder for KafkaEncoder {
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        match (self.primitive, row.get(self.slot).unwrap_or(&Value::Null)) {
            (_, Value::Null) => return Ok(false),
            (Primitive::Int, Value::Int(v)) => out.extend_from_slice(&v.to_be_bytes()),
            (Primitive::BigInt, Value::BigInt(v)) => out.extend_from_slice(&v.to_be_bytes()),
            (Primitive::BigInt, Value::Int(v)) => out.extend_from_slice(&i64::from(*v).to_be_bytes()),
            (Primitive::Double, Value::Double(v)) => out.extend_from_slice(&v.to_be_bytes()),
            (Primitive::String, Value::String(v)) => out.extend_from_slice(v.as_bytes()),
            (Primitive::Bytes, Value::Bytes(v)) => out.extend_from_slice(v),
            (primitive, _) => return Err(EncodeError::new(format!("a value is not of its column's type {primitive:?}"))),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Field;

    fn layout(sql_type: SqlType) -> Layout {
        let fields = vec![Field::new(Column::new("C", sql_type), Some(0))];
        Layout { fields, unwrapped: true, is_key: false, delimiter: None, schemas: None }
    }

    #[test]
    fn values_go_there_and_back() {
        let cases: &[(SqlType, Value, &[u8])] = &[
            (SqlType::Int, Value::Int(-2), &[255, 255, 255, 254]),
            (SqlType::BigInt, Value::BigInt(258), &[0, 0, 0, 0, 0, 0, 1, 2]),
            (SqlType::Double, Value::Double(1.5), &[0x3f, 0xf8, 0, 0, 0, 0, 0, 0]),
            (SqlType::String, Value::string("é"), "é".as_bytes()),
            (SqlType::String, Value::string(""), b""),
            (SqlType::Bytes, Value::bytes(&[0u8, 255][..]), &[0, 255]),
        ];
        for (sql_type, value, payload) in cases {
            let layout = layout(sql_type.clone());
            let mut row = vec![Value::Null];
            assert_eq!(KAFKA.decoder(&layout).unwrap().decode(payload, &mut row), Ok(true));
            assert_eq!(&row[0], value);
            let mut out = Vec::new();
            assert_eq!(KAFKA.encoder(&layout).unwrap().encode(&row, &mut out), Ok(true));
            assert_eq!(&out, payload);
            assert_eq!(KAFKA.encoder(&layout).unwrap().encode(&[Value::Null], &mut out), Ok(false));
        }
    }

    #[test]
    fn a_wrong_length_is_refused() {
        for (sql_type, wanted) in [(SqlType::Int, "IntegerDeserializer is not 4"), (SqlType::BigInt, "LongDeserializer is not 8")] {
            for length in [0, 3, 5, 9] {
                let mut decoder = KAFKA.decoder(&layout(sql_type.clone())).unwrap();
                let error = decoder.decode(&vec![0; length], &mut [Value::Null]).unwrap_err();
                assert!(error.to_string().contains(wanted), "{error}");
            }
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_mended() {
        let mut row = [Value::Null];
        KAFKA.decoder(&layout(SqlType::String)).unwrap().decode(b"a\xff", &mut row).unwrap();
        assert_eq!(row[0], Value::string("a\u{fffd}"));
    }

    #[test]
    fn other_types_are_refused() {
        for sql_type in [SqlType::Boolean, SqlType::Date, SqlType::Decimal { precision: 4, scale: 2 }, SqlType::array(SqlType::Int)] {
            let name = sql_type.base_name();
            assert_eq!(
                KAFKA.check_column(&Column::new("C", sql_type), true).unwrap_err(),
                format!("The 'KAFKA' format does not support type '{name}'")
            );
        }
    }
}
