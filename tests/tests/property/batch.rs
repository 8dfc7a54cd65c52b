//! The batch side: DataFusion over the same rows.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::prelude::{SessionConfig, SessionContext};
use tidemill_engine::types::{SqlType, Value};

use crate::case::{Case, Output, Source};
use crate::found::Found;

/// What must be found, as the case's batch query says it.
pub fn compute(case: &Case) -> Result<Vec<Found>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|e| e.to_string())?;
    let batches = runtime.block_on(async {
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        for source in &case.sources {
            register(&context, source).await?;
        }
        let frame = context.sql(&case.batch).await.map_err(|e| e.to_string())?;
        frame.collect().await.map_err(|e| e.to_string())
    })?;
    let mut found = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            found.push(one(case, batch, row)?);
        }
    }
    Ok(found)
}

fn one(case: &Case, batch: &RecordBatch, row: usize) -> Result<Found, String> {
    let mut columns = batch.columns().iter();
    let mut next = || columns.next().ok_or("a column is missing");
    let is_there = if case.has_presence { next()?.as_boolean().value(row) } else { true };
    let window = if case.is_windowed { Some(next()?.as_primitive::<Int64Type>().value(row)) } else { None };
    let mut values = Vec::new();
    for output in &case.outputs {
        let column = next()?;
        values.push(match output {
            Output::Computed(sql_type) => value(column, row, sql_type)?,
            Output::Carried { source, column: of } => match column.is_valid(row) {
                true => carried(case, *source, *of, column.as_primitive::<Int64Type>().value(row)),
                false => Value::Null,
            },
        });
    }
    let rest = values.split_off(case.keys);
    Ok(Found { key: values, window, value: is_there.then_some(rest) })
}

fn carried(case: &Case, source: usize, column: usize, row: i64) -> Value {
    let record = usize::try_from(row).ok().and_then(|row| case.sources[source].rows.get(row));
    let value = match column.checked_sub(1) {
        None => record.and_then(|record| record.key.clone()),
        Some(index) => record.and_then(|record| record.value.as_ref()?.get(index).cloned()),
    };
    value.unwrap_or_default()
}

fn value(column: &ArrayRef, row: usize, sql_type: &SqlType) -> Result<Value, String> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    let of = |data_type: DataType| cast(&column.slice(row, 1), &data_type).map_err(|e| e.to_string());
    Ok(match sql_type {
        SqlType::Boolean => Value::Boolean(of(DataType::Boolean)?.as_boolean().value(0)),
        SqlType::Int => Value::Int(of(DataType::Int32)?.as_primitive::<Int32Type>().value(0)),
        SqlType::BigInt => Value::BigInt(of(DataType::Int64)?.as_primitive::<Int64Type>().value(0)),
        SqlType::Double => Value::Double(of(DataType::Float64)?.as_primitive::<Float64Type>().value(0)),
        SqlType::String => Value::string(of(DataType::Utf8)?.as_string::<i32>().value(0)),
        other => return Err(format!("{other} is not computed with")),
    })
}

/// The rows as a table of the source's name, and what a table holds in the end as `…_latest`.
async fn register(context: &SessionContext, source: &Source) -> Result<(), String> {
    let rows = &source.rows;
    let number = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("rid".to_owned(), number((0..).take(rows.len()).collect())),
        ("ts".to_owned(), number(rows.iter().map(|row| row.timestamp).collect())),
        ("has_value".to_owned(), Arc::new(BooleanArray::from(rows.iter().map(|row| row.value.is_some()).collect::<Vec<_>>()))),
    ];
    for (index, column) in source.columns.iter().enumerate() {
        let values: Vec<Value> = rows
            .iter()
            .map(|row| match index.checked_sub(1) {
                None => row.key.clone().unwrap_or_default(),
                Some(index) => row.value.as_ref().and_then(|value| value.get(index).cloned()).unwrap_or_default(),
            })
            .collect();
        if let Some(array) = array(&column.sql_type, &values) {
            columns.push((column.name.to_lowercase(), array));
        }
    }
    let fields: Vec<Field> = columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|e| e.to_string())?;
    context.register_batch(&source.name, batch).map_err(|e| e.to_string())?;
    if source.is_table {
        let latest = format!(
            "CREATE VIEW {name}_latest AS SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY rid DESC) AS place FROM \
             {name}) WHERE place = 1 AND has_value",
            name = source.name
        );
        context.sql(&latest).await.map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// The values of a column; `None`: of a type that nobody computes with.
fn array(sql_type: &SqlType, values: &[Value]) -> Option<ArrayRef> {
    Some(match sql_type {
        SqlType::Boolean => {
            let of = |value: &Value| if let Value::Boolean(v) = value { Some(*v) } else { None };
            Arc::new(BooleanArray::from(values.iter().map(of).collect::<Vec<_>>()))
        }
        SqlType::Int => {
            let of = |value: &Value| if let Value::Int(v) = value { Some(*v) } else { None };
            Arc::new(Int32Array::from(values.iter().map(of).collect::<Vec<_>>()))
        }
        SqlType::BigInt => {
            let of = |value: &Value| if let Value::BigInt(v) = value { Some(*v) } else { None };
            Arc::new(Int64Array::from(values.iter().map(of).collect::<Vec<_>>()))
        }
        SqlType::Double => {
            let of = |value: &Value| if let Value::Double(v) = value { Some(*v) } else { None };
            Arc::new(Float64Array::from(values.iter().map(of).collect::<Vec<_>>()))
        }
        SqlType::String => {
            let of = |value: &Value| if let Value::String(v) = value { Some(v.to_string()) } else { None };
            Arc::new(StringArray::from(values.iter().map(of).collect::<Vec<_>>()))
        }
        _ => return None,
    })
}
