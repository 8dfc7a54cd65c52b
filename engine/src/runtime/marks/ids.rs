//! The transactional ids of a service's workers.

use std::collections::BTreeSet;

use super::{HANDS, Hand, Marks, Writers};
use crate::log::{Log, LogError, LogWriter, OffsetSpec, OutRecord, TopicHandle, TopicPartition, TransactionalId};
#[cfg(test)]
use crate::runtime::planted;

/// Behind the session in what is written down of who uses an id: nobody does any more.
const ENDED: &[u8] = b"ended";

/// Whether what is written down of who uses an id says that nobody does.
pub(super) fn has_ended(holder: Option<&[u8]>) -> bool {
    holder.is_none_or(|holder| holder.ends_with(ENDED))
}

/// The number of an id, of whichever server. What is written down of it goes where every process looks, whatever the number of its
/// workers.
fn number(id: &str) -> usize {
    id.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

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
        format!("{}{}-{number}", self.ids, self.server)
    }

    /// Ends what servers may have left open that do not run any more: also under ids of more workers than this one has, and under
    /// those of earlier versions, which name no server. Whether there was any.
    pub(super) fn end_others(&self, log: &dyn Log, handle: TopicHandle, partitions: u32, ids: &BTreeSet<String>) -> Result<bool, LogError> {
        #[cfg(test)]
        if planted::is(planted::Defect::UnfencedTakeover) {
            return Ok(false);
        }
        let own: BTreeSet<String> = (0..self.workers * HANDS).map(|number| self.id(number)).collect();
        let peers = self.peers.lock().clone();
        let runs = |id: &str| {
            let server = id.strip_prefix(&self.ids).and_then(|rest| rest.rsplit_once('-')).map_or("", |(server, _)| server);
            server != self.server && peers.contains(server)
        };
        let ended: Vec<&String> = ids.iter().filter(|id| !own.contains(*id) && !runs(id)).collect();
        for id in &ended {
            self.end(log, handle, partitions, id)?;
        }
        Ok(!ended.is_empty())
    }

    /// Ends what the last holder of another's id left open, and that holder with it. Nobody uses the id afterwards.
    ///
    /// # Errors
    /// The log is away.
    fn end(&self, log: &dyn Log, handle: TopicHandle, partitions: u32, id: &str) -> Result<(), LogError> {
        let taken = self.register(log, handle, partitions, id)?;
        drop(log.transactional_writer(&taken)?);
        let (key, value) = (TransactionalId::holder_key(id), [&self.session.to_be_bytes()[..], ENDED].concat());
        let partition = taken.place.partition;
        log.append(handle, OutRecord { partition, timestamp: 1, key: Some(&key), value: Some(&value), headers: &[] })
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
        let partition = self.partition(number(name) % partitions.max(1) as usize);
        let place = TopicPartition { topic: self.topic.clone(), partition };
        let (key, value) = (TransactionalId::holder_key(name), self.session.to_be_bytes());
        let since = log.offsets(std::slice::from_ref(&place), OffsetSpec::Latest)?.first().copied().unwrap_or_default();
        log.append(handle, OutRecord { partition, timestamp: 1, key: Some(&key), value: Some(&value), headers: &[] })?;
        Ok(TransactionalId { name: name.into(), topic: handle, place, session: self.session, since })
    }
}
