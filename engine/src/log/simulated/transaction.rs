//! Transactions of the simulated log: what a writer sent lies in its partitions at once and can be read when the transaction
//! has ended there, which may be sooner in one partition than in another. Whoever asks for a writer of an id ends what the
//! one before has left open. A commit that has begun ends when it is looked at, now or later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::faults::Outcome;
use super::topic::TransactionNumber;
use super::writer::{Pending, is_spared, plant};
use super::{LogState, ReaderState, Shared, dead, wake};
use crate::log::{Commit, Delivery, LogError, LogWriter, OutRecord, TopicHandle, TopicPartition, TransactionalId};

/// What is said where nobody knows how a transaction ended.
pub const OUTCOME_UNKNOWN: &str = "simulated fault: outcome of the transaction unknown";

/// What the log knows of transactions.
#[derive(Default)]
pub(super) struct Transactions {
    last: TransactionNumber,
    by_id: BTreeMap<Arc<str>, Id>,
    /// They have come to their end, but not in these partitions yet.
    unsettled: Vec<Unsettled>,
}

#[derive(Default)]
struct Id {
    epoch: u64,
    open: Option<Open>,
}

#[derive(Default)]
struct Open {
    number: TransactionNumber,
    partitions: BTreeSet<(u32, i32)>,
}

struct Unsettled {
    id: Arc<str>,
    number: TransactionNumber,
    handle: TopicHandle,
    partition: i32,
    is_committed: bool,
}

impl LogState {
    /// Whether the end of a transaction has still to come to one of these partitions. It may come now.
    pub(super) fn holds_back(&mut self, partitions: &[TopicPartition]) -> bool {
        if self.transactions.unsettled.is_empty() {
            return false;
        }
        let read: BTreeSet<(u32, i32)> =
            partitions.iter().filter_map(|partition| Some((self.handle(&partition.topic).ok()?.0, partition.partition))).collect();
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            self.transactions.unsettled.drain(..).partition(|place| read.contains(&(place.handle.0, place.partition)));
        self.transactions.unsettled = elsewhere;
        let mut holds_back = false;
        for place in here {
            if self.faults.delays() {
                self.transactions.unsettled.push(place);
                holds_back = true;
            } else {
                self.settle(&place);
            }
        }
        holds_back
    }

    fn settle(&mut self, place: &Unsettled) {
        if let Some(topic) = self.topics.get_mut(place.handle.0 as usize).and_then(Option::as_mut) {
            topic.settle(place.partition, place.number, place.is_committed);
        }
    }

    /// Refuses who was replaced: another process has written itself down as the holder of the id since this one did.
    pub(super) fn check_holder(&self, id: &TransactionalId) -> Result<(), LogError> {
        let Ok(handle) = self.handle(&id.place.topic) else { return Ok(()) };
        let (key, since) = (TransactionalId::holder_key(&id.name), usize::try_from(id.since.0).unwrap_or_default());
        let records = self.topic(handle)?.partition(&id.place)?;
        let holder = records.from(since).filter(|record| record.key.as_ref() == Some(&key)).last();
        let is_other = holder.and_then(|record| record.value.as_deref()).is_some_and(|holder| holder != id.session.to_be_bytes());
        if is_other { Err(fenced(&id.name)) } else { Ok(()) }
    }

    /// Everything that has ended has ended everywhere.
    pub(super) fn settle_all(&mut self) {
        for place in std::mem::take(&mut self.transactions.unsettled) {
            self.settle(&place);
        }
    }

    /// What has ended of an id has ended everywhere.
    fn settle_id(&mut self, id: &Arc<str>) {
        let (own, others) = std::mem::take(&mut self.transactions.unsettled).into_iter().partition(|place| place.id == *id);
        self.transactions.unsettled = others;
        let own: Vec<Unsettled> = own;
        own.iter().for_each(|place| self.settle(place));
    }

    /// Ends the open transaction of an id; who is to be told.
    fn end(&mut self, id: &Arc<str>, is_committed: bool) -> Vec<Arc<ReaderState>> {
        let Some(open) = self.transactions.by_id.get_mut(id).and_then(|id| id.open.take()) else { return Vec::new() };
        let mut topics = BTreeSet::new();
        for (handle, partition) in open.partitions {
            let handle = TopicHandle(handle);
            let name = self.topic(handle).map(|topic| topic.info.name.clone()).unwrap_or_default();
            let is_torn = is_committed && !is_spared(&name) && self.faults.tears();
            if is_torn {
                self.faults.count_planted();
            }
            let place = Unsettled { id: id.clone(), number: open.number, handle, partition, is_committed: is_committed && !is_torn };
            if self.faults.delays() {
                self.transactions.unsettled.push(place);
            } else {
                self.settle(&place);
            }
            topics.insert(name);
        }
        topics.iter().flat_map(|name| self.arm_down(name)).collect()
    }
}

/// See the module.
pub(super) struct TransactionalWriter {
    shared: Arc<Shared>,
    id: Arc<str>,
    epoch: u64,
    /// Sent, and still on its way.
    pending: Vec<Pending>,
    /// A part of it was lost: the transaction can't be committed.
    is_broken: bool,
    /// A commit that has begun.
    ending: Option<(Commit, Delivery)>,
    /// It has ended, and nobody was told.
    ended: Option<Result<(), LogError>>,
    /// Until when nothing that was sent arrives.
    follows: Option<Delivery>,
}

impl TransactionalWriter {
    /// A new writer of an id, and who is to be told of what it ended.
    pub fn begin(shared: &Arc<Shared>, log: &mut LogState, id: &TransactionalId) -> (Self, Vec<Arc<ReaderState>>) {
        let woken = log.end(&id.name, false);
        log.settle_id(&id.name);
        let known = log.transactions.by_id.entry(id.name.clone()).or_default();
        known.epoch += 1;
        let epoch = known.epoch;
        let (shared, id) = (shared.clone(), id.name.clone());
        (TransactionalWriter { shared, id, epoch, pending: Vec::new(), is_broken: false, ending: None, ended: None, follows: None }, woken)
    }

    fn check(&self, log: &LogState) -> Result<(), LogError> {
        let epoch = log.transactions.by_id.get(&self.id).map(|id| id.epoch);
        if epoch == Some(self.epoch) { Ok(()) } else { Err(fenced(&self.id)) }
    }

    /// Whether what it sends has to wait for another's records.
    fn is_held(&self) -> bool {
        self.follows.as_ref().is_some_and(Delivery::is_awaited)
    }

    /// Lets the first of what is pending arrive.
    fn deliver(&mut self, log: &mut LogState, count: usize) -> Result<(), LogError> {
        let mut arriving: Vec<Pending> = self.pending.drain(..count.min(self.pending.len())).collect();
        plant(log, &mut arriving);
        if arriving.is_empty() {
            return Ok(());
        }
        if log.transactions.by_id.get(&self.id).is_none_or(|id| id.open.is_none()) {
            // The one before, of the same id, has to end everywhere first.
            log.settle_id(&self.id);
            log.transactions.last += 1;
            let open = Open { number: log.transactions.last, ..Open::default() };
            log.transactions.by_id.entry(self.id.clone()).or_default().open = Some(open);
        }
        for (handle, partition, record) in arriving {
            let number = log.transactions.last_of(&self.id);
            log.append(handle, partition, record, number)?;
            if let Some(open) = log.transactions.by_id.get_mut(&self.id).and_then(|id| id.open.as_mut()) {
                open.partitions.insert((handle.0, partition));
            }
        }
        Ok(())
    }

    fn try_commit(&mut self, log: &mut LogState, commit: Commit) -> (Vec<Arc<ReaderState>>, Result<(), LogError>) {
        let outcome = log.faults.outcome();
        let aborted = || LogError::Retriable("simulated fault: the transaction was aborted".into());
        if self.is_broken || outcome == Outcome::Aborted {
            self.is_broken = true;
            return (log.end(&self.id, false), Err(aborted()));
        }
        if matches!(outcome, Outcome::Fenced | Outcome::Crashes(0)) {
            let part = log.faults.part(self.pending.len());
            let _ = self.deliver(log, part);
            if outcome == Outcome::Crashes(0) {
                log.is_dead = true;
                return (Vec::new(), Err(dead()));
            }
            let woken = log.end(&self.id, false);
            if let Some(id) = log.transactions.by_id.get_mut(&self.id) {
                id.epoch += 1;
            }
            return (woken, Err(fenced(&self.id)));
        }
        if let Err(error) = self.deliver(log, usize::MAX) {
            self.is_broken = true;
            return (log.end(&self.id, false), Err(error));
        }
        if let Outcome::Unknown { is_committed } = outcome {
            self.is_broken = true;
            return (log.end(&self.id, is_committed), Err(LogError::Fatal(OUTCOME_UNKNOWN.into())));
        }
        let woken = log.end(&self.id, true);
        let crash = if let Outcome::Crashes(parts) = outcome { Some(parts) } else { None };
        if crash != Some(1)
            && let Err(error) = log.take_state(commit.state)
        {
            return (woken, Err(LogError::Fatal(error.to_string())));
        }
        if crash.is_some() {
            log.is_dead = true;
            return (woken, Err(dead()));
        }
        for (group, offsets) in commit.offsets {
            log.groups.entry(group).or_default().extend(offsets);
        }
        (woken, Ok(()))
    }
}

impl Transactions {
    fn last_of(&self, id: &Arc<str>) -> Option<TransactionNumber> {
        self.by_id.get(id).and_then(|id| id.open.as_ref()).map(|open| open.number)
    }
}

fn fenced(id: &str) -> LogError {
    LogError::Fenced(format!("simulated fault: another process uses the transactional id '{id}'"))
}

impl LogWriter for TransactionalWriter {
    fn send(&mut self, topic: TopicHandle, record: OutRecord<'_>) -> Result<(), LogError> {
        let mut log = self.shared.state.lock();
        self.check(&log)?;
        log.accept(topic, &record)?;
        self.pending.push((topic, record.partition, record.into()));
        Ok(())
    }

    fn hint_idle(&mut self) {
        let _ = self.flush();
    }

    fn flush(&mut self) -> Result<(), LogError> {
        if self.is_held() {
            return Ok(());
        }
        let shared = self.shared.clone();
        let mut log = shared.state.lock();
        log.alive()?;
        self.check(&log)?;
        let fails = log.faults.flush_fails();
        let count = if fails { log.faults.part(self.pending.len()) } else { usize::MAX };
        self.deliver(&mut log, count)?;
        self.is_broken |= fails;
        if fails { Err(LogError::Retriable("simulated fault: flush".into())) } else { Ok(()) }
    }

    fn follow(&mut self, delivery: Delivery) {
        self.follows = Some(delivery);
    }

    fn begin_commit(&mut self, commit: Commit) -> Result<Delivery, LogError> {
        self.shared.state.lock().alive()?;
        let delivery = Delivery::default();
        self.ending = Some((commit, delivery.clone()));
        Ok(delivery)
    }

    fn commit_ended(&mut self, waits: bool) -> Option<Result<(), LogError>> {
        if !waits && self.shared.state.lock().faults.delays() {
            return None;
        }
        if let Some(ended) = self.ended.take() {
            return Some(ended);
        }
        let (commit, delivery) = self.ending.take()?;
        if delivery.is_awaited() {
            let delivered = self.flush();
            delivery.tell(delivered.is_ok());
            if let Err(error) = delivered {
                return Some(Err(error));
            }
            if !waits && self.shared.state.lock().faults.delays() {
                self.ending = Some((commit, delivery));
                return None;
            }
        }
        let result = self.commit(commit);
        // A defect that must be found: who writes goes on as if nothing had happened.
        let hides = matches!(result, Err(LogError::Retriable(_))) && self.shared.state.lock().faults.hides();
        let result = if hides {
            self.is_broken = false;
            self.pending.clear();
            Ok(())
        } else {
            result
        };
        if !waits && self.shared.state.lock().faults.delays() {
            self.ended = Some(result);
            return None;
        }
        Some(result)
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        let shared = self.shared.clone();
        let mut log = shared.state.lock();
        log.alive()?;
        self.check(&log)?;
        let (woken, result) = self.try_commit(&mut log, commit);
        drop(log);
        wake(woken);
        result
    }
}

impl Drop for TransactionalWriter {
    /// A process that dies leaves a part of what it sent on its way, and that part arrives.
    fn drop(&mut self) {
        let shared = self.shared.clone();
        let mut log = shared.state.lock();
        if !self.pending.is_empty() && !self.is_held() && self.check(&log).is_ok() {
            let part = log.faults.part(self.pending.len());
            let _ = self.deliver(&mut log, part);
        }
    }
}
