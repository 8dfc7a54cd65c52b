//! The processing log: what went wrong with single records while queries go on.

mod writer;

use std::sync::Arc;

pub use writer::{LOG_STREAM, ProcessingLogWriter, stream_columns};

/// What kind of failure; the numbers are those of ksqlDB's processing log (`type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessingErrorKind {
    Deserialization = 0,
    RecordProcessing = 1,
    Production = 2,
    Serialization = 3,
    KafkaStreamsThread = 4,
}

impl ProcessingErrorKind {
    /// Every kind, in the order of its number.
    pub const ALL: [ProcessingErrorKind; 5] =
        [Self::Deserialization, Self::RecordProcessing, Self::Production, Self::Serialization, Self::KafkaStreamsThread];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deserialization => "deserialization",
            Self::RecordProcessing => "processing",
            Self::Production => "production",
            Self::Serialization => "serialization",
            Self::KafkaStreamsThread => "thread",
        }
    }
}

/// One failed record or expression.
#[derive(Debug, Clone)]
pub struct ProcessingError {
    pub kind: ProcessingErrorKind,
    pub query_id: Arc<str>,
    /// The step that failed (`Project`, `KsqlTopic/Source`), for the logger's name.
    pub step: Arc<str>,
    pub message: String,
    /// The causes, innermost last.
    pub cause: Vec<String>,
    /// `key` or `value`; only for (de)serialization.
    pub target: Option<&'static str>,
    pub topic: Option<Arc<str>>,
    pub partition: i32,
    pub offset: i64,
    /// The record as base64 or JSON text; only where the configuration allows rows in the log.
    pub record: Option<String>,
}

/// Takes failures; cheap and never blocking, it may drop where there are too many.
pub trait ProcessingLog: Send + Sync {
    fn report(&self, error: ProcessingError);

    /// Takes what went right, but perhaps not as it was meant. Of equal warnings of a query the first counts.
    fn warn(&self, warning: ProcessingError) {
        self.report(warning);
    }

    /// Whether failed rows may stand in the log: only then is it worth while to spell them.
    fn includes_rows(&self) -> bool {
        false
    }
}

/// Keeps nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoProcessingLog;

impl ProcessingLog for NoProcessingLog {
    fn report(&self, _error: ProcessingError) {}
}
