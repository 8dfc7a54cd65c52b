//! Arrow's columns to rows of values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType,
};
use arrow::error::ArrowError;
use bigdecimal::BigDecimal;
use num_bigint::BigInt;
use tidemill_engine::types::{MapValue, Value};

use crate::types::{arrow_type, sql_type};

/// The rows of a batch.
///
/// # Errors
/// A column's type is none that can be shown.
pub fn rows(batch: &RecordBatch) -> Result<Vec<Vec<Value>>, ArrowError> {
    let mut rows: Vec<Vec<Value>> = (0..batch.num_rows()).map(|_| Vec::with_capacity(batch.num_columns())).collect();
    for column in batch.columns() {
        for (row, value) in rows.iter_mut().zip(values(column)?) {
            row.push(value);
        }
    }
    Ok(rows)
}

/// The values of a column.
///
/// # Errors
/// As of [`rows`].
pub fn values(column: &ArrayRef) -> Result<Vec<Value>, ArrowError> {
    let wanted = arrow_type(&sql_type(column.data_type()));
    let column = match column.data_type() {
        DataType::Null => return Ok(vec![Value::Null; column.len()]),
        given if *given == wanted || is_nested(given) => column.clone(),
        _ => cast(column, &wanted)?,
    };
    let column = &column;
    Ok(match column.data_type() {
        DataType::Boolean => column.as_boolean().iter().map(|v| v.map_or(Value::Null, Value::Boolean)).collect(),
        DataType::Int32 => column.as_primitive::<Int32Type>().iter().map(|v| v.map_or(Value::Null, Value::Int)).collect(),
        DataType::Int64 => column.as_primitive::<Int64Type>().iter().map(|v| v.map_or(Value::Null, Value::BigInt)).collect(),
        DataType::Float64 => column.as_primitive::<Float64Type>().iter().map(|v| v.map_or(Value::Null, Value::Double)).collect(),
        DataType::Decimal128(_, scale) => {
            let decimal = |v: i128| Value::decimal(BigDecimal::new(BigInt::from(v), i64::from(*scale)));
            column.as_primitive::<Decimal128Type>().iter().map(|v| v.map_or(Value::Null, decimal)).collect()
        }
        DataType::Decimal256(_, scale) => {
            let decimal = |v: arrow::datatypes::i256| {
                Value::decimal(BigDecimal::new(BigInt::from_signed_bytes_le(&v.to_le_bytes()), i64::from(*scale)))
            };
            column.as_primitive::<Decimal256Type>().iter().map(|v| v.map_or(Value::Null, decimal)).collect()
        }
        DataType::Utf8 => column.as_string::<i32>().iter().map(|v| v.map_or(Value::Null, Value::string)).collect(),
        DataType::Binary => column.as_binary::<i32>().iter().map(|v| v.map_or(Value::Null, Value::bytes)).collect(),
        DataType::Time32(_) => column.as_primitive::<Time32MillisecondType>().iter().map(|v| v.map_or(Value::Null, Value::Time)).collect(),
        DataType::Date32 => column.as_primitive::<Date32Type>().iter().map(|v| v.map_or(Value::Null, Value::Date)).collect(),
        DataType::Timestamp(..) => {
            column.as_primitive::<TimestampMillisecondType>().iter().map(|v| v.map_or(Value::Null, Value::Timestamp)).collect()
        }
        DataType::List(_) => lists(column.as_list::<i32>())?,
        DataType::LargeList(_) => lists(column.as_list::<i64>())?,
        DataType::Map(..) => {
            let maps = column.as_map();
            let map = |index: usize| {
                if maps.is_null(index) {
                    return Ok(Value::Null);
                }
                let entries = maps.value(index);
                let keys = values(entries.column(0))?;
                let entries: MapValue = keys.into_iter().zip(values(entries.column(1))?).collect();
                Ok(Value::Map(Arc::new(entries)))
            };
            (0..maps.len()).map(map).collect::<Result<_, ArrowError>>()?
        }
        DataType::Struct(_) => {
            let structs = column.as_struct();
            let columns = structs.columns().iter().map(values).collect::<Result<Vec<_>, _>>()?;
            let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
            (0..structs.len())
                .map(|index| {
                    let fields = columns.iter_mut().map(|column| column.next().unwrap_or_default()).collect();
                    if structs.is_null(index) { Value::Null } else { Value::structure(fields) }
                })
                .collect()
        }
        other => return Err(ArrowError::NotYetImplemented(format!("values of type {other} can't be shown"))),
    })
}

fn lists<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> Result<Vec<Value>, ArrowError> {
    lists.iter().map(|items| items.map_or(Ok(Value::Null), |items| Ok(Value::array(values(&items)?)))).collect()
}

/// Types whose parts are converted one by one.
fn is_nested(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::LargeList(_) | DataType::Map(..) | DataType::Struct(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::ColumnBuilder;
    use tidemill_engine::types::SqlType;

    #[test]
    fn values_come_back_as_they_went() {
        let decimal = |text: &str| Value::decimal(text.parse().expect("a decimal"));
        let map = |entries: &[(&str, i32)]| {
            let entries: MapValue = entries.iter().map(|(k, v)| (Value::string(*k), Value::Int(*v))).collect();
            Value::Map(Arc::new(entries))
        };
        let cases = [
            (SqlType::Boolean, vec![Value::Boolean(true), Value::Null]),
            (SqlType::Int, vec![Value::Int(i32::MIN), Value::Null, Value::Int(7)]),
            (SqlType::BigInt, vec![Value::BigInt(i64::MAX)]),
            (SqlType::Double, vec![Value::Double(f64::NAN), Value::Double(-0.0)]),
            (SqlType::Decimal { precision: 4, scale: 2 }, vec![decimal("12.30"), decimal("-0.01"), Value::Null]),
            (SqlType::Decimal { precision: 60, scale: 3 }, vec![decimal("-123456789012345678901234567890123456789012345.678")]),
            (SqlType::String, vec![Value::string("ä"), Value::string(""), Value::Null]),
            (SqlType::Bytes, vec![Value::bytes(vec![0, 255]), Value::Null]),
            (SqlType::Time, vec![Value::Time(86_399_999)]),
            (SqlType::Date, vec![Value::Date(-1), Value::Null]),
            (SqlType::Timestamp, vec![Value::Timestamp(-1), Value::Null]),
            (SqlType::array(SqlType::Int), vec![Value::array(vec![Value::Int(1), Value::Null]), Value::Null, Value::array(vec![])]),
            (SqlType::map(SqlType::String, SqlType::Int), vec![map(&[("b", 1), ("a", 2)]), Value::Null, map(&[])]),
            (
                SqlType::structure([("A".to_owned(), SqlType::array(SqlType::String)), ("B".to_owned(), SqlType::Int)]),
                vec![Value::structure(vec![Value::array(vec![Value::string("x")]), Value::Null]), Value::Null],
            ),
        ];
        for (sql_type, given) in cases {
            let mut builder = ColumnBuilder::new(&sql_type, given.len());
            given.iter().for_each(|value| builder.push(value));
            let column = builder.finish().expect("a column");
            assert_eq!(column.data_type(), &arrow_type(&sql_type));
            assert_eq!(values(&column).expect("values"), given, "{sql_type}");
        }
    }
}
