//! Batches that are read by calls that may block, as a stream: each is read on a thread for waiting work, when it is asked
//! for. Nothing runs between two batches, so that whoever takes no more pays no more.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::metrics::BaselineMetrics;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;

use crate::error::{QueryError, external};

/// What is read batch by batch.
pub(crate) trait Batches: Send + 'static {
    /// The next batch; `None` at the end. Blocks.
    fn next(&mut self) -> Result<Option<RecordBatch>, QueryError>;
}

/// The stream of batches.
pub(crate) fn of(schema: SchemaRef, batches: impl Batches, metrics: BaselineMetrics) -> SendableRecordBatchStream {
    let stream = stream::unfold(Some((batches, metrics)), |state| async move {
        let (mut batches, metrics) = state?;
        let read = tokio::task::spawn_blocking(move || {
            let timer = metrics.elapsed_compute().timer();
            let read = batches.next();
            timer.done();
            (read, batches, metrics)
        });
        match read.await {
            Ok((Ok(Some(batch)), batches, metrics)) => {
                metrics.record_output(batch.num_rows());
                Some((Ok(batch), Some((batches, metrics))))
            }
            Ok((Ok(None), _, metrics)) => {
                metrics.done();
                None
            }
            Ok((Err(error), ..)) => Some((Err(external(error)), None)),
            Err(error) => Some((Err(DataFusionError::Execution(format!("reading broke off: {error}"))), None)),
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, stream))
}
