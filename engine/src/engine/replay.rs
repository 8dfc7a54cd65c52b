//! REPLAY DEAD LETTERS: the letters of a query go through it again, or through another, once each.
//!
//! They are not written to the topic that they came from, where everybody who reads it would meet them a second time, and foreign
//! consumers could not tell them from new records. They go to a topic of the query that takes them, which its tasks read beside their
//! sources (`runtime/replayed.rs`). The topic is made by the first replay, for which the query is restarted from a commit.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tidemill_parser::ast::Ident;

use super::{Engine, EngineError, PersistentQuery, SessionProperties};
use crate::letters::{At, Letter, Met, REMEMBERED, Sent, copy_headers, labelled};
use crate::log::{
    Commit, LogWriter, Offset, OffsetSpec, OutRecord, TopicHandle, TopicPartition, ensure_topic, partitions_of, read_batches,
};
use crate::operators;
use crate::state::StateBatch;

/// How long a topic of letters may take to be read to its end.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Letters that are sent before it is written down that they were.
const BATCH: usize = 1_000;

/// What became of letters.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Letters that go through the query again.
    pub sent: usize,
    /// Of those that were there: sent by an earlier replay, or written twice.
    pub before: usize,
    /// Their bytes were too many for their topic.
    pub without_bytes: usize,
    /// Of topics, or partitions, that the query does not read.
    pub not_read: usize,
}

impl Replayed {
    /// As the statement answers it.
    fn message(&self, of: &str, into: &str) -> String {
        let letters = |count: usize| if count == 1 { "1 dead letter".to_owned() } else { format!("{count} dead letters") };
        let mut message = format!("{} of {of} replayed", letters(self.sent));
        if of != into {
            message.push_str(&format!(" into {into}"));
        }
        for (count, what) in [
            (self.before, "replayed before"),
            (self.without_bytes, "left out: too large for their topic, their bytes were not kept"),
            (self.not_read, "left out: the query does not read the topic or partition that they came from"),
        ] {
            if count > 0 {
                message.push_str(&format!("; {} {what}", letters(count)));
            }
        }
        message + "."
    }
}

/// Where copies go, and who reads them.
struct Target {
    topic: TopicHandle,
    name: String,
    partitions: u32,
    /// The topics that each sub-topology reads, with their partitions.
    reads: Vec<HashMap<String, u32>>,
    /// It is the query whose letters they are: each goes to the step that it came from.
    is_same: bool,
}

impl Target {
    /// Which sub-topology takes a letter: `None`, nobody; `Some(None)`, each that reads its topic.
    fn reader(&self, letter: &Letter) -> Option<Option<usize>> {
        let place = &letter.place;
        let reads = |topics: &HashMap<String, u32>| {
            topics.get(&*place.topic).is_some_and(|count| u32::try_from(place.partition).is_ok_and(|p| p < *count && p < self.partitions))
        };
        if self.is_same && self.reads.get(letter.task).is_some_and(reads) {
            return Some(Some(letter.task));
        }
        self.reads.iter().any(reads).then_some(None)
    }
}

impl Engine {
    /// Sends a query's letters through it again, or through another; those that were not sent there before.
    ///
    /// # Errors
    /// No such query, or no topic of letters; or the log is away: what was sent by then is not sent again by the next replay.
    pub fn replay_letters(self: &Arc<Self>, of: &Ident, into: Option<&Ident>, session: &SessionProperties) -> Result<String, EngineError> {
        let query = self.query_named(into.unwrap_or(of))?;
        // The letters of a query that is gone can go through its successor.
        let source = match into {
            Some(_) => self.query_named(of).ok(),
            None => Some(query.clone()),
        };
        let of_id = source.as_ref().map_or_else(|| of.name.clone(), |source| source.id.clone());
        let properties = source.map_or_else(|| session.clone(), |source| SessionProperties(source.properties.clone()));
        let Some(letters) = properties.letter_box() else {
            let message = format!("Query {of_id} writes no dead letters: ksql.dead.letter.topic was not set when it was created.");
            return Err(EngineError { span: Some(of.span), ..EngineError::user(message) });
        };
        if query.source_topics(&self.catalog()).contains(&letters.topic) {
            let message = format!("Query {} reads the topic of the dead letters itself.", query.id);
            return Err(EngineError { span: Some(into.unwrap_or(of).span), ..EngineError::user(message) });
        }
        let Some(info) = self.log.describe_topic(&letters.topic)? else {
            return Err(EngineError::user(format!("Topic '{}' of the dead letters is not there.", letters.topic)));
        };
        // One at a time: each knows what the others have sent.
        let Some(_one) = self.replays.try_lock() else {
            return Err(EngineError::user("Dead letters are being replayed: try again when that is done."));
        };
        // One that was made anew has other letters at the old ones' places.
        let label = labelled(&letters.topic, self.log.identify(&[&letters.topic])?.first().copied().flatten());
        let target = self.replay_target(&query, query.id == of_id)?;
        let mut sent = Sent::default();
        let mut known = partitions_of(&target.name, target.partitions);
        if !target.is_same {
            // What went through its own query again has come out there, or is another letter.
            let own = self.runtime.replay_topic(&of_id);
            known.extend(self.log.describe_topic(&own)?.into_iter().flat_map(|info| info.all_partitions()));
        }
        for partition in known {
            read_batches(&*self.log, &partition, Offset(0), READ_TIMEOUT, &mut |batch, index| {
                sent.read(batch.record(index), &batch.headers(index), &label, &of_id);
            })?;
        }
        let mut courier = Courier { engine: self, writer: self.log.writer()?, target, of: &of_id, topic: &label, sent, waiting: 0 };
        let mut replayed = Replayed::default();
        for partition in info.all_partitions() {
            courier.carry(&partition, &mut replayed)?;
        }
        if replayed.sent > 0 {
            courier.settle()?;
        }
        drop(courier);
        self.read_replays(&query);
        Ok(replayed.message(&of_id, &query.id))
    }

    fn query_named(&self, id: &Ident) -> Result<Arc<PersistentQuery>, EngineError> {
        let found = self.named(Some(id))?.into_iter().find_map(|id| self.queries.get(&id));
        found.ok_or_else(|| EngineError { span: Some(id.span), ..EngineError::user(format!("Unknown queryId: {}", id.name)) })
    }

    /// The query's topic for letters, made where it is not there.
    fn replay_target(&self, query: &PersistentQuery, is_same: bool) -> Result<Target, EngineError> {
        let specs = operators::split(&query.plan).map_err(|error| EngineError::internal(error.to_string()))?;
        let mut reads = Vec::with_capacity(specs.len());
        for spec in &specs {
            let mut topics = HashMap::new();
            for source in &spec.sources {
                topics.insert(source.topic.clone(), self.log.topic(&source.topic)?.1);
            }
            reads.push(topics);
        }
        let most = reads.iter().flat_map(HashMap::values).copied().max().unwrap_or(1);
        let name = self.runtime.replay_topic(&query.id);
        // It says what was replayed, for as long as the query is there.
        let config = [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("max.message.bytes", "10485760")];
        ensure_topic(&*self.log, &name, most, self.config.replicas, &config)?;
        let (topic, partitions) = self.log.topic(&name)?;
        Ok(Target { topic, name, partitions, reads, is_same })
    }

    /// Has the query's tasks read the topic of its letters, where they began before it was there.
    fn read_replays(self: &Arc<Self>, query: &Arc<PersistentQuery>) {
        let handle = query.handle.read().clone();
        if !handle.is_ok_and(|handle| handle.reads_replays() || handle.has_ended()) {
            self.restart(query);
        }
    }

    /// The last letters of a topic, or of one query there, oldest first: `most` of them, among the last [`MAX_LOOKED_AT`] of each
    /// partition.
    ///
    /// # Errors
    /// The topic is not there, or the log is away.
    pub fn last_letters(&self, topic: &str, of: Option<&str>, most: usize) -> Result<Vec<FoundLetter>, EngineError> {
        let Some(info) = self.log.describe_topic(topic)? else {
            return Err(EngineError::user(format!("Topic '{topic}' of the dead letters is not there.")));
        };
        let mut all = Vec::new();
        for partition in info.all_partitions() {
            let end = self.log.offsets(std::slice::from_ref(&partition), OffsetSpec::Latest)?.first().copied().unwrap_or_default();
            let from = Offset(end.0.saturating_sub(MAX_LOOKED_AT));
            let mut found = VecDeque::new();
            read_batches(&*self.log, &partition, from, READ_TIMEOUT, &mut |batch, index| {
                let Some(letter) = Letter::read(&batch.headers(index)).map(|(_, letter)| letter) else { return };
                if of.is_some_and(|of| !letter.query.eq_ignore_ascii_case(of)) {
                    return;
                }
                let record = batch.record(index);
                let own = |bytes: Option<&[u8]>| bytes.map(|bytes| bytes.get(..MAX_SHOWN_BYTES).unwrap_or(bytes).to_vec());
                found.push_back(FoundLetter { letter, at_ms: record.timestamp, key: own(record.key), value: own(record.value) });
                if found.len() > most {
                    found.pop_front();
                }
            })?;
            all.extend(found);
        }
        Ok(newest(all, most))
    }
}

/// Letters of a partition that are looked at to show some.
const MAX_LOOKED_AT: i64 = 10_000;
/// Bytes of a key or value that are kept of them.
const MAX_SHOWN_BYTES: usize = 1_024;

/// The last of all that were written, oldest first.
fn newest(mut letters: Vec<FoundLetter>, most: usize) -> Vec<FoundLetter> {
    letters.sort_by_key(|letter| letter.at_ms);
    letters.split_off(letters.len().saturating_sub(most))
}

/// A letter with the beginning of its record.
#[derive(Debug, Clone)]
pub struct FoundLetter {
    pub letter: Letter,
    /// When it was written, milliseconds since the epoch.
    pub at_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// Carries letters from their topic to a query's.
struct Courier<'a> {
    engine: &'a Engine,
    writer: Box<dyn LogWriter>,
    target: Target,
    /// The query whose letters they are, and their topic ([`labelled`]).
    of: &'a str,
    topic: &'a str,
    sent: Sent,
    /// Sent, and not settled yet.
    waiting: usize,
}

impl Courier<'_> {
    fn carry(&mut self, partition: &TopicPartition, replayed: &mut Replayed) -> Result<(), EngineError> {
        let log = self.engine.log.clone();
        // From before the floor on: what was written twice may stand on both sides of it.
        let back = i64::try_from(REMEMBERED).unwrap_or(i64::MAX);
        let from = Offset(self.sent.floor(partition.partition).saturating_sub(back).max(0));
        let (mut met, mut failure, label) = (Met::default(), None, Arc::<str>::from(self.topic));
        let end = read_batches(&*log, partition, from, READ_TIMEOUT, &mut |batch, index| {
            if failure.is_some() {
                return;
            }
            let record = batch.record(index);
            let mut headers = batch.headers(index);
            let Some((_, letter)) = Letter::read(&headers) else { return };
            if &*letter.query != self.of {
                return;
            }
            let is_new = met.is_new(&letter, record);
            if letter.omitted.is_some() {
                replayed.without_bytes += 1;
                return;
            }
            let Some(to) = self.target.reader(&letter) else {
                replayed.not_read += 1;
                return;
            };
            if !is_new || self.sent.contains(partition.partition, record.offset.0) {
                replayed.before += 1;
                return;
            }
            headers.extend(copy_headers(&At { topic: label.clone(), partition: partition.partition, offset: record.offset.0 }, to));
            // Where it can't be told of its time, it is sent at this one: the time of the record stands in its header.
            let timestamp = self.engine.clock.now_ms();
            let copy = OutRecord { partition: letter.place.partition, timestamp, key: record.key, value: record.value, headers: &headers };
            match self.writer.send(self.target.topic, copy) {
                Ok(()) => {
                    replayed.sent += 1;
                    self.waiting += 1;
                    self.sent.raise(partition.partition, record.offset.0.saturating_add(1));
                }
                Err(error) => failure = Some(EngineError::from(error)),
            }
            if failure.is_none() && self.waiting >= BATCH {
                failure = self.settle().err();
            }
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        self.sent.raise(partition.partition, end.0);
        Ok(())
    }

    /// Waits until what was sent is there, then writes down that it is.
    fn settle(&mut self) -> Result<(), EngineError> {
        self.commit()?;
        let (value, headers) = self.sent.floor_record(self.topic, self.of);
        let timestamp = self.engine.clock.now_ms();
        self.writer.send(self.target.topic, OutRecord { partition: 0, timestamp, key: None, value: Some(&value), headers: &headers })?;
        self.commit()?;
        self.waiting = 0;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), EngineError> {
        Ok(self.writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letters::{LetterKind, Place};

    #[test]
    fn the_newest_are_told_by_their_time_whatever_their_partition() {
        let found = |partition, at_ms| {
            let place = Place { topic: "t".into(), partition, offset: at_ms, timestamp: 0 };
            let (kind, part, reason) = (LetterKind::Failed, None, String::new());
            let letter = Letter { query: "q".into(), task: 0, place, kind, part, reason, attempt: 0, omitted: None };
            FoundLetter { letter, at_ms, key: None, value: None }
        };
        let all = vec![found(0, 1), found(0, 8), found(0, 9), found(1, 2), found(1, 3)];
        let times = |most| newest(all.clone(), most).iter().map(|letter| letter.at_ms).collect::<Vec<_>>();
        assert_eq!(times(3), [3, 8, 9]);
        assert_eq!(times(9), [1, 2, 3, 8, 9]);
    }
}
