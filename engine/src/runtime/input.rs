//! The input side of a task: batches that have arrived, merged by event time across the task's partitions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::order::{MAX_RUNS, Order, Run};
use crate::clock::Clock;
use crate::log::{ArrivedBatch, LogError, LogReader, Loss, Offset};
use crate::operators::{NotYet, RecordClock};

/// Batches that one partition may have waiting in a task; more stay with the reader, whose back-pressure counts bytes.
const MAX_WAITING_BATCHES: usize = 4;

/// One partition that a task reads.
struct Lane {
    waiting: VecDeque<(ArrivedBatch, usize)>,
    /// What tells the records' event times, where these are not their own timestamps.
    clock: Option<Box<dyn RecordClock>>,
    /// What it told of the next records of the first batch, so that each is asked for once.
    times: VecDeque<i64>,
    /// The next offset to process: what a commit stores.
    position: Offset,
    /// Since when the lane has been empty without being caught up.
    empty_since: Option<Instant>,
}

impl Lane {
    fn new(start: Offset, clock: Option<Box<dyn RecordClock>>) -> Self {
        Lane { waiting: VecDeque::new(), clock, times: VecDeque::new(), position: start, empty_since: None }
    }

    /// The event time of the next record but `ahead` of the first batch. `None`: there is none.
    fn time(&mut self, ahead: usize) -> Option<Result<i64, NotYet>> {
        let (batch, cursor) = self.waiting.front()?;
        let Some(clock) = &mut self.clock else { return Some(Ok(batch.batch.record(cursor + ahead).timestamp)) };
        while self.times.len() <= ahead {
            match clock.time(batch.batch.record(cursor + self.times.len())) {
                Ok(time) => self.times.push_back(time),
                // Asked again: what was told is kept.
                Err(not_yet) => return Some(Err(not_yet)),
            }
        }
        self.times.get(ahead).copied().map(Ok)
    }
}

/// Which record comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The lane whose head has the smallest event time.
    Lane(usize),
    /// Nothing has arrived.
    Idle,
    /// Something has arrived, but an empty lane may still bring an older record; look again by then.
    Wait(Instant),
    /// Which one is the oldest can't be told before this lane's head can be read.
    NotYet(usize, NotYet),
    /// The next records are to be taken like this, once that is written down.
    Decided(Vec<Run>),
}

/// All partitions of a task.
pub(super) struct Input {
    reader: Box<dyn LogReader>,
    lanes: Vec<Lane>,
    /// How long an empty lane that is not caught up holds back the others.
    max_idle: Duration,
    clock: Arc<dyn Clock>,
    /// Set where the lanes are read in an order that is written down.
    order: Option<Order>,
}

impl Input {
    /// Begins at an offset of each partition; each has a clock where its records' times are not their own.
    pub(super) fn new(
        reader: Box<dyn LogReader>,
        start: Vec<(Offset, Option<Box<dyn RecordClock>>)>,
        max_idle: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let lanes = start.into_iter().map(|(offset, clock)| Lane::new(offset, clock)).collect();
        Input { reader, lanes, max_idle, clock, order: None }
    }

    /// From now on the order of the lanes is what one of them says, which has no records for anybody else.
    pub(super) fn keep_order(&mut self, lane: usize) {
        self.order = Some(Order::new(lane));
    }

    /// Takes over what has arrived, up to a few batches a partition: a partition that has them waits in the reader, also
    /// where another is empty.
    pub(super) fn fill(&mut self) -> Result<(), LogError> {
        loop {
            let Input { reader, lanes, .. } = self;
            let wants = |source: usize| lanes.get(source).is_some_and(|lane| lane.waiting.len() < MAX_WAITING_BATCHES);
            if !(0..lanes.len()).any(wants) {
                return Ok(());
            }
            let Some(batch) = reader.poll_from(&wants)? else { return Ok(()) };
            let first = batch.first;
            if let Some(lane) = self.lanes.get_mut(batch.source)
                && first < batch.batch.len()
            {
                lane.waiting.push_back((batch, first));
                lane.empty_since = None;
            }
        }
    }

    /// Chooses the lane whose next record is to be processed.
    pub(super) fn next(&mut self) -> Next {
        match self.order.take() {
            None => self.oldest(),
            Some(mut order) => {
                let next = self.in_order(&mut order);
                self.order = Some(order);
                next
            }
        }
    }

    /// As the order says; where it says nothing more, what it is to say next.
    fn in_order(&mut self, order: &mut Order) -> Next {
        loop {
            while let Some(run) = order.run() {
                let Some(lane) = self.lanes.get(run.lane).filter(|lane| lane.position < run.until) else {
                    order.next_run();
                    continue;
                };
                match lane.waiting.front() {
                    Some((batch, cursor)) if batch.batch.record(*cursor).offset < run.until => return Next::Lane(run.lane),
                    // Its records were deleted.
                    Some(_) => order.next_run(),
                    None if self.reader.caught_up(run.lane) => order.next_run(),
                    None => return Next::Idle,
                }
            }
            if std::mem::take(&mut order.has_record) {
                self.advance(order.lane, 1);
            }
            if let Some((batch, cursor)) = self.lanes[order.lane].waiting.front() {
                order.take(batch.batch.record(*cursor).value);
                continue;
            }
            if order.is_awaited || !self.reader.caught_up(order.lane) {
                return Next::Idle;
            }
            return match self.oldest() {
                Next::Lane(first) => {
                    order.is_awaited = true;
                    Next::Decided(self.decide(first))
                }
                other => other,
            };
        }
    }

    /// How the records at hand are to be taken, the first one from this lane. Ends where a lane's batch does.
    fn decide(&mut self, first: usize) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut ahead = vec![0; self.lanes.len()];
        let mut next = Some(first);
        while let Some(index) = next {
            let Some(lane) = self.lanes.get(index) else { break };
            let Some((batch, cursor)) = lane.waiting.front() else { break };
            let at = cursor + ahead[index];
            let until = Offset(batch.batch.record(at).offset.0 + 1);
            match runs.last_mut() {
                Some(run) if run.lane == index => run.until = until,
                _ => runs.push(Run { lane: index, until }),
            }
            ahead[index] += 1;
            if at + 1 >= batch.batch.len() || runs.len() == MAX_RUNS {
                break;
            }
            let times = self.lanes.iter_mut().enumerate().filter(|(_, lane)| !lane.waiting.is_empty());
            let times: Option<Vec<(i64, usize)>> = times.map(|(index, lane)| Some((lane.time(ahead[index])?.ok()?, index))).collect();
            next = times.and_then(|times| times.into_iter().min()).map(|(_, index)| index);
        }
        runs
    }

    /// Chooses the lane whose next record is the oldest; ties go to the first lane.
    fn oldest(&mut self) -> Next {
        if let [lane] = self.lanes.as_slice() {
            return if lane.waiting.is_empty() { Next::Idle } else { Next::Lane(0) };
        }
        let mut oldest: Option<(i64, usize)> = None;
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            match lane.time(0) {
                Some(Ok(time)) if oldest.is_none_or(|(oldest, _)| time < oldest) => oldest = Some((time, index)),
                Some(Err(not_yet)) => return Next::NotYet(index, not_yet),
                _ => {}
            }
        }
        let Some((_, index)) = oldest else { return Next::Idle };
        let mut wait_until: Option<Instant> = None;
        for (source, lane) in self.lanes.iter_mut().enumerate() {
            if !lane.waiting.is_empty() || self.reader.caught_up(source) {
                lane.empty_since = None;
                continue;
            }
            let now = self.clock.instant();
            let deadline = *lane.empty_since.get_or_insert(now) + self.max_idle;
            if now < deadline {
                wait_until = Some(wait_until.map_or(deadline, |w| w.max(deadline)));
            }
        }
        match wait_until {
            Some(deadline) => Next::Wait(deadline),
            None => Next::Lane(index),
        }
    }

    /// The batch and index of a lane's next record. Call only for a lane that [`Input::next`] named.
    pub(super) fn head(&self, lane: usize) -> Option<(&ArrivedBatch, usize)> {
        self.lanes[lane].waiting.front().map(|(batch, cursor)| (batch, *cursor))
    }

    /// How many records of a lane may be taken in a row before another lane has to be asked again, up to `most`. Call only
    /// for a lane that [`Input::next`] named.
    pub(super) fn run_length(&mut self, lane: usize, most: usize) -> usize {
        if let Some(order) = &self.order {
            let (Some(run), Some((batch, cursor))) = (order.run(), self.lanes[lane].waiting.front()) else { return 0 };
            let most = most.min(batch.batch.len() - cursor);
            return (0..most).take_while(|ahead| batch.batch.record(cursor + ahead).offset < run.until).count();
        }
        let others = self.lanes.iter_mut().enumerate().filter(|(other, _)| *other != lane);
        // The heads' times were told when the lane was named.
        let next = others.filter_map(|(other, held)| Some((held.time(0)?.ok()?, other))).min();
        let held = &mut self.lanes[lane];
        let Some((batch, cursor)) = held.waiting.front() else { return 0 };
        let most = most.min(batch.batch.len() - cursor);
        let Some(next) = next else { return most };
        1 + (1..most).take_while(|ahead| held.time(*ahead).is_some_and(|time| time.is_ok_and(|time| (time, lane) < next))).count()
    }

    /// Steps over a lane's next `count` records (at least one), which must be in its first batch.
    pub(super) fn advance(&mut self, lane: usize, count: usize) {
        let lane = &mut self.lanes[lane];
        if let Some((batch, cursor)) = lane.waiting.front_mut() {
            lane.position = Offset(batch.batch.record(*cursor + count - 1).offset.0 + 1);
            *cursor += count;
            if *cursor >= batch.batch.len() {
                lane.waiting.pop_front();
            }
            lane.times.drain(..count.min(lane.times.len()));
        }
    }

    /// Whether anything is waiting.
    pub(super) fn has_waiting(&self) -> bool {
        self.lanes.iter().any(|l| !l.waiting.is_empty())
    }

    pub(super) fn position(&self, lane: usize) -> Offset {
        self.lanes[lane].position
    }

    /// Everything before this offset was processed, or is no record that anybody reads.
    pub(super) fn reached(&self, lane: usize) -> Offset {
        let Some(own) = self.lanes.get(lane) else { return Offset::default() };
        let passed = if own.waiting.is_empty() { self.reader.passed(lane) } else { None };
        passed.map_or(own.position, |passed| passed.max(own.position))
    }

    /// What was deleted before it could be read: the lane, the first offset that is missing and the first that is there.
    pub(super) fn take_losses(&mut self) -> Vec<Loss> {
        self.reader.take_losses()
    }

    /// Forgets what was read and begins again at other offsets.
    pub(super) fn seek(&mut self, offsets: &[Offset]) -> Result<(), LogError> {
        self.reader.seek(offsets)?;
        if let Some(order) = &mut self.order {
            order.forget();
        }
        for (lane, offset) in self.lanes.iter_mut().zip(offsets) {
            lane.waiting.clear();
            lane.times.clear();
            lane.position = *offset;
            lane.empty_since = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::clock::ManualClock;
    use crate::log::simulated::{SimulatedLog, StoredRecord};
    use crate::log::{Log, Subscription, TopicPartition, TopicSpec};

    #[test]
    fn a_busy_partition_does_not_fill_the_memory_while_another_is_empty() {
        let log = SimulatedLog::default();
        log.set_poll_records(1);
        let names = ["busy", "quiet"];
        for name in names {
            log.create_topic(&TopicSpec { name: name.into(), partitions: 1, replicas: 1, config: BTreeMap::new() }).unwrap();
        }
        for timestamp in 0..100 {
            log.append("busy", 0, StoredRecord { timestamp, ..StoredRecord::default() }).unwrap();
        }
        let partitions = names.iter().map(|name| (TopicPartition { topic: (*name).into(), partition: 0 }, Offset(0))).collect();
        let reader = log.subscribe(Subscription { partitions, wake: Arc::new(|| {}), max_buffered_bytes: 1 }).unwrap();
        let mut input = Input::new(reader, vec![(Offset(0), None), (Offset(0), None)], Duration::ZERO, Arc::new(ManualClock::default()));
        let mut seen = 0;
        loop {
            input.fill().unwrap();
            let waiting: usize = input.lanes.iter().map(|lane| lane.waiting.len()).sum();
            assert!(waiting <= MAX_WAITING_BATCHES, "{waiting} batches");
            let Next::Lane(lane) = input.next() else { break };
            assert_eq!(lane, 0);
            input.advance(lane, 1);
            seen += 1;
        }
        assert_eq!(seen, 100);
        // What the quiet one brings then is seen at once.
        log.append("quiet", 0, StoredRecord::default()).unwrap();
        input.fill().unwrap();
        assert!(matches!(input.next(), Next::Lane(1)));
    }
}
