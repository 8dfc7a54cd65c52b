//! Rows of values to Arrow's columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder, Float64Builder, Int32Builder,
    Int64Builder, ListArray, MapArray, NullBufferBuilder, StringBuilder, StructArray, Time32MillisecondBuilder,
    TimestampMillisecondBuilder,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Fields, i256};
use arrow::error::ArrowError;
use bigdecimal::{BigDecimal, RoundingMode};
use num_bigint::BigInt;
use tidemill_engine::types::codec::Stored;
use tidemill_engine::types::{SqlType, Value};

use crate::types::{arrow_type, entries_field, item_field};

/// Takes the values of one column. A value of another type than the column's is null.
pub(crate) enum ColumnBuilder {
    Boolean(BooleanBuilder),
    Int(Int32Builder),
    BigInt(Int64Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder, i64),
    LongDecimal(Decimal256Builder, i64),
    String(StringBuilder),
    Bytes(BinaryBuilder),
    Time(Time32MillisecondBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMillisecondBuilder),
    List { item: Box<ColumnBuilder>, item_type: DataType, offsets: Vec<i32>, nulls: NullBufferBuilder },
    Map { key: Box<ColumnBuilder>, value: Box<ColumnBuilder>, types: (DataType, DataType), offsets: Vec<i32>, nulls: NullBufferBuilder },
    Struct { fields: Vec<ColumnBuilder>, types: Fields, nulls: NullBufferBuilder },
}

impl ColumnBuilder {
    pub fn new(sql_type: &SqlType, rows: usize) -> Self {
        let data_type = arrow_type(sql_type);
        match sql_type {
            SqlType::Boolean => ColumnBuilder::Boolean(BooleanBuilder::with_capacity(rows)),
            SqlType::Int => ColumnBuilder::Int(Int32Builder::with_capacity(rows)),
            SqlType::BigInt => ColumnBuilder::BigInt(Int64Builder::with_capacity(rows)),
            SqlType::Double => ColumnBuilder::Double(Float64Builder::with_capacity(rows)),
            SqlType::Decimal { scale, .. } => match data_type {
                DataType::Decimal256(..) => {
                    ColumnBuilder::LongDecimal(Decimal256Builder::with_capacity(rows).with_data_type(data_type), i64::from(*scale))
                }
                _ => ColumnBuilder::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(data_type), i64::from(*scale)),
            },
            SqlType::String => ColumnBuilder::String(StringBuilder::with_capacity(rows, rows * 16)),
            SqlType::Bytes => ColumnBuilder::Bytes(BinaryBuilder::with_capacity(rows, rows * 16)),
            SqlType::Time => ColumnBuilder::Time(Time32MillisecondBuilder::with_capacity(rows)),
            SqlType::Date => ColumnBuilder::Date(Date32Builder::with_capacity(rows)),
            SqlType::Timestamp => ColumnBuilder::Timestamp(TimestampMillisecondBuilder::with_capacity(rows)),
            SqlType::Array(item) => ColumnBuilder::List {
                item: Box::new(ColumnBuilder::new(item, rows)),
                item_type: arrow_type(item),
                offsets: vec![0],
                nulls: NullBufferBuilder::new(rows),
            },
            SqlType::Map(key, value) => ColumnBuilder::Map {
                key: Box::new(ColumnBuilder::new(key, rows)),
                value: Box::new(ColumnBuilder::new(value, rows)),
                types: (arrow_type(key), arrow_type(value)),
                offsets: vec![0],
                nulls: NullBufferBuilder::new(rows),
            },
            SqlType::Struct(fields) => ColumnBuilder::Struct {
                fields: fields.iter().map(|field| ColumnBuilder::new(&field.sql_type, rows)).collect(),
                types: fields.iter().map(|field| Field::new(&*field.name, arrow_type(&field.sql_type), true)).collect(),
                nulls: NullBufferBuilder::new(rows),
            },
        }
    }

    pub fn push(&mut self, value: &Value) {
        match (self, value) {
            (ColumnBuilder::Boolean(b), Value::Boolean(v)) => b.append_value(*v),
            (ColumnBuilder::Int(b), Value::Int(v)) => b.append_value(*v),
            (ColumnBuilder::BigInt(b), Value::BigInt(v)) => b.append_value(*v),
            (ColumnBuilder::Double(b), Value::Double(v)) => b.append_value(*v),
            (ColumnBuilder::Decimal(b, scale), Value::Decimal(v)) => {
                b.append_option(digits(v, *scale).and_then(|d| i128::try_from(d).ok()))
            }
            (ColumnBuilder::LongDecimal(b, scale), Value::Decimal(v)) => {
                b.append_option(digits(v, *scale).and_then(|digits| i256::from_string(&digits.to_string())));
            }
            (ColumnBuilder::String(b), Value::String(v)) => b.append_value(v),
            (ColumnBuilder::Bytes(b), Value::Bytes(v)) => b.append_value(v),
            (ColumnBuilder::Time(b), Value::Time(v)) => b.append_value(*v),
            (ColumnBuilder::Date(b), Value::Date(v)) => b.append_value(*v),
            (ColumnBuilder::Timestamp(b), Value::Timestamp(v)) => b.append_value(*v),
            (ColumnBuilder::List { item, offsets, nulls, .. }, Value::Array(items)) => {
                items.iter().for_each(|value| item.push(value));
                extend(offsets, items.len());
                nulls.append_non_null();
            }
            (ColumnBuilder::Map { key, value, offsets, nulls, .. }, Value::Map(entries)) => {
                // Arrow's maps have no null keys.
                let mut count = 0;
                for (k, v) in entries.iter().filter(|(k, _)| !k.is_null()) {
                    key.push(k);
                    value.push(v);
                    count += 1;
                }
                extend(offsets, count);
                nulls.append_non_null();
            }
            (ColumnBuilder::Struct { fields, nulls, .. }, Value::Struct(values)) => {
                for (index, field) in fields.iter_mut().enumerate() {
                    field.push(values.get(index).unwrap_or(&Value::Null));
                }
                nulls.append_non_null();
            }
            (builder, _) => builder.push_null(),
        }
    }

    /// As [`Self::push`], of a value where it is stored.
    #[inline]
    pub fn push_stored(&mut self, value: &Stored<'_>) {
        match (self, value) {
            (ColumnBuilder::Boolean(b), Stored::Boolean(v)) => b.append_value(*v),
            (ColumnBuilder::Int(b), Stored::Int(v)) => b.append_value(*v),
            (ColumnBuilder::BigInt(b), Stored::BigInt(v)) => b.append_value(*v),
            (ColumnBuilder::Double(b), Stored::Double(bits)) => b.append_value(f64::from_bits(*bits)),
            (ColumnBuilder::String(b), Stored::String(v)) => b.append_value(v),
            (ColumnBuilder::Bytes(b), Stored::Bytes(v)) => b.append_value(v),
            (ColumnBuilder::Time(b), Stored::Time(v)) => b.append_value(*v),
            (ColumnBuilder::Date(b), Stored::Date(v)) => b.append_value(*v),
            (ColumnBuilder::Timestamp(b), Stored::Timestamp(v)) => b.append_value(*v),
            (builder, Stored::Made(value)) => builder.push(value),
            (builder, _) => builder.push_null(),
        }
    }

    pub fn push_null(&mut self) {
        match self {
            ColumnBuilder::Boolean(b) => b.append_null(),
            ColumnBuilder::Int(b) => b.append_null(),
            ColumnBuilder::BigInt(b) => b.append_null(),
            ColumnBuilder::Double(b) => b.append_null(),
            ColumnBuilder::Decimal(b, _) => b.append_null(),
            ColumnBuilder::LongDecimal(b, _) => b.append_null(),
            ColumnBuilder::String(b) => b.append_null(),
            ColumnBuilder::Bytes(b) => b.append_null(),
            ColumnBuilder::Time(b) => b.append_null(),
            ColumnBuilder::Date(b) => b.append_null(),
            ColumnBuilder::Timestamp(b) => b.append_null(),
            ColumnBuilder::List { offsets, nulls, .. } | ColumnBuilder::Map { offsets, nulls, .. } => {
                extend(offsets, 0);
                nulls.append_null();
            }
            ColumnBuilder::Struct { fields, nulls, .. } => {
                fields.iter_mut().for_each(ColumnBuilder::push_null);
                nulls.append_null();
            }
        }
    }

    /// The column.
    pub fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            ColumnBuilder::Boolean(mut b) => Arc::new(b.finish()),
            ColumnBuilder::Int(mut b) => Arc::new(b.finish()),
            ColumnBuilder::BigInt(mut b) => Arc::new(b.finish()),
            ColumnBuilder::Double(mut b) => Arc::new(b.finish()),
            ColumnBuilder::Decimal(mut b, _) => Arc::new(b.finish()),
            ColumnBuilder::LongDecimal(mut b, _) => Arc::new(b.finish()),
            ColumnBuilder::String(mut b) => Arc::new(b.finish()),
            ColumnBuilder::Bytes(mut b) => Arc::new(b.finish()),
            ColumnBuilder::Time(mut b) => Arc::new(b.finish()),
            ColumnBuilder::Date(mut b) => Arc::new(b.finish()),
            ColumnBuilder::Timestamp(mut b) => Arc::new(b.finish()),
            ColumnBuilder::List { item, item_type, offsets, mut nulls } => {
                Arc::new(ListArray::try_new(item_field(item_type), offset_buffer(offsets), item.finish()?, nulls.finish())?)
            }
            ColumnBuilder::Map { key, value, types: (key_type, value_type), offsets, mut nulls } => {
                let field = entries_field(key_type, value_type);
                let DataType::Struct(entry) = field.data_type().clone() else {
                    return Err(ArrowError::SchemaError("a map's entries are structs".into()));
                };
                let entries = StructArray::try_new(entry, vec![key.finish()?, value.finish()?], None)?;
                Arc::new(MapArray::try_new(field, offset_buffer(offsets), entries, nulls.finish(), false)?)
            }
            ColumnBuilder::Struct { fields, types, mut nulls } => {
                let length = nulls.len();
                let columns = fields.into_iter().map(ColumnBuilder::finish).collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new_with_length(types, columns, nulls.finish(), length)?)
            }
        })
    }
}

/// A decimal's digits at a scale.
fn digits(value: &BigDecimal, scale: i64) -> Option<BigInt> {
    let scaled = value.with_scale_round(scale, RoundingMode::HalfUp);
    Some(scaled.into_bigint_and_exponent().0)
}

fn extend(offsets: &mut Vec<i32>, count: usize) {
    let last = offsets.last().copied().unwrap_or(0);
    offsets.push(last.saturating_add(i32::try_from(count).unwrap_or(i32::MAX)));
}

fn offset_buffer(offsets: Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}
