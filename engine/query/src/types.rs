//! SQL types as Arrow's, and back. Nothing is lost on the way there; what an answer may hold besides becomes the nearest type
//! of the dialect.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use tidemill_engine::types::SqlType;

/// Digits that a decimal of 16 and of 32 bytes holds.
const SHORT_DIGITS: u32 = 38;
const MAX_DIGITS: u32 = 76;

/// The Arrow type of a column.
pub fn arrow_type(sql_type: &SqlType) -> DataType {
    match sql_type {
        SqlType::Boolean => DataType::Boolean,
        SqlType::Int => DataType::Int32,
        SqlType::BigInt => DataType::Int64,
        SqlType::Double => DataType::Float64,
        SqlType::Decimal { precision, scale } => {
            let digits = u8::try_from((*precision).clamp(1, MAX_DIGITS)).unwrap_or(u8::MAX);
            let scale = i8::try_from((*scale).min(MAX_DIGITS)).unwrap_or(i8::MAX);
            if *precision <= SHORT_DIGITS { DataType::Decimal128(digits, scale) } else { DataType::Decimal256(digits, scale) }
        }
        SqlType::String => DataType::Utf8,
        SqlType::Bytes => DataType::Binary,
        SqlType::Time => DataType::Time32(TimeUnit::Millisecond),
        SqlType::Date => DataType::Date32,
        SqlType::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
        SqlType::Array(item) => DataType::List(item_field(arrow_type(item))),
        SqlType::Map(key, value) => DataType::Map(entries_field(arrow_type(key), arrow_type(value)), false),
        SqlType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| Field::new(&*field.name, arrow_type(&field.sql_type), true)).collect())
        }
    }
}

pub(crate) fn item_field(item: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", item, true))
}

pub(crate) fn entries_field(key: DataType, value: DataType) -> Arc<Field> {
    let entry: Fields = vec![Field::new("key", key, false), Field::new("value", value, true)].into();
    Arc::new(Field::new("entries", DataType::Struct(entry), false))
}

/// The type of the dialect that is nearest to one of Arrow's.
pub fn sql_type(data_type: &DataType) -> SqlType {
    match data_type {
        DataType::Boolean => SqlType::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => SqlType::Int,
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => SqlType::BigInt,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => SqlType::Double,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            SqlType::Decimal { precision: u32::from(*precision), scale: u32::try_from(*scale).unwrap_or(0) }
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => SqlType::Bytes,
        DataType::Time32(_) | DataType::Time64(_) => SqlType::Time,
        DataType::Date32 => SqlType::Date,
        DataType::Date64 | DataType::Timestamp(..) => SqlType::Timestamp,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) | DataType::ListView(item) => {
            SqlType::array(sql_type(item.data_type()))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                let mut types = fields.iter().map(|field| sql_type(field.data_type()));
                SqlType::map(types.next().unwrap_or(SqlType::String), types.next().unwrap_or(SqlType::String))
            }
            _ => SqlType::String,
        },
        DataType::Struct(fields) => SqlType::structure(fields.iter().map(|field| (field.name().clone(), sql_type(field.data_type())))),
        DataType::Dictionary(_, value) => sql_type(value),
        DataType::RunEndEncoded(_, value) => sql_type(value.data_type()),
        // Texts of any layout, intervals, nulls.
        _ => SqlType::String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_come_back_as_they_went() {
        let decimal = |precision, scale| SqlType::Decimal { precision, scale };
        let simple = [
            SqlType::Boolean,
            SqlType::Int,
            SqlType::BigInt,
            SqlType::Double,
            decimal(38, 0),
            decimal(39, 12),
            decimal(76, 76),
            SqlType::String,
            SqlType::Bytes,
            SqlType::Time,
            SqlType::Date,
            SqlType::Timestamp,
        ];
        let nested = SqlType::structure([("a b".to_owned(), SqlType::array(SqlType::map(SqlType::String, decimal(4, 2))))]);
        for sql_type_given in simple.into_iter().chain([nested]) {
            assert_eq!(sql_type(&arrow_type(&sql_type_given)), sql_type_given);
        }
    }
}
