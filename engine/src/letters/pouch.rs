//! A task's letters on their way: written with the writer that the task has at that moment.

use std::sync::Arc;

use super::{Kinds, Letter, LetterKind, Place};
use crate::log::{LogError, LogWriter, OutRecord, RecordRef, TopicHandle};
use crate::row::Header;

/// What a task reads of one partition.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub topic: Arc<str>,
    pub partition: i32,
    /// The query's own topic, whose values have something behind them that is nobody's business.
    pub is_internal: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pouch {
    pub topic: TopicHandle,
    pub partitions: u32,
    pub kinds: Kinds,
    pub query: Arc<str>,
    /// The sub-topology.
    pub task: usize,
    pub lanes: Vec<Lane>,
    /// The lane and the offset of the last record that has its letter.
    last: Option<(usize, i64)>,
}

impl Pouch {
    pub fn new(topic: (TopicHandle, u32), kinds: Kinds, query: Arc<str>, task: usize, lanes: Vec<Lane>) -> Self {
        Pouch { topic: topic.0, partitions: topic.1.max(1), kinds, query, task, lanes, last: None }
    }

    /// Other records are at hand from now on, or the same ones again.
    pub fn begin(&mut self) {
        self.last = None;
    }

    /// Writes the letter of a record, unless it has one; whether it did. `tried`: the letter that brought the record, where it was
    /// sent through the query again.
    ///
    /// # Errors
    /// The log does not take it: the task goes back to its last commit.
    #[cold]
    pub fn write(
        &mut self,
        writer: &mut dyn LogWriter,
        at_hand: (usize, RecordRef<'_>, &mut dyn FnMut() -> Vec<Header>),
        tried: Option<&Letter>,
        why: (LetterKind, Option<&'static str>, String),
        now_ms: i64,
    ) -> Result<bool, LogError> {
        let (lane, record, headers) = at_hand;
        let (kind, part, reason) = why;
        if self.last == Some((lane, record.offset.0)) {
            return Ok(false);
        }
        let Some(source) = self.lanes.get(lane) else { return Ok(false) };
        self.last = Some((lane, record.offset.0));
        let place =
            Place { topic: source.topic.clone(), partition: source.partition, offset: record.offset.0, timestamp: record.timestamp };
        let value = if source.is_internal { crate::operators::without_origin(record.value) } else { record.value };
        let mut letter = Letter {
            query: self.query.clone(),
            task: self.task,
            place: tried.map_or(place, |tried| tried.place.clone()),
            kind,
            part: part.map(str::to_owned),
            reason,
            attempt: tried.map_or(0, |tried| tried.attempt.saturating_add(1)),
            omitted: None,
        };
        let mut headers = headers();
        if tried.is_some() {
            // What was said of it before is said anew.
            let own = Letter::read(&headers).map_or(headers.len(), |(own, _)| own.len());
            headers.truncate(own);
        }
        letter.append_to(&mut headers);
        // Letters of one partition stay in order.
        let partition = u32::try_from(letter.place.partition).unwrap_or_default() % self.partitions;
        let partition = i32::try_from(partition).unwrap_or_default();
        let out = OutRecord { partition, timestamp: now_ms, key: record.key, value, headers: &headers };
        match writer.send(self.topic, out) {
            Ok(()) => Ok(true),
            // Too large, mostly: that it was left out is told in any case.
            Err(LogError::Undeliverable { .. }) => {
                letter.omitted = Some(record.key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len));
                let mut headers = Vec::new();
                letter.append_to(&mut headers);
                writer.send(self.topic, OutRecord { key: None, value: None, headers: &headers, ..out }).map(|()| true)
            }
            Err(error) => Err(error),
        }
    }
}
