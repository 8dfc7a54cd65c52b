//! The input side of a task: batches that have arrived, merged by timestamp across the task's partitions.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::log::{ArrivedBatch, LogError, LogReader, Offset};

/// Batches that one partition may have waiting in a task; more stay with the reader, whose back-pressure counts bytes.
const MAX_WAITING_BATCHES: usize = 4;

/// One partition that a task reads.
struct Lane {
    waiting: VecDeque<(ArrivedBatch, usize)>,
    /// The next offset to process: what a commit stores.
    position: Offset,
    /// Since when the lane has been empty without being caught up.
    empty_since: Option<Instant>,
}

/// Which record comes next.
pub(super) enum Next {
    /// The lane whose head has the smallest timestamp.
    Lane(usize),
    /// Nothing has arrived.
    Idle,
    /// Something has arrived, but an empty lane may still bring an older record; look again by then.
    Wait(Instant),
}

/// All partitions of a task.
pub(super) struct Input {
    reader: Box<dyn LogReader>,
    lanes: Vec<Lane>,
    /// How long an empty lane that is not caught up holds back the others.
    max_idle: Duration,
}

impl Input {
    pub(super) fn new(reader: Box<dyn LogReader>, start: &[Offset], max_idle: Duration) -> Self {
        let lanes = start.iter().map(|o| Lane { waiting: VecDeque::new(), position: *o, empty_since: None }).collect();
        Input { reader, lanes, max_idle }
    }

    /// Takes over what has arrived, up to a few batches a partition.
    pub(super) fn fill(&mut self) -> Result<(), LogError> {
        while self.lanes.iter().any(|l| l.waiting.len() < MAX_WAITING_BATCHES) {
            let Some(batch) = self.reader.poll()? else { return Ok(()) };
            let first = batch.first;
            if let Some(lane) = self.lanes.get_mut(batch.source)
                && first < batch.batch.len()
            {
                lane.waiting.push_back((batch, first));
                lane.empty_since = None;
            }
        }
        Ok(())
    }

    /// Chooses the lane whose next record is the oldest; ties go to the first lane.
    pub(super) fn next(&mut self) -> Next {
        if let [lane] = self.lanes.as_slice() {
            return if lane.waiting.is_empty() { Next::Idle } else { Next::Lane(0) };
        }
        let mut oldest: Option<(i64, usize)> = None;
        for (index, lane) in self.lanes.iter().enumerate() {
            if let Some((batch, cursor)) = lane.waiting.front() {
                let timestamp = batch.batch.record(*cursor).timestamp;
                if oldest.is_none_or(|(t, _)| timestamp < t) {
                    oldest = Some((timestamp, index));
                }
            }
        }
        let Some((_, index)) = oldest else { return Next::Idle };
        let mut wait_until: Option<Instant> = None;
        for (source, lane) in self.lanes.iter_mut().enumerate() {
            if !lane.waiting.is_empty() || self.reader.caught_up(source) {
                lane.empty_since = None;
                continue;
            }
            let now = Instant::now();
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
    pub(super) fn run_length(&self, lane: usize, most: usize) -> usize {
        let Some((batch, cursor)) = self.lanes[lane].waiting.front() else { return 0 };
        let most = most.min(batch.batch.len() - cursor);
        let others = self.lanes.iter().enumerate().filter(|(other, _)| *other != lane);
        let heads = others.filter_map(|(other, held)| {
            let (batch, cursor) = held.waiting.front()?;
            Some((batch.batch.record(*cursor).timestamp, other))
        });
        let Some(next) = heads.min() else { return most };
        let goes_before = |index: &usize| (batch.batch.record(cursor + index).timestamp, lane) < next;
        1 + (1..most).take_while(goes_before).count()
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
        }
    }

    /// Whether anything is waiting.
    pub(super) fn has_waiting(&self) -> bool {
        self.lanes.iter().any(|l| !l.waiting.is_empty())
    }

    pub(super) fn position(&self, lane: usize) -> Offset {
        self.lanes[lane].position
    }

    /// Forgets what was read and begins again at other offsets.
    pub(super) fn seek(&mut self, offsets: &[Offset]) -> Result<(), LogError> {
        self.reader.seek(offsets)?;
        for (lane, offset) in self.lanes.iter_mut().zip(offsets) {
            lane.waiting.clear();
            lane.position = *offset;
            lane.empty_since = None;
        }
        Ok(())
    }
}
