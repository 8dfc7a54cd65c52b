//! How often a query has failed, and when it last did: what a list of its errors and the metrics say.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::clock::Clock;
use crate::processing_log::{ProcessingError, ProcessingErrorKind, ProcessingLog};
use crate::runtime::{QueryFailure, QueryHandle, QueryState};

/// What the processing log says; the cause says why. As the logger of ksqlDB's threads is called, so that what reads the log finds it.
const STEP: &str = "ksql.logger.thread.exception.uncaught";

/// Where failures are told, and by which clock.
pub(super) struct Told {
    pub clock: Arc<dyn Clock>,
    pub log: Arc<dyn ProcessingLog>,
}

/// Counts over all attempts to run a query, since this server began.
#[derive(Debug, Default)]
pub struct Failures {
    count: AtomicU64,
    last_ms: AtomicI64,
}

impl Failures {
    /// It ended by an error, or could not start.
    pub(super) fn note(&self, now_ms: i64) {
        self.last_ms.store(now_ms, Ordering::Release);
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes it, and tells it in the processing log.
    pub(super) fn tell(&self, query_id: &str, failure: &QueryFailure, told: &Told) {
        self.note(told.clock.now_ms());
        told.log.report(ProcessingError {
            kind: ProcessingErrorKind::KafkaStreamsThread,
            query_id: Arc::from(query_id),
            step: Arc::from(STEP),
            message: "The query ended by an error".to_owned(),
            cause: vec![failure.reason.clone()],
            target: None,
            topic: None,
            partition: -1,
            offset: -1,
            record: None,
        });
    }

    /// Notes and tells it when what runs there fails.
    pub(super) fn watch(self: &Arc<Self>, query_id: &str, handle: &QueryHandle, told: Told) {
        let (failures, query_id) = (self.clone(), query_id.to_owned());
        handle.on_end(Box::new(move |state| {
            if let QueryState::Failed(failure) = state {
                failures.tell(&query_id, failure, &told);
            }
        }));
    }

    /// Times that it ended by an error, or could not start.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// When that last was, milliseconds since the epoch; 0: never.
    pub fn last_ms(&self) -> i64 {
        self.last_ms.load(Ordering::Acquire)
    }
}
