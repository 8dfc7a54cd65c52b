//! Batches that a client sends. A few bytes of Arrow can stand for any number of values (a column of nulls, a dictionary, views of one
//! text), so it is looked at what they stand for before they are unfolded, a slice at a time.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use tidemill_engine::types::Value;
use tonic::Status;

/// Columns of a batch.
const MAX_COLUMNS: usize = 1_024;
/// Bytes of a column of views, unfolded.
const MAX_VIEWED_BYTES: u64 = 64 << 20;
/// Rows that are unfolded at a time.
pub const SLICE_ROWS: usize = 500;

/// The batches of a stream of messages.
pub struct Batches(Pin<Box<FlightRecordBatchStream>>);

impl Batches {
    pub fn new(messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static) -> Self {
        Batches(Box::pin(FlightRecordBatchStream::new_from_flight_data(messages.map_err(FlightError::from))))
    }

    /// The next batch, which was looked at; `None` at the end.
    ///
    /// # Errors
    /// It can't be read, or holds what can't be taken.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, Status>> {
        // The reader believes some of what it is told, and panics where that is wrong.
        let next = AssertUnwindSafe(self.0.next()).catch_unwind().await;
        let next = next.unwrap_or_else(|_| Some(Err(FlightError::DecodeError("its parts contradict one another".to_owned()))))?;
        Some(next.map_err(wrong).and_then(|batch| check(&batch).map(|()| batch)))
    }
}

fn wrong(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => Status::invalid_argument(format!("a batch can't be read: {other}")),
    }
}

fn check(batch: &RecordBatch) -> Result<(), Status> {
    let columns = batch.num_columns();
    if columns == 0 || columns > MAX_COLUMNS {
        return Err(Status::invalid_argument(format!("a batch has from 1 to {MAX_COLUMNS} columns; this one has {columns}")));
    }
    check_schema(&batch.schema())?;
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let viewed: u64 = match column.data_type() {
            DataType::Utf8View => column.as_string_view().lengths().map(u64::from).sum(),
            DataType::BinaryView => column.as_binary_view().lengths().map(u64::from).sum(),
            _ => 0,
        };
        if viewed > MAX_VIEWED_BYTES {
            let message = format!("column '{}' of one batch has {viewed} bytes; {MAX_VIEWED_BYTES} are allowed", field.name());
            return Err(Status::resource_exhausted(message));
        }
    }
    Ok(())
}

/// # Errors
/// A column is of a type that can't be taken.
pub fn check_schema(schema: &Schema) -> Result<(), Status> {
    for field in schema.fields() {
        let data_type = field.data_type();
        let is_view = matches!(data_type, DataType::Utf8View | DataType::BinaryView | DataType::Null);
        if !is_view && !is_plain(data_type) {
            let hint = match data_type {
                DataType::Dictionary(_, value) => format!("; cast it to {value}"),
                _ => String::new(),
            };
            return Err(Status::invalid_argument(format!("column '{}' is of type {data_type}, which can't be taken{hint}", field.name())));
        }
    }
    Ok(())
}

/// Whether a column takes the room that its values take.
fn is_plain(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Decimal256(..)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..) => true,
        DataType::List(item) | DataType::LargeList(item) => is_plain(item.data_type()),
        DataType::Map(entries, _) => is_plain(entries.data_type()),
        DataType::Struct(fields) => !fields.is_empty() && fields.iter().all(|field| is_plain(field.data_type())),
        _ => false,
    }
}

/// The rows of a batch from one on, [`SLICE_ROWS`] at most.
///
/// # Errors
/// A value is none of the dialect's.
pub fn rows(batch: &RecordBatch, from: usize) -> Result<Vec<Vec<Value>>, Status> {
    let count = batch.num_rows().saturating_sub(from).min(SLICE_ROWS);
    let slice = batch.slice(from.min(batch.num_rows()), count);
    tidemill_query::rows(&slice).map_err(|error| Status::invalid_argument(format!("a batch can't be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, DictionaryArray, Int64Array, NullArray};
    use arrow::datatypes::Int32Type;
    use arrow_flight::encode::FlightDataEncoderBuilder;
    use std::sync::Arc;

    async fn messages(batch: RecordBatch) -> Vec<FlightData> {
        let encoder = FlightDataEncoderBuilder::new().build(futures::stream::iter([Ok(batch)]));
        encoder.try_collect().await.expect("encoded")
    }

    async fn read(messages: Vec<FlightData>) -> Result<RecordBatch, Status> {
        Batches::new(futures::stream::iter(messages.into_iter().map(Ok))).next().await.expect("a batch or an error")
    }

    #[tokio::test]
    async fn what_is_garbled_is_refused_and_ends_nothing() {
        let batch = RecordBatch::try_from_iter([("A", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef)]).expect("a batch");
        let good = messages(batch.clone()).await;
        assert_eq!(read(good.clone()).await.expect("read"), batch);
        let last = good.len() - 1;
        for cut in 0..good[last].data_body.len() {
            let mut bad = good.clone();
            bad[last].data_body = bad[last].data_body.slice(..cut);
            let _ = read(bad).await;
        }
        for index in 0..good.len() {
            for at in 0..good[index].data_header.len() {
                for flip in [0x01, 0x80, 0xff] {
                    let mut bad = good.clone();
                    let mut header = bad[index].data_header.to_vec();
                    header[at] ^= flip;
                    bad[index].data_header = header.into();
                    let _ = Batches::new(futures::stream::iter(bad.into_iter().map(Ok))).next().await;
                }
            }
        }
    }

    #[test]
    fn what_stands_for_more_than_it_is_is_refused_or_sliced() {
        let dictionary: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
        let batch = RecordBatch::try_from_iter([("D", Arc::new(dictionary) as ArrayRef)]).expect("a batch");
        assert!(check(&batch).expect_err("refused").message().contains("cast it to Utf8"));
        let nulls = RecordBatch::try_from_iter([("N", Arc::new(NullArray::new(1 << 40)) as ArrayRef)]).expect("a batch");
        check(&nulls).expect("taken");
        assert_eq!(rows(&nulls, 7).expect("rows").len(), SLICE_ROWS);
        assert!(rows(&nulls, 1 << 40).expect("none").is_empty());
    }
}
