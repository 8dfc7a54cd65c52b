//! Bringing a store up to date from its changelog topic before its task runs.
//!
//! The store remembers which changelog offset its content stands for; only what lies behind it is read. A store that is
//! ahead of its changelog belongs to another cluster or topic: it is thrown away and read from the first record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::start::StartError;
use crate::log::{Log, LogError, Offset, OffsetSpec, Subscription, TopicPartition};
use crate::state::{StateBatch, StateDb, StateError, Store};

/// Bytes of a changelog that may wait unread.
const MAX_BUFFERED_BYTES: usize = 16 << 20;
/// Without a record for so long, restoring gives up: the log is away.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Reads a store's changelog from where the store stands (`known`) to its end, which is returned.
pub(super) fn restore(
    log: &dyn Log,
    state: &StateDb,
    store: &mut Store,
    changelog: &TopicPartition,
    known: Option<Offset>,
) -> Result<Offset, StartError> {
    let end = log.offsets(std::slice::from_ref(changelog), OffsetSpec::Latest)?.first().copied().unwrap_or_default();
    let first = log.offsets(std::slice::from_ref(changelog), OffsetSpec::Earliest)?.first().copied().unwrap_or_default();
    let mut position = known.map_or(first, |p| p.max(first));
    if position > end {
        clear(store)?;
        position = first;
    }
    let started = Instant::now();
    let mut restored = 0u64;
    let behind = position < end;
    if behind {
        let signal = Arc::new((Mutex::new(()), Condvar::new()));
        let wake = signal.clone();
        let mut reader = log.subscribe(Subscription {
            partitions: vec![(changelog.clone(), position)],
            wake: Arc::new(move || {
                wake.1.notify_all();
            }),
            max_buffered_bytes: MAX_BUFFERED_BYTES,
        })?;
        let mut last_arrival = Instant::now();
        while position < end {
            match reader.poll() {
                Ok(Some(arrived)) => {
                    store.begin_chunk();
                    for index in arrived.first..arrived.batch.len() {
                        let record = arrived.batch.record(index);
                        if let Some(key) = record.key {
                            store.restore(key, record.value)?;
                            restored += 1;
                        }
                        position = Offset(record.offset.0 + 1);
                    }
                    store.end_chunk();
                    last_arrival = Instant::now();
                }
                Ok(None) | Err(LogError::Retriable(_)) => {
                    // Compaction and transaction markers can leave nothing readable before the end.
                    if reader.caught_up(0) && last_arrival.elapsed() > Duration::from_millis(500) {
                        break;
                    }
                    if last_arrival.elapsed() > STALL_TIMEOUT {
                        return Err(LogError::Retriable(format!("changelog {} can't be read: the log is away", changelog.topic)).into());
                    }
                    signal.1.wait_for(&mut signal.0.lock(), Duration::from_millis(20));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    if behind {
        // Written at once, so that what came out of the changelog does not go into it again.
        let mut batch = StateBatch::default();
        if let Some(frozen) = store.freeze() {
            frozen.append_to(&mut batch);
        }
        batch.set_position(state, &store.key().query.clone(), changelog, end);
        batch.write()?;
    }
    if restored > 0 {
        let elapsed_ms = started.elapsed().as_millis() as u64;
        tracing::info!(topic = %changelog.topic, partition = changelog.partition, restored, elapsed_ms, "restored");
    }
    Ok(end)
}

/// Deletes every entry of a store.
fn clear(store: &mut Store) -> Result<(), StateError> {
    let mut keys = Vec::new();
    store.range(&[], None, &mut |key, _| {
        keys.push(key.to_vec());
        true
    })?;
    for key in keys {
        store.put(&key, None);
    }
    Ok(())
}
