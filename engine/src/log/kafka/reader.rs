//! One task's reader: its partitions in turn.

use std::sync::Arc;

use super::health::Health;
use super::hub::Hub;
use super::partition::{MemberId, SharedPartition};
use crate::log::{ArrivedBatch, LogError, LogReader, Loss, Offset, Subscription, TopicPartition};

pub(super) struct KafkaReader {
    hub: Arc<Hub>,
    health: Arc<Health>,
    sources: Vec<Source>,
    /// The source to ask first: each has its turn.
    turn: usize,
}

struct Source {
    name: TopicPartition,
    partition: Arc<SharedPartition>,
    member: MemberId,
}

impl KafkaReader {
    /// Subscribes to all partitions. `ends` are theirs now, where known.
    pub(super) fn new(hub: Arc<Hub>, health: Arc<Health>, subscription: Subscription, ends: &[Offset]) -> Result<KafkaReader, LogError> {
        let mut reader = KafkaReader { hub, health, sources: Vec::with_capacity(subscription.partitions.len()), turn: 0 };
        for (index, (name, offset)) in subscription.partitions.into_iter().enumerate() {
            let end = ends.get(index).map(|end| end.0);
            let wake = Arc::clone(&subscription.wake);
            let (partition, member) = reader.hub.join(&name, offset.0, end, subscription.max_buffered_bytes, wake)?;
            reader.sources.push(Source { name, partition, member });
        }
        Ok(reader)
    }
}

impl LogReader for KafkaReader {
    fn poll_from(&mut self, wanted: &dyn Fn(usize) -> bool) -> Result<Option<ArrivedBatch>, LogError> {
        let count = self.sources.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            if !wanted(index) {
                continue;
            }
            let Some(source) = self.sources.get(index) else { continue };
            if let Some((batch, first)) = source.partition.poll(source.member)? {
                self.turn = (index + 1) % count;
                return Ok(Some(ArrivedBatch { source: index, batch, first }));
            }
        }
        self.health.outage().map_or(Ok(None), |outage| Err(LogError::Retriable(outage)))
    }

    fn caught_up(&self, source: usize) -> bool {
        self.sources.get(source).is_none_or(|source| source.partition.caught_up(source.member))
    }

    fn passed(&self, source: usize) -> Option<Offset> {
        let source = self.sources.get(source)?;
        source.partition.passed(source.member).map(Offset)
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        let sources = self.sources.iter().enumerate();
        let losses = sources.flat_map(|(index, source)| {
            let taken = source.partition.take_losses(source.member);
            taken.into_iter().map(move |(from, to)| Loss { source: index, from: Offset(from), to: Offset(to) })
        });
        losses.collect()
    }

    fn seek(&mut self, offsets: &[Offset]) -> Result<(), LogError> {
        if offsets.len() != self.sources.len() {
            return Err(LogError::Fatal(format!("seek to {} offsets in {} partitions", offsets.len(), self.sources.len())));
        }
        for (source, offset) in self.sources.iter().zip(offsets) {
            source.partition.seek(source.member, offset.0)?;
        }
        Ok(())
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        for source in &self.sources {
            self.hub.leave(&source.name, &source.partition, source.member);
        }
    }
}
