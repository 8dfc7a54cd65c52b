//! Reading a partition from one place to its end, once: the topics that a server keeps its own matters in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Batch, Log, LogError, Offset, OffsetSpec, RecordRef, Subscription, TopicPartition};

/// Bytes that may wait unread.
const MAX_BUFFERED_BYTES: usize = 16 << 20;
/// Between two looks at an empty reader.
const PAUSE: Duration = Duration::from_millis(2);

/// Visits each record from an offset on, first to last, up to the partition's end as it is now. Gives the offset behind the
/// last.
///
/// # Errors
/// The log is away, or the end is not reached within `timeout`.
pub fn read_whole(
    log: &dyn Log,
    partition: &TopicPartition,
    from: Offset,
    timeout: Duration,
    visit: &mut dyn FnMut(RecordRef<'_>),
) -> Result<Offset, LogError> {
    read_batches(log, partition, from, timeout, &mut |batch, index| visit(batch.record(index)))
}

/// As [`read_whole`], for those who want headers: each record as its batch and its index there.
///
/// # Errors
/// As for [`read_whole`].
pub fn read_batches(
    log: &dyn Log,
    partition: &TopicPartition,
    from: Offset,
    timeout: Duration,
    visit: &mut dyn FnMut(&dyn Batch, usize),
) -> Result<Offset, LogError> {
    let bound = |spec| Ok::<_, LogError>(log.offsets(std::slice::from_ref(partition), spec)?.first().copied().unwrap_or_default());
    let end = bound(OffsetSpec::Latest)?;
    let mut position = bound(OffsetSpec::Earliest)?.max(from);
    if position >= end {
        return Ok(position);
    }
    let mut reader = log.subscribe(Subscription {
        partitions: vec![(partition.clone(), position)],
        wake: Arc::new(|| {}),
        max_buffered_bytes: MAX_BUFFERED_BYTES,
    })?;
    let started = Instant::now();
    while position < end {
        match reader.poll() {
            Ok(Some(arrived)) => {
                for index in arrived.first..arrived.batch.len() {
                    let record = arrived.batch.record(index);
                    position = Offset(record.offset.0.saturating_add(1));
                    visit(&*arrived.batch, index);
                }
            }
            // The rest is never handed out.
            Ok(None) if reader.passed(0).is_some_and(|passed| passed >= end) => return Ok(end),
            Ok(None) | Err(LogError::Retriable(_)) if started.elapsed() < timeout => std::thread::sleep(PAUSE),
            Ok(None) => return Err(LogError::Retriable(format!("topic {} can't be read to its end within {timeout:?}", partition.topic))),
            Err(error) => return Err(error),
        }
    }
    Ok(position)
}
