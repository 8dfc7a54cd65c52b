//! The epochs of the processes that run the service's queries, one after the other.
//!
//! A process takes the next one by a record. Where two take the same at once, the one whose record comes first has it, and the
//! other tries again: so no two have the same, and who begins later has the higher one.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Marks, Opening, PARTITIONS, READ_TIMEOUT, RETRY_PAUSE};
use crate::log::{Log, LogError, Offset, OffsetSpec, OutRecord, PartitionId, TopicHandle, TopicPartition, read_whole};
use crate::runtime::epoch::Epoch;

const KEY: &[u8] = b"epoch\0";

/// The epoch that a record says is taken, and by whom.
pub(super) fn taken(key: &[u8], value: Option<&[u8]>) -> Option<(Epoch, u64)> {
    let (epoch, session) = value.filter(|_| key == KEY)?.split_first_chunk::<4>()?;
    Some((Epoch::from_be_bytes(*epoch), u64::from_be_bytes(session.try_into().ok()?)))
}

impl Marks {
    /// This process's epoch; 0 before the topic is open.
    pub fn epoch(&self) -> Epoch {
        self.epoch.load(Ordering::Acquire)
    }

    /// This process's epoch, where a changelog was written by one of this: then it is not lower. That needs another one only where
    /// the topic had gone while no process ran.
    ///
    /// # Errors
    /// The log is away.
    pub fn epoch_from(&self, log: &dyn Log, known: Epoch) -> Result<Epoch, LogError> {
        if known > self.epoch() {
            let mut opening = self.opening.lock();
            let handle = (*self.handle.lock()).ok_or_else(|| LogError::Fatal("the topic of marks is not open".into()))?;
            if known > self.epoch() {
                self.take_epoch(log, handle, &mut opening, known)?;
            }
        }
        Ok(self.epoch())
    }

    /// Where the records of epochs are: seldom in the way of a worker's transactions.
    fn epochs_place(&self) -> TopicPartition {
        TopicPartition { topic: self.topic.clone(), partition: PartitionId::try_from(PARTITIONS - 1).unwrap_or_default() }
    }

    /// The end of what was said of epochs so far.
    pub(super) fn epochs_end(&self, log: &dyn Log) -> Result<Offset, LogError> {
        Ok(log.offsets(&[self.epochs_place()], OffsetSpec::Latest)?.first().copied().unwrap_or_default())
    }

    /// Takes the next epoch above those that are known, as of `opening.epochs_known`.
    pub(super) fn take_epoch(&self, log: &dyn Log, handle: TopicHandle, opening: &mut Opening, known: Epoch) -> Result<(), LogError> {
        let (place, began, mut highest) = (self.epochs_place(), Instant::now(), known);
        loop {
            let wanted = highest.saturating_add(1);
            let value = [wanted.to_be_bytes().as_slice(), &self.session.to_be_bytes()].concat();
            log.append(handle, OutRecord { partition: place.partition, timestamp: 1, key: Some(KEY), value: Some(&value), headers: &[] })?;
            let holder = loop {
                let (mut holder, mut is_there) = (None, false);
                let end = read_whole(log, &place, opening.epochs_known, READ_TIMEOUT, &mut |record| {
                    let Some((epoch, session)) = record.key.and_then(|key| taken(key, record.value)) else { return };
                    highest = highest.max(epoch);
                    is_there |= (epoch, session) == (wanted, self.session);
                    if epoch == wanted && holder.is_none() {
                        holder = Some(session);
                    }
                })?;
                if is_there {
                    opening.epochs_known = end;
                    break holder;
                }
                // A transaction that has ended may be open there for a moment.
                if began.elapsed() > READ_TIMEOUT {
                    return Err(LogError::Retriable(format!("what was written to topic {} can't be read yet", self.topic)));
                }
                std::thread::sleep(RETRY_PAUSE);
            };
            if holder == Some(self.session) {
                self.epoch.store(wanted, Ordering::Release);
                return Ok(());
            }
        }
    }
}
