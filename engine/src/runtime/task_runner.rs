//! One task: a partition of a sub-topology, from its input to its operators.
//!
//! A worker owns the task and gives it turns. A turn processes whatever has arrived, up to a chunk; only what a turn
//! costs once (locks, metrics) is paid by the chunk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::changelog::Changelog;
use super::ends::{CommitId, CommitNumber};
use super::epoch::{Epoch, Owner};
use super::input::{Input, Next};
use super::order::{self, Run};
use super::pen::Guarantee;
use super::query_handle::{QueryHandle, TopicReads, WaitNote};
use super::reached::Reached;
use super::record::{self, Place};
use super::seat::Seat;
use crate::log::{Batch, GroupOffsets, LogError, LogWriter, Offset, OutRecord, TopicHandle, TopicPartition};
use crate::operators::{FatalError, NotYet, Passed, TaskGraph, before_commit, end_chunk};
use crate::pace::Halt;
use crate::processing_log::{ProcessingError, ProcessingErrorKind};
use crate::registry::SchemaRegistry;
use crate::row::Headers;
use crate::state::FrozenOverlay;
use crate::task::TaskContext;

/// A turn ends after this many records …
const MAX_CHUNK_RECORDS: usize = 8_192;
/// … or after this long, so that tasks and pull queries take turns.
const MAX_CHUNK_TIME: Duration = Duration::from_millis(5);
/// The clock is looked at once in so many records at most, and after as few as it takes where they are costly.
const RECORDS_PER_CLOCK_LOOK: usize = 256;
/// How many a new task begins with.
pub(super) const FIRST_LOOK: usize = 16;
/// Records between two looks at the clock are made fewer where they take longer than this, and more below a fourth of it.
const LOOK_TIME: Duration = Duration::from_millis(1);

/// How long a task rests when the log has no room for what it would write.
const ROOM_PAUSE: Duration = Duration::from_millis(2);
/// How long a task rests where its next record bears a schema that is not known yet, at first; doubled up to
/// [`MAX_SCHEMA_PAUSE`].
const MIN_SCHEMA_PAUSE: Duration = Duration::from_millis(1);
const MAX_SCHEMA_PAUSE: Duration = Duration::from_millis(500);

/// Names a task within the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TaskId {
    pub query: Arc<str>,
    /// Which sub-topology of the query.
    pub sub_topology: usize,
    pub partition: i32,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is more to do at once.
    More,
    /// Nothing is there; the reader will wake the worker.
    Idle,
    /// Look again at this moment.
    Later(Instant),
}

/// What is read of one source.
pub(super) struct SourceReads {
    pub total: Arc<TopicReads>,
    pub records: u64,
    pub bytes: u64,
}

impl SourceReads {
    pub(super) fn of(total: Arc<TopicReads>) -> Self {
        SourceReads { total, records: 0, bytes: 0 }
    }
}

/// What a commit takes of a task. The task may go on meanwhile.
pub(super) struct Pending {
    /// For each store, what changed.
    pub frozen: Vec<Option<Arc<FrozenOverlay>>>,
    /// The positions that the stores then stand for, in the order of the lanes.
    pub positions: Vec<Offset>,
    /// What its marks say.
    pub inputs: GroupOffsets,
    /// When it began.
    pub began: Instant,
    /// Marks of it are sent, and may have arrived even where the commit fails.
    pub may_be_marked: bool,
}

impl Pending {
    /// Whether the state has the changes, or will have them whatever happens: they are not taken back any more.
    pub(super) fn is_handed_over(&self) -> bool {
        let mut changed = self.frozen.iter().flatten().peekable();
        changed.peek().is_some() && changed.all(|frozen| frozen.is_committed())
    }
}

/// A task with everything that it owns.
pub(super) struct Task {
    pub id: TaskId,
    pub handle: Arc<QueryHandle>,
    pub graph: TaskGraph,
    pub cx: TaskContext,
    pub input: Input,
    /// For each lane of the input: its partition, and which sources of the graph it feeds, one after the other.
    pub lanes: Vec<(TopicPartition, Vec<usize>)>,
    /// For each source of the graph: whether it reads headers.
    pub wants_headers: Vec<bool>,
    /// For each source of the graph: whether it is a repartition topic, which only this query reads.
    pub is_repartition: Vec<bool>,
    /// For each source of the graph that is a topic from outside: its counters, and the records and bytes that were read
    /// since they were last raised.
    pub reads: Vec<Option<SourceReads>>,
    /// For each store: its changelog, where it has one.
    pub changelogs: Vec<Option<Changelog>>,
    /// Every topic that the task writes, changelogs included.
    pub writes: Arc<[String]>,
    /// The group that positions are committed to; `None` for push queries.
    pub group: Option<Arc<str>>,
    /// Where it writes down in which order it reads its lanes.
    pub order: Option<TopicHandle>,
    /// The lane of letters that go through the query again.
    pub replays: Option<usize>,
    /// With whom it commits.
    pub guarantee: Guarantee,
    /// Its positions are kept by marks, whether or not it has changelogs.
    pub marks_positions: bool,
    /// Set while the worker knows that the task has something to do.
    pub scheduled: Arc<AtomicBool>,
    /// Positions at the last commit, in the order of the lanes.
    pub committed: Vec<Offset>,
    /// The commit that is being made, until it is known to have succeeded.
    pub pending: Option<Pending>,
    /// The number of the last commit, or of the last attempt.
    pub commit_number: CommitNumber,
    /// Whose its commits are.
    pub epoch: Epoch,
    /// What has to be written down of it before it runs.
    pub owner: Option<Owner>,
    /// Whether anything was processed since the last commit began.
    pub dirty: bool,
    /// It went back behind a commit that may stand in its changelogs as whole: it has to commit where it is now before it
    /// goes on.
    pub must_commit: bool,
    /// Records between two looks at the clock.
    pub look_after: usize,
    /// Who is asked for the schemas of records, and knows why it does not answer.
    pub registry: Arc<dyn SchemaRegistry>,
    /// Set while the next record bears a schema that is not known yet.
    pub waiting: Option<Waiting>,
    /// Tells whoever holds the other end that the task is gone. The last field: stores go before it.
    pub seat: Seat,
}

/// A task waits for a schema.
pub(super) struct Waiting {
    /// How long until it is looked again.
    pause: Duration,
    /// Says so to whoever looks at the query.
    note: WaitNote,
}

/// What became of records that were to be processed.
pub(super) struct Processed {
    /// How many it were.
    pub done: usize,
    /// Why the next one has to wait.
    pub not_yet: Option<NotYet>,
}

/// Why a task can't go on with its turn.
pub(super) enum TaskError {
    /// The log is away and nothing was processed: try again later.
    Retriable(String),
    /// The log went away within a record: go back to the last commit, and try again later.
    Interrupted(String),
    /// The query was told to stop within a record: go back to the last commit.
    Stopped,
    /// Another process has taken this one's place in transactions.
    Fenced(String),
    Fatal(String),
}

impl From<FatalError> for TaskError {
    fn from(error: FatalError) -> Self {
        TaskError::Fatal(error.0)
    }
}

impl From<LogError> for TaskError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Retriable(message) => TaskError::Retriable(message),
            LogError::Fenced(reason) => TaskError::Fenced(reason),
            other => TaskError::Fatal(other.to_string()),
        }
    }
}

impl Task {
    /// The last commit, or the last attempt.
    pub(super) fn commit_id(&self) -> CommitId {
        CommitId { epoch: self.epoch, number: self.commit_number }
    }

    /// Processes what has arrived, up to a chunk. The writer is lent to the operators meanwhile. Who asks for the stores waits
    /// for the chunk, so it does not begin, or ends early, where what it writes would have to wait for the log.
    pub(super) fn turn(&mut self, mut writer: Box<dyn LogWriter>) -> (Box<dyn LogWriter>, Result<Turn, TaskError>) {
        self.scheduled.store(false, Ordering::Release);
        if let Err(error) = self.input.fill() {
            return (writer, Err(error.into()));
        }
        self.report_losses();
        if !self.input.has_waiting() {
            return (writer, Ok(Turn::Idle));
        }
        if !writer.has_room() {
            return (writer, Ok(Turn::Later(Instant::now() + ROOM_PAUSE)));
        }
        self.with_writer(writer, Self::chunk)
    }

    /// Says once of each gap that records were deleted before they were read.
    fn report_losses(&mut self) {
        for loss in self.input.take_losses() {
            let Some((lane, _)) = self.lanes.get(loss.source) else { continue };
            let message = format!(
                "records of partition {} of topic '{}' were deleted before they were read: offsets {} to {} (by the topic's retention, or by \
                 hand)",
                lane.partition,
                lane.topic,
                loss.from.0,
                loss.to.0 - 1
            );
            tracing::warn!(query = %self.id.query, "{message}");
            self.cx.report(ProcessingError {
                kind: ProcessingErrorKind::RecordProcessing,
                query_id: self.id.query.clone(),
                step: Arc::default(),
                message,
                cause: Vec::new(),
                target: None,
                topic: Some(lane.topic.clone()),
                partition: lane.partition,
                offset: loss.from.0,
                record: None,
            });
        }
    }

    /// Lets go what the operators hold back until a commit, which is to come at once.
    pub(super) fn before_commit(&mut self, writer: Box<dyn LogWriter>) -> (Box<dyn LogWriter>, Result<(), TaskError>) {
        self.with_writer(writer, |task| Ok(before_commit(&mut task.graph.nodes, &mut task.cx)?))
    }

    /// Lends the writer and the stores to the operators meanwhile.
    fn with_writer<T>(
        &mut self,
        writer: Box<dyn LogWriter>,
        work: impl FnOnce(&mut Self) -> Result<T, TaskError>,
    ) -> (Box<dyn LogWriter>, Result<T, TaskError>) {
        self.cx.writer = Some(writer);
        for store in &mut self.cx.stores {
            store.begin_chunk();
        }
        let before = self.cx.counts;
        let result = work(self).map_err(|error| match (self.cx.pace.take_halt(), self.cx.send_failure.take()) {
            (Some(Halt::Stopped), _) => TaskError::Stopped,
            (None, Some(LogError::Retriable(reason))) => TaskError::Interrupted(reason),
            (None, Some(LogError::Fenced(reason))) => TaskError::Fenced(reason),
            _ => error,
        });
        for store in &mut self.cx.stores {
            store.end_chunk();
        }
        let metrics = &self.handle.metrics;
        for reads in self.reads.iter_mut().flatten().filter(|reads| reads.records > 0) {
            let (records, bytes) = (std::mem::take(&mut reads.records), std::mem::take(&mut reads.bytes));
            metrics.read(&reads.total, records, bytes, self.cx.clock.now_ms());
        }
        metrics.add(&before, &self.cx.counts);
        let writer = self.cx.writer.take().unwrap_or_else(|| unreachable!("an operator kept the writer"));
        (writer, result)
    }

    fn chunk(&mut self) -> Result<Turn, TaskError> {
        let started = self.cx.clock.instant();
        let mut looked = started;
        let (mut records, mut since_look) = (0, 0);
        let mut has_filled = false;
        let turn = loop {
            if self.cx.pace.is_held() {
                break Turn::More;
            }
            match self.input.next() {
                Next::Idle if has_filled => break Turn::Idle,
                Next::Wait(until) if has_filled => break Turn::Later(until),
                Next::Idle | Next::Wait(_) => {
                    self.input.fill()?;
                    has_filled = true;
                }
                Next::Decided(runs) => {
                    self.write_order(&runs)?;
                    has_filled = false;
                }
                Next::NotYet(lane, not_yet) => break self.wait(lane, &not_yet),
                Next::Lane(lane) => {
                    has_filled = false;
                    let count = self.input.run_length(lane, self.look_after);
                    let Processed { done: count, not_yet } =
                        if self.replays == Some(lane) { self.process_letters(lane, count)? } else { self.process(lane, count)? };
                    if count > 0 {
                        self.waiting = None;
                    }
                    if let Some(not_yet) = not_yet {
                        break self.wait(lane, &not_yet);
                    }
                    records += count;
                    since_look += count;
                    if since_look >= self.look_after || self.cx.pace.is_long() {
                        let now = self.cx.clock.instant();
                        self.look_after = next_look(self.look_after, now.saturating_duration_since(looked));
                        (looked, since_look) = (now, 0);
                        if now.saturating_duration_since(started) >= MAX_CHUNK_TIME {
                            break Turn::More;
                        }
                        if self.cx.writer.as_mut().is_some_and(|writer| !writer.has_room()) {
                            break Turn::Later(now + ROOM_PAUSE);
                        }
                    }
                    if records >= MAX_CHUNK_RECORDS {
                        break Turn::More;
                    }
                }
            }
        };
        self.cx.pace.begin();
        end_chunk(&mut self.graph.nodes, &mut self.cx)?;
        if self.cx.profile.take_news() || matches!(turn, Turn::Idle) {
            self.show_work();
        }
        Ok(turn)
    }

    /// Lets others see what its operators have done.
    fn show_work(&self) {
        let done = self.graph.reading.iter().copied().chain(self.graph.nodes.iter().map(|node| node.measured));
        self.handle.work.show((self.id.sub_topology, self.id.partition), done, || {
            let topic = |source: usize| self.lanes.iter().find(|(_, sources)| sources.contains(&source)).map(|(lane, _)| &*lane.topic);
            let sources = (0..self.graph.sources.len()).map(|source| format!("Source({})", topic(source).unwrap_or_default()));
            sources.chain(self.graph.nodes.iter().map(|node| node.operator.name().to_owned())).collect()
        });
    }

    /// Writes down how the next records are to be taken. It goes on when the topic brings that back.
    fn write_order(&mut self, runs: &[Run]) -> Result<(), TaskError> {
        let Some(topic) = self.order else { return Ok(()) };
        let value = order::encode(runs);
        let (partition, timestamp) = (self.id.partition, self.cx.clock.now_ms());
        // Should it be lost on its way, the task goes back with the others.
        self.dirty = true;
        Ok(self.cx.send(topic, OutRecord { partition, timestamp, key: None, value: Some(&value), headers: &[] })?)
    }

    /// Looks again later: a lane's next record can't be read yet. All lanes wait with it, since none may overtake it.
    #[cold]
    fn wait(&mut self, lane: usize, not_yet: &NotYet) -> Turn {
        let trouble = self.registry.trouble().map(|trouble| format!(". {}", trouble.trim_end_matches('.'))).unwrap_or_default();
        let place = self.lanes.get(lane).map_or_else(String::new, |(partition, _)| {
            format!("partition {} of topic '{}' waits at offset {}: ", partition.partition, partition.topic, self.input.position(lane).0)
        });
        let reason = format!("{place}{}{trouble}", not_yet.0);
        let waiting = self.waiting.get_or_insert_with(|| {
            let note = WaitNote::new(self.handle.clone(), (self.id.sub_topology, self.id.partition));
            Waiting { pause: MIN_SCHEMA_PAUSE, note }
        });
        waiting.note.say(reason);
        let at = self.cx.clock.instant() + waiting.pause;
        waiting.pause = (waiting.pause * 2).min(MAX_SCHEMA_PAUSE);
        Turn::Later(at)
    }

    /// Runs the next records of a lane through the operators, `count` at most (and one at least): a run ends early behind
    /// a record that set off much, where the query is told to stop or to rest, and before a record that can't be read yet.
    fn process(&mut self, lane: usize, count: usize) -> Result<Processed, TaskError> {
        let (topic_partition, sources) = &self.lanes[lane];
        let Some((arrived, first)) = self.input.head(lane) else { return Ok(Processed { done: 0, not_yet: None }) };
        let (mut done, mut bytes, mut not_yet) = (0, 0, None);
        self.cx.record = Some((Arc::clone(&arrived.batch), first));
        self.cx.lane = lane;
        if let Some(pouch) = &mut self.cx.pouch {
            pouch.begin();
        }
        let place = Place {
            topic: &topic_partition.topic,
            partition: topic_partition.partition,
            sources,
            wants_headers: &self.wants_headers,
            headers: &Headers::OfRecord,
        };
        let mut expected = self.input.position(lane);
        let end = first + count;
        let mut index = first;
        let passing = match sources.as_slice() {
            [source] => Some(*source).filter(|source| self.graph.sources.get(*source).is_some_and(|(reader, ..)| reader.passes_over())),
            _ => None,
        };
        while index < end {
            if let Some(source) = passing
                && let passed = pass_over(&mut self.graph, &self.cx, source, (&arrived.batch, index, end))
                && passed.records > 0
            {
                index += passed.records;
                done += passed.records;
                bytes += passed.bytes;
                expected = arrived.batch.record(index - 1).offset;
                if self.cx.pace.is_held() {
                    break;
                }
                continue;
            }
            if let Some((_, at_hand)) = &mut self.cx.record {
                *at_hand = index;
            }
            let record = arrived.batch.record(index);
            self.cx.pace.begin();
            self.cx.profile.begin_record();
            self.cx.origins.begin_record(lane, record.offset, expected);
            expected = record.offset;
            if let Err(why) = record::run(&mut self.graph, &mut self.cx, &place, record)? {
                not_yet = Some(why);
                break;
            }
            index += 1;
            done += 1;
            bytes += (record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)) as u64;
            if self.cx.pace.is_long() || self.cx.pace.is_held() {
                break;
            }
        }
        self.cx.record = None;
        self.cx.profile.end_record();
        self.cx.origins.end_record();
        // A topic that is read twice is counted once.
        if let Some(Some(reads)) = sources.first().and_then(|source| self.reads.get_mut(*source)) {
            reads.records += done as u64;
            reads.bytes += bytes;
        }
        if done > 0 {
            self.input.advance(lane, done);
            self.dirty = true;
        }
        Ok(Processed { done, not_yet })
    }

    /// Whether it did anything that is not committed yet.
    pub(super) fn has_moved(&self) -> bool {
        self.dirty || self.pending.is_some()
    }

    /// Whether what it does has to be taken back where a commit fails. A push query without topics of its own has nothing
    /// there, and its rows are with the client.
    pub(super) fn is_bound_to_commits(&self) -> bool {
        self.group.is_some() || !self.writes.is_empty()
    }

    /// Records before these offsets were processed and committed, and nobody else reads them.
    pub(super) fn done_with(&self) -> impl Iterator<Item = (TopicPartition, Offset)> {
        let is_done = |lane: usize, sources: &[usize]| self.replays != Some(lane) && sources.iter().all(|s| self.is_repartition[*s]);
        let lanes = self.lanes.iter().zip(&self.committed).enumerate();
        let done = lanes.filter(move |(lane, ((_, sources), _))| is_done(*lane, sources));
        done.map(|(_, ((partition, _), committed))| (partition.clone(), *committed))
    }

    /// Up to where its changelogs hold windows that have expired, and nothing else.
    pub(super) fn take_dead(&mut self) -> impl Iterator<Item = (TopicPartition, Offset)> {
        self.changelogs.iter_mut().flatten().filter_map(Changelog::take_dead)
    }

    /// What its marks say: the positions, and what was read of repartition topics.
    pub(super) fn marked_positions(&self) -> Vec<(TopicPartition, Offset)> {
        let mut positions = self.positions();
        positions.extend(self.cx.origins.positions());
        positions
    }

    /// How far it is.
    pub(super) fn reached(&self) -> Reached {
        let positions = self.lanes.iter().enumerate().map(|(lane, (at, _))| (at.clone(), self.input.reached(lane))).collect();
        Reached { sub_topology: self.id.sub_topology, partition: self.id.partition, positions }
    }

    /// The next offset to process of each partition.
    pub(super) fn positions(&self) -> Vec<(TopicPartition, Offset)> {
        self.lanes.iter().enumerate().map(|(lane, (tp, _))| (tp.clone(), self.input.position(lane))).collect()
    }
}

/// Has records that set off nothing counted, and not read.
fn pass_over(graph: &mut TaskGraph, cx: &TaskContext, source: usize, (batch, first, end): (&Arc<dyn Batch>, usize, usize)) -> Passed {
    let Some((reader, node, _)) = graph.sources.get_mut(source) else { return Passed::default() };
    let passed = reader.passed(batch, first, end, cx);
    if passed.records > 0 {
        // As they would have been: read, and looked at by the filter.
        let counted = graph.reading.get_mut(source).into_iter().chain(graph.nodes.get_mut(*node).map(|node| &mut node.measured));
        counted.for_each(|measured| measured.rows += passed.records as u64);
    }
    passed
}

/// How many records may go by until the clock is looked at again, where `before` took so long.
fn next_look(before: usize, took: Duration) -> usize {
    match took {
        _ if took > LOOK_TIME => (before / 4).max(1),
        _ if took < LOOK_TIME / 4 => (before * 2).min(RECORDS_PER_CLOCK_LOOK),
        _ => before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costly_records_are_taken_by_the_few() {
        let run = |record: Duration| (0..10).fold(FIRST_LOOK, |count, _| next_look(count, record * u32::try_from(count).unwrap()));
        assert_eq!(run(Duration::from_nanos(500)), RECORDS_PER_CLOCK_LOOK);
        assert_eq!(run(Duration::from_millis(10)), 1);
        let some = run(Duration::from_micros(50));
        assert!((2..=20).contains(&some), "{some}");
        // Costly for a while.
        assert_eq!((0..10).fold(1, |count, _| next_look(count, Duration::from_micros(1))), RECORDS_PER_CLOCK_LOOK);
    }
}
