//! The transactional ids of a service's workers.

use super::{HANDS, Hand, Marks, Writers};
use crate::log::{Log, LogError, LogWriter, OffsetSpec, OutRecord, TopicHandle, TopicPartition, TransactionalId};

impl Marks {
    /// Another writer for a worker, after one was thrown away.
    ///
    /// # Errors
    /// See [`Log::transactional_writer`].
    pub fn transactional_writer(&self, log: &dyn Log, worker: usize, hand: Hand) -> Result<Box<dyn LogWriter>, LogError> {
        let id = self.transactional.lock().get(worker * HANDS + hand).cloned();
        log.transactional_writer(&id.ok_or_else(|| LogError::Fatal("no transactions were asked for".into()))?)
    }

    /// The id of a number; a worker has [`HANDS`] of them.
    pub(super) fn id(&self, number: usize) -> String {
        format!("{}{number}", self.ids)
    }

    /// The number of an id. What is written down of it goes where every process looks, whatever the number of its workers.
    fn number(&self, id: &str) -> usize {
        id.strip_prefix(&self.ids).and_then(|number| number.parse().ok()).unwrap_or_default()
    }

    /// Takes the ids of all workers, and what their last holders left open ends.
    pub(super) fn begin(&self, log: &dyn Log, handle: TopicHandle, partitions: u32) -> Result<Writers, LogError> {
        let all = 0..self.workers * HANDS;
        let ids = all.map(|number| self.register(log, handle, partitions, &self.id(number))).collect::<Result<Vec<_>, _>>()?;
        let made = log.transactional_writers(&ids)?.into_iter().enumerate();
        let writers = made.map(|(number, writer)| (number / HANDS, number % HANDS, writer)).collect();
        *self.transactional.lock() = ids;
        Ok(writers)
    }

    /// Says that this process uses an id from now on, before it fences who did so before.
    pub(super) fn register(&self, log: &dyn Log, handle: TopicHandle, partitions: u32, name: &str) -> Result<TransactionalId, LogError> {
        let partition = self.partition(self.number(name) % partitions.max(1) as usize);
        let place = TopicPartition { topic: self.topic.clone(), partition };
        let (key, value) = (TransactionalId::holder_key(name), self.session.to_be_bytes());
        let since = log.offsets(std::slice::from_ref(&place), OffsetSpec::Latest)?.first().copied().unwrap_or_default();
        log.append(handle, OutRecord { partition, timestamp: 1, key: Some(&key), value: Some(&value), headers: &[] })?;
        Ok(TransactionalId { name: name.into(), topic: handle, place, session: self.session, since })
    }
}
