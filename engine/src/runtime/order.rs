//! The order in which a task takes the records of several topics, where it has to be the same each time.
//!
//! Which of two topics' records comes first is decided by their times, but also by what had arrived by then. A task that writes
//! rows which others count (a join of two streams or two tables, behind it a GROUP BY) must write the same rows of the same
//! records when it reads them again, or they would be counted twice, or not at all. So it reads by an *order* that is a topic
//! itself: it decides how the next records are to be taken, writes that down, and goes on when it reads it there. Whatever happens
//! in between, what stands in the topic holds, and every life of the task follows it.
//!
//! A record of the topic is a list of runs: up to which offset of which of the task's topics. Runs that were followed before are
//! nothing to do, so a task may begin with a record that it has followed in part.

use std::collections::VecDeque;

use crate::log::Offset;

/// Runs of one record at most.
pub(super) const MAX_RUNS: usize = 512;

/// How a task keeps to its order.
#[derive(Debug)]
pub(super) struct Order {
    /// The lane of the order's topic.
    pub lane: usize,
    /// What is left of the order's record at hand.
    runs: VecDeque<Run>,
    /// Whether a record is at hand; its lane goes on when it is followed to its end.
    pub has_record: bool,
    /// A record was written, and has not come yet.
    pub is_awaited: bool,
}

/// A lane is to be read up to an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub lane: usize,
    pub until: Offset,
}

impl Order {
    pub(super) fn new(lane: usize) -> Self {
        Order { lane, runs: VecDeque::new(), has_record: false, is_awaited: false }
    }

    /// The run at hand.
    pub(super) fn run(&self) -> Option<Run> {
        self.runs.front().copied()
    }

    /// The run at hand is followed.
    pub(super) fn next_run(&mut self) {
        self.runs.pop_front();
    }

    /// A record of the order has come.
    pub(super) fn take(&mut self, value: Option<&[u8]>) {
        self.runs = decode(value.unwrap_or_default());
        (self.has_record, self.is_awaited) = (true, false);
    }

    /// The task has gone back: all of it is read again.
    pub(super) fn forget(&mut self) {
        *self = Order::new(self.lane);
    }
}

/// Each run: the lane in a byte, the offset in eight, big-endian.
pub(super) fn encode(runs: &[Run]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(runs.len() * 9);
    for run in runs {
        let Ok(lane) = u8::try_from(run.lane) else { continue };
        bytes.push(lane);
        bytes.extend_from_slice(&run.until.0.to_be_bytes());
    }
    bytes
}

/// What is not a run is left out.
fn decode(bytes: &[u8]) -> VecDeque<Run> {
    let runs = bytes.chunks_exact(9).filter_map(|run| {
        let (lane, until) = run.split_first()?;
        Some(Run { lane: usize::from(*lane), until: Offset(i64::from_be_bytes(*until.first_chunk()?)) })
    });
    runs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_go_there_and_back() {
        let runs = [Run { lane: 0, until: Offset(7) }, Run { lane: 200, until: Offset(i64::MAX) }];
        assert_eq!(decode(&encode(&runs)), runs);
        assert!(decode(b"12345678").is_empty());
    }
}
