//! Reading a changelog: a stretch of it in order, and the ends of the newest commits from the back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::super::ends::End;
use super::super::start::StartError;
use super::watch::Watch;
use crate::log::{Log, LogError, LogReader, Offset, RecordRef, Subscription, TopicPartition};
use crate::state::StateError;

/// Bytes of a changelog that may wait unread.
const MAX_BUFFERED_BYTES: usize = 16 << 20;
/// Without a record for so long, restoring gives up: the log is away.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// An end that can't be read (compaction, transaction markers) is taken as reached after so long.
const END_PATIENCE: Duration = Duration::from_millis(500);
/// One step of waiting.
const STEP: Duration = Duration::from_millis(20);
/// So many records are read at once, and kept, so that they need not be read again to be applied.
const ONE_READ_RECORDS: i64 = if cfg!(test) { 32 } else { 16_384 };
/// Bytes that are kept at most.
const MAX_KEPT_BYTES: usize = 16 << 20;
/// How many records from the end of a longer stretch are looked at first for the end of a commit; then eight times as many, and
/// so on.
const FIRST_LOOK_RECORDS: i64 = 64;

/// The end of a changelog, as far as it was looked at.
#[derive(Default)]
pub(super) struct Tail {
    /// The ends of commits, the last first.
    pub ends: Vec<(Offset, End)>,
    /// All entries behind where the look was to begin at the earliest, where they are few.
    pub entries: Option<Vec<Entry>>,
}

/// A record as it is read.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub offset: Offset,
    /// As its writer gave it; `None`: the log has put its own in that place.
    pub timestamp: Option<i64>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

/// An entry that was read.
pub(super) struct Entry {
    offset: Offset,
    timestamp: Option<i64>,
    key: Box<[u8]>,
    value: Option<Box<[u8]>>,
}

impl Entry {
    pub fn borrowed(&self) -> Record<'_> {
        Record { offset: self.offset, timestamp: self.timestamp, key: Some(&self.key), value: self.value.as_deref() }
    }
}

/// Whether the ends that were read from an offset on are enough.
pub(super) type IsEnough<'f> = dyn Fn(Offset, &[(Offset, End)]) -> bool + 'f;

/// The ends of commits between two offsets. Looks from the back, for the mark stands within a commit's length of the end, until
/// what was read from an offset on `is_enough`.
pub(super) fn tail(
    log: &dyn Log,
    changelog: &TopicPartition,
    first: Offset,
    end: Offset,
    watch: &Watch<'_>,
    is_enough: &IsEnough<'_>,
) -> Result<Tail, StartError> {
    let is_short = end.0.saturating_sub(first.0) <= ONE_READ_RECORDS;
    let mut length = if is_short { ONE_READ_RECORDS } else { FIRST_LOOK_RECORDS };
    loop {
        let from = first.max(Offset(end.0.saturating_sub(length)));
        let mut ends = Vec::new();
        let (mut entries, mut bytes) = (is_short.then(Vec::new), 0);
        read(log, changelog, from, end, watch, &mut |record| {
            if record.key.is_some_and(<[u8]>::is_empty) {
                let found = record.value.and_then(End::decode).ok_or_else(|| StateError::Corrupt {
                    store: format!("{}/{}", changelog.topic, changelog.partition),
                    reason: format!("the changelog has a commit without a readable end (offset {})", record.offset.0),
                })?;
                ends.push((record.offset, found));
                return Ok(());
            }
            let (Some(kept), Some(key)) = (&mut entries, record.key) else { return Ok(()) };
            bytes += key.len() + record.value.map_or(0, <[u8]>::len);
            kept.push(Entry { offset: record.offset, timestamp: record.timestamp, key: key.into(), value: record.value.map(Into::into) });
            if bytes > MAX_KEPT_BYTES {
                entries = None;
            }
            Ok(())
        })?;
        if from <= first || is_enough(from, &ends) {
            ends.reverse();
            return Ok(Tail { ends, entries });
        }
        length = length.saturating_mul(8);
    }
}

/// Reads a partition from an offset to an end.
pub(super) fn read(
    log: &dyn Log,
    changelog: &TopicPartition,
    mut position: Offset,
    end: Offset,
    watch: &Watch<'_>,
    f: &mut dyn FnMut(Record<'_>) -> Result<(), StartError>,
) -> Result<(), StartError> {
    if position >= end {
        return Ok(());
    }
    let signal = Arc::new((Mutex::new(()), Condvar::new()));
    let wake = signal.clone();
    let mut reader: Box<dyn LogReader> = log.subscribe(Subscription {
        partitions: vec![(changelog.clone(), position)],
        wake: Arc::new(move || {
            wake.1.notify_all();
        }),
        max_buffered_bytes: MAX_BUFFERED_BYTES,
    })?;
    let mut last_arrival = Instant::now();
    while position < end {
        watch.check()?;
        match reader.poll() {
            Ok(Some(arrived)) => {
                for index in arrived.first..arrived.batch.len() {
                    let RecordRef { offset, timestamp, key, value } = arrived.batch.record(index);
                    if offset >= end {
                        return Ok(());
                    }
                    let timestamp = arrived.batch.keeps_time(index).then_some(timestamp);
                    f(Record { offset, timestamp, key, value })?;
                    position = Offset(offset.0 + 1);
                }
                last_arrival = Instant::now();
            }
            // The rest is never handed out: control records, what compaction took away.
            Ok(None) if reader.passed(0).is_some_and(|passed| passed >= end) => return Ok(()),
            Ok(None) | Err(LogError::Retriable(_)) => {
                if reader.caught_up(0) && last_arrival.elapsed() > END_PATIENCE {
                    return Ok(());
                }
                if last_arrival.elapsed() > STALL_TIMEOUT {
                    return Err(LogError::Retriable(format!("changelog {} can't be read: the log is away", changelog.topic)).into());
                }
                signal.1.wait_for(&mut signal.0.lock(), STEP);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
