//! Batches of an answer on their way to a client: made no faster than it takes them, and no more once it is gone. One that takes
//! nothing for long has its query ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow_flight::FlightData;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use futures::{StreamExt, stream};
use tidemill_query::{Answer, QueryError};
use tokio::sync::mpsc;
use tonic::Status;

use super::error;
use crate::access::Ousted;
use crate::limits::PullPermit;

/// How long is waited for a client to take anything.
const SENDING_PATIENCE: Duration = Duration::from_secs(120);

/// What a client reads.
pub type Data = std::pin::Pin<Box<dyn futures::Stream<Item = Result<FlightData, Status>> + Send>>;

/// One batch.
pub fn whole(batch: RecordBatch) -> Data {
    encoded(batch.schema(), stream::iter([Ok(batch)]))
}

/// An answer, as it comes.
pub fn answer(answer: Answer, permit: PullPermit, peer: SocketAddr, ousted: Ousted) -> Data {
    let schema = answer.schema.clone();
    let source = Source { answer, permit };
    let batches = pumped(source, peer, SENDING_PATIENCE, ousted);
    let named = schema.clone();
    encoded(schema, batches.map(move |batch| batch.and_then(|batch| renamed(&batch, named.clone()))))
}

/// Where batches come from.
trait Batches: Send + 'static {
    fn next(&mut self) -> impl Future<Output = Option<Result<RecordBatch, QueryError>>> + Send;
}

struct Source {
    answer: Answer,
    permit: PullPermit,
}

impl Batches for Source {
    async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        let batch = self.answer.next_batch().await;
        if let Some(Ok(batch)) = &batch {
            self.permit.answered(batch.get_array_memory_size());
        }
        batch
    }
}

/// Takes batches for a client, one ahead. The query is dropped when the client is gone, or takes nothing for `patience`.
fn pumped<B: Batches>(
    mut source: B,
    peer: SocketAddr,
    patience: Duration,
    mut ousted: Ousted,
) -> impl futures::Stream<Item = Result<RecordBatch, FlightError>> + Send {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                biased;
                why = &mut ousted => {
                    drop(source);
                    let _ = sender.send(Err(Status::unauthenticated(why).into())).await;
                    return;
                }
                next = source.next() => next,
                () = sender.closed() => return,
            };
            let Some(next) = next else { return };
            let next = next.map_err(|error| FlightError::from(error::query(&error)));
            match tokio::time::timeout(patience, sender.reserve()).await {
                Ok(Ok(place)) => place.send(next),
                Ok(Err(_)) => return,
                Err(_) => {
                    drop(source);
                    let seconds = patience.as_secs();
                    tracing::info!(%peer, "a Flight SQL client took nothing of its answer for {seconds} seconds: its query is ended");
                    // It must not take what it has for all.
                    let ended = Status::deadline_exceeded(format!("nothing of the answer was taken for {seconds} seconds"));
                    let _ = sender.send(Err(ended.into())).await;
                    return;
                }
            }
        }
    });
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

/// A batch with the names that its columns have in the answer.
fn renamed(batch: &RecordBatch, schema: SchemaRef) -> Result<RecordBatch, FlightError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &options)?)
}

fn encoded(schema: SchemaRef, batches: impl futures::Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static) -> Data {
    let data = FlightDataEncoderBuilder::new().with_schema(Arc::clone(&schema)).build(batches);
    Box::pin(data.map(|data| data.map_err(Status::from)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use tokio::sync::oneshot;

    /// Batches without end; says when it is dropped.
    struct Endless(Option<oneshot::Sender<()>>);

    impl Drop for Endless {
        fn drop(&mut self) {
            if let Some(dropped) = self.0.take() {
                let _ = dropped.send(());
            }
        }
    }

    impl Batches for Endless {
        async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
            let column = Arc::new(Int64Array::from(vec![1])) as ArrayRef;
            Some(Ok(RecordBatch::try_from_iter([("A", column)]).expect("a batch")))
        }
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_loses_its_query_and_hears_of_it() {
        let (sender, dropped) = oneshot::channel();
        let mut batches = Box::pin(pumped(
            Endless(Some(sender)),
            ([127, 0, 0, 1], 1).into(),
            Duration::from_millis(50),
            Box::pin(std::future::pending()),
        ));
        dropped.await.expect("the query is dropped");
        let mut last = None;
        while let Some(batch) = batches.next().await {
            last = Some(batch);
        }
        let error = Status::from(last.expect("something").expect_err("not the end of all"));
        assert_eq!(error.code(), tonic::Code::DeadlineExceeded);
    }

    #[tokio::test]
    async fn who_is_not_let_in_any_more_gets_no_more() {
        let (sender, dropped) = oneshot::channel();
        let ousted = Box::pin(std::future::ready("gone".to_owned()));
        let mut batches = Box::pin(pumped(Endless(Some(sender)), ([127, 0, 0, 1], 1).into(), SENDING_PATIENCE, ousted));
        let error = Status::from(batches.next().await.expect("something").expect_err("no row"));
        assert_eq!((error.code(), error.message()), (tonic::Code::Unauthenticated, "gone"));
        assert!(batches.next().await.is_none());
        dropped.await.expect("the query is dropped");
    }

    #[tokio::test]
    async fn a_client_that_goes_takes_its_query_with_it() {
        let (sender, dropped) = oneshot::channel();
        let mut batches =
            Box::pin(pumped(Endless(Some(sender)), ([127, 0, 0, 1], 1).into(), SENDING_PATIENCE, Box::pin(std::future::pending())));
        assert!(batches.next().await.is_some_and(|batch| batch.is_ok()));
        drop(batches);
        dropped.await.expect("the query is dropped");
    }
}
