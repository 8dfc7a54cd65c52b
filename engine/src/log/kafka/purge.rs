//! Deleting what nobody reads again: the records of repartition topics that their query has processed. `upkeep` asks the
//! brokers now and then; what fails is asked again with what has come since.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::ffi::{Client, offsets};
use super::topics::request_timeout;
use crate::log::{GroupOffsets, Offset, TopicPartition};

/// What may go, until the brokers were asked.
#[derive(Default)]
pub(super) struct Purger {
    waiting: Mutex<BTreeMap<TopicPartition, Offset>>,
}

impl Purger {
    /// Takes note of records that may go.
    pub(super) fn add(&self, before: GroupOffsets) {
        let mut waiting = self.waiting.lock();
        for (partition, offset) in before {
            let known = waiting.entry(partition).or_insert(offset);
            *known = offset.max(*known);
        }
    }

    /// Forgets a topic that is being deleted.
    pub(super) fn forget(&self, topic: &str) {
        self.waiting.lock().retain(|partition, _| *partition.topic != *topic);
    }

    /// Asks the brokers to delete what may go.
    pub(super) fn purge(&self, client: &Arc<Client>) {
        let before: GroupOffsets = std::mem::take(&mut *self.waiting.lock()).into_iter().collect();
        if before.is_empty() {
            return;
        }
        if let Err(failure) = offsets::delete_records(client, &before, request_timeout()) {
            tracing::debug!(target: "kafka", reason = failure.in_words(), "records of repartition topics remain; trying again");
            let mut waiting = self.waiting.lock();
            for (partition, offset) in before.into_iter().filter(|_| failure.is_retriable()) {
                waiting.entry(partition).or_insert(offset);
            }
        }
    }
}
