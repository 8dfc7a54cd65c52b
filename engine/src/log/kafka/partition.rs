//! One partition, fetched once and handed to all its subscribers.
//!
//! There is no fetcher thread: librdkafka fetches in the background into the partition's own queue and calls when that
//! is no longer empty; the first subscriber that polls drains it and hands the batch to the others. Each subscriber has
//! its own position: in a batch it skips what it has seen. Who is served by which cursor is decided in `placement`.
//!
//! Back-pressure: nobody polls, nobody drains, and librdkafka stops fetching at its queue limits. A subscriber whose
//! buffer is full while another wants more leaves the shared cursor, empties its buffer, and goes on by a cursor that is
//! not ahead of it: so a slow query does not hold up the others, and no buffer grows past its limit by more than one batch.
//!
//! Nothing that waits for the client or a broker is called under the partition's lock: seeks are only asked for, and a
//! cursor that nobody uses is closed after the lock is let go. Its lane is not free until then. (The one exception is a
//! cursor that begins anew because its offset is gone: it waits for the client's own thread, not for a broker.)

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use super::errors::Failure;
use super::ffi::consume::{MessageBatch, PartitionQueue, Signal, scratch};
use super::hub::{Lanes, Seat};
use super::kept::{KeptBatch, MAX_KEPT_BYTES};
use super::placement::{Arrival, Merge, Place, Placement, Usage, merge, place};
use crate::log::{Batch, LogError, TopicPartition};

/// Librdkafka's number for the first record that there is.
const BEGINNING: i64 = -2;
/// The most records of one batch: large enough to pay for its fixed costs, small enough to stay in the cache.
const BATCH_RECORDS: usize = 1_024;
/// For how long brokers must say that a topic does not exist until that is believed, and the longest silence in between.
const MISSING_PATIENCE: Duration = Duration::from_secs(10);
const MISSING_GAP: Duration = Duration::from_secs(5);
/// What a buffered record costs beside its key and value, bytes.
const RECORD_OVERHEAD_BYTES: usize = 128;

/// Names a subscriber of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemberId(u64);

/// A batch and the index of its first record that is new.
pub(super) type Served = (Arc<dyn Batch>, usize);

type Wake = Arc<dyn Fn() + Send + Sync>;

/// Whom to tell that something has arrived. Called from librdkafka's threads under its locks, so nothing of librdkafka
/// may be called while this is locked.
#[derive(Default)]
struct Wakers(Mutex<Vec<(MemberId, Wake)>>);

impl Wakers {
    fn wake_all_but(&self, but: Option<MemberId>) {
        for (member, wake) in self.0.lock().iter() {
            if Some(*member) != but {
                wake();
            }
        }
    }
}

pub(super) struct SharedPartition {
    name: TopicPartition,
    lanes: Arc<Lanes>,
    wakers: Arc<Wakers>,
    state: Mutex<State>,
    /// Some member has losses that it was not told of.
    has_losses: AtomicBool,
}

#[derive(Default)]
struct State {
    cursors: Vec<Cursor>,
    /// Cursors to close once the lock is let go, and the lanes of all that are not closed yet.
    to_close: Vec<Cursor>,
    closing: Vec<usize>,
    members: Vec<Member>,
    last_member: u64,
    missing: Missing,
}

/// Since when a broker has been saying that the topic does not exist.
#[derive(Default)]
struct Missing(Option<(Instant, Instant)>);

impl Missing {
    /// The broker says so now; whether it has been saying so for long enough.
    fn is_believed(&mut self, now: Instant) -> bool {
        let (first, last) = self.0.get_or_insert((now, now));
        if now.duration_since(*last) > MISSING_GAP {
            *first = now;
        }
        *last = now;
        now.duration_since(*first) >= MISSING_PATIENCE
    }
}

/// One fetch position on one client.
struct Cursor {
    lane: usize,
    /// The next offset that it hands out.
    next: i64,
    /// The partition does not hold `next` any more: it goes on with what there is.
    is_reset: bool,
    signal: Arc<Signal>,
    queue: PartitionQueue,
    /// Given back after the queue is closed.
    _seat: Seat,
}

struct Member {
    id: MemberId,
    /// The cursor that serves it; none while it empties a full buffer.
    lane: Option<usize>,
    /// The next offset that it wants.
    next: i64,
    /// The partition's end as far as it was told, before the first fetch.
    known_end: Option<i64>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    max_bytes: usize,
    /// The topic has gone.
    failed: Option<LogError>,
    /// Gaps that it was not told of: the first offset that is missing, the first that is there.
    losses: Vec<(i64, i64)>,
}

/// A batch that a subscriber has not taken yet.
struct Waiting {
    batch: Fetched,
    /// The index of its first record that is new.
    first: usize,
    bytes: usize,
}

enum Fetched {
    Borrowed(Arc<MessageBatch>),
    Kept(Arc<dyn Batch>),
}

impl Waiting {
    fn served(self) -> Served {
        match self.batch {
            Fetched::Borrowed(batch) => (batch as Arc<dyn Batch>, self.first),
            Fetched::Kept(batch) => (batch, self.first),
        }
    }

    /// Lets go of the response that a small batch came in.
    fn settle_in(&mut self) {
        if let Fetched::Borrowed(batch) = &self.batch
            && batch.bytes() <= MAX_KEPT_BYTES
        {
            self.batch = Fetched::Kept(batch.kept(|batch| Arc::new(KeptBatch::of(batch))));
        }
    }
}

impl SharedPartition {
    pub(super) fn new(name: TopicPartition, lanes: Arc<Lanes>) -> Arc<SharedPartition> {
        Arc::new(SharedPartition { name, lanes, wakers: Arc::default(), state: Mutex::default(), has_losses: AtomicBool::new(false) })
    }

    /// Adds a subscriber.
    pub(super) fn join(&self, offset: i64, known_end: Option<i64>, max_bytes: usize, wake: Wake) -> Result<MemberId, LogError> {
        let mut state = self.state.lock();
        state.last_member += 1;
        let id = MemberId(state.last_member);
        state.members.push(Member {
            id,
            lane: None,
            next: offset,
            known_end,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            max_bytes,
            failed: None,
            losses: Vec::new(),
        });
        self.wakers.0.lock().push((id, wake));
        let attached = self.attach(&mut state, id, Arrival::New);
        if attached.is_err() {
            self.remove(&mut state, id);
        }
        self.unlock(state);
        attached.map(|_| id)
    }

    /// Removes a subscriber; with the last one the fetching ends.
    pub(super) fn leave(&self, id: MemberId) {
        let mut state = self.state.lock();
        self.remove(&mut state, id);
        self.unlock(state);
    }

    /// Nobody reads, and no client is about to stop reading.
    pub(super) fn is_unused(&self) -> bool {
        let state = self.state.lock();
        state.members.is_empty() && state.closing.is_empty()
    }

    pub(super) fn wake_all(&self) {
        self.wakers.wake_all_but(None);
    }

    /// The next batch for a subscriber that has arrived.
    pub(super) fn poll(&self, id: MemberId) -> Result<Option<Served>, LogError> {
        let mut state = self.state.lock();
        let mut wake_others = false;
        let result = self.take(&mut state, id, &mut wake_others);
        self.unlock(state);
        if wake_others {
            self.wakers.wake_all_but(Some(id));
        }
        result
    }

    fn take(&self, state: &mut State, id: MemberId, wake_others: &mut bool) -> Result<Option<Served>, LogError> {
        let Some(member) = state.member(id) else { return Ok(None) };
        if let Some(waiting) = member.waiting.pop_front() {
            member.waiting_bytes -= waiting.bytes;
            return Ok(Some(waiting.served()));
        }
        if let Some(error) = &member.failed {
            return Err(error.clone());
        }
        let lane = match member.lane {
            Some(lane) => lane,
            None => match self.attach(state, id, Arrival::Back)? {
                Some(lane) => lane,
                None => return Ok(None),
            },
        };
        let Some(cursor) = state.cursors.iter_mut().find(|cursor| cursor.lane == lane) else { return Ok(None) };
        if !cursor.signal.is_ready() {
            return Ok(None);
        }
        let drained = SCRATCH.with_borrow_mut(|scratch| cursor.queue.drain(scratch));
        let mut result = Ok(None);
        if let Some(batch) = drained.batch {
            let (served, others) = state.hand_out(lane, id, batch, &self.name);
            if state.members.iter().any(|member| !member.losses.is_empty()) {
                self.has_losses.store(true, Ordering::Release);
            }
            result = Ok(served);
            *wake_others = others;
            if state.cursors.len() > 1 {
                state.merge_cursors();
            }
        }
        // What came before it in the partition comes before it here, too.
        if let Some(failure) = drained.failure {
            let failed = self.failed(state, lane, failure, drained.failed_at);
            if matches!(result, Ok(None)) {
                result = failed;
            }
        }
        result
    }

    /// Lets go of the lock and then closes what nobody uses, which waits for the client's own thread.
    fn unlock(&self, mut state: MutexGuard<'_, State>) {
        let to_close = std::mem::take(&mut state.to_close);
        drop(state);
        if to_close.is_empty() {
            return;
        }
        let lanes: Vec<usize> = to_close.iter().map(|cursor| cursor.lane).collect();
        drop(to_close);
        self.state.lock().closing.retain(|lane| !lanes.contains(lane));
        // Somebody may have waited for the lane.
        self.wakers.wake_all_but(None);
    }

    /// Whether a subscriber has got everything that the partition held when it was last looked at.
    pub(super) fn caught_up(&self, id: MemberId) -> bool {
        let mut state = self.state.lock();
        let State { cursors, members, .. } = &mut *state;
        let Some(member) = members.iter_mut().find(|member| member.id == id) else { return true };
        let Some(cursor) = cursors.iter().find(|cursor| Some(cursor.lane) == member.lane) else { return false };
        if !member.waiting.is_empty() || cursor.signal.is_ready() {
            return false;
        }
        let Some(end) = cursor.queue.end().max(member.known_end) else { return false };
        // The position counts transaction markers, which are never handed out.
        member.next >= end || cursor.next >= end || cursor.queue.position().is_some_and(|position| position >= end)
    }

    /// The lowest offset that a subscriber can still be given, where that is known: transaction markers and what compaction took
    /// away are passed over in silence.
    pub(super) fn passed(&self, id: MemberId) -> Option<i64> {
        let mut state = self.state.lock();
        let State { cursors, members, .. } = &mut *state;
        let member = members.iter_mut().find(|member| member.id == id)?;
        let cursor = cursors.iter().find(|cursor| Some(cursor.lane) == member.lane)?;
        if !member.waiting.is_empty() || cursor.signal.is_ready() {
            return None;
        }
        Some(member.next.max(cursor.next).max(cursor.queue.position().unwrap_or_default()))
    }

    /// What a subscriber has lost since the last call. Costs a look where nothing was.
    pub(super) fn take_losses(&self, id: MemberId) -> Vec<(i64, i64)> {
        if !self.has_losses.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut state = self.state.lock();
        let taken = state.member(id).map(|member| std::mem::take(&mut member.losses)).unwrap_or_default();
        self.has_losses.store(state.members.iter().any(|member| !member.losses.is_empty()), Ordering::Release);
        taken
    }

    /// Goes on at another offset for one subscriber.
    pub(super) fn seek(&self, id: MemberId, offset: i64) -> Result<(), LogError> {
        let mut state = self.state.lock();
        let Some(member) = state.member(id) else { return Ok(()) };
        member.waiting.clear();
        member.waiting_bytes = 0;
        member.lane = None;
        member.next = offset;
        let attached = self.attach(&mut state, id, Arrival::Back);
        self.unlock(state);
        attached.map(|_| ())
    }

    /// Finds a cursor for a subscriber that has none, and closes cursors that nobody uses. `None`: it is woken when there is
    /// room for it.
    fn attach(&self, state: &mut State, id: MemberId, arrival: Arrival) -> Result<Option<usize>, LogError> {
        let Some(offset) = state.member(id).map(|member| member.next) else { return Err(LogError::Fatal("no such subscriber".into())) };
        let lane = match place(offset, &state.places(), arrival) {
            Placement::Later => return Ok(None),
            Placement::Join(lane) => lane,
            Placement::Rewind(lane) => {
                self.seek_cursor(state, lane, offset)?;
                lane
            }
            Placement::Open(lane) => {
                let wakers = Arc::clone(&self.wakers);
                let signal = Signal::new(Box::new(move || wakers.wake_all_but(None)));
                let seat = self.lanes.seat(lane)?;
                let queue = PartitionQueue::start(&seat.client, &self.name.topic, self.name.partition, offset, Arc::clone(&signal))
                    .map_err(|failure| failure.about("reading topic", Some(&self.name.topic)))?;
                state.cursors.push(Cursor { lane, next: offset, is_reset: false, signal, queue, _seat: seat });
                lane
            }
        };
        if let Some(member) = state.member(id) {
            member.lane = Some(lane);
        }
        state.close_unused();
        Ok(Some(lane))
    }

    fn seek_cursor(&self, state: &mut State, lane: usize, offset: i64) -> Result<(), LogError> {
        if let Some(cursor) = state.cursors.iter_mut().find(|cursor| cursor.lane == lane) {
            cursor.queue.seek(offset).map_err(|failure| failure.about("seeking in topic", Some(&self.name.topic)))?;
            cursor.next = offset;
            cursor.is_reset = false;
        }
        Ok(())
    }

    fn remove(&self, state: &mut State, id: MemberId) {
        self.wakers.0.lock().retain(|(member, _)| *member != id);
        state.members.retain(|member| member.id != id);
        state.close_unused();
    }

    /// A partition reported an error: what goes away by itself is only noted.
    fn failed(&self, state: &mut State, lane: usize, failure: Failure, failed_at: i64) -> Result<Option<Served>, LogError> {
        let TopicPartition { topic, partition } = &self.name;
        if failure.is_out_of_range() {
            // What the cursor wants is deleted, or the topic was made anew: on from the first record that there is. But what is
            // said of another offset is an old answer, or counts what is never handed out: that is asked again.
            if let Some(cursor) = state.cursors.iter_mut().find(|cursor| cursor.lane == lane) {
                cursor.is_reset = failed_at < 0 || failed_at == cursor.next;
                let to = if cursor.is_reset { BEGINNING } else { cursor.next };
                cursor.queue.restart(to).map_err(|failure| failure.about("seeking in topic", Some(topic)))?;
            }
            return Ok(None);
        }
        if failure.is_unknown_topic() {
            // A broker that starts may not know of its topics yet.
            if !state.missing.is_believed(Instant::now()) {
                return Ok(None);
            }
            let gone = LogError::Fatal(format!("topic '{topic}' (partition {partition}) has gone"));
            for member in state.members.iter_mut().filter(|member| member.lane == Some(lane)) {
                member.failed = Some(gone.clone());
            }
            return Err(gone);
        }
        if failure.is_retriable() {
            tracing::debug!(target: "kafka", "reading partition {partition} of '{topic}': {}", failure.text);
            return Ok(None);
        }
        tracing::warn!(target: "kafka", "reading partition {partition} of '{topic}': {}", failure.text);
        Err(LogError::Retriable(format!("Kafka: reading partition {partition} of '{topic}': {}", failure.text)))
    }
}

impl State {
    fn member(&mut self, id: MemberId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    fn places(&self) -> Vec<Place> {
        let is_used = |lane| self.members.iter().any(|member| member.lane == Some(lane));
        let usage = |lane| if is_used(lane) { Usage::Used } else { Usage::Idle };
        let open = self.cursors.iter().map(|cursor| Place { lane: cursor.lane, next: cursor.next, usage: usage(cursor.lane) });
        let closing = self.closing.iter().map(|lane| Place { lane: *lane, next: 0, usage: Usage::Closing });
        open.chain(closing).collect()
    }

    fn close_unused(&mut self) {
        let State { cursors, to_close, closing, members, .. } = self;
        let is_unused = |cursor: &mut Cursor| members.iter().all(|member| member.lane != Some(cursor.lane));
        for cursor in cursors.extract_if(.., is_unused) {
            closing.push(cursor.lane);
            to_close.push(cursor);
        }
    }

    fn merge_cursors(&mut self) {
        while let Some(Merge { keep, close }) = merge(&self.places()) {
            for member in self.members.iter_mut().filter(|member| member.lane == Some(close)) {
                member.lane = Some(keep);
            }
            self.close_unused();
        }
    }

    /// Gives a batch to every subscriber of a cursor: the one that polls gets it back, the others find it in their
    /// buffers. The flag says that there are others to wake.
    fn hand_out(&mut self, lane: usize, poller: MemberId, batch: MessageBatch, name: &TopicPartition) -> (Option<Served>, bool) {
        let State { cursors, members, .. } = self;
        let Some(cursor) = cursors.iter_mut().find(|cursor| cursor.lane == lane) else { return (None, false) };
        let (start, end) = (batch.offset(0), batch.end());
        // Below the cursor without a seek: the log was made anew, or lost its end.
        let went_back = start < cursor.next;
        let was_reset = std::mem::take(&mut cursor.is_reset);
        if went_back {
            tracing::warn!(target: "kafka", "partition {} of '{}' has no offset {}: reading on from {start}", name.partition, name.topic, cursor.next);
        }
        cursor.next = end;
        let bytes = batch.bytes() + batch.len() * RECORD_OVERHEAD_BYTES;
        let batch = Arc::new(batch);
        let (mut own, mut others) = (None, false);
        for member in members.iter_mut().filter(|member| member.lane == Some(lane)) {
            if went_back {
                member.next = start;
            }
            if was_reset && member.next < start {
                member.losses.push((member.next, start));
            }
            let is_poller = member.id == poller;
            if !is_poller && member.waiting_bytes >= member.max_bytes {
                member.lane = None;
                continue;
            }
            if end <= member.next {
                continue;
            }
            let (batch, first) = (Arc::clone(&batch), first_at(&batch, member.next));
            member.next = end;
            if is_poller {
                own = Some((batch as Arc<dyn Batch>, first));
            } else {
                if let Some(last) = member.waiting.back_mut() {
                    last.settle_in();
                }
                member.waiting.push_back(Waiting { batch: Fetched::Borrowed(batch), first, bytes });
                member.waiting_bytes += bytes;
                others = true;
            }
        }
        (own, others)
    }
}

/// The index of the first record at or after an offset, which is below the batch's end.
fn first_at(batch: &MessageBatch, offset: i64) -> usize {
    if batch.offset(0) >= offset {
        return 0;
    }
    let (mut low, mut high) = (0, batch.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if batch.offset(middle) < offset {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

thread_local! {
    /// Where a drain puts its pointers before they move into a batch of the right size.
    static SCRATCH: RefCell<Box<[*mut rdkafka::bindings::rd_kafka_message_t]>> = RefCell::new(scratch(BATCH_RECORDS));
}

#[cfg(test)]
mod tests;
