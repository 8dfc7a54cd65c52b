//! What is owed to clients: answers that are made and that nobody takes. A client that does not read, or opens a thousand streams with a
//! window of nothing, must not fill the memory with them.
//!
//! An answer is owed from the moment it is there until its transport asks for more and there is none: then the client waits for the
//! server, and not the server for the client. While it is owed it counts for what it holds. Each connection of HTTP/2 begins to answer
//! only so much at a time; what is beyond waits in its request, and the few that take much memory while they are made wait for each
//! other. Answers of which nothing is taken for long are cut, which gives back
//! what they hold and leaves the reason for the client; where all of them together hold too much, those of the connections that hold
//! the most are cut sooner.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::body::{BrokeOff, ReplyBody};

/// Bytes that the answers of all connections may hold together before some are cut; they never hold twice as much for long.
const MAX_BYTES: usize = 32 << 20;
/// The same of one connection, before its next request waits …
const MAX_CONNECTION_BYTES: usize = 4 << 20;
/// … and where all of them hold too much.
const MAX_CROWDED_BYTES: usize = 64 << 10;
/// What a request stands for until its answer is there, bytes.
const RESERVED_BYTES: usize = 256 << 10;
/// Answers that take much memory to be made, of one connection at a time.
const MAX_LARGE: usize = 1;
/// What an answer of another protocol over HTTP holds while it is sent, about, bytes.
const FRAMED_BYTES: usize = 1 << 20;
/// Pieces of an answer of at least this many bytes count until they are sent.
const MIN_COUNTED_BYTES: usize = 1 << 10;
/// A whole answer is sent in pieces of this many bytes, so that it shows that some of it is taken.
const PIECE_BYTES: usize = 64 << 10;
/// Where all hold too much, an answer is cut of which nothing was taken for so long.
const CROWDED_PATIENCE: Duration = Duration::from_secs(5);

/// Of the whole server.
pub struct Owed {
    bytes: AtomicUsize,
    /// Rings when it becomes too much.
    crowded: Notify,
    /// How long a client may take nothing of an answer.
    patience: Duration,
}

/// Of one connection.
pub struct Debts {
    all: Arc<Owed>,
    bytes: AtomicUsize,
    /// What requests stand for whose answers are not there.
    reserved: AtomicUsize,
    /// Grows whenever something is taken.
    progress: AtomicU64,
    /// How far that was when it was looked at, and since when.
    seen: Mutex<Option<(u64, Instant)>>,
    /// Rings when something was taken.
    room: Notify,
    /// For answers that take much memory to be made …
    large: Semaphore,
    /// … and rings for the next of them when something was taken.
    taken: Notify,
    answers: Mutex<Answers>,
}

#[derive(Default)]
struct Answers {
    next: u64,
    open: HashMap<u64, Arc<Answer>>,
}

/// An answer under way.
pub struct Answer(Mutex<State>);

struct State {
    body: ReplyBody,
    /// Since when it is the client's turn.
    since: Option<Instant>,
    load: Option<Arc<Load>>,
    is_cut: bool,
}

/// Bytes that count until this is dropped.
pub struct Load {
    debts: Arc<Debts>,
    bytes: usize,
}

/// A request that is being answered.
pub struct Reserved(Arc<Debts>);

impl Drop for Reserved {
    fn drop(&mut self) {
        self.0.reserved.fetch_sub(RESERVED_BYTES, Ordering::Relaxed);
        self.0.room.notify_one();
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.debts.took(self.bytes);
    }
}

/// A small answer of many, whose bytes count until this is dropped.
pub struct Small {
    debts: Arc<Debts>,
    bytes: usize,
}

impl Small {
    /// Its transport asks for more.
    pub fn progresses(&self) {
        self.debts.progress.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        self.debts.took(self.bytes);
    }
}

tokio::task_local! {
    /// Of the connection whose request is being answered, where it may have many at a time.
    static ASKING: Option<Arc<Debts>>;
}

/// Answers a request; `debts`: of a connection that may have many at a time.
pub async fn asking<T>(debts: Option<Arc<Debts>>, answering: impl Future<Output = T>) -> T {
    ASKING.scope(debts, answering).await
}

/// Makes an answer that takes much memory until it is there. Of those that one connection asks for at a time, so many are made as its
/// client takes.
pub async fn large<T>(making: impl Future<Output = T>) -> T {
    let debts = ASKING.try_with(Option::clone).ok().flatten();
    let _place = match &debts {
        Some(debts) => debts.may_make_large().await,
        None => None,
    };
    making.await
}

/// A piece of an answer on its way, and what counts for it.
struct Piece {
    bytes: Bytes,
    _load: Arc<Load>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// An answer that is to be cut, maybe.
pub struct Candidate {
    connection_bytes: usize,
    since: Instant,
    answer: Arc<Answer>,
}

impl Owed {
    pub fn new(patience: Duration) -> Arc<Self> {
        Arc::new(Owed { bytes: AtomicUsize::new(0), crowded: Notify::new(), patience })
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Waits until all answers together hold too much.
    pub async fn is_crowded(&self) {
        self.crowded.notified().await;
    }

    /// Bytes that have to go beyond what can be cut: of what is on its way already.
    pub fn too_much(&self) -> usize {
        self.bytes().saturating_sub(2 * MAX_BYTES)
    }

    /// Cuts what nobody takes, of the answers that [`Debts::candidates`] found; how many that were.
    pub fn cut(&self, mut candidates: Vec<Candidate>, now: Instant) -> usize {
        let mut cut = 0;
        let ms = self.patience.as_millis();
        candidates.retain(|candidate| {
            let is_stalled = now.saturating_duration_since(candidate.since) >= self.patience;
            if is_stalled {
                let reason = format!(
                    "The client took nothing of the rest of the answer for {ms} ms, so the query was ended. Read faster, ask for fewer \
                     rows (WHERE, LIMIT) or columns, or raise tidemill.push.stall.timeout.ms."
                );
                cut += usize::from(candidate.answer.cut(&reason));
            }
            !is_stalled
        });
        if self.bytes() > MAX_BYTES {
            candidates.sort_by_key(|candidate| (Reverse(candidate.connection_bytes.ilog2()), candidate.since));
            for candidate in &candidates {
                let bytes = self.bytes();
                let has_waited = now.saturating_duration_since(candidate.since) >= CROWDED_PATIENCE;
                if bytes <= MAX_BYTES / 4 * 3 || (!has_waited && bytes <= 2 * MAX_BYTES) {
                    continue;
                }
                let reason = "The server holds as many answers as it may for clients that don't take them, so this one was ended. Read it \
                              faster, or ask for less at a time.";
                cut += usize::from(candidate.answer.cut(reason));
            }
        }
        cut
    }
}

impl Debts {
    pub fn new(all: Arc<Owed>) -> Arc<Self> {
        Arc::new(Debts {
            all,
            bytes: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            progress: AtomicU64::new(0),
            seen: Mutex::default(),
            room: Notify::new(),
            large: Semaphore::new(MAX_LARGE),
            taken: Notify::new(),
            answers: Mutex::default(),
        })
    }

    /// Bytes that the connection's answers hold.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn load(self: &Arc<Self>, bytes: usize) -> Arc<Load> {
        self.owes(bytes);
        Arc::new(Load { debts: self.clone(), bytes })
    }

    /// A small answer of many begins.
    pub fn small(self: Arc<Self>, bytes: usize) -> Small {
        self.owes(bytes);
        Small { debts: self, bytes }
    }

    fn owes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let before = self.all.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > MAX_BYTES {
            self.all.crowded.notify_one();
        }
    }

    fn took(&self, bytes: usize) {
        self.progress.fetch_add(1, Ordering::Relaxed);
        self.all.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.room.notify_one();
        self.taken.notify_one();
    }

    /// Bytes that the connection's answers may hold before the next one waits.
    fn most(&self) -> usize {
        if self.all.bytes() > MAX_BYTES { MAX_CROWDED_BYTES } else { MAX_CONNECTION_BYTES }
    }

    /// Waits until one more answer may be made that takes much memory.
    async fn may_make_large(&self) -> Option<SemaphorePermit<'_>> {
        let place = self.large.acquire().await.ok();
        while self.bytes() >= self.most() {
            self.taken.notified().await;
        }
        place
    }

    /// Waits until the connection may begin to answer one more request.
    pub async fn admitted(self: &Arc<Self>) -> Reserved {
        let has_room = || self.bytes() + self.reserved.load(Ordering::Relaxed) < self.most();
        loop {
            if has_room() {
                self.reserved.fetch_add(RESERVED_BYTES, Ordering::Relaxed);
                if has_room() {
                    // The next one may as well.
                    self.room.notify_one();
                }
                return Reserved(self.clone());
            }
            self.room.notified().await;
        }
    }

    /// Whether something is held, and nothing was taken for so long, as far as it was looked at before.
    pub fn is_stuck_for(&self, now: Instant, patience: Duration) -> bool {
        let mut seen = self.seen.lock();
        let progress = self.progress.load(Ordering::Relaxed);
        match *seen {
            _ if self.bytes() == 0 => *seen = None,
            Some((before, since)) if before == progress => return now.saturating_duration_since(since) >= patience,
            _ => *seen = Some((progress, now)),
        }
        false
    }

    /// An answer begins.
    pub fn begin(self: &Arc<Self>, body: ReplyBody) -> (u64, Arc<Answer>) {
        let load = Some(held_bytes(&body)).filter(|bytes| *bytes > 0).map(|bytes| self.load(bytes));
        let state = State { body, since: Some(Instant::now()), load, is_cut: false };
        let answer = Arc::new(Answer(Mutex::new(state)));
        let mut answers = self.answers.lock();
        let number = answers.next;
        answers.next = number.wrapping_add(1);
        answers.open.insert(number, answer.clone());
        (number, answer)
    }

    /// It is over.
    pub fn end(&self, number: u64) {
        self.answers.lock().open.remove(&number);
    }

    /// The connection's answers that may be cut.
    pub fn candidates(&self, candidates: &mut Vec<Candidate>) {
        let connection_bytes = self.bytes();
        if connection_bytes == 0 {
            return;
        }
        for answer in self.answers.lock().open.values() {
            let state = answer.0.lock();
            if let (Some(since), Some(_), false) = (state.since, &state.load, state.is_cut) {
                candidates.push(Candidate { connection_bytes, since, answer: answer.clone() });
            }
        }
    }
}

/// What a body holds while it is the client's turn, bytes. What is 0 is bounded elsewhere: how many push queries there are, and what
/// waits for each.
fn held_bytes(body: &ReplyBody) -> usize {
    match body {
        ReplyBody::Whole(_) | ReplyBody::Chunks(_) => body.made_bytes().unwrap_or_default(),
        ReplyBody::Read(rows) => rows.held_bytes(),
        ReplyBody::Framed(_) => FRAMED_BYTES,
        ReplyBody::Stream(_) | ReplyBody::Cut => 0,
    }
}

impl Answer {
    /// Asks the body for more.
    pub fn poll(&self, debts: &Arc<Debts>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        self.0.lock().poll(debts, cx)
    }

    pub fn with_body<T>(&self, look: impl FnOnce(&ReplyBody) -> T) -> T {
        look(&self.0.lock().body)
    }

    /// Gives back what the answer holds; its client finds the reason where rows can be followed by one, else the answer breaks off.
    /// Whether there was anything to cut.
    fn cut(&self, reason: &str) -> bool {
        let mut state = self.0.lock();
        if state.is_cut || state.since.is_none() {
            return false;
        }
        state.is_cut = true;
        state.load = None;
        match &mut state.body {
            ReplyBody::Read(rows) => rows.as_mut().cut(reason),
            other => *other = ReplyBody::Cut,
        }
        true
    }
}

impl State {
    fn poll(&mut self, debts: &Arc<Debts>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        let piece = match &mut self.body {
            ReplyBody::Whole(rest) => Some(rest.split_to(rest.len().min(PIECE_BYTES))).filter(|piece| !piece.is_empty()),
            ReplyBody::Chunks(chunks) => chunks.pop_front(),
            _ => return self.poll_more(debts, cx),
        };
        self.since = Some(Instant::now());
        debts.progress.fetch_add(1, Ordering::Relaxed);
        // What of it is not sent yet counts with the last piece.
        let load = if self.body.is_end_stream() { self.load.take() } else { self.load.clone() };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(counted(piece, load)))))
    }

    /// Of a body that is made while it is sent.
    fn poll_more(&mut self, debts: &Arc<Debts>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokeOff>>> {
        let holds = if self.is_cut { 0 } else { held_bytes(&self.body) };
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            debts.progress.fetch_add(1, Ordering::Relaxed);
        }
        if holds == 0 {
            return polled;
        }
        if polled.is_pending() {
            // The client waits.
            (self.since, self.load) = (None, None);
        }
        let frame = ready!(polled);
        self.since = Some(Instant::now());
        if self.load.is_none() {
            self.load = Some(debts.load(holds));
        }
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|piece| {
                    let load = Some(piece.len()).filter(|bytes| *bytes >= MIN_COUNTED_BYTES).map(|bytes| debts.load(bytes));
                    counted(piece, load)
                })
            })
        }))
    }
}

/// A piece that counts until it is sent, where it is large enough to matter.
fn counted(bytes: Bytes, load: Option<Arc<Load>>) -> Bytes {
    match load {
        Some(load) if bytes.len() >= MIN_COUNTED_BYTES => Bytes::from_owner(Piece { bytes, _load: load }),
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::Stream;
    use futures::task::noop_waker_ref;
    use tokio::sync::watch;

    use super::super::body::Rows;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(300);

    /// Rows without end, which hold something.
    struct Endless(Option<Arc<()>>, Option<Bytes>);

    impl Stream for Endless {
        type Item = Bytes;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
            if self.0.is_some() { Poll::Ready(Some(Bytes::from_static(&[b'x'; 2_000]))) } else { Poll::Ready(self.1.take()) }
        }
    }

    impl Rows for Endless {
        fn held_bytes(&self) -> usize {
            1 << 20
        }

        fn cut(mut self: Pin<&mut Self>, reason: &str) {
            *self = Endless(None, Some(Bytes::copy_from_slice(reason.as_bytes())));
        }
    }

    fn next(answer: &Answer, debts: &Arc<Debts>) -> Option<Result<Bytes, BrokeOff>> {
        match answer.poll(debts, &mut Context::from_waker(noop_waker_ref())) {
            Poll::Ready(frame) => frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default())),
            Poll::Pending => panic!("nothing is there"),
        }
    }

    fn cut(owed: &Owed, debts: &[&Arc<Debts>], later: Duration) -> usize {
        let mut candidates = Vec::new();
        debts.iter().for_each(|debts| debts.candidates(&mut candidates));
        owed.cut(candidates, Instant::now() + later)
    }

    #[test]
    fn what_was_made_counts_until_it_is_sent() {
        let owed = Owed::new(PATIENCE);
        let debts = Debts::new(owed.clone());
        let (number, answer) = debts.begin(ReplyBody::Whole(vec![b'x'; 100_000].into()));
        assert_eq!(debts.bytes(), 100_000);
        let pieces: Vec<Bytes> = std::iter::from_fn(|| next(&answer, &debts)).map(|piece| piece.expect("whole")).collect();
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE_BYTES, 100_000 - PIECE_BYTES]);
        debts.end(number);
        drop(answer);
        assert_eq!((debts.bytes(), owed.bytes()), (100_000, 100_000), "the transport has it");
        drop(pieces);
        assert_eq!((debts.bytes(), owed.bytes()), (0, 0));
        let (_, answer) = debts.begin(ReplyBody::Chunks(VecDeque::from([Bytes::from_static(b"a"), Bytes::from_static(b"bc")])));
        assert_eq!(debts.bytes(), 3);
        assert!(next(&answer, &debts).is_some() && next(&answer, &debts).is_some() && next(&answer, &debts).is_none());
        assert_eq!(debts.bytes(), 0);
    }

    #[test]
    fn what_nobody_takes_gives_back_what_it_holds_and_says_why() {
        let owed = Owed::new(PATIENCE);
        let debts = Debts::new(owed.clone());
        let held = Arc::new(());
        let (_, rows) = debts.begin(ReplyBody::read(Endless(Some(held.clone()), None)));
        let (_, whole) = debts.begin(ReplyBody::Whole(vec![b'x'; 100_000].into()));
        assert!(next(&rows, &debts).is_some_and(|chunk| chunk.is_ok()));
        assert_eq!(cut(&owed, &[&debts], PATIENCE - Duration::from_secs(1)), 0);
        assert_eq!(Arc::strong_count(&held), 2);
        assert_eq!(cut(&owed, &[&debts], PATIENCE), 2);
        assert_eq!((Arc::strong_count(&held), owed.bytes()), (1, 0));
        let last = next(&rows, &debts).expect("a reason").expect("a chunk");
        assert!(String::from_utf8_lossy(&last).contains("tidemill.push.stall.timeout.ms"), "{last:?}");
        assert_eq!(next(&rows, &debts), None);
        assert_eq!(next(&whole, &debts), Some(Err(BrokeOff)), "it must not be taken for all");
        assert_eq!(cut(&owed, &[&debts], 2 * PATIENCE), 0, "not twice");
    }

    #[test]
    fn who_holds_the_most_is_cut_where_all_hold_too_much() {
        let owed = Owed::new(PATIENCE);
        let (greedy, modest) = (Debts::new(owed.clone()), Debts::new(owed.clone()));
        let (_, small) = modest.begin(ReplyBody::Whole(vec![b'x'; 100_000].into()));
        let large: Vec<_> = (0..=MAX_BYTES >> 20).map(|_| greedy.begin(ReplyBody::Whole(vec![0; 1 << 20].into())).1).collect();
        assert_eq!(cut(&owed, &[&modest, &greedy], Duration::ZERO), 0, "they may be taken yet");
        let ended = cut(&owed, &[&modest, &greedy], CROWDED_PATIENCE + Duration::from_secs(1));
        assert!(ended > 0 && ended < large.len(), "{ended} of {}", large.len());
        assert!(owed.bytes() <= MAX_BYTES);
        assert!(next(&small, &modest).is_some_and(|piece| piece.is_ok()));
        // The first of them, of which nothing was taken for the longest.
        assert_eq!(large.first().and_then(|first| next(first, &greedy)), Some(Err(BrokeOff)));
    }

    #[tokio::test]
    async fn a_connection_answers_no_more_until_something_is_taken() {
        let debts = Debts::new(Owed::new(PATIENCE));
        let mut admitted = Vec::new();
        let most = MAX_CONNECTION_BYTES / RESERVED_BYTES;
        for _ in 0..most {
            admitted.push(debts.admitted().await);
        }
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                tokio::spawn({
                    let debts = debts.clone();
                    async move { debts.admitted().await }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
        admitted.truncate(most - 3);
        for waiting in waiting {
            let in_time = tokio::time::timeout(Duration::from_secs(20), waiting).await;
            admitted.push(in_time.expect("room").expect("no panic"));
        }
        assert_eq!((admitted.len(), debts.bytes()), (most, 0));
    }

    #[tokio::test]
    async fn answers_that_take_much_to_be_made_wait_for_each_other_and_for_their_client() {
        let debts = Debts::new(Owed::new(PATIENCE));
        let (release, released) = watch::channel(false);
        let until_released = || {
            let mut released = released.clone();
            tokio::spawn(asking(Some(debts.clone()), large(async move { drop(released.wait_for(|released| *released).await) })))
        };
        let first: Vec<_> = (0..MAX_LARGE).map(|_| until_released()).collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let second = tokio::spawn(asking(Some(debts.clone()), large(async {})));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!second.is_finished());
        // Of another connection, or one that has a request at a time.
        asking(Some(Debts::new(Owed::new(PATIENCE))), large(async {})).await;
        large(async {}).await;
        // The first are there, and nobody takes them.
        let load = debts.load(MAX_CONNECTION_BYTES);
        release.send_replace(true);
        for first in first {
            first.await.expect("no panic");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!second.is_finished());
        drop(load);
        tokio::time::timeout(Duration::from_secs(20), second).await.expect("in time").expect("no panic");
    }

    #[test]
    fn small_answers_count_while_they_last() {
        let debts = Debts::new(Owed::new(PATIENCE));
        let small = debts.clone().small(100);
        assert_eq!((debts.bytes(), debts.all.bytes()), (100, 100));
        drop(small);
        assert_eq!((debts.bytes(), debts.all.bytes()), (0, 0));
    }

    #[test]
    fn a_connection_is_stuck_that_holds_something_and_takes_nothing() {
        let debts = Debts::new(Owed::new(PATIENCE));
        let (began, patience) = (Instant::now(), Duration::from_secs(10));
        let at = |seconds: u64| debts.is_stuck_for(began + Duration::from_secs(seconds), patience);
        assert_eq!([at(0), at(20)], [false; 2], "it holds nothing");
        let (_, answer) = debts.begin(ReplyBody::Whole(vec![b'x'; 200_000].into()));
        let (_, rows) = debts.begin(ReplyBody::stream(futures::stream::repeat(Bytes::from_static(b"row"))));
        let _first = next(&answer, &debts);
        assert_eq!([at(21), at(30), at(31)], [false, false, true]);
        // Rows of another answer are taken, or a piece of this one.
        assert!(next(&rows, &debts).is_some());
        assert_eq!([at(32), at(41)], [false; 2]);
        let _second = next(&answer, &debts);
        assert_eq!([at(42), at(51), at(52)], [false, false, true]);
    }
}
