//! How far tasks are: whoever asks is answered by the workers, between two turns, so that what was read by then can be seen in the stores.

use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::Runtime;
use super::worker::Message;
use crate::log::{Offset, PartitionId, TopicPartition};

/// How long a worker is waited for that is busy. What it does not say is not known.
const PATIENCE: Duration = Duration::from_secs(1);

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    pub sub_topology: usize,
    pub partition: PartitionId,
    /// Of each partition that it reads: everything before this offset was processed, or is no record.
    pub positions: Vec<(TopicPartition, Offset)>,
}

impl Runtime {
    /// How far the tasks of a query are that run here.
    pub fn reached(&self, query: &str) -> Vec<Reached> {
        let (said, answers) = bounded(self.workers.len());
        for worker in &self.workers {
            let _ = worker.send(Message::Reached { query: query.into(), said: said.clone() });
        }
        drop(said);
        let deadline = Instant::now() + PATIENCE;
        let mut all = Vec::new();
        while let Ok(tasks) = answers.recv_deadline(deadline) {
            all.extend(tasks);
        }
        all
    }
}
