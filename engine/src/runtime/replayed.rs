//! Letters that are sent through a query again: they come by a topic of the query's own, and are read as the records that they were.
//!
//! The topic holds letters as they stand in the topic of the dead letters, in the partition that the record stood in, with a header
//! more ([`crate::letters::REPLAY_TO`]) that says which sub-topology is to read them. Each of the query's tasks that reads a topic from
//! outside, or one between its steps, reads its partition of it as one more input: what a letter brings about is committed with the
//! position in it, as all input is. A record that fails again is another letter, whose `attempt` is higher.

use std::sync::Arc;

use super::Runtime;
use super::query_handle::QueryHandle;
use super::record::{self, Place};
use super::start::{StartError, StartQuery};
use super::task_runner::{Processed, Task, TaskError};
use crate::letters::{Letter, replay_to};
use crate::log::{LogError, Offset, RecordRef};
use crate::operators::{NotYet, TaskSpec};
use crate::row::Headers;

/// The topic of a query's group.
pub(super) fn replay_topic(group: &str) -> String {
    format!("{group}-replay")
}

/// Whether a sub-topology whose tasks read letters beside their sources has to write down in which order it takes them: where what it
/// writes for the next one depends on what it keeps.
pub(super) fn needs_order(spec: &TaskSpec) -> bool {
    !spec.stores.is_empty() && spec.sinks.iter().any(|sink| sink.is_repartition)
}

impl Runtime {
    /// The topic of a query's letters, where there is one.
    pub(super) fn replays(&self, start: &StartQuery, handle: &QueryHandle) -> Result<Option<(Arc<str>, u32)>, StartError> {
        if start.collector.is_some() {
            return Ok(None);
        }
        let topic = self.replay_topic(&handle.id);
        match self.parts.log.topic(&topic) {
            Ok((_, partitions)) => {
                handle.set_reads_replays();
                Ok(Some((topic.into(), partitions)))
            }
            Err(LogError::UnknownTopic(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes it with its query.
    pub(super) fn forget_replays(&self, query: &str) {
        let topic = self.replay_topic(query);
        if self.parts.log.topic(&topic).is_ok()
            && let Err(error) = self.parts.log.delete_topic(&topic)
        {
            tracing::warn!(query, topic, %error, "internal topic of a dropped query remains");
        }
    }
}

impl Task {
    /// As `process`, for letters.
    #[cold]
    pub(super) fn process_letters(&mut self, lane: usize, count: usize) -> Result<Processed, TaskError> {
        let Some((arrived, first)) = self.input.head(lane) else { return Ok(Processed { done: 0, not_yet: None }) };
        let batch = arrived.batch.clone();
        let (mut done, mut not_yet) = (0, None);
        let mut expected = self.input.position(lane);
        self.cx.lane = lane;
        for index in first..first + count {
            let replayed = batch.record(index);
            self.cx.pace.begin();
            self.cx.origins.begin_record(lane, replayed.offset, expected);
            expected = replayed.offset;
            let headers = batch.headers(index);
            let to = replay_to(&headers);
            if let Some((own, letter)) = Letter::read(&headers)
                && to.is_none_or(|task| task == self.id.sub_topology)
            {
                let own = if own.is_empty() { Headers::None } else { Headers::Own(own.into()) };
                self.cx.record = Some((batch.clone(), index));
                if let Some(pouch) = &mut self.cx.pouch {
                    pouch.begin();
                }
                let outcome = self.read_letter(replayed, letter, &own);
                (self.cx.record, self.cx.tried) = (None, None);
                if let Err(why) = outcome? {
                    not_yet = Some(why);
                    break;
                }
            }
            done += 1;
            if self.cx.pace.is_long() || self.cx.pace.is_held() {
                break;
            }
        }
        self.cx.origins.end_record();
        if done > 0 {
            self.input.advance(lane, done);
            self.dirty = true;
        }
        Ok(Processed { done, not_yet })
    }

    /// Runs the record of a letter through the operators; `Err`: it can't be read yet.
    fn read_letter(&mut self, replayed: RecordRef<'_>, letter: Letter, own: &Headers) -> Result<Result<(), NotYet>, TaskError> {
        let place = letter.place.clone();
        let Some((_, sources)) = self.lanes.iter().find(|(lane, _)| *lane.topic == *place.topic) else { return Ok(Ok(())) };
        let record = RecordRef { offset: Offset(place.offset), timestamp: place.timestamp, ..replayed };
        self.cx.tried = Some(Box::new(letter));
        let place = Place { topic: &place.topic, partition: place.partition, sources, wants_headers: &self.wants_headers, headers: own };
        record::run(&mut self.graph, &mut self.cx, &place, record)
    }
}
