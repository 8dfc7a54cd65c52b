//! What a task lends to its operators while it processes a chunk. (The task itself, which reads batches and commits, is
//! in [`crate::runtime`].)

use std::borrow::Cow;
use std::sync::Arc;

use crate::clock::Clock;
use crate::formats::Carried;
use crate::letters::{Letter, LetterKind, Pouch};
use crate::log::{Batch, LogError, LogWriter, OutRecord, TopicHandle};
use crate::operators::{FatalError, Origins};
use crate::pace::{Halt, Pace};
use crate::processing_log::{ProcessingError, ProcessingErrorKind, ProcessingLog};
use crate::profile::Profile;
use crate::row::{Header, Headers, Row, RowBuffers};
use crate::state::Store;

/// Index of a store within its task: the order of [`crate::operators::TaskSpec::stores`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreIndex(pub usize);

/// What becomes of the query when one record can't be read or written: it ends, or goes on without the record, which is
/// reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPolicy {
    /// `ksql.fail.on.deserialization.error`
    pub ends_at_unreadable: bool,
    /// `ksql.fail.on.production.error`
    pub ends_at_unsendable: bool,
}

impl Default for RecordPolicy {
    /// ksqlDB's.
    fn default() -> Self {
        RecordPolicy { ends_at_unreadable: false, ends_at_unsendable: true }
    }
}

/// What a task has done since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Rows written to sinks, or sent to a client.
    pub rows_out: u64,
    /// Bytes of the keys and values of records written to sinks.
    pub bytes_out: u64,
    /// Records that were left out, or of which something was, by [`LetterKind`]; rows that are late count for each window that
    /// they came too late for.
    pub left_out: [u64; LetterKind::ALL.len()],
    /// Letters that were written of them.
    pub letters: u64,
    /// Records and expressions that failed, by [`ProcessingErrorKind`].
    pub errors: [u64; ProcessingErrorKind::ALL.len()],
}

/// What operators may use of their task.
pub struct TaskContext {
    pub stores: Vec<Store>,
    /// The worker's writer, lent for the length of a chunk.
    pub writer: Option<Box<dyn LogWriter>>,
    pub clock: Arc<dyn Clock>,
    pub processing_log: Arc<dyn ProcessingLog>,
    reports_rows: bool,
    pub policy: RecordPolicy,
    /// The query's id, for reports.
    pub query: Arc<str>,
    /// The partition of this task.
    pub partition: i32,
    /// Spreads records without a key over the sink's partitions.
    pub null_key_counter: u32,
    /// What was written and what failed since the task began.
    pub counts: TaskCounts,
    /// Orders the rows of this task for aggregates that ask which came first. Set by the reader of each record, raised by
    /// the operators that make several rows of one; grows for ever, also over restarts (see [`arrival_of`]).
    pub arrival: i64,
    /// Why a record could not be sent, which tells whether the task may try again from its last commit.
    pub send_failure: Option<LogError>,
    /// The batch of the record at hand, and its index there, where rows may ask for its headers.
    pub record: Option<(Arc<dyn Batch>, usize)>,
    /// Which of the task's inputs it came from.
    pub(crate) lane: usize,
    /// Where the letters of bad records go, if anywhere.
    pub(crate) pouch: Option<Box<Pouch>>,
    /// The letter that brought the record at hand, where it is one that is tried again.
    pub(crate) tried: Option<Box<Letter>>,
    /// What goes from the record at hand into the sink's records as it stands.
    pub carried: Carried,
    /// Row buffers that are free to be used again.
    pub buffers: RowBuffers,
    /// What the record at hand has set off.
    pub pace: Pace,
    /// Which records are timed.
    pub profile: Profile,
    /// Where the record at hand comes from, and what was read of repartition topics.
    pub origins: Origins,
}

/// The arrival of a record's first row: its offset with room for the rows that it may become. Offsets outlive the process,
/// so arrivals that are kept in state stay in order after a restart and repeat themselves on a replay.
pub fn arrival_of(offset: i64) -> i64 {
    offset.saturating_mul(ROWS_PER_RECORD)
}

/// Rows of one record that still get arrivals of their own.
const ROWS_PER_RECORD: i64 = 1 << 16;

impl TaskContext {
    /// The context of a task that has not run yet.
    pub fn new(stores: Vec<Store>, clock: Arc<dyn Clock>, processing_log: Arc<dyn ProcessingLog>, partition: i32) -> Self {
        TaskContext {
            stores,
            writer: None,
            clock,
            reports_rows: processing_log.includes_rows(),
            policy: RecordPolicy::default(),
            query: Arc::default(),
            processing_log,
            partition,
            null_key_counter: 0,
            counts: TaskCounts::default(),
            arrival: 0,
            send_failure: None,
            record: None,
            lane: 0,
            pouch: None,
            tried: None,
            carried: Carried::default(),
            buffers: RowBuffers::default(),
            pace: Pace::default(),
            profile: Profile::default(),
            origins: Origins::default(),
        }
    }

    /// Takes the buffers of a row that has come to its end.
    pub fn recycle(&mut self, row: Row) {
        self.buffers.give(row.values);
        if let Some(old) = row.old {
            self.buffers.give(old);
        }
    }

    /// The headers of a row whose record is at hand.
    pub fn headers<'a>(&self, headers: &'a Headers) -> Cow<'a, [Header]> {
        match headers {
            Headers::None => Cow::Borrowed(&[]),
            Headers::OfRecord => Cow::Owned(self.record.as_ref().map(|(batch, index)| batch.headers(*index)).unwrap_or_default()),
            Headers::Own(headers) => Cow::Borrowed(headers),
        }
    }

    /// Lets a row be kept for longer than its record is at hand.
    pub fn own_headers(&self, headers: &mut Headers) {
        if let Headers::OfRecord = headers {
            let found = self.headers(headers);
            *headers = if found.is_empty() { Headers::None } else { Headers::Own(found.into()) };
        }
    }

    pub fn store(&mut self, index: StoreIndex) -> &mut Store {
        &mut self.stores[index.0]
    }

    /// Counts a step of work: each row that is handed on is one, and so is each turn of a loop whose length depends on the
    /// data or on the query.
    ///
    /// # Errors
    /// The record at hand is to be left: the query was told to stop, or it asks for more than can be done.
    #[inline]
    pub fn tick(&mut self) -> Result<(), FatalError> {
        if self.pace.count() { self.look() } else { Ok(()) }
    }

    #[cold]
    fn look(&mut self) -> Result<(), FatalError> {
        match self.pace.look(&*self.clock) {
            None => Ok(()),
            Some(Halt::Stopped) => Err(FatalError("stopped in the middle of a record".into())),
            Some(Halt::TooMuch) => Err(FatalError(format!(
                "one record becomes more than {} rows. A window that is much larger than its advance, or a table function over \
                 large collections, may be the cause",
                self.pace.limit()
            ))),
        }
    }

    /// Queues a record for a topic. One that the topic will not take is left out and reported, where the query may go on
    /// without it.
    pub fn send(&mut self, topic: TopicHandle, record: OutRecord<'_>) -> Result<(), FatalError> {
        let writer = self.writer.as_mut().ok_or_else(|| FatalError("no writer outside of a chunk".into()))?;
        match writer.send(topic, record) {
            Ok(()) => Ok(()),
            Err(LogError::Undeliverable { topic, reason }) if !self.policy.ends_at_unsendable => {
                self.leave_out(&topic, &reason);
                Ok(())
            }
            Err(error) => {
                let reason = FatalError(error.to_string());
                self.send_failure = Some(error);
                Err(reason)
            }
        }
    }

    #[cold]
    fn leave_out(&mut self, topic: &str, reason: &str) {
        self.report(ProcessingError {
            kind: ProcessingErrorKind::Production,
            query_id: self.query.clone(),
            step: Arc::default(),
            message: format!("a record for topic '{topic}' was left out: {reason}"),
            cause: Vec::new(),
            target: None,
            topic: Some(topic.into()),
            partition: self.partition,
            offset: -1,
            record: None,
        });
    }

    /// Whether reports are to bear the rows that failed.
    pub fn reports_rows(&self) -> bool {
        self.reports_rows
    }

    /// Reports a record or an expression that failed; the query goes on. The record at hand, if any, has its letter.
    pub fn report(&mut self, error: ProcessingError) {
        self.report_as(LetterKind::of(error.kind), error);
    }

    /// As [`Self::report`], where more is known than the processing log has words for.
    pub fn report_as(&mut self, kind: LetterKind, error: ProcessingError) {
        self.write_letter(kind, error.target, || match error.cause.last() {
            Some(cause) if !error.message.contains(cause.as_str()) => format!("{}: {cause}", error.message),
            _ => error.message.clone(),
        });
        self.report_part(kind, error);
    }

    /// Reports that a part of what comes of a record is left out, and the record is not lost by it: it has no letter.
    pub fn report_part(&mut self, kind: LetterKind, error: ProcessingError) {
        self.count_left_out(kind);
        if let Some(count) = self.counts.errors.get_mut(error.kind as usize) {
            *count += 1;
        }
        self.processing_log.report(error);
    }

    /// A record is left out as its query says, which the processing log does not tell: it is counted, and has its letter.
    #[cold]
    pub fn leave_out_record(&mut self, kind: LetterKind, reason: &'static str) {
        self.count_left_out(kind);
        self.write_letter(kind, None, || reason.to_owned());
    }

    fn count_left_out(&mut self, kind: LetterKind) {
        if let Some(count) = self.counts.left_out.get_mut(kind as usize) {
            *count += 1;
        }
    }

    /// Writes the letter of the record at hand, where there is one and letters of this kind are wanted. Where the log refuses,
    /// the record's turn ends with that.
    #[cold]
    fn write_letter(&mut self, kind: LetterKind, part: Option<&'static str>, reason: impl FnOnce() -> String) {
        let Some(pouch) = self.pouch.as_mut().filter(|pouch| pouch.kinds.contains(kind)) else { return };
        let (Some((batch, index)), Some(writer)) = (&self.record, &mut self.writer) else { return };
        let record = batch.record(*index);
        let now_ms = self.clock.now_ms();
        let why = (kind, part, reason());
        let mut headers = || batch.headers(*index);
        match pouch.write(&mut **writer, (self.lane, record, &mut headers), self.tried.as_deref(), why, now_ms) {
            Ok(written) => self.counts.letters += u64::from(written),
            Err(error) => self.send_failure = Some(error),
        }
    }

    /// Tells of a record that was taken, but perhaps not as it was meant.
    pub fn warn(&mut self, warning: ProcessingError) {
        self.processing_log.warn(warning);
    }
}
